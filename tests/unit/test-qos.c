// The quality-of-service class, sums over a pod, and OOM scores against the kubelet's numbers.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "podspec/podspec.h"
#include "supervisor/qos.h"

static void set(struct resource_list *list, const char *name, const char *amount)
{
    list->items = xreallocarray(list->items, list->n + 1, sizeof(*list->items));
    list->items[list->n].name = xstrdup(name);
    assert_int_equal(quantity_parse(amount, &list->items[list->n].value), 0);
    list->n++;
}

static struct container *add_container(struct pod *pod)
{
    struct container *container = LIST_APPEND(&pod->spec.containers);
    container->name = xstrdup("c");
    return container;
}

static struct pod *new_pod(void)
{
    return xcalloc(1, sizeof(struct pod));
}

static void classes_are_those_of_the_kubelet(void **state)
{
    _cleanup_pod_ struct pod *pod = new_pod();
    struct container *c = add_container(pod);
    assert_int_equal(qos_class_of(pod), QOS_BEST_EFFORT);
    set(&c->resources.requests, "cpu", "0");
    assert_int_equal(qos_class_of(pod), QOS_BEST_EFFORT);
    set(&c->resources.limits, "memory", "100Mi");
    assert_int_equal(qos_class_of(pod), QOS_BURSTABLE);
    _cleanup_pod_ struct pod *full = new_pod();
    c = add_container(full);
    set(&c->resources.limits, "cpu", "0.5");
    set(&c->resources.limits, "memory", "100Mi");
    assert_int_equal(qos_class_of(full), QOS_GUARANTEED);
    set(&c->resources.requests, "cpu", "500m");
    assert_int_equal(qos_class_of(full), QOS_GUARANTEED);
    set(&c->resources.requests, "memory", "50Mi");
    assert_int_equal(qos_class_of(full), QOS_BURSTABLE);
    assert_string_equal(qos_class_name(QOS_BEST_EFFORT), "BestEffort");
}

static void sums_follow_the_pod(void **state)
{
    _cleanup_pod_ struct pod *pod = new_pod();
    set(&add_container(pod)->resources.requests, "cpu", "250m");
    set(&add_container(pod)->resources.limits, "cpu", "1");
    struct container *init = LIST_APPEND(&pod->spec.initContainers);
    init->name = xstrdup("i");
    set(&init->resources.requests, "cpu", "2");
    assert_int_equal(qos_pod_requests(pod, "cpu"), 2000);
    assert_int_equal(qos_pod_limits(pod, "cpu", false), 1000);
    assert_int_equal(qos_pod_limits(pod, "cpu", true), 0);
    set(&pod->spec.overhead, "cpu", "10m");
    assert_int_equal(qos_pod_requests(pod, "cpu"), 2010);
}

static void oom_scores_follow_the_class(void **state)
{
    _cleanup_pod_ struct pod *pod = new_pod();
    struct container *c = add_container(pod);
    int64_t gib = (int64_t)1 << 30;
    assert_int_equal(qos_oom_score_adj(pod, c, gib), 1000);
    set(&c->resources.requests, "memory", "256Mi");
    assert_int_equal(qos_oom_score_adj(pod, c, gib), 750);
    assert_int_equal(qos_oom_score_adj(pod, c, gib / 4), 3);
    assert_int_equal(qos_oom_score_adj(pod, c, gib * 4000), 999);
    pod->spec.priorityClassName = xstrdup("system-node-critical");
    assert_int_equal(qos_oom_score_adj(pod, c, gib), -997);
}

static void sidecars_go_no_sooner_than_what_they_serve(void **state)
{
    _cleanup_pod_ struct pod *pod = new_pod();
    int64_t gib = (int64_t)1 << 30;
    set(&add_container(pod)->resources.requests, "memory", "512Mi");
    set(&add_container(pod)->resources.requests, "memory", "256Mi");
    struct container *sidecar = LIST_APPEND(&pod->spec.initContainers);
    sidecar->name = xstrdup("s");
    set(&sidecar->resources.requests, "memory", "1Mi");
    assert_int_equal(qos_oom_score_adj(pod, sidecar, gib), 999);
    sidecar->restartPolicy = xstrdup("Always");
    assert_int_equal(qos_oom_score_adj(pod, sidecar, gib), 750);
    assert_int_equal(qos_pod_requests(pod, "memory"), (int64_t)769 << 20); // it runs beside them
}

static void amounts_of_the_pod_decide_alone(void **state)
{
    _cleanup_pod_ struct pod *pod = new_pod();
    int64_t gib = (int64_t)1 << 30;
    add_container(pod);
    add_container(pod);
    pod->spec.resources = xcalloc(1, sizeof(*pod->spec.resources));
    assert_int_equal(qos_class_of(pod), QOS_BEST_EFFORT);
    set(&pod->spec.resources->requests, "memory", "512Mi");
    assert_int_equal(qos_class_of(pod), QOS_BURSTABLE);
    assert_int_equal(qos_oom_score_adj(pod, &pod->spec.containers.items[0], gib), 750); // its half
    set(&pod->spec.resources->limits, "memory", "512Mi");
    set(&pod->spec.resources->limits, "cpu", "1");
    assert_int_equal(qos_class_of(pod), QOS_GUARANTEED);
    set(&pod->spec.overhead, "memory", "1Mi");
    assert_int_equal(qos_class_of(pod), QOS_GUARANTEED);
    assert_int_equal(qos_pod_limits(pod, "memory", true), (int64_t)513 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_are_those_of_the_kubelet),
        cmocka_unit_test(sums_follow_the_pod),
        cmocka_unit_test(oom_scores_follow_the_class),
        cmocka_unit_test(sidecars_go_no_sooner_than_what_they_serve),
        cmocka_unit_test(amounts_of_the_pod_decide_alone),
    };
    return cmocka_run_group_tests_name("qos", tests, NULL, NULL);
}
