// The rules of affinity, tolerations and spread. None of it moves a static pod, but what the API
// server would refuse in the mirror pod is refused here, where it can still be told.
#include "base/alloc.h"
#include "base/string-list.h"
#include "podspec/checks.h"
#include "podspec/validation.h"

static void validate_value_count(struct validation *v, const char *operator, size_t n)
{
    if ((str_equal(operator, "In") || str_equal(operator, "NotIn")) && n == 0)
        validation_error(v, ".values", "%s needs at least one value", operator);
    if ((str_equal(operator, "Exists") || str_equal(operator, "DoesNotExist")) && n > 0)
        validation_error(v, ".values", "%s takes no value", operator);
    if ((str_equal(operator, "Gt") || str_equal(operator, "Lt")) && n != 1)
        validation_error(v, ".values", "%s takes exactly one value", operator);
}

static void validate_selector(struct validation *v, const char *field,
                              const struct label_selector *selector)
{
    if (!selector)
        return;
    size_t mark = validation_enter(v, "%s", field);
    validate_labels(v, ".matchLabels", &selector->matchLabels);
    for (size_t i = 0; i < selector->matchExpressions.n; i++) {
        const struct label_selector_requirement *rule = &selector->matchExpressions.items[i];
        size_t inner = validation_enter(v, ".matchExpressions[%zu]", i);
        if (!str_equal(rule->operator, "Gt") && !str_equal(rule->operator, "Lt")) // of nodes
            validate_value_count(v, rule->operator, rule->values.n);
        validation_leave(v, inner);
    }
    validation_leave(v, mark);
}

static void validate_node_label(struct validation *v, const struct node_selector_requirement *rule)
{
    const char *wrong = str_empty(rule->key) ? NULL : check_qualified_name(rule->key);

    if (wrong)
        validation_error(v, ".key", "%s", wrong);
    validate_value_count(v, rule->operator, rule->values.n);
}

static void validate_node_field(struct validation *v, const struct node_selector_requirement *rule)
{
    bool known = str_equal(rule->key, "metadata.name");

    if (!str_empty(rule->key) && !known)
        validation_error(v, ".key", "must be metadata.name");
    if (!str_equal(rule->operator, "In") && !str_equal(rule->operator, "NotIn"))
        validation_error(v, ".operator", "must be In or NotIn");
    else if (rule->values.n != 1)
        validation_error(v, ".values", "must be one value");
    for (size_t i = 0; known && i < rule->values.n; i++) {
        const char *wrong = check_dns_subdomain(rule->values.items[i]);
        size_t mark = validation_enter(v, ".values[%zu]", i);
        if (wrong)
            validation_error(v, "", "%s", wrong);
        validation_leave(v, mark);
    }
}

static void validate_node_term(struct validation *v, const struct node_selector_term *term)
{
    for (size_t i = 0; i < term->matchExpressions.n; i++) {
        size_t mark = validation_enter(v, ".matchExpressions[%zu]", i);
        validate_node_label(v, &term->matchExpressions.items[i]);
        validation_leave(v, mark);
    }
    for (size_t i = 0; i < term->matchFields.n; i++) {
        size_t mark = validation_enter(v, ".matchFields[%zu]", i);
        validate_node_field(v, &term->matchFields.items[i]);
        validation_leave(v, mark);
    }
}

static void validate_node_affinity(struct validation *v, const struct node_affinity *affinity)
{
    const struct node_selector *required = affinity->requiredDuringSchedulingIgnoredDuringExecution;

    for (size_t i = 0; required && i < required->nodeSelectorTerms.n; i++) {
        size_t mark = validation_enter(
            v, ".requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[%zu]", i);
        validate_node_term(v, &required->nodeSelectorTerms.items[i]);
        validation_leave(v, mark);
    }
    for (size_t i = 0; i < affinity->preferredDuringSchedulingIgnoredDuringExecution.n; i++) {
        size_t mark = validation_enter(
            v, ".preferredDuringSchedulingIgnoredDuringExecution[%zu].preference", i);
        validate_node_term(
            v, &affinity->preferredDuringSchedulingIgnoredDuringExecution.items[i].preference);
        validation_leave(v, mark);
    }
}

static void validate_pod_term(struct validation *v, const struct pod_affinity_term *term)
{
    validate_selector(v, ".labelSelector", term->labelSelector);
    validate_selector(v, ".namespaceSelector", term->namespaceSelector);
}

