// The table's rows of volume sources that live outside this node: clouds, network storage, drivers,
// claims. All of them are refused (table-volumes.c), but decoded and checked, so that every mistake
// in a manifest is found at once and `mainstay explain` knows them.
#include "podspec/table.h"

#define FS_TYPE(tag)   ROW_STRING(tag, fsType, .doc = "The file system's type, such as ext4.")
#define READ_ONLY(tag) ROW_BOOL(tag, readOnly, .doc = "Mount it read-only.")
#define SECRET_REF(tag)                                                                            \
    ROW_STRUCT_PTR(tag, secretRef, local_object_reference, .doc = "Credentials.")
#define PARTITION(tag)                                                                             \
    ROW_INT(tag, partition, .min = 0, .max = 255, .doc = "The partition; the whole disk where 0.")

static const struct field_schema gce_persistent_disk_volume_source_fields[] = {
    ROW_STRING(gce_persistent_disk_volume_source, pdName, .required = true, .doc = "The disk."),
    FS_TYPE(gce_persistent_disk_volume_source),
    PARTITION(gce_persistent_disk_volume_source),
    READ_ONLY(gce_persistent_disk_volume_source),
};
TYPE(gce_persistent_disk_volume_source, "GCEPersistentDiskVolumeSource",
     "A disk of Google's cloud.");

static const struct field_schema aws_elastic_block_store_volume_source_fields[] = {
    ROW_STRING(aws_elastic_block_store_volume_source, volumeID, .required = true,
               .doc = "The disk."),
    FS_TYPE(aws_elastic_block_store_volume_source),
    PARTITION(aws_elastic_block_store_volume_source),
    READ_ONLY(aws_elastic_block_store_volume_source),
};
TYPE(aws_elastic_block_store_volume_source, "AWSElasticBlockStoreVolumeSource",
     "A disk of Amazon's cloud.");

static const struct field_schema git_repo_volume_source_fields[] = {
    ROW_STRING(git_repo_volume_source, repository, .required = true, .doc = "Its URL."),
    ROW_STRING(git_repo_volume_source, revision, .doc = "The commit."),
    ROW_STRING(git_repo_volume_source, directory, .check = check_relative_path,
               .doc = "Where in the volume it is put."),
};
TYPE(git_repo_volume_source, "GitRepoVolumeSource", "A Git repository.");

static const struct field_schema nfs_volume_source_fields[] = {
    ROW_STRING(nfs_volume_source, server, .required = true, .doc = "The server."),
    ROW_STRING(nfs_volume_source, path, .required = true, .check = check_absolute_path,
               .doc = "The exported path."),
    READ_ONLY(nfs_volume_source),
};
TYPE(nfs_volume_source, "NFSVolumeSource", "A directory of an NFS server.");

static const struct field_schema iscsi_volume_source_fields[] = {
    ROW_STRING(iscsi_volume_source, targetPortal, .required = true,
               .doc = "The portal, ADDRESS:PORT."),
    ROW_STRING(iscsi_volume_source, iqn, .required = true, .doc = "The target."),
    ROW_INT(iscsi_volume_source, lun, .min = 0, .max = 255, .doc = "The logical unit."),
    ROW_STRING(iscsi_volume_source, iscsiInterface, .default_value = "default",
               .doc = "The interface of the initiator."),
    FS_TYPE(iscsi_volume_source),
    READ_ONLY(iscsi_volume_source),
    ROW_STRINGS(iscsi_volume_source, portals, .doc = "More portals."),
    ROW_BOOL(iscsi_volume_source, chapAuthDiscovery, .doc = "CHAP for discovery."),
    ROW_BOOL(iscsi_volume_source, chapAuthSession, .doc = "CHAP for sessions."),
    SECRET_REF(iscsi_volume_source),
    ROW_STRING(iscsi_volume_source, initiatorName, .doc = "The initiator."),
};
TYPE(iscsi_volume_source, "ISCSIVolumeSource", "An iSCSI disk.");

static const struct field_schema glusterfs_volume_source_fields[] = {
    ROW_STRING(glusterfs_volume_source, endpoints, .required = true,
               .doc = "The Endpoints object of its servers."),
    ROW_STRING(glusterfs_volume_source, path, .required = true, .doc = "The volume."),
    READ_ONLY(glusterfs_volume_source),
};
TYPE(glusterfs_volume_source, "GlusterfsVolumeSource", "A Glusterfs volume.");

