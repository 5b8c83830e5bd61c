// Volumes: what a pod can mount. Volume carries every source of VolumeSource as a pointer, of which
// exactly one is set. Naming: podspec/schema.h.
#pragma once

#include "podspec/pod-common.h"

struct host_path_volume_source {
    char *path;
    char *type;
};

struct empty_dir_volume_source {
    char *medium;
    struct quantity *sizeLimit;
};

struct gce_persistent_disk_volume_source {
    char *pdName;
    char *fsType;
    int64_t partition;
    bool readOnly;
};

struct aws_elastic_block_store_volume_source {
    char *volumeID;
    char *fsType;
    int64_t partition;
    bool readOnly;
};

struct git_repo_volume_source {
    char *repository;
    char *revision;
    char *directory;
};

struct secret_volume_source {
    char *secretName;
    LIST_OF(struct key_to_path) items;
    int64_t *defaultMode;
    bool *optional;
};

struct nfs_volume_source {
    char *server;
    char *path;
    bool readOnly;
};

struct iscsi_volume_source {
    char *targetPortal;
    char *iqn;
    int64_t lun;
    char *iscsiInterface;
    char *fsType;
    bool readOnly;
    struct string_list portals;
    bool chapAuthDiscovery;
    bool chapAuthSession;
    struct local_object_reference *secretRef;
    char *initiatorName;
};

struct glusterfs_volume_source {
    char *endpoints;
    char *path;
    bool readOnly;
};

struct persistent_volume_claim_volume_source {
    char *claimName;
    bool readOnly;
};

struct rbd_volume_source {
    struct string_list monitors;
    char *image;
    char *fsType;
    char *pool;
    char *user;
    char *keyring;
    struct local_object_reference *secretRef;
    bool readOnly;
};

struct flex_volume_source {
    char *driver;
    char *fsType;
    struct local_object_reference *secretRef;
    bool readOnly;
    struct string_map options;
};

struct cinder_volume_source {
    char *volumeID;
    char *fsType;
    bool readOnly;
    struct local_object_reference *secretRef;
};

struct ceph_fs_volume_source {
    struct string_list monitors;
    char *path;
    char *user;
    char *secretFile;
    struct local_object_reference *secretRef;
    bool readOnly;
};

struct flocker_volume_source {
    char *datasetName;
    char *datasetUUID;
};

struct downward_api_volume_file {
    char *path;
    struct object_field_selector *fieldRef;
    struct resource_field_selector *resourceFieldRef;
    int64_t *mode;
};

struct downward_api_volume_source {
    LIST_OF(struct downward_api_volume_file) items;
    int64_t *defaultMode;
};

struct fc_volume_source {
    struct string_list targetWWNs;
    int64_t *lun;
    char *fsType;
    bool readOnly;
    struct string_list wwids;
};

struct azure_file_volume_source {
    char *secretName;
    char *shareName;
    bool readOnly;
};

struct config_map_volume_source {
    char *name;
    LIST_OF(struct key_to_path) items;
    int64_t *defaultMode;
    bool *optional;
};

struct vsphere_virtual_disk_volume_source {
    char *volumePath;
    char *fsType;
    char *storagePolicyName;
    char *storagePolicyID;
};

struct quobyte_volume_source {
    char *registry;
    char *volume;
    bool readOnly;
    char *user;
    char *group;
    char *tenant;
};

struct azure_disk_volume_source {
    char *diskName;
    char *diskURI;
    char *cachingMode;
    char *fsType;
    bool *readOnly;
    char *kind;
};

struct photon_persistent_disk_volume_source {
    char *pdID;
    char *fsType;
};

struct secret_projection {
    char *name;
    LIST_OF(struct key_to_path) items;
    bool *optional;
};

struct downward_api_projection {
    LIST_OF(struct downward_api_volume_file) items;
};

struct config_map_projection {
    char *name;
    LIST_OF(struct key_to_path) items;
    bool *optional;
};

struct service_account_token_projection {
    char *audience;
    int64_t *expirationSeconds;
    char *path;
};

struct cluster_trust_bundle_projection {
    char *name;
    char *signerName;
    struct label_selector *labelSelector;
    bool *optional;
    char *path;
};

struct volume_projection {
    struct secret_projection *secret;
    struct downward_api_projection *downwardAPI;
    struct config_map_projection *configMap;
    struct service_account_token_projection *serviceAccountToken;
    struct cluster_trust_bundle_projection *clusterTrustBundle;
};

struct projected_volume_source {
    LIST_OF(struct volume_projection) sources;
    int64_t *defaultMode;
};

struct portworx_volume_source {
    char *volumeID;
    char *fsType;
    bool readOnly;
};

struct scale_io_volume_source {
    char *gateway;
    char *system;
    struct local_object_reference *secretRef;
    bool sslEnabled;
    char *protectionDomain;
    char *storagePool;
    char *storageMode;
    char *volumeName;
    char *fsType;
    bool readOnly;
};

struct storage_os_volume_source {
    char *volumeName;
    char *volumeNamespace;
    char *fsType;
    bool readOnly;
    struct local_object_reference *secretRef;
};

struct csi_volume_source {
    char *driver;
    bool *readOnly;
    char *fsType;
    struct string_map volumeAttributes;
    struct local_object_reference *nodePublishSecretRef;
};

struct persistent_volume_claim_spec {
    struct string_list accessModes;
    struct label_selector *selector;
    struct resource_requirements resources;
    char *volumeName;
    char *storageClassName;
    char *volumeMode;
    struct typed_local_object_reference *dataSource;
    struct typed_local_object_reference *dataSourceRef;
    char *volumeAttributesClassName;
};

struct claim_meta {
    struct string_map labels, annotations;
};

struct persistent_volume_claim_template {
    struct claim_meta metadata;
    struct persistent_volume_claim_spec spec;
};

struct ephemeral_volume_source {
    struct persistent_volume_claim_template *volumeClaimTemplate;
    bool readOnly;
};

struct image_volume_source {
    char *reference;
    char *pullPolicy;
};

struct volume {
    char *name;
    struct host_path_volume_source *hostPath;
    struct empty_dir_volume_source *emptyDir;
    struct gce_persistent_disk_volume_source *gcePersistentDisk;
    struct aws_elastic_block_store_volume_source *awsElasticBlockStore;
    struct git_repo_volume_source *gitRepo;
    struct secret_volume_source *secret;
    struct nfs_volume_source *nfs;
    struct iscsi_volume_source *iscsi;
    struct glusterfs_volume_source *glusterfs;
    struct persistent_volume_claim_volume_source *persistentVolumeClaim;
    struct rbd_volume_source *rbd;
    struct flex_volume_source *flexVolume;
    struct cinder_volume_source *cinder;
    struct ceph_fs_volume_source *cephfs;
    struct flocker_volume_source *flocker;
    struct downward_api_volume_source *downwardAPI;
    struct fc_volume_source *fc;
    struct azure_file_volume_source *azureFile;
    struct config_map_volume_source *configMap;
    struct vsphere_virtual_disk_volume_source *vsphereVolume;
    struct quobyte_volume_source *quobyte;
    struct azure_disk_volume_source *azureDisk;
    struct photon_persistent_disk_volume_source *photonPersistentDisk;
    struct projected_volume_source *projected;
    struct portworx_volume_source *portworxVolume;
    struct scale_io_volume_source *scaleIO;
    struct storage_os_volume_source *storageos;
    struct csi_volume_source *csi;
    struct ephemeral_volume_source *ephemeral;
    struct image_volume_source *image;
};
