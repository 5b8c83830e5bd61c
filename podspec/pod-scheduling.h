// What a scheduler would read: affinity, tolerations, spread. Nothing here changes how a static
// pod runs, but it is decoded, checked and shown. Naming: podspec/schema.h.
#pragma once

#include "podspec/pod-common.h"

struct node_selector_requirement {
    char *key;
    char *operator;
    struct string_list values;
};

struct node_selector_term {
    LIST_OF(struct node_selector_requirement) matchExpressions;
    LIST_OF(struct node_selector_requirement) matchFields;
};

struct node_selector {
    LIST_OF(struct node_selector_term) nodeSelectorTerms;
};

struct preferred_scheduling_term {
    int64_t weight;
    struct node_selector_term preference;
};

struct node_affinity {
    struct node_selector *requiredDuringSchedulingIgnoredDuringExecution;
    LIST_OF(struct preferred_scheduling_term) preferredDuringSchedulingIgnoredDuringExecution;
};

struct pod_affinity_term {
    struct label_selector *labelSelector;
    struct string_list namespaces;
    char *topologyKey;
    struct label_selector *namespaceSelector;
    struct string_list matchLabelKeys;
    struct string_list mismatchLabelKeys;
};

struct weighted_pod_affinity_term {
    int64_t weight;
    struct pod_affinity_term podAffinityTerm;
};

struct pod_affinity {
    LIST_OF(struct pod_affinity_term) requiredDuringSchedulingIgnoredDuringExecution;
    LIST_OF(struct weighted_pod_affinity_term) preferredDuringSchedulingIgnoredDuringExecution;
};

struct pod_anti_affinity {
    LIST_OF(struct pod_affinity_term) requiredDuringSchedulingIgnoredDuringExecution;
    LIST_OF(struct weighted_pod_affinity_term) preferredDuringSchedulingIgnoredDuringExecution;
};

struct affinity {
    struct node_affinity *nodeAffinity;
    struct pod_affinity *podAffinity;
    struct pod_anti_affinity *podAntiAffinity;
};

struct toleration {
    char *key;
    char *operator;
    char *value;
    char *effect;
    int64_t *tolerationSeconds;
};

struct topology_spread_constraint {
    int64_t maxSkew;
    char *topologyKey;
    char *whenUnsatisfiable;
    struct label_selector *labelSelector;
    int64_t *minDomains;
    char *nodeAffinityPolicy;
    char *nodeTaintsPolicy;
    struct string_list matchLabelKeys;
};

struct pod_scheduling_gate {
    char *name;
};

struct pod_resource_claim {
    char *name;
    char *resourceClaimName;
    char *resourceClaimTemplateName;
};

struct pod_readiness_gate {
    char *conditionType;
};
