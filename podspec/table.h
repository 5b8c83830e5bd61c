// How the rows of the pod spec's table are written (table-*.c). A type's rows stand in an array
// TAG_fields and are published by TYPE(TAG, …); every row macro checks at compile time that the C
// member has the type that the row says, so a table and a struct cannot drift apart.
#pragma once

#include <stddef.h>

#include "podspec/checks.h"
#include "podspec/pod.h"
#include "podspec/schema.h"

// 0, or a compile error where the member is not of that C type.
#define MEMBER_IS(tag, member, ctype)                                                              \
    (sizeof(                                                                                       \
         char[__builtin_types_compatible_p(__typeof__(((struct tag *)0)->member), ctype) ? 1       \
                                                                                         : -1]) -  \
     1)

#define ROW_AS(tag, json, member, kind, ctype, ...)                                                \
    {                                                                                              \
        .name = json, .type = (kind),                                                              \
        .offset = offsetof(struct tag, member) + MEMBER_IS(tag, member, ctype), __VA_ARGS__        \
    }
#define ROW(tag, member, kind, ctype, ...) ROW_AS(tag, #member, member, kind, ctype, __VA_ARGS__)

#define ROW_STRING(tag, member, ...)   ROW(tag, member, FIELD_STRING, char *, __VA_ARGS__)
#define ROW_BOOL(tag, member, ...)     ROW(tag, member, FIELD_BOOL, bool, __VA_ARGS__)
#define ROW_BOOL_PTR(tag, member, ...) ROW(tag, member, FIELD_BOOL_PTR, bool *, __VA_ARGS__)
#define ROW_INT(tag, member, ...)      ROW(tag, member, FIELD_INT, int64_t, __VA_ARGS__)
#define ROW_INT_PTR(tag, member, ...)  ROW(tag, member, FIELD_INT_PTR, int64_t *, __VA_ARGS__)
#define ROW_INT_LIST(tag, member, ...)                                                             \
    ROW(tag, member, FIELD_INT_LIST, struct int_list, __VA_ARGS__)
#define ROW_QUANTITY(tag, member, ...)                                                             \
    ROW(tag, member, FIELD_QUANTITY_PTR, struct quantity *, __VA_ARGS__)
#define ROW_INT_OR_STRING(tag, member, ...)                                                        \
    ROW(tag, member, FIELD_INT_OR_STRING, struct int_or_string, __VA_ARGS__)
#define ROW_STRINGS(tag, member, ...)                                                              \
    ROW(tag, member, FIELD_STRING_LIST, struct string_list, __VA_ARGS__)
#define ROW_MAP(tag, member, ...) ROW(tag, member, FIELD_STRING_MAP, struct string_map, __VA_ARGS__)
#define ROW_RESOURCES(tag, member, ...)                                                            \
    ROW(tag, member, FIELD_RESOURCES, struct resource_list, __VA_ARGS__)
// `of` is the tag of the struct: its schema is of_schema.
#define ROW_STRUCT(tag, member, of, ...)                                                           \
    ROW(tag, member, FIELD_STRUCT, struct of, .sub = &of##_schema, __VA_ARGS__)
#define ROW_STRUCT_PTR(tag, member, of, ...)                                                       \
    ROW(tag, member, FIELD_STRUCT_PTR, struct of *, .sub = &of##_schema, __VA_ARGS__)
#define ROW_LIST(tag, member, of, ...)                                                             \
    {                                                                                              \
        .name = #member, .type = FIELD_STRUCT_LIST,                                                \
        .offset = offsetof(struct tag, member) + MEMBER_IS(tag, member.items, struct of *),        \
        .sub = &of##_schema, __VA_ARGS__                                                           \
    }
#define ROW_ANY(json, ...)                                                                         \
    {                                                                                              \
        .name = json, .type = FIELD_ANY, .support = SUPPORT_IGNORED, __VA_ARGS__                   \
    }

#define TYPE(tag, go_name, text)                                                                   \
    const struct type_schema tag##_schema = {                                                      \
        .name = (go_name),                                                                         \
        .size = sizeof(struct tag),                                                                \
        .fields = tag##_fields,                                                                    \
        .n_fields = ARRAY_SIZE(tag##_fields),                                                      \
        .doc = (text),                                                                             \
    }

#define ONE_OF(...)                                                                                \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

#define IGNORED       .support = SUPPORT_IGNORED
#define REPORTED(why) .support = SUPPORT_REPORTED, .note = (why)
#define REFUSED(why)  .support = SUPPORT_REFUSED, .note = (why)

// Types that rows of other files refer to.
extern const struct type_schema resource_requirements_schema, container_resize_policy_schema,
    local_object_reference_schema, typed_local_object_reference_schema, label_selector_schema,
    key_to_path_schema, object_field_selector_schema, resource_field_selector_schema,
    object_meta_schema;
extern const struct type_schema probe_schema, lifecycle_schema;
extern const struct type_schema security_context_schema, pod_security_context_schema;
extern const struct type_schema container_schema, ephemeral_container_schema;
extern const struct type_schema volume_schema, gce_persistent_disk_volume_source_schema,
    aws_elastic_block_store_volume_source_schema, git_repo_volume_source_schema,
    nfs_volume_source_schema, iscsi_volume_source_schema, glusterfs_volume_source_schema,
    persistent_volume_claim_volume_source_schema, rbd_volume_source_schema,
    flex_volume_source_schema, cinder_volume_source_schema, ceph_fs_volume_source_schema,
    flocker_volume_source_schema, fc_volume_source_schema, azure_file_volume_source_schema,
    vsphere_virtual_disk_volume_source_schema, quobyte_volume_source_schema,
    azure_disk_volume_source_schema, photon_persistent_disk_volume_source_schema,
    portworx_volume_source_schema, scale_io_volume_source_schema, storage_os_volume_source_schema,
    csi_volume_source_schema, ephemeral_volume_source_schema, image_volume_source_schema;
extern const struct type_schema affinity_schema, toleration_schema,
    topology_spread_constraint_schema, pod_scheduling_gate_schema, pod_resource_claim_schema,
    pod_readiness_gate_schema;