// Affinity and anti-affinity are alike, but of two types.
static void validate_pod_terms(struct validation *v, const struct pod_affinity_term *required,
                               size_t n_required,
                               const struct weighted_pod_affinity_term *preferred,
                               size_t n_preferred)
{
    for (size_t i = 0; i < n_required; i++) {
        size_t mark =
            validation_enter(v, ".requiredDuringSchedulingIgnoredDuringExecution[%zu]", i);
        validate_pod_term(v, &required[i]);
        validation_leave(v, mark);
    }
    for (size_t i = 0; i < n_preferred; i++) {
        size_t mark = validation_enter(
            v, ".preferredDuringSchedulingIgnoredDuringExecution[%zu].podAffinityTerm", i);
        validate_pod_term(v, &preferred[i].podAffinityTerm);
        validation_leave(v, mark);
    }
}

void validate_affinity(struct validation *v)
{
    const struct affinity *affinity = v->pod->spec.affinity;

    if (!affinity)
        return;
    if (affinity->nodeAffinity) {
        size_t mark = validation_enter(v, ".affinity.nodeAffinity");
        validate_node_affinity(v, affinity->nodeAffinity);
        validation_leave(v, mark);
    }
    if (affinity->podAffinity) {
        size_t mark = validation_enter(v, ".affinity.podAffinity");
        validate_pod_terms(
            v, affinity->podAffinity->requiredDuringSchedulingIgnoredDuringExecution.items,
            affinity->podAffinity->requiredDuringSchedulingIgnoredDuringExecution.n,
            affinity->podAffinity->preferredDuringSchedulingIgnoredDuringExecution.items,
            affinity->podAffinity->preferredDuringSchedulingIgnoredDuringExecution.n);
        validation_leave(v, mark);
    }
    if (affinity->podAntiAffinity) {
        size_t mark = validation_enter(v, ".affinity.podAntiAffinity");
        validate_pod_terms(
            v, affinity->podAntiAffinity->requiredDuringSchedulingIgnoredDuringExecution.items,
            affinity->podAntiAffinity->requiredDuringSchedulingIgnoredDuringExecution.n,
            affinity->podAntiAffinity->preferredDuringSchedulingIgnoredDuringExecution.items,
            affinity->podAntiAffinity->preferredDuringSchedulingIgnoredDuringExecution.n);
        validation_leave(v, mark);
    }
}

static void validate_toleration(struct validation *v, const struct toleration *toleration)
{
    bool exists = str_equal(toleration->operator, "Exists");
    const char *wrong =
        exists || str_empty(toleration->value) ? NULL : check_label_value(toleration->value);

    if (str_empty(toleration->key) && !exists)
        validation_error(v, ".operator", "must be Exists where key is unset");
    if (exists && !str_empty(toleration->value))
        validation_error(v, ".value", "cannot be used with the operator Exists");
    if (wrong)
        validation_error(v, ".value", "%s", wrong);
    if (toleration->tolerationSeconds && !str_equal(toleration->effect, "NoExecute"))
        validation_error(v, ".tolerationSeconds", "can be used with the effect NoExecute only");
}

void validate_tolerations(struct validation *v)
{
    for (size_t i = 0; i < v->pod->spec.tolerations.n; i++) {
        size_t mark = validation_enter(v, ".tolerations[%zu]", i);
        validate_toleration(v, &v->pod->spec.tolerations.items[i]);
        validation_leave(v, mark);
    }
}

void validate_spread(struct validation *v)
{
    const struct pod_spec *spec = &v->pod->spec;
    struct name_set kinds = {0};

    for (size_t i = 0; i < spec->topologySpreadConstraints.n; i++) {
        const struct topology_spread_constraint *rule = &spec->topologySpreadConstraints.items[i];
        _cleanup_free_ char *kind =
            xasprintf("%s %s", rule->whenUnsatisfiable ? rule->whenUnsatisfiable : "",
                      rule->topologyKey ? rule->topologyKey : "");
        size_t mark = validation_enter(v, ".topologySpreadConstraints[%zu]", i);
        if (!name_set_add(&kinds, kind))
            validation_error(v, ".topologyKey",
                             "stands in another constraint with the same whenUnsatisfiable");
        validation_leave(v, mark);
    }
    name_set_free(&kinds);
}
