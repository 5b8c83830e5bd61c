// The rules of containers: names, ports, environment, mounts.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "podspec/checks.h"
#include "podspec/validation.h"

static bool add_host_port(struct name_set *used, const struct container_port *port)
{
    _cleanup_free_ char *key =
        xasprintf("%lld/%s/%s", (long long)port->hostPort, port->protocol ? port->protocol : "TCP",
                  port->hostIP ? port->hostIP : "");

    return name_set_add(used, key);
}

// `used` are the ports of the node that containers beside this one have.
static void validate_ports(struct validation *v, const struct container *container,
                           struct name_set *used, bool init)
{
    struct name_set names = {0};

    for (size_t i = 0; i < container->ports.n; i++) {
        const struct container_port *port = &container->ports.items[i];
        size_t mark = validation_enter(v, ".ports[%zu]", i);
        if (!str_empty(port->name) && !name_set_add(&names, port->name))
            validation_error(v, ".name", "\"%s\" is the name of another port", port->name);
        if (port->hostPort && !add_host_port(used, port))
            validation_error(v, ".hostPort", "port %lld of the node is asked for twice",
                             (long long)port->hostPort);
        if (v->pod->spec.hostNetwork && !init && port->hostPort &&
            port->hostPort != port->containerPort)
            validation_error(v, ".containerPort", "must equal hostPort (%lld) under hostNetwork",
                             (long long)port->hostPort);
        validation_leave(v, mark);
    }
    name_set_free(&names);
}

void validate_field_ref(struct validation *v, const struct object_field_selector *ref,
                        bool in_volume)
{
    if (str_empty(ref->fieldPath))
        return;
    const char *wrong =
        in_volume ? check_volume_field_path(ref->fieldPath) : check_env_field_path(ref->fieldPath);
    if (wrong)
        validation_error(v, ".fieldPath", "%s", wrong);
}

// validContainerResourceDivisor*: 1m and 1 for cpu, single powers for all else.
static bool divisor_is_known(const char *resource, const char *divisor)
{
    static const char *const units[] = {"1",   "1k",  "1M",  "1G",  "1T",  "1P", "1E",
                                        "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"};

    if (str_ends_with(resource, ".cpu"))
        return str_equal(divisor, "1") || str_equal(divisor, "1m");
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (str_equal(units[i], divisor))
            return true;
    return false;
}

void validate_resource_field_ref(struct validation *v, const struct resource_field_selector *ref,
                                 bool in_volume)
{
    if (in_volume && str_empty(ref->containerName))
        validation_error(v, ".containerName", "is required");
    if (!str_empty(ref->containerName) && !validation_has_container(v, ref->containerName)) {
        _cleanup_free_ char *quoted = validation_quote(ref->containerName);
        validation_error(v, ".containerName", "there is no container %s", quoted);
    }
    if (ref->divisor && ref->divisor->nanos && ref->resource &&
        !check_resource_selector(ref->resource) &&
        !divisor_is_known(ref->resource, ref->divisor->text))
        validation_error(v, ".divisor",
                         str_ends_with(ref->resource, ".cpu")
                             ? "must be 1 or 1m for cpu"
                             : "must be 1 or one of 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, "
                               "1Pi, 1Ei");
}

static void validate_value_from(struct validation *v, const struct env_var *variable)
{
    const struct env_var_source *from = variable->valueFrom;
    size_t mark = validation_enter(v, ".valueFrom");
    int sources = !!from->fieldRef + !!from->resourceFieldRef + !!from->configMapKeyRef +
                  !!from->secretKeyRef;

    if (!sources)
        validation_error(v, "", "must name a source: fieldRef or resourceFieldRef");
    else if (!str_empty(variable->value))
        validation_error(v, "", "cannot be used together with value");
    else if (sources > 1)
        validation_error(v, "", "must name one source only");
    if (from->fieldRef) {
        size_t inner = validation_enter(v, ".fieldRef");
        validate_field_ref(v, from->fieldRef, false);
        validation_leave(v, inner);
    }
    if (from->resourceFieldRef) {
        size_t inner = validation_enter(v, ".resourceFieldRef");
        validate_resource_field_ref(v, from->resourceFieldRef, false);
        validation_leave(v, inner);
    }
    validation_leave(v, mark);
}

static void validate_env(struct validation *v, const struct container *container)
{
    for (size_t i = 0; i < container->env.n; i++) {
        if (!container->env.items[i].valueFrom)
            continue;
        size_t mark = validation_enter(v, ".env[%zu]", i);
        validate_value_from(v, &container->env.items[i]);
        validation_leave(v, mark);
    }
}

static const char *find_nearest_volume(const struct validation *v, const char *name)
{
    const struct pod_spec *spec = &v->pod->spec;
    _cleanup_free_ const char **names = xcalloc(spec->volumes.n + 1, sizeof(names[0]));
    size_t n = 0;

    LIST_EACH (volume, &spec->volumes)
        if (!str_empty(volume->name))
            names[n++] = volume->name;
    return str_nearest(name, names, n);
}

