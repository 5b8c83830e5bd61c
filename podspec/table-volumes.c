// The table's rows of volumes and of those sources that need nothing but this node; the others are
// in table-volumes-remote.c.
#include "podspec/table.h"

#define CONFIG_MAP_NOTE                                                                            \
    "ConfigMaps live in the API server, which a static pod must not depend on; put the files on "  \
    "the node and use hostPath"
#define SECRET_NOTE                                                                                \
    "Secrets live in the API server, which a static pod must not depend on; put the files on the " \
    "node and use hostPath"
#define TOKEN_NOTE                                                                                 \
    "tokens come from the API server, which a static pod must not depend on; give the component "  \
    "a kubeconfig with a hostPath volume"
#define REMOTE_NOTE "is not mounted by this program; mount it on the host and use hostPath"

static const struct field_schema host_path_volume_source_fields[] = {
    ROW_STRING(host_path_volume_source, path, .required = true, .check = check_host_path,
               .doc = "The file or directory of the node; symlinks are followed."),
    ROW_STRING(host_path_volume_source, type,
               .values = ONE_OF("DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket",
                                "CharDevice", "BlockDevice"),
               .doc = "What the path must be before the container starts. DirectoryOrCreate makes "
                      "a directory (0755) with its parents, FileOrCreate a file (0644) without "
                      "them. Where unset anything may "
                      "be there, but something must."),
};
TYPE(host_path_volume_source, "HostPathVolumeSource", "A file or directory of the node.");

static const struct field_schema empty_dir_volume_source_fields[] = {
    ROW_STRING(empty_dir_volume_source, medium, .check = check_empty_dir_medium,
               .doc = "Memory for a tmpfs; the node's disk where unset."),
    ROW_QUANTITY(empty_dir_volume_source, sizeLimit,
                 .doc = "How large a volume in memory may grow; never beyond the pod's memory "
                        "limit or the node's memory. On the node's disk it is watched, and the "
                        "event EmptyDirOverLimit tells when it is exceeded."),
};
TYPE(empty_dir_volume_source, "EmptyDirVolumeSource",
     "An empty directory that lives as long as the pod.");

static const struct field_schema secret_volume_source_fields[] = {
    ROW_STRING(secret_volume_source, secretName, .required = true, .doc = "The Secret."),
    ROW_LIST(secret_volume_source, items, key_to_path, .doc = "The keys that become files."),
    ROW_INT_PTR(secret_volume_source, defaultMode, .min = 0, .max = 0777, .default_value = "420",
                .doc = "The files' mode."),
    ROW_BOOL_PTR(secret_volume_source, optional, .doc = "Whether it may be missing."),
};
TYPE(secret_volume_source, "SecretVolumeSource", "A Secret as files.");

static const struct field_schema config_map_volume_source_fields[] = {
    ROW_STRING(config_map_volume_source, name, .required = true, .doc = "The ConfigMap."),
    ROW_LIST(config_map_volume_source, items, key_to_path, .doc = "The keys that become files."),
    ROW_INT_PTR(config_map_volume_source, defaultMode, .min = 0, .max = 0777,
                .default_value = "420", .doc = "The files' mode."),
    ROW_BOOL_PTR(config_map_volume_source, optional, .doc = "Whether it may be missing."),
};
TYPE(config_map_volume_source, "ConfigMapVolumeSource", "A ConfigMap as files.");

static const struct field_schema downward_api_volume_file_fields[] = {
    ROW_STRING(downward_api_volume_file, path, .required = true, .check = check_projected_path,
               .doc = "The file in the volume, relative, without \"..\"."),
    ROW_STRUCT_PTR(downward_api_volume_file, fieldRef, object_field_selector,
                   .doc = "A field of this pod: metadata.name, metadata.namespace, metadata.uid, "
                          "metadata.labels or metadata.annotations."),
    ROW_STRUCT_PTR(downward_api_volume_file, resourceFieldRef, resource_field_selector,
                   .doc = "An amount of a container's resources."),
    ROW_INT_PTR(downward_api_volume_file, mode, .min = 0, .max = 0777,
                .doc = "The file's mode; the volume's defaultMode where unset."),
};
TYPE(downward_api_volume_file, "DownwardAPIVolumeFile", "A file that tells about the pod.");

