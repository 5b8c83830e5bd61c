// The table's rows of the types that several parts of a pod spec share: resources, selectors,
// references.
#include "podspec/table.h"

static const struct field_schema resource_claim_fields[] = {
    ROW_STRING(resource_claim, name, .required = true,
               .doc = "The entry of spec.resourceClaims that the container uses."),
    ROW_STRING(resource_claim, request, .doc = "One request of that claim; all where unset."),
};
TYPE(resource_claim, "ResourceClaim", "A claim of the pod that a container uses.");

static const struct field_schema resource_requirements_fields[] = {
    ROW_RESOURCES(resource_requirements, limits,
                  .doc = "The most that the container gets: cpu is throttled, memory over the "
                         "limit is killed."),
    ROW_RESOURCES(resource_requirements, requests,
                  .doc = "What the container is sure to get where the node is busy: cpu becomes "
                         "its share of the cgroup. Taken from the limits where unset. No pod is "
                         "refused because the node has less."),
    ROW_LIST(resource_requirements, claims, resource_claim, .patch_key = "name",
             REFUSED("devices are claimed through the API server; mount the device with a hostPath "
                     "volume instead"),
             .doc = "Claims on devices."),
};
TYPE(resource_requirements, "ResourceRequirements", "How much cpu and memory a container gets.");

static const struct field_schema container_resize_policy_fields[] = {
    ROW_STRING(container_resize_policy, resourceName, .required = true,
               .values = ONE_OF("cpu", "memory"), .doc = "The resource: cpu or memory."),
    ROW_STRING(container_resize_policy, restartPolicy, .required = true,
               .values = ONE_OF("NotRequired", "RestartContainer"),
               .doc = "Whether the container must restart when that amount changes."),
};
TYPE(container_resize_policy, "ContainerResizePolicy",
     "What a changed amount of a resource means for a running container.");

static const struct field_schema local_object_reference_fields[] = {
    ROW_STRING(local_object_reference, name, .doc = "The object's name, in the pod's namespace."),
};
TYPE(local_object_reference, "LocalObjectReference", "An object of the pod's own namespace.");

static const struct field_schema typed_local_object_reference_fields[] = {
    ROW_STRING(typed_local_object_reference, apiGroup, .doc = "The group of the object's kind."),
    ROW_STRING(typed_local_object_reference, kind, .required = true, .doc = "The object's kind."),
    ROW_STRING(typed_local_object_reference, name, .required = true, .doc = "The object's name."),
};
TYPE(typed_local_object_reference, "TypedLocalObjectReference",
     "An object of any kind in the pod's own namespace.");

static const struct field_schema label_selector_requirement_fields[] = {
    ROW_STRING(label_selector_requirement, key, .required = true, .check = check_qualified_name,
               .doc = "The label that is looked at."),
    ROW_STRING(label_selector_requirement, operator, .required = true,
               .values = ONE_OF("In", "NotIn", "Exists", "DoesNotExist"),
               .doc = "How the label's value relates to the values."),
    ROW_STRINGS(label_selector_requirement, values,
                .doc = "For In and NotIn: at least one value; otherwise none."),
};
TYPE(label_selector_requirement, "LabelSelectorRequirement", "One condition on a label.");

static const struct field_schema label_selector_fields[] = {
    ROW_MAP(label_selector, matchLabels, .doc = "Labels that must be there with these values."),
    ROW_LIST(label_selector, matchExpressions, label_selector_requirement,
             .doc = "Conditions on labels, all of which must hold."),
};
TYPE(label_selector, "LabelSelector", "Which objects are meant, by their labels.");

static const struct field_schema key_to_path_fields[] = {
    ROW_STRING(key_to_path, key, .required = true, .doc = "The key whose value is the content."),
    ROW_STRING(key_to_path, path, .required = true, .check = check_projected_path,
               .doc = "The file in the volume, relative, without \"..\"."),
    ROW_INT_PTR(key_to_path, mode, .min = 0, .max = 0777,
                .doc = "The file's mode; the volume's defaultMode where unset."),
};
TYPE(key_to_path, "KeyToPath", "One key of a ConfigMap or Secret as a file.");