static void validate_mount_volume(struct validation *v, const char *name)
{
    // Findings that are dropped anyway are not worth a search.
    if (str_empty(name) || name_set_has(&v->volumes, name) || v->diags->dropped)
        return;
    const char *nearest = find_nearest_volume(v, name);
    _cleanup_free_ char *quoted = validation_quote(name);
    validation_error(v, ".name", "there is no volume %s in spec.volumes%s%s%s", quoted,
                     nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "");
}

static bool is_privileged(const struct container *container)
{
    const struct security_context *context = container->securityContext;

    return context && context->privileged && *context->privileged;
}

static void validate_mounts(struct validation *v, const struct container *container)
{
    for (size_t i = 0; i < container->volumeMounts.n; i++) {
        const struct volume_mount *mount = &container->volumeMounts.items[i];
        size_t mark = validation_enter(v, ".volumeMounts[%zu]", i);
        validate_mount_volume(v, mount->name);
        if (!str_empty(mount->subPath) && !str_empty(mount->subPathExpr))
            validation_error(v, ".subPathExpr", "cannot be used together with subPath");
        if (str_equal(mount->mountPropagation, "Bidirectional") && !is_privileged(container))
            validation_error(v, ".mountPropagation", "Bidirectional needs a privileged container");
        bool recursive = !str_empty(mount->recursiveReadOnly) &&
                         !str_equal(mount->recursiveReadOnly, "Disabled");
        if (recursive && !mount->readOnly)
            validation_error(v, ".recursiveReadOnly", "needs readOnly: true");
        if (recursive && !str_empty(mount->mountPropagation) &&
            !str_equal(mount->mountPropagation, "None"))
            validation_error(v, ".recursiveReadOnly", "needs mountPropagation None");
        validation_leave(v, mark);
    }
}

// KEP-5307: the limits.
static void validate_restart_rules(struct validation *v, const struct container *container)
{
    enum { RULES_MAX = 20, VALUES_MAX = 255 };
    if (!container->restartPolicyRules.n)
        return;
    size_t mark = validation_enter(v, ".restartPolicyRules");
    if (str_empty(container->restartPolicy))
        validation_error(v, "", "needs a restartPolicy of the container beside it");
    if (container->restartPolicyRules.n > RULES_MAX)
        validation_error(v, "", "must not be more than %d rules", RULES_MAX);
    for (size_t i = 0; i < container->restartPolicyRules.n; i++) {
        const struct container_restart_exit_codes *codes =
            container->restartPolicyRules.items[i].exitCodes;
        if (!codes)
            validation_error(v, "", "rule %zu must say for which exitCodes it is", i);
        else if (!codes->values.n || codes->values.n > VALUES_MAX)
            validation_error(v, "", "rule %zu must have 1 to %d values", i, VALUES_MAX);
    }
    validation_leave(v, mark);
}

static void validate_init_only(struct validation *v, const struct container *container)
{
    static const char never[] = "init containers run to their end and cannot have it";

    if (!str_empty(container->name) && name_set_has(&v->containers, container->name))
        validation_error(v, ".name", "\"%s\" is the name of one of spec.containers, too",
                         container->name);
    if (str_equal(container->restartPolicy, "Always")) // a sidecar
        return;
    if (container->lifecycle)
        validation_error(v, ".lifecycle", never);
    if (container->livenessProbe)
        validation_error(v, ".livenessProbe", never);
    if (container->readinessProbe)
        validation_error(v, ".readinessProbe", never);
    if (container->startupProbe)
        validation_error(v, ".startupProbe", never);
}

static void validate_container(struct validation *v, const struct container *container,
                               struct name_set *used, bool init)
{
    validate_ports(v, container, used, init);
    validate_env(v, container);
    validate_mounts(v, container);
    validate_resources(v, &container->resources);
    validate_security_context(v, container);
    validate_probes(v, container);
    validate_restart_rules(v, container);
    if (container->lifecycle) {
        size_t mark = validation_enter(v, ".lifecycle");
        validate_lifecycle(v, container);
        validation_leave(v, mark);
    }
}

void validate_containers(struct validation *v)
{
    const struct pod_spec *spec = &v->pod->spec;
    struct name_set used = {0};

    for (size_t i = 0; i < spec->initContainers.n; i++) {
        struct name_set own = {0}; // they run one after the other, so ports may recur
        size_t mark = validation_enter(v, ".initContainers[%zu]", i);
        validate_container(v, &spec->initContainers.items[i], &own, true);
        validate_init_only(v, &spec->initContainers.items[i]);
        validation_leave(v, mark);
        name_set_free(&own);
    }
    for (size_t i = 0; i < spec->containers.n; i++) {
        size_t mark = validation_enter(v, ".containers[%zu]", i);
        validate_container(v, &spec->containers.items[i], &used, false);
        validation_leave(v, mark);
    }
    name_set_free(&used);
}
