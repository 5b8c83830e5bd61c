// The table's rows of what a scheduler reads: affinity, tolerations, spread. A static pod is bound
// to its node, so none of it changes anything; it is decoded and checked all the same, because the
// mirror pod shows it.
#include "podspec/table.h"

static const struct field_schema node_selector_requirement_fields[] = {
    ROW_STRING(node_selector_requirement, key, .required = true,
               .doc = "The node's label or field."),
    ROW_STRING(node_selector_requirement, operator, .required = true,
               .values = ONE_OF("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"),
               .doc = "How its value relates to the values."),
    ROW_STRINGS(node_selector_requirement, values, .doc = "The values."),
};
TYPE(node_selector_requirement, "NodeSelectorRequirement", "One condition on a node.");

static const struct field_schema node_selector_term_fields[] = {
    ROW_LIST(node_selector_term, matchExpressions, node_selector_requirement,
             .doc = "Conditions on the node's labels."),
    ROW_LIST(node_selector_term, matchFields, node_selector_requirement,
             .doc = "Conditions on the node's fields."),
};
TYPE(node_selector_term, "NodeSelectorTerm", "Conditions on a node, all of which must hold.");

static const struct field_schema node_selector_fields[] = {
    ROW_LIST(node_selector, nodeSelectorTerms, node_selector_term, .required = true,
             .doc = "Terms of which one must hold."),
};
TYPE(node_selector, "NodeSelector", "Which nodes are meant.");

static const struct field_schema preferred_scheduling_term_fields[] = {
    ROW_INT(preferred_scheduling_term, weight, .required = true, .min = 1, .max = 100,
            .doc = "How much this term counts, 1 to 100."),
    ROW_STRUCT(preferred_scheduling_term, preference, node_selector_term,
               .doc = "The nodes that are preferred."),
};
TYPE(preferred_scheduling_term, "PreferredSchedulingTerm", "Nodes that are preferred.");

static const struct field_schema node_affinity_fields[] = {
    ROW_STRUCT_PTR(node_affinity, requiredDuringSchedulingIgnoredDuringExecution, node_selector,
                   .doc = "Nodes that the pod must be scheduled to."),
    ROW_LIST(node_affinity, preferredDuringSchedulingIgnoredDuringExecution,
             preferred_scheduling_term, .doc = "Nodes that the pod is better scheduled to."),
};
TYPE(node_affinity, "NodeAffinity", "Which nodes suit a pod.");

static const struct field_schema pod_affinity_term_fields[] = {
    ROW_STRUCT_PTR(pod_affinity_term, labelSelector, label_selector,
                   .doc = "The pods that are meant."),
    ROW_STRINGS(pod_affinity_term, namespaces, .check = check_dns_label,
                .doc = "The namespaces of those pods."),
    ROW_STRING(pod_affinity_term, topologyKey, .required = true, .check = check_qualified_name,
               .doc = "The node label whose equal value means \"the same place\"."),
    ROW_STRUCT_PTR(pod_affinity_term, namespaceSelector, label_selector,
                   .doc = "The namespaces of those pods, by labels."),
    ROW_STRINGS(pod_affinity_term, matchLabelKeys,
                .doc = "Labels in which those pods equal this one."),
    ROW_STRINGS(pod_affinity_term, mismatchLabelKeys,
                .doc = "Labels in which those pods differ from this one."),
};
TYPE(pod_affinity_term, "PodAffinityTerm", "Pods and a kind of place.");

static const struct field_schema weighted_pod_affinity_term_fields[] = {
    ROW_INT(weighted_pod_affinity_term, weight, .required = true, .min = 1, .max = 100,
            .doc = "How much this term counts, 1 to 100."),
    ROW_STRUCT(weighted_pod_affinity_term, podAffinityTerm, pod_affinity_term, .required = true,
               .doc = "The pods and the kind of place."),
};
TYPE(weighted_pod_affinity_term, "WeightedPodAffinityTerm", "Pods and a place, with a weight.");

static const struct field_schema pod_affinity_fields[] = {
    ROW_LIST(pod_affinity, requiredDuringSchedulingIgnoredDuringExecution, pod_affinity_term,
             .doc = "Pods that this one must be scheduled beside."),
    ROW_LIST(pod_affinity, preferredDuringSchedulingIgnoredDuringExecution,
             weighted_pod_affinity_term, .doc = "Pods that this one is better scheduled beside."),
};
TYPE(pod_affinity, "PodAffinity", "Which pods this one should be near.");

