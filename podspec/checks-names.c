// Checks of names that mean something to Kubernetes: resources, fields that can be referred to,
// capabilities, drivers.
#include "podspec/checks.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/macro.h"
#include "base/process.h"
#include "base/string-list.h"

enum { CSI_DRIVER_MAX = 63 };

static bool is_listed(const char *s, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(s, list[i]))
            return true;
    return false;
}

bool resource_is_huge_pages(const char *name)
{
    return str_starts_with(name, "hugepages-");
}

// In the namespace of Kubernetes itself.
static bool is_native(const char *name)
{
    return !strchr(name, '/') || strstr(name, "kubernetes.io/");
}

static bool is_extended(const char *name)
{
    if (is_native(name) || str_starts_with(name, "requests."))
        return false;
    // The name must also be good with the prefix that a quota puts before it.
    _cleanup_free_ char *quota = xasprintf("requests.%s", name);
    return !check_qualified_name(quota);
}

bool resource_is_overcommittable(const char *name)
{
    return is_native(name) && !resource_is_huge_pages(name);
}

bool resource_is_integer(const char *name)
{
    return is_extended(name);
}

const char *check_container_resource(const char *s)
{
    const char *wrong = check_qualified_name(s);

    if (wrong)
        return wrong;
    if (!strchr(s, '/'))
        return str_equal(s, "cpu") || str_equal(s, "memory") || str_equal(s, "ephemeral-storage") ||
                       resource_is_huge_pages(s)
                   ? NULL
                   : "is not a resource of containers: cpu, memory, ephemeral-storage, "
                     "hugepages-SIZE or a name with a domain (\"example.com/gpu\")";
    return is_native(s) || is_extended(s)
               ? NULL
               : "must not start with \"requests.\", and its prefix must be a DNS name";
}

const char *check_resource_selector(const char *s)
{
    static const char *const known[] = {
        "limits.cpu",   "limits.memory",   "limits.ephemeral-storage",
        "requests.cpu", "requests.memory", "requests.ephemeral-storage",
    };

    if (is_listed(s, known, ARRAY_SIZE(known)))
        return NULL;
    return "must be one of limits.cpu, limits.memory, limits.ephemeral-storage, requests.cpu, "
           "requests.memory, requests.ephemeral-storage";
}

const char *check_empty_dir_medium(const char *s)
{
    return !*s || str_equal(s, "Memory") || str_equal(s, "HugePages") ||
                   str_starts_with(s, "HugePages-")
               ? NULL
               : "must be Memory (a tmpfs), HugePages or HugePages-SIZE; leave it out for the "
                 "node's disk";
}

const char *check_csi_driver(const char *s)
{
    _cleanup_free_ char *lower = xstrdup(s);

    if (strlen(s) > CSI_DRIVER_MAX)
        return "must have at most 63 characters";
    for (char *c = lower; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return check_dns_subdomain(lower);
}

const char *check_capability(const char *s)
{
    // The names up to Linux 6.x, without the CAP_ that may stand before them (K/ hands them to the
    // runtime, which adds it).
    static const char *const known[] = {
        "ALL",
        "AUDIT_CONTROL",
        "AUDIT_READ",
        "AUDIT_WRITE",
        "BLOCK_SUSPEND",
        "BPF",
        "CHECKPOINT_RESTORE",
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "IPC_LOCK",
        "IPC_OWNER",
        "KILL",
        "LEASE",
        "LINUX_IMMUTABLE",
        "MAC_ADMIN",
        "MAC_OVERRIDE",
        "MKNOD",
        "NET_ADMIN",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_RAW",
        "PERFMON",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYSLOG",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_CHROOT",
        "SYS_MODULE",
        "SYS_NICE",
        "SYS_PACCT",
        "SYS_PTRACE",
        "SYS_RAWIO",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "WAKE_ALARM",
    };
    size_t prefix = !strncasecmp(s, "CAP_", 4) ? 4 : 0;

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (!strcasecmp(s + prefix, known[i]))
            return NULL;
    return "is not a capability of Linux (\"NET_ADMIN\", \"SYS_TIME\", \"ALL\", see "
           "capabilities(7))";
}

const char *check_signal(const char *s)
{
    return str_starts_with(s, "SIG") && signal_from_name(s) > 0
               ? NULL
               : "must be the name of a signal (\"SIGTERM\", \"SIGUSR1\")";
}

// "metadata.labels['x']": the length of the path before the subscript, and the subscript; 0 where
// there is none.
static size_t split_subscript(const char *s, char **ret_key)
{
    const char *open = strstr(s, "['");

    if (!str_ends_with(s, "']") || !open || open == s || strlen(open) < strlen("['']"))
        return 0;
    *ret_key = xstrndup(open + 2, strlen(open) - strlen("['']"));
    return (size_t)(open - s);
}

static const char *check_subscript(const char *path, size_t n, const char *key)
{
    if (n == strlen("metadata.labels") && !strncmp(path, "metadata.labels", n))
        return check_qualified_name(key);
    if (n == strlen("metadata.annotations") && !strncmp(path, "metadata.annotations", n))
        return check_annotation_key(key);
    return "only metadata.labels['KEY'] and metadata.annotations['KEY'] take a key";
}

const char *check_env_field_path(const char *s)
{
    static const char *const known[] = {
        "metadata.name", "metadata.namespace",      "metadata.uid",  "spec.host",
        "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs",
        "status.podIP",  "status.podIPs",
    };
    _cleanup_free_ char *key = NULL;
    size_t n = split_subscript(s, &key);

    if (n)
        return check_subscript(s, n, key);
    return is_listed(s, known, ARRAY_SIZE(known))
               ? NULL
               : "must be metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], "
                 "metadata.annotations['KEY'], spec.nodeName, spec.serviceAccountName, "
                 "status.hostIP or status.podIP";
}

const char *check_volume_field_path(const char *s)
{
    static const char *const known[] = {
        "metadata.name",   "metadata.namespace",   "metadata.uid",
        "metadata.labels", "metadata.annotations",
    };
    _cleanup_free_ char *key = NULL;
    size_t n = split_subscript(s, &key);

    if (n)
        return check_subscript(s, n, key);
    return is_listed(s, known, ARRAY_SIZE(known))
               ? NULL
               : "must be metadata.name, metadata.namespace, metadata.uid, metadata.labels or "
                 "metadata.annotations (both also with ['KEY'])";
}
