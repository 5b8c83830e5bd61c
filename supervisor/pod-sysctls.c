// See pod-sysctls.h.
#include "supervisor/pod-sysctls.h"

#include <string.h>

#include "base/alloc.h"

enum sysctl_namespace { NS_UNKNOWN, NS_IPC, NS_NET };

// staging/…/pod-security-admission/policy, "sysctls": what one pod sets disturbs no other.
static const char *const safe[] = {
    "kernel.shm_rmid_forced",           "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",        "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",     "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",      "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",          "net.ipv4.tcp_wmem",
};

static void swap(char *name)
{
    for (char *p = name; *p; p++)
        if (*p == '/')
            *p = '.';
        else if (*p == '.')
            *p = '/';
}

// Separated by dots: what is written with slashes has its dots and slashes swapped (sysctl.d(5)).
static char *with_dots(const char *name)
{
    char *copy = xstrdup(name);
    if (name[strcspn(name, "./")] != '/')
        return copy;
    swap(copy);
    return copy;
}

static enum sysctl_namespace namespace_of(const char *name)
{
    static const struct {
        const char *prefix;
        enum sysctl_namespace kind;
    } prefixes[] = {
        {"kernel.shm", NS_IPC}, {"kernel.msg", NS_IPC}, {"fs.mqueue.", NS_IPC}, {"net.", NS_NET}};
    if (strcmp(name, "kernel.sem") == 0)
        return NS_IPC;
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (str_starts_with(name, prefixes[i].prefix))
            return prefixes[i].kind;
    return NS_UNKNOWN;
}

bool pod_sysctls_is_namespaced(const char *name)
{
    _cleanup_free_ char *dotted = with_dots(name);
    size_t length = strlen(dotted);
    if (length > 0 && dotted[length - 1] == '*')
        dotted[length - 1] = '\0';
    return namespace_of(dotted) != NS_UNKNOWN;
}

static bool matches(const char *name, const char *pattern, size_t length)
{
    _cleanup_free_ char *cut = xstrndup(pattern, length);
    _cleanup_free_ char *dotted = with_dots(cut);
    size_t n = strlen(dotted);
    if (n > 0 && dotted[n - 1] == '*')
        return strncmp(name, dotted, n - 1) == 0;
    return strcmp(name, dotted) == 0;
}

static bool is_allowed(const char *name, const char *allowed)
{
    for (size_t i = 0; i < ARRAY_SIZE(safe); i++)
        if (strcmp(name, safe[i]) == 0)
            return true;
    for (const char *p = allowed ? allowed : ""; *p;) {
        size_t length = strcspn(p, ",");
        if (length > 0 && matches(name, p, length))
            return true;
        p += length + (p[length] == ',');
    }
    return false;
}

static bool forbidden(const struct pod *pod, const char *name, const char *allowed,
                      struct buffer *why)
{
    enum sysctl_namespace kind = namespace_of(name);
    bool host = kind == NS_NET ? pod->spec.hostNetwork : kind == NS_IPC && pod->spec.hostIPC;
    if (kind != NS_UNKNOWN && !host && is_allowed(name, allowed))
        return false;
    if (kind == NS_UNKNOWN)
        buffer_printf(why,
                      "forbidden sysctl: %s is not one of the pod's own namespaces: set it on "
                      "the node",
                      name);
    else if (host)
        buffer_printf(why, "forbidden sysctl: %s is the node's own under %s: true", name,
                      kind == NS_NET ? "hostNetwork" : "hostIPC");
    else
        buffer_printf(why,
                      "forbidden sysctl: %s is not held for safe: allow it with "
                      "allowedUnsafeSysctls (--allowed-unsafe-sysctls)",
                      name);
    return true;
}

bool pod_sysctls_forbidden(const struct pod *pod, const char *allowed, struct buffer *why)
{
    const struct pod_security_context *context = pod->spec.securityContext;
    for (size_t i = 0; context && i < context->sysctls.n; i++) {
        _cleanup_free_ char *name = with_dots(context->sysctls.items[i].name);
        if (forbidden(pod, name, allowed, why))
            return true;
    }
    return false;
}

void pod_sysctls_words(const struct pod *pod, struct string_list *ret)
{
    const struct pod_security_context *context = pod->spec.securityContext;
    for (size_t i = 0; context && i < context->sysctls.n; i++) {
        const struct sysctl *sysctl = &context->sysctls.items[i];
        _cleanup_free_ char *path = with_dots(sysctl->name);
        swap(path);
        string_list_add_owned(ret,
                              xasprintf("sysctl=%s=%s", path, sysctl->value ? sysctl->value : ""));
    }
}
