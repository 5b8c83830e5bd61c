// The types that several parts of a pod spec share: quantities by name, selectors, references.
// Naming follows the rule at the head of podspec/schema.h; what a field means stands in the
// table (`mainstay explain`).
#pragma once

#include "podspec/quantity.h"
#include "podspec/schema.h"

// Resource names ("cpu", "memory", …) and amounts, sorted by name.
struct resource_quantity {
    char *name;
    struct quantity value;
};
struct resource_list {
    struct resource_quantity *items;
    size_t n;
};

struct resource_claim {
    char *name;
    char *request;
};

struct resource_requirements {
    struct resource_list limits;
    struct resource_list requests;
    LIST_OF(struct resource_claim) claims;
};

struct container_resize_policy {
    char *resourceName;
    char *restartPolicy;
};

struct local_object_reference {
    char *name;
};

struct typed_local_object_reference {
    char *apiGroup;
    char *kind;
    char *name;
};

struct label_selector_requirement {
    char *key;
    char *operator;
    struct string_list values;
};

struct label_selector {
    struct string_map matchLabels;
    LIST_OF(struct label_selector_requirement) matchExpressions;
};

struct key_to_path {
    char *key;
    char *path;
    int64_t *mode;
};

struct object_field_selector {
    char *apiVersion;
    char *fieldPath;
};

struct resource_field_selector {
    char *containerName;
    char *resource;
    struct quantity *divisor;
};

struct owner_reference {
    char *apiVersion;
    char *kind;
    char *name;
    char *uid;
    bool *controller;
    bool *blockOwnerDeletion;
};

struct object_meta {
    char *name;
    char *generateName;
    char *namespace;
    char *selfLink;
    char *uid;
    char *resourceVersion;
    int64_t generation;
    char *creationTimestamp;
    char *deletionTimestamp;
    int64_t *deletionGracePeriodSeconds;
    struct string_map labels;
    struct string_map annotations;
    LIST_OF(struct owner_reference) ownerReferences;
    struct string_list finalizers;
    char *clusterName;
};
