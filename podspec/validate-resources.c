// The rules of amounts: which resources there are, and how requests and limits go together.
#include <stdlib.h>
#include <string.h>

#include "base/string-list.h"
#include "podspec/checks.h"
#include "podspec/validation.h"

static int compare_name(const void *name, const void *amount)
{
    return strcmp(name, ((const struct resource_quantity *)amount)->name);
}

// The list is sorted by name.
static const struct quantity *find_amount(const struct resource_list *list, const char *name)
{
    const struct resource_quantity *amount =
        list->n ? bsearch(name, list->items, list->n, sizeof(list->items[0]), compare_name) : NULL;

    return amount ? &amount->value : NULL;
}

static bool is_applied(const char *name)
{
    return str_equal(name, "cpu") || str_equal(name, "memory");
}

static void validate_amount(struct validation *v, const struct resource_quantity *amount)
{
    const char *wrong = check_container_resource(amount->name);

    if (wrong)
        validation_error(v, "", "%s", wrong);
    if (amount->value.nanos < 0)
        validation_error(v, "", "must not be negative");
    if (resource_is_integer(amount->name) && quantity_milli_value(&amount->value) % 1000)
        validation_error(v, "", "must be a whole number");
}

static void validate_amounts(struct validation *v, const char *field,
                             const struct resource_list *list)
{
    LIST_EACH (amount, list) {
        size_t mark = validation_enter(v, "%s[%s]", field, amount->name);
        validate_amount(v, amount);
        validation_leave(v, mark);
    }
}

static void report_amounts(struct validation *v, const char *field,
                           const struct resource_list *list)
{
    LIST_EACH (amount, list) {
        if (is_applied(amount->name) || check_container_resource(amount->name))
            continue;
        size_t mark = validation_enter(v, "%s[%s]", field, amount->name);
        validation_warning(v, "", "only cpu and memory are limited by this release");
        validation_leave(v, mark);
    }
}

static void validate_request(struct validation *v, const struct resource_quantity *request,
                             const struct resource_list *limits)
{
    const struct quantity *limit = find_amount(limits, request->name);
    bool exact = !resource_is_overcommittable(request->name);
    size_t mark = validation_enter(v, ".requests[%s]", request->name);

    if (!limit && exact)
        validation_error(v, "", "needs a limit of the same amount");
    else if (limit && exact && quantity_compare(&request->value, limit) != 0)
        validation_error(v, "", "must equal the limit (%s)", limit->text);
    else if (limit && quantity_compare(&request->value, limit) > 0)
        validation_error(v, "", "must not be more than the limit (%s)", limit->text);
    validation_leave(v, mark);
}

static bool has_huge_pages(const struct resource_list *list)
{
    LIST_EACH (amount, list)
        if (resource_is_huge_pages(amount->name))
            return true;
    return false;
}

static bool has_applied(const struct resource_list *list)
{
    return find_amount(list, "cpu") || find_amount(list, "memory");
}

static const char lonely_huge_pages[] = "huge pages need an amount of cpu or memory beside them";

void validate_resources(struct validation *v, const struct resource_requirements *resources)
{
    size_t mark = validation_enter(v, ".resources");

    validate_amounts(v, ".limits", &resources->limits);
    validate_amounts(v, ".requests", &resources->requests);
    report_amounts(v, ".limits", &resources->limits);
    report_amounts(v, ".requests", &resources->requests);
    LIST_EACH (request, &resources->requests)
        validate_request(v, request, &resources->limits);
    if ((has_huge_pages(&resources->limits) || has_huge_pages(&resources->requests)) &&
        !has_applied(&resources->limits) && !has_applied(&resources->requests))
        validation_error(v, "", lonely_huge_pages);
    validation_leave(v, mark);
}

void validate_overhead(struct validation *v, const struct resource_list *overhead)
{
    validate_amounts(v, ".overhead", overhead);
    if (has_huge_pages(overhead) && !has_applied(overhead))
        validation_error(v, ".overhead", lonely_huge_pages);
}

// ---- amounts of the pod as a whole (KEP-2837) ----

static int64_t sum_of_requests(const struct pod *pod, const char *name)
{
    __int128 sum = 0;
    LIST_EACH (container, &pod->spec.containers) {
        const struct quantity *request = find_amount(&container->resources.requests, name);
        sum += request ? quantity_milli_value(request) : 0;
    }
    return (int64_t)(sum > INT64_MAX ? INT64_MAX : sum);
}

static void validate_containers_fit(struct validation *v, const struct resource_requirements *own)
{
    LIST_EACH (request, &own->requests)
        if (sum_of_requests(v->pod, request->name) > quantity_milli_value(&request->value)) {
            size_t mark = validation_enter(v, ".requests[%s]", request->name);
            validation_error(v, "", "must not be less than what the containers request together");
            validation_leave(v, mark);
        }
    LIST_EACH (limit, &own->limits)
        LIST_EACH (container, &v->pod->spec.containers) {
            const struct quantity *of_one = find_amount(&container->resources.limits, limit->name);
            if (!of_one || quantity_compare(of_one, &limit->value) <= 0)
                continue;
            size_t mark = validation_enter(v, ".limits[%s]", limit->name);
            validation_error(v, "", "must not be less than the limit of container %s (%s)",
                             container->name, of_one->text);
            validation_leave(v, mark);
        }
}

void validate_pod_resources(struct validation *v)
{
    const struct resource_requirements *own = v->pod->spec.resources;
    if (!own)
        return;
    validate_resources(v, own);
    size_t mark = validation_enter(v, ".resources");
    validate_containers_fit(v, own);
    validation_leave(v, mark);
}

// ---- priority ----

// Admission resolves the name of a class in the API server, which static pods do not pass.
void validate_priority(struct validation *v)
{
    static const struct {
        const char *name;
        int64_t priority;
    } known[] = {{"system-node-critical", 2000001000}, {"system-cluster-critical", 2000000000}};
    const struct pod_spec *spec = &v->pod->spec;
    if (str_empty(spec->priorityClassName))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (!str_equal(spec->priorityClassName, known[i].name))
            continue;
        if (spec->priority && *spec->priority != known[i].priority)
            validation_warning(v, ".priority", "is %lld for this class, whatever is written",
                               (long long)known[i].priority);
        return;
    }
    validation_warning(
        v, ".priorityClassName",
        "only system-node-critical and system-cluster-critical are known without the "
        "API server: the pod's priority is %s",
        spec->priority ? "what spec.priority says" : "0");
}