static const struct field_schema downward_api_volume_source_fields[] = {
    ROW_LIST(downward_api_volume_source, items, downward_api_volume_file, .doc = "The files."),
    ROW_INT_PTR(downward_api_volume_source, defaultMode, .min = 0, .max = 0777,
                .default_value = "420", .doc = "The mode of files that set none."),
};
TYPE(downward_api_volume_source, "DownwardAPIVolumeSource", "Files that tell about the pod.");

static const struct field_schema secret_projection_fields[] = {
    ROW_STRING(secret_projection, name, .required = true, .doc = "The Secret."),
    ROW_LIST(secret_projection, items, key_to_path, .doc = "The keys that become files."),
    ROW_BOOL_PTR(secret_projection, optional, .doc = "Whether it may be missing."),
};
TYPE(secret_projection, "SecretProjection", "A Secret as files.");

static const struct field_schema downward_api_projection_fields[] = {
    ROW_LIST(downward_api_projection, items, downward_api_volume_file, .doc = "The files."),
};
TYPE(downward_api_projection, "DownwardAPIProjection", "Files that tell about the pod.");

static const struct field_schema config_map_projection_fields[] = {
    ROW_STRING(config_map_projection, name, .required = true, .doc = "The ConfigMap."),
    ROW_LIST(config_map_projection, items, key_to_path, .doc = "The keys that become files."),
    ROW_BOOL_PTR(config_map_projection, optional, .doc = "Whether it may be missing."),
};
TYPE(config_map_projection, "ConfigMapProjection", "A ConfigMap as files.");

static const struct field_schema service_account_token_projection_fields[] = {
    ROW_STRING(service_account_token_projection, audience, .doc = "Whom the token is for."),
    ROW_INT_PTR(service_account_token_projection, expirationSeconds, .min = 600,
                .max = (int64_t)1 << 32, .default_value = "3600", .doc = "How long it is good."),
    ROW_STRING(service_account_token_projection, path, .required = true,
               .doc = "The file in the volume."),
};
TYPE(service_account_token_projection, "ServiceAccountTokenProjection",
     "A token of the pod's service account.");

static const struct field_schema cluster_trust_bundle_projection_fields[] = {
    ROW_STRING(cluster_trust_bundle_projection, name, .doc = "The bundle."),
    ROW_STRING(cluster_trust_bundle_projection, signerName, .doc = "The bundles of a signer."),
    ROW_STRUCT_PTR(cluster_trust_bundle_projection, labelSelector, label_selector,
                   .doc = "Which bundles of the signer."),
    ROW_BOOL_PTR(cluster_trust_bundle_projection, optional, .doc = "Whether it may be missing."),
    ROW_STRING(cluster_trust_bundle_projection, path, .required = true,
               .check = check_projected_path, .doc = "The file in the volume."),
};
TYPE(cluster_trust_bundle_projection, "ClusterTrustBundleProjection",
     "Certificates that the cluster trusts.");

static const struct field_schema volume_projection_fields[] = {
    ROW_STRUCT_PTR(volume_projection, secret, secret_projection, REFUSED(SECRET_NOTE),
                   .doc = "A Secret."),
    ROW_STRUCT_PTR(volume_projection, downwardAPI, downward_api_projection,
                   .doc = "Files that tell about the pod."),
    ROW_STRUCT_PTR(volume_projection, configMap, config_map_projection, REFUSED(CONFIG_MAP_NOTE),
                   .doc = "A ConfigMap."),
    ROW_STRUCT_PTR(volume_projection, serviceAccountToken, service_account_token_projection,
                   REFUSED(TOKEN_NOTE), .doc = "A token of the pod's service account."),
    ROW_STRUCT_PTR(volume_projection, clusterTrustBundle, cluster_trust_bundle_projection,
                   REFUSED("trust bundles live in the API server, which a static pod must not "
                           "depend on; put the certificates on the node and use hostPath"),
                   .doc = "Certificates that the cluster trusts."),
};
TYPE(volume_projection, "VolumeProjection", "One source of a projected volume.");