static const struct field_schema pod_anti_affinity_fields[] = {
    ROW_LIST(pod_anti_affinity, requiredDuringSchedulingIgnoredDuringExecution, pod_affinity_term,
             .doc = "Pods that this one must not be scheduled beside."),
    ROW_LIST(pod_anti_affinity, preferredDuringSchedulingIgnoredDuringExecution,
             weighted_pod_affinity_term,
             .doc = "Pods that this one is better not scheduled beside."),
};
TYPE(pod_anti_affinity, "PodAntiAffinity", "Which pods this one should be away from.");

static const struct field_schema affinity_fields[] = {
    ROW_STRUCT_PTR(affinity, nodeAffinity, node_affinity, .doc = "Which nodes suit the pod."),
    ROW_STRUCT_PTR(affinity, podAffinity, pod_affinity,
                   .doc = "Which pods this one should be near."),
    ROW_STRUCT_PTR(affinity, podAntiAffinity, pod_anti_affinity,
                   .doc = "Which pods this one should be away from."),
};
TYPE(affinity, "Affinity", "Where a scheduler should put a pod.");

static const struct field_schema toleration_fields[] = {
    ROW_STRING(toleration, key, .check = check_qualified_name,
               .doc = "The taint's key; every taint where unset (operator Exists)."),
    ROW_STRING(toleration, operator, .values = ONE_OF("Exists", "Equal"),
               .doc = "Equal (where unset): key and value agree. Exists: any value."),
    ROW_STRING(toleration, value, .doc = "The taint's value, for Equal."),
    ROW_STRING(toleration, effect, .values = ONE_OF("NoSchedule", "PreferNoSchedule", "NoExecute"),
               .doc = "The taint's effect; every one where unset."),
    ROW_INT_PTR(toleration, tolerationSeconds, .min = INT64_MIN, .max = INT64_MAX,
                .doc = "For NoExecute: how long the taint is tolerated."),
};
TYPE(toleration, "Toleration", "A taint of a node that does not keep the pod away.");

static const struct field_schema topology_spread_constraint_fields[] = {
    ROW_INT(topology_spread_constraint, maxSkew, .required = true, .min = 1, .max = INT32_MAX,
            .doc = "By how many pods two places may differ."),
    ROW_STRING(topology_spread_constraint, topologyKey, .required = true,
               .doc = "The node label whose equal value means \"the same place\"."),
    ROW_STRING(topology_spread_constraint, whenUnsatisfiable, .required = true,
               .values = ONE_OF("DoNotSchedule", "ScheduleAnyway"),
               .doc = "What happens where no node fits."),
    ROW_STRUCT_PTR(topology_spread_constraint, labelSelector, label_selector,
                   .doc = "The pods that are counted."),
    ROW_INT_PTR(topology_spread_constraint, minDomains, .min = 1, .max = INT32_MAX,
                .doc = "How many places there must be at least."),
    ROW_STRING(topology_spread_constraint, nodeAffinityPolicy, .values = ONE_OF("Ignore", "Honor"),
               .doc = "Whether nodes that the pod's affinity excludes count."),
    ROW_STRING(topology_spread_constraint, nodeTaintsPolicy, .values = ONE_OF("Ignore", "Honor"),
               .doc = "Whether nodes with taints that are not tolerated count."),
    ROW_STRINGS(topology_spread_constraint, matchLabelKeys,
                .doc = "Labels in which the counted pods equal this one."),
};
TYPE(topology_spread_constraint, "TopologySpreadConstraint", "How pods spread over places.");

static const struct field_schema pod_scheduling_gate_fields[] = {
    ROW_STRING(pod_scheduling_gate, name, .required = true, .check = check_qualified_name,
               .doc = "The gate's name."),
};
TYPE(pod_scheduling_gate, "PodSchedulingGate", "What keeps a pod from being scheduled.");

static const struct field_schema pod_resource_claim_fields[] = {
    ROW_STRING(pod_resource_claim, name, .required = true, .check = check_dns_label,
               .doc = "The name that containers use."),
    ROW_STRING(pod_resource_claim, resourceClaimName, .doc = "A ResourceClaim object."),
    ROW_STRING(pod_resource_claim, resourceClaimTemplateName,
               .doc = "A ResourceClaimTemplate object."),
};
TYPE(pod_resource_claim, "PodResourceClaim", "A claim on devices.");

static const struct field_schema pod_readiness_gate_fields[] = {
    ROW_STRING(pod_readiness_gate, conditionType, .required = true, .check = check_qualified_name,
               .doc = "The condition of the pod that must be true."),
};
TYPE(pod_readiness_gate, "PodReadinessGate", "A condition for the pod to be ready.");