static const struct field_schema persistent_volume_claim_volume_source_fields[] = {
    ROW_STRING(persistent_volume_claim_volume_source, claimName, .required = true,
               .doc = "The claim."),
    READ_ONLY(persistent_volume_claim_volume_source),
};
TYPE(persistent_volume_claim_volume_source, "PersistentVolumeClaimVolumeSource",
     "A PersistentVolumeClaim.");

static const struct field_schema rbd_volume_source_fields[] = {
    ROW_STRINGS(rbd_volume_source, monitors, .required = true, .doc = "The monitors."),
    ROW_STRING(rbd_volume_source, image, .required = true, .doc = "The image."),
    FS_TYPE(rbd_volume_source),
    ROW_STRING(rbd_volume_source, pool, .default_value = "rbd", .doc = "The pool."),
    ROW_STRING(rbd_volume_source, user, .default_value = "admin", .doc = "The user."),
    ROW_STRING(rbd_volume_source, keyring, .default_value = "/etc/ceph/keyring",
               .doc = "The file of the user's key."),
    SECRET_REF(rbd_volume_source),
    READ_ONLY(rbd_volume_source),
};
TYPE(rbd_volume_source, "RBDVolumeSource", "A Ceph block device.");

static const struct field_schema flex_volume_source_fields[] = {
    ROW_STRING(flex_volume_source, driver, .required = true, .doc = "The driver."),
    FS_TYPE(flex_volume_source),
    SECRET_REF(flex_volume_source),
    READ_ONLY(flex_volume_source),
    ROW_MAP(flex_volume_source, options, .doc = "Options of the driver."),
};
TYPE(flex_volume_source, "FlexVolumeSource", "A volume of a FlexVolume driver.");

static const struct field_schema cinder_volume_source_fields[] = {
    ROW_STRING(cinder_volume_source, volumeID, .required = true, .doc = "The disk."),
    FS_TYPE(cinder_volume_source),
    READ_ONLY(cinder_volume_source),
    SECRET_REF(cinder_volume_source),
};
TYPE(cinder_volume_source, "CinderVolumeSource", "A disk of OpenStack.");

static const struct field_schema ceph_fs_volume_source_fields[] = {
    ROW_STRINGS(ceph_fs_volume_source, monitors, .required = true, .doc = "The monitors."),
    ROW_STRING(ceph_fs_volume_source, path, .doc = "The directory."),
    ROW_STRING(ceph_fs_volume_source, user, .doc = "The user."),
    ROW_STRING(ceph_fs_volume_source, secretFile, .doc = "The file of the user's key."),
    SECRET_REF(ceph_fs_volume_source),
    READ_ONLY(ceph_fs_volume_source),
};
TYPE(ceph_fs_volume_source, "CephFSVolumeSource", "A Ceph file system.");

static const struct field_schema flocker_volume_source_fields[] = {
    ROW_STRING(flocker_volume_source, datasetName, .doc = "The dataset by name."),
    ROW_STRING(flocker_volume_source, datasetUUID, .doc = "The dataset by UUID."),
};
TYPE(flocker_volume_source, "FlockerVolumeSource", "A Flocker volume.");

static const struct field_schema fc_volume_source_fields[] = {
    ROW_STRINGS(fc_volume_source, targetWWNs, .doc = "The targets."),
    ROW_INT_PTR(fc_volume_source, lun, .min = 0, .max = 255, .doc = "The logical unit."),
    FS_TYPE(fc_volume_source),
    READ_ONLY(fc_volume_source),
    ROW_STRINGS(fc_volume_source, wwids, .doc = "World-wide names of the disk."),
};
TYPE(fc_volume_source, "FCVolumeSource", "A Fibre Channel disk.");

static const struct field_schema azure_file_volume_source_fields[] = {
    ROW_STRING(azure_file_volume_source, secretName, .required = true, .doc = "Credentials."),
    ROW_STRING(azure_file_volume_source, shareName, .required = true, .doc = "The share."),
    READ_ONLY(azure_file_volume_source),
};
TYPE(azure_file_volume_source, "AzureFileVolumeSource", "A file share of Azure.");