static const struct field_schema projected_volume_source_fields[] = {
    ROW_LIST(projected_volume_source, sources, volume_projection, .doc = "What the volume shows."),
    ROW_INT_PTR(projected_volume_source, defaultMode, .min = 0, .max = 0777, .default_value = "420",
                .doc = "The mode of files that set none."),
};
TYPE(projected_volume_source, "ProjectedVolumeSource", "Several sources in one directory.");

#define REMOTE(member, of, text)                                                                   \
    ROW_STRUCT_PTR(volume, member, of##_volume_source, REFUSED(REMOTE_NOTE), .doc = (text))

static const struct field_schema volume_fields[] = {
    ROW_STRING(volume, name, .required = true, .check = check_dns_label,
               .doc = "The volume's name, which volumeMounts use."),
    ROW_STRUCT_PTR(volume, hostPath, host_path_volume_source,
                   .doc = "A file or directory of the node."),
    ROW_STRUCT_PTR(volume, emptyDir, empty_dir_volume_source,
                   .doc = "An empty directory that lives as long as the pod. Taken where no "
                          "source is given."),
    REMOTE(gcePersistentDisk, gce_persistent_disk, "A disk of Google's cloud."),
    REMOTE(awsElasticBlockStore, aws_elastic_block_store, "A disk of Amazon's cloud."),
    REMOTE(gitRepo, git_repo, "A Git repository (deprecated)."),
    ROW_STRUCT_PTR(volume, secret, secret_volume_source, REFUSED(SECRET_NOTE), .doc = "A Secret."),
    REMOTE(nfs, nfs, "A directory of an NFS server."),
    REMOTE(iscsi, iscsi, "An iSCSI disk."),
    REMOTE(glusterfs, glusterfs, "A Glusterfs volume."),
    ROW_STRUCT_PTR(volume, persistentVolumeClaim, persistent_volume_claim_volume_source,
                   REFUSED("claims live in the API server, which a static pod must not depend on; "
                           "mount the storage on the host and use hostPath"),
                   .doc = "A PersistentVolumeClaim."),
    REMOTE(rbd, rbd, "A Ceph block device."),
    REMOTE(flexVolume, flex, "A volume of a FlexVolume driver (deprecated)."),
    REMOTE(cinder, cinder, "A disk of OpenStack."),
    REMOTE(cephfs, ceph_fs, "A Ceph file system."),
    REMOTE(flocker, flocker, "A Flocker volume."),
    ROW_STRUCT_PTR(volume, downwardAPI, downward_api_volume_source,
                   .doc = "Files that tell about the pod."),
    REMOTE(fc, fc, "A Fibre Channel disk."),
    REMOTE(azureFile, azure_file, "A file share of Azure."),
    ROW_STRUCT_PTR(volume, configMap, config_map_volume_source, REFUSED(CONFIG_MAP_NOTE),
                   .doc = "A ConfigMap."),
    REMOTE(vsphereVolume, vsphere_virtual_disk, "A disk of vSphere."),
    REMOTE(quobyte, quobyte, "A Quobyte volume."),
    REMOTE(azureDisk, azure_disk, "A disk of Azure."),
    REMOTE(photonPersistentDisk, photon_persistent_disk, "A disk of Photon."),
    ROW_STRUCT_PTR(volume, projected, projected_volume_source,
                   .doc = "Several sources in one directory."),
    REMOTE(portworxVolume, portworx, "A Portworx volume."),
    REMOTE(scaleIO, scale_io, "A ScaleIO volume."),
    REMOTE(storageos, storage_os, "A StorageOS volume."),
    REMOTE(csi, csi, "A volume of a CSI driver."),
    ROW_STRUCT_PTR(volume, ephemeral, ephemeral_volume_source,
                   REFUSED("its claim would live in the API server; use emptyDir or hostPath"),
                   .doc = "A claim that lives as long as the pod."),
    ROW_STRUCT_PTR(volume, image, image_volume_source,
                   REFUSED("images are directories of the node here; use hostPath"),
                   .doc = "The files of an image."),
};
TYPE(volume, "Volume", "Files or a directory that containers can mount.");