static const struct field_schema object_field_selector_fields[] = {
    ROW_STRING(object_field_selector, apiVersion, .default_value = "v1", .values = ONE_OF("v1"),
               .doc = "The version that fieldPath is written in: v1."),
    ROW_STRING(object_field_selector, fieldPath, .required = true,
               .doc = "The field of this pod, such as metadata.name or "
                      "metadata.labels['KEY']."),
};
TYPE(object_field_selector, "ObjectFieldSelector", "A field of the pod itself as a value.");

static const struct field_schema resource_field_selector_fields[] = {
    ROW_STRING(resource_field_selector, containerName,
               .doc = "The container that is meant; in env, the container itself where unset. "
                      "Required in volumes."),
    ROW_STRING(resource_field_selector, resource, .required = true,
               .check = check_resource_selector,
               .doc = "Which amount: limits or requests of cpu, memory or ephemeral-storage, such "
                      "as limits.cpu."),
    ROW_QUANTITY(resource_field_selector, divisor,
                 .doc = "The unit of the result, which is rounded up; 1 where unset."),
};
TYPE(resource_field_selector, "ResourceFieldSelector",
     "An amount of a container's resources as a value.");

static const struct field_schema owner_reference_fields[] = {
    ROW_STRING(owner_reference, apiVersion, .required = true, .check = check_api_version,
               .doc = "The owner's API version."),
    ROW_STRING(owner_reference, kind, .required = true, .doc = "The owner's kind."),
    ROW_STRING(owner_reference, name, .required = true, .doc = "The owner's name."),
    ROW_STRING(owner_reference, uid, .required = true, .doc = "The owner's UID."),
    ROW_BOOL_PTR(owner_reference, controller, .doc = "Whether the owner manages this object."),
    ROW_BOOL_PTR(owner_reference, blockOwnerDeletion,
                 .doc = "Whether the owner stays until this object is gone."),
};
TYPE(owner_reference, "OwnerReference", "An object that this one belongs to.");

static const struct field_schema object_meta_fields[] = {
    ROW_STRING(object_meta, name, .required = true, .check = check_dns_subdomain,
               .doc = "The pod's name. \"-\" and the node's name are added to it, so that the "
                      "same manifest can be used on every node."),
    ROW_STRING(object_meta, generateName, IGNORED, .check = check_name_prefix,
               .doc = "A prefix for names made by the API server; a manifest gives the name."),
    ROW_STRING(object_meta, namespace, .check = check_dns_label,
               .doc = "The pod's namespace; \"default\" where unset."),
    ROW_STRING(object_meta, selfLink, IGNORED, .doc = "Set by old API servers."),
    ROW_STRING(object_meta, uid, .check = check_uid,
               .doc = "The pod's identity. Made from the manifest's content where unset; one that "
                      "is set stays when the manifest is edited."),
    ROW_STRING(object_meta, resourceVersion, IGNORED, .doc = "Set by the API server."),
    ROW_INT(object_meta, generation, IGNORED, .min = 0, .max = INT64_MAX,
            .doc = "Set by the API server."),
    ROW_STRING(object_meta, creationTimestamp, IGNORED, .check = check_timestamp,
               .doc = "Set by the API server; what tools export as null."),
    ROW_STRING(object_meta, deletionTimestamp, IGNORED, .check = check_timestamp,
               .doc = "Set by the API server. To delete a static pod, take its manifest away."),
    ROW_INT_PTR(object_meta, deletionGracePeriodSeconds, IGNORED, .min = INT64_MIN,
                .max = INT64_MAX, .doc = "Set by the API server."),
    ROW_MAP(object_meta, labels,
            .doc = "Names and short values to select pods by, such as component: etcd."),
    ROW_MAP(object_meta, annotations,
            .doc = "Names and texts for people and programs. Those under mainstay.dev/ are this "
                   "program's: see mainstay-annotations(7)."),
    ROW_LIST(object_meta, ownerReferences, owner_reference, IGNORED,
             .doc = "The objects that this one belongs to; they live in the API server."),
    ROW_STRINGS(object_meta, finalizers, IGNORED, .check = check_finalizer,
                .doc = "What the API server waits for before it deletes an object."),
    ROW_STRING(object_meta, clusterName, IGNORED, .check = check_dns_1035_label,
               .doc = "Unused by Kubernetes itself."),
    ROW_ANY("managedFields", .doc = "The API server's record of who set which field."),
};
TYPE(object_meta, "ObjectMeta", "Who an object is.");
