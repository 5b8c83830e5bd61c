// See environment.h.
#include "supervisor/environment.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "podspec/expand.h"
#include "supervisor/qos.h"

const char environment_default_path[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// ---- fieldRef ----

// Go's %q for the bytes that matter here: UTF-8 stays as it is.
static void add_quoted(struct buffer *out, const char *text)
{
    static const char escapes[] = "abtnvfr"; // 0x07 to 0x0d
    buffer_add_char(out, '"');
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            buffer_printf(out, "\\%c", c);
        else if (c >= 0x07 && c <= 0x0d)
            buffer_printf(out, "\\%c", escapes[c - 0x07]);
        else if (c < 0x20 || c == 0x7f)
            buffer_printf(out, "\\x%02x", c);
        else
            buffer_add_char(out, (char)c);
    }
    buffer_add_char(out, '"');
}

static char *format_map(const struct string_map *map)
{
    struct buffer out = BUFFER_EMPTY;
    for (size_t i = 0; i < map->n; i++) {
        buffer_printf(&out, "%s%s=", i ? "\n" : "", map->items[i].key);
        add_quoted(&out, map->items[i].value);
    }
    return buffer_take(&out);
}

// "metadata.labels['key']" → the value, "" where there is no such key; NULL where the path is not
// of this form.
static char *subscripted(const struct string_map *map, const char *path, const char *prefix)
{
    size_t length = strlen(path);
    if (!str_starts_with(path, prefix) || !str_ends_with(path, "']"))
        return NULL;
    size_t start = strlen(prefix);
    _cleanup_free_ char *key = xstrndup(path + start, length - start - 2);
    const char *value = string_map_get(map, key);
    return xstrdup(value ? value : "");
}

// K/kubelet_pods.go: podIPs are joined by commas.
static char *join_ips(const struct string_list *ips)
{
    struct buffer out = BUFFER_EMPTY;
    for (size_t i = 0; ips && i < ips->n; i++)
        buffer_printf(&out, "%s%s", i ? "," : "", ips->items[i]);
    return buffer_take(&out);
}

int environment_field(const struct environment *env, const struct object_field_selector *field,
                      char **ret, struct error *err)
{
    const struct object_meta *meta = &env->pod->metadata;
    const char *path = field->fieldPath ? field->fieldPath : "";
    const struct string_list *ips = env->pod_ips;
    _cleanup_free_ char *all_ips = join_ips(ips);
    const struct {
        const char *path, *value;
    } plain[] = {
        {"metadata.name", meta->name},
        {"metadata.namespace", meta->namespace},
        {"metadata.uid", meta->uid},
        {"spec.nodeName", env->pod->spec.nodeName ? env->pod->spec.nodeName : env->node_name},
        {"spec.host", env->pod->spec.nodeName ? env->pod->spec.nodeName : env->node_name},
        {"spec.serviceAccountName", env->pod->spec.serviceAccountName},
        {"status.hostIP", env->node_ip},
        {"status.hostIPs", env->node_ip},
        // A pod on the host's network has the node's address.
        {"status.podIP", ips ? (ips->n ? ips->items[0] : NULL) : env->node_ip},
        {"status.podIPs", ips ? all_ips : env->node_ip},
    };
    for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
        if (strcmp(path, plain[i].path) == 0) {
            *ret = xstrdup(plain[i].value ? plain[i].value : "");
            return 0;
        }
    if (strcmp(path, "metadata.labels") == 0)
        *ret = format_map(&meta->labels);
    else if (strcmp(path, "metadata.annotations") == 0)
        *ret = format_map(&meta->annotations);
    else if (!(*ret = subscripted(&meta->labels, path, "metadata.labels['")) &&
             !(*ret = subscripted(&meta->annotations, path, "metadata.annotations['")))
        return error_set(err, EINVAL, "fieldPath %s is not supported", path);
    return 0;
}

// ---- resourceFieldRef ----

static const struct container *named_container(const struct environment *env, const char *name)
{
    if (str_empty(name))
        return env->container;
    LIST_EACH (container, &env->pod->spec.containers)
        if (str_equal(container->name, name))
            return container;
    LIST_EACH (container, &env->pod->spec.initContainers)
        if (str_equal(container->name, name))
            return container;
    return NULL;
}