static const struct field_schema vsphere_virtual_disk_volume_source_fields[] = {
    ROW_STRING(vsphere_virtual_disk_volume_source, volumePath, .required = true,
               .doc = "The disk."),
    FS_TYPE(vsphere_virtual_disk_volume_source),
    ROW_STRING(vsphere_virtual_disk_volume_source, storagePolicyName,
               .doc = "The storage policy by name."),
    ROW_STRING(vsphere_virtual_disk_volume_source, storagePolicyID,
               .doc = "The storage policy by id."),
};
TYPE(vsphere_virtual_disk_volume_source, "VsphereVirtualDiskVolumeSource", "A disk of vSphere.");

static const struct field_schema quobyte_volume_source_fields[] = {
    ROW_STRING(quobyte_volume_source, registry, .required = true,
               .doc = "The registries, HOST:PORT with commas between."),
    ROW_STRING(quobyte_volume_source, volume, .required = true, .doc = "The volume."),
    READ_ONLY(quobyte_volume_source),
    ROW_STRING(quobyte_volume_source, user, .doc = "The user."),
    ROW_STRING(quobyte_volume_source, group, .doc = "The group."),
    ROW_STRING(quobyte_volume_source, tenant, .doc = "The tenant."),
};
TYPE(quobyte_volume_source, "QuobyteVolumeSource", "A Quobyte volume.");

static const struct field_schema azure_disk_volume_source_fields[] = {
    ROW_STRING(azure_disk_volume_source, diskName, .required = true, .doc = "The disk."),
    ROW_STRING(azure_disk_volume_source, diskURI, .required = true, .doc = "Its URI."),
    ROW_STRING(azure_disk_volume_source, cachingMode, .default_value = "ReadWrite",
               .values = ONE_OF("None", "ReadOnly", "ReadWrite"), .doc = "How it is cached."),
    ROW_STRING(azure_disk_volume_source, fsType, .default_value = "ext4",
               .doc = "The file system's type."),
    ROW_BOOL_PTR(azure_disk_volume_source, readOnly, .default_value = "false",
                 .doc = "Mount it read-only."),
    ROW_STRING(azure_disk_volume_source, kind, .default_value = "Shared",
               .values = ONE_OF("Shared", "Dedicated", "Managed"),
               .doc = "What kind of disk it is."),
};
TYPE(azure_disk_volume_source, "AzureDiskVolumeSource", "A disk of Azure.");

static const struct field_schema photon_persistent_disk_volume_source_fields[] = {
    ROW_STRING(photon_persistent_disk_volume_source, pdID, .required = true, .doc = "The disk."),
    FS_TYPE(photon_persistent_disk_volume_source),
};
TYPE(photon_persistent_disk_volume_source, "PhotonPersistentDiskVolumeSource", "A disk of Photon.");

static const struct field_schema portworx_volume_source_fields[] = {
    ROW_STRING(portworx_volume_source, volumeID, .required = true, .doc = "The volume."),
    FS_TYPE(portworx_volume_source),
    READ_ONLY(portworx_volume_source),
};
TYPE(portworx_volume_source, "PortworxVolumeSource", "A Portworx volume.");

static const struct field_schema scale_io_volume_source_fields[] = {
    ROW_STRING(scale_io_volume_source, gateway, .required = true, .doc = "The gateway's address."),
    ROW_STRING(scale_io_volume_source, system, .required = true, .doc = "The storage system."),
    SECRET_REF(scale_io_volume_source),
    ROW_BOOL(scale_io_volume_source, sslEnabled, .doc = "Speak TLS with the gateway."),
    ROW_STRING(scale_io_volume_source, protectionDomain, .doc = "The protection domain."),
    ROW_STRING(scale_io_volume_source, storagePool, .doc = "The pool."),
    ROW_STRING(scale_io_volume_source, storageMode, .default_value = "ThinProvisioned",
               .doc = "Thick or thin."),
    ROW_STRING(scale_io_volume_source, volumeName, .required = true, .doc = "The volume."),
    ROW_STRING(scale_io_volume_source, fsType, .default_value = "xfs",
               .doc = "The file system's type."),
    READ_ONLY(scale_io_volume_source),
};
TYPE(scale_io_volume_source, "ScaleIOVolumeSource", "A ScaleIO volume.");