static int64_t node_has(const struct environment *env, const char *name)
{
    struct statvfs fs;
    if (strcmp(name, "cpu") == 0)
        return env->cpu_capacity_milli > 0 ? env->cpu_capacity_milli
                                           : (int64_t)sysconf(_SC_NPROCESSORS_ONLN) * 1000;
    if (strcmp(name, "memory") == 0)
        return env->memory_capacity_bytes > 0
                   ? env->memory_capacity_bytes
                   : (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    if (strcmp(name, "ephemeral-storage") == 0 && statvfs("/", &fs) == 0)
        return (int64_t)(fs.f_blocks * fs.f_frsize);
    return 0;
}

int environment_resource(const struct environment *env, const struct resource_field_selector *field,
                         char **ret, struct error *err)
{
    const char *resource = field->resource ? field->resource : "";
    const char *dot = strchr(resource, '.'), *name = dot ? dot + 1 : "";
    bool limits = str_starts_with(resource, "limits."), cpu = strcmp(name, "cpu") == 0;
    const struct container *container = named_container(env, field->containerName);
    if (!container)
        return error_set(err, EINVAL, "resourceFieldRef: there is no container %s",
                         field->containerName);
    if ((!limits && !str_starts_with(resource, "requests.")) ||
        (!cpu && strcmp(name, "memory") != 0 && strcmp(name, "ephemeral-storage") != 0))
        return error_set(err, EINVAL, "resourceFieldRef: %s is not supported", resource);

    const struct quantity *amount =
        limits ? qos_limit(container, name) : qos_request(container, name);
    int64_t value = amount ? (cpu ? quantity_milli_value(amount) : quantity_value(amount)) : 0;
    if (limits && value == 0)
        value = node_has(env, name);
    int64_t divisor = cpu ? 1000 : 1;
    if (field->divisor && field->divisor->nanos > 0)
        divisor = cpu ? quantity_milli_value(field->divisor) : quantity_value(field->divisor);
    *ret = xasprintf("%" PRId64, value / divisor + (value % divisor > 0));
    return 0;
}

// ---- the environment ----

static int unavailable(const char *what, const char *name, struct error *err)
{
    return error_set(err, EINVAL, "%s %s cannot be read: a static pod has no API server", what,
                     name ? name : "");
}

// *ret stays NULL for an optional value that is not there.
static int value_from(const struct environment *env, const struct env_var_source *source,
                      char **ret, struct error *err)
{
    if (source->fieldRef)
        return environment_field(env, source->fieldRef, ret, err);
    if (source->resourceFieldRef)
        return environment_resource(env, source->resourceFieldRef, ret, err);
    const struct config_map_key_selector *map = source->configMapKeyRef;
    if (map)
        return map->optional && *map->optional ? 0 : unavailable("ConfigMap", map->name, err);
    const struct secret_key_selector *secret = source->secretKeyRef;
    if (secret)
        return secret->optional && *secret->optional ? 0 : unavailable("Secret", secret->name, err);
    return 0;
}

static int check_sources(const struct container *container, struct error *err)
{
    LIST_EACH (from, &container->envFrom) {
        if (from->configMapRef && !(from->configMapRef->optional && *from->configMapRef->optional))
            return unavailable("ConfigMap", from->configMapRef->name, err);
        if (from->secretRef && !(from->secretRef->optional && *from->secretRef->optional))
            return unavailable("Secret", from->secretRef->name, err);
    }
    return 0;
}

static void set(struct string_list *list, struct string_map *vars, const char *name,
                const char *value)
{
    string_map_set(vars, name, value);
    size_t length = strlen(name);
    char *item = xasprintf("%s=%s", name, value);
    for (size_t i = 0; i < list->n; i++)
        if (strncmp(list->items[i], name, length) == 0 && list->items[i][length] == '=') {
            free(list->items[i]);
            list->items[i] = item;
            return;
        }
    string_list_add_owned(list, item);
}

int environment_build(const struct environment *env, struct string_list *ret,
                      struct string_map *vars, struct error *err)
{
    int code = check_sources(env->container, err);
    if (code < 0)
        return code;
    // The runtime's variables can be replaced, but not referred to.
    _cleanup_free_ char *hostname = xasprintf("HOSTNAME=%s", env->hostname ? env->hostname : "");
    if (!str_empty(env->hostname))
        string_list_add(ret, hostname);
    LIST_EACH (var, &env->container->env) {
        _cleanup_free_ char *value = NULL;
        if (!str_empty(var->value))
            value = expand_references(var->value, vars);
        else if (!var->valueFrom)
            value = xstrdup("");
        else if ((code = value_from(env, var->valueFrom, &value, err)) < 0)
            return error_prefix(err, code, "env %s", var->name);
        if (value)
            set(ret, vars, var->name, value);
    }
    if (!string_map_get(vars, "PATH"))
        string_list_add_owned(ret, xasprintf("PATH=%s", environment_default_path));
    if (env->container->tty && !string_map_get(vars, "TERM"))
        string_list_add(ret, "TERM=xterm");
    return 0;
}