static const struct field_schema storage_os_volume_source_fields[] = {
    ROW_STRING(storage_os_volume_source, volumeName, .required = true, .doc = "The volume."),
    ROW_STRING(storage_os_volume_source, volumeNamespace, .doc = "Its namespace."),
    FS_TYPE(storage_os_volume_source),
    READ_ONLY(storage_os_volume_source),
    SECRET_REF(storage_os_volume_source),
};
TYPE(storage_os_volume_source, "StorageOSVolumeSource", "A StorageOS volume.");

static const struct field_schema csi_volume_source_fields[] = {
    ROW_STRING(csi_volume_source, driver, .required = true, .check = check_csi_driver,
               .doc = "The driver."),
    ROW_BOOL_PTR(csi_volume_source, readOnly, .doc = "Mount it read-only."),
    ROW_STRING(csi_volume_source, fsType, .doc = "The file system's type."),
    ROW_MAP(csi_volume_source, volumeAttributes, .doc = "Attributes for the driver."),
    ROW_STRUCT_PTR(csi_volume_source, nodePublishSecretRef, local_object_reference,
                   .doc = "Credentials."),
};
TYPE(csi_volume_source, "CSIVolumeSource", "A volume of a CSI driver.");

static const struct field_schema persistent_volume_claim_spec_fields[] = {
    ROW_STRINGS(persistent_volume_claim_spec, accessModes, .doc = "How it may be mounted."),
    ROW_STRUCT_PTR(persistent_volume_claim_spec, selector, label_selector,
                   .doc = "Which volumes are meant."),
    ROW_STRUCT(persistent_volume_claim_spec, resources, resource_requirements,
               .doc = "How large it is."),
    ROW_STRING(persistent_volume_claim_spec, volumeName, .doc = "The volume."),
    ROW_STRING(persistent_volume_claim_spec, storageClassName, .doc = "The storage class."),
    ROW_STRING(persistent_volume_claim_spec, volumeMode, .default_value = "Filesystem",
               .values = ONE_OF("Filesystem", "Block"), .doc = "Filesystem or Block."),
    ROW_STRUCT_PTR(persistent_volume_claim_spec, dataSource, typed_local_object_reference,
                   .doc = "What it is filled from."),
    ROW_STRUCT_PTR(persistent_volume_claim_spec, dataSourceRef, typed_local_object_reference,
                   .doc = "What it is filled from."),
    ROW_STRING(persistent_volume_claim_spec, volumeAttributesClassName,
               .doc = "The class of its attributes."),
};
TYPE(persistent_volume_claim_spec, "PersistentVolumeClaimSpec", "What a claim asks for.");

static const struct field_schema claim_meta_fields[] = {
    ROW_MAP(claim_meta, labels, .doc = "The claim's labels."),
    ROW_MAP(claim_meta, annotations, .doc = "The claim's annotations."),
};
static TYPE(claim_meta, "ObjectMetaOfTemplate", "Labels and annotations; its name is made for it.");

static const struct field_schema persistent_volume_claim_template_fields[] = {
    ROW_STRUCT(persistent_volume_claim_template, metadata, claim_meta,
               .doc = "Labels and annotations of the claim."),
    ROW_STRUCT(persistent_volume_claim_template, spec, persistent_volume_claim_spec,
               .required = true, .doc = "What it asks for."),
};
TYPE(persistent_volume_claim_template, "PersistentVolumeClaimTemplate", "The claim that is made.");

static const struct field_schema ephemeral_volume_source_fields[] = {
    ROW_STRUCT_PTR(ephemeral_volume_source, volumeClaimTemplate, persistent_volume_claim_template,
                   .required = true, .doc = "The claim."),
    READ_ONLY(ephemeral_volume_source),
};
TYPE(ephemeral_volume_source, "EphemeralVolumeSource", "A claim that lives as long as the pod.");

static const struct field_schema image_volume_source_fields[] = {
    ROW_STRING(image_volume_source, reference, .doc = "The image."),
    ROW_STRING(image_volume_source, pullPolicy, .values = ONE_OF("Always", "IfNotPresent", "Never"),
               .doc = "When it is pulled."),
};
TYPE(image_volume_source, "ImageVolumeSource", "The files of an image.");
