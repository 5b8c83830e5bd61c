// See versions.h. Every row names where it comes from: PR numbers are those of
// kubernetes/kubernetes.
#include "manifests/versions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum { ALWAYS = 1000000 };

int kubernetes_version_parse(const char *text, int *ret_minor, struct error *err)
{
    const char *p = text + (text[0] == 'v');
    int major = 0, minor = 0, patch = 0, read = 0;
    if (strlen(text) > 64 || sscanf(p, "%3d.%3d.%3d%n", &major, &minor, &patch, &read) != 3 ||
        major != 1 || minor < 0 || patch < 0 || (p[read] && p[read] != '-' && p[read] != '+'))
        return error_set(err, EINVAL,
                         "Kubernetes version \"%s\": must be one such as v1.20.2 (names such as "
                         "stable-1 are not looked up)",
                         text);
    if (minor < KUBERNETES_MINOR_MIN)
        return error_set(err, EINVAL,
                         "Kubernetes version \"%s\": older than v1.%d, which is the first whose "
                         "flags are known here",
                         text, KUBERNETES_MINOR_MIN);
    *ret_minor = minor;
    return 0;
}

// ---- etcd's releases ----

// SupportedEtcdVersion of cmd/kubeadm/app/constants/constants.go.
static const struct {
    int minor; // from here on
    const char *tag;
} etcd_tags[] = {
    {34, "3.6.5-0"},  // kubeadm 1.34
    {29, "3.5.24-0"}, // kubeadm 1.32 (29 to 32), 1.33
    {26, "3.5.9-0"},  // kubeadm 1.28
    {22, "3.5.4-0"},  // kubeadm 1.25 (22 to 25)
    {0, "3.4.13-0"},  // kubeadm 1.20 (19 to 21)
};

const char *kubernetes_etcd_tag(int minor)
{
    size_t i = 0;
    while (minor < etcd_tags[i].minor)
        i++;
    return etcd_tags[i].tag;
}

static int etcd_number(int major, int minor, int patch)
{
    return (major * 100 + minor) * 100 + patch;
}

// "3.5.9-0" → 30509. A tag that is no version counts as the one that goes with the Kubernetes.
static int etcd_release(const char *tag, int minor)
{
    int numbers[3] = {0};
    const char *p = tag && tag[0] == 'v' ? tag + 1 : tag;
    if (!p || sscanf(p, "%2d.%2d.%2d", &numbers[0], &numbers[1], &numbers[2]) != 3)
        sscanf(kubernetes_etcd_tag(minor), "%2d.%2d.%2d", &numbers[0], &numbers[1], &numbers[2]);
    return etcd_number(numbers[0], numbers[1], numbers[2]);
}

const struct etcd_probe_paths *version_etcd_probes(const char *etcd_tag, int minor)
{
    static const struct {
        int etcd;
        struct etcd_probe_paths paths;
    } rows[] = {
        {30511, {"/livez", "/readyz", "/readyz"}}, // kubeadm#3039, PR 124465
        {30503,                                    // PR 110072
         {"/health?exclude=NOSPACE&serializable=true", "/health?serializable=false", NULL}},
        {0, {"/health", "/health", NULL}}, // kubeadm 1.20
    };
    size_t i = 0;
    while (etcd_release(etcd_tag, minor) < rows[i].etcd)
        i++;
    return &rows[i].paths;
}

// ---- flags ----

// first and last are minor numbers of Kubernetes, for etcd's rows etcd_release()s.
static const struct row {
    enum control_plane_component component;
    int first, last;
    const char *argument; // %s: what `value` is
    size_t value;         // offset of a `const char *` in struct control_plane; 0: none
} rows[] = {
    // Without effect since 1.20 (PR 95856), out of kubeadm's manifests in 1.22 (PR 102121), gone in
    // 1.24; before 1.20 it is what shuts the open port 8080.
    {COMPONENT_KUBE_APISERVER, 0, 21, "insecure-port=0", 0},
    // Bound service account tokens: required from 1.20 on (kubeadm 1.20).
    {COMPONENT_KUBE_APISERVER, 20, ALWAYS,
     "service-account-issuer=https://kubernetes.default.svc.%s",
     offsetof(struct control_plane, dns_domain)},
    {COMPONENT_KUBE_APISERVER, 20, ALWAYS, "service-account-signing-key-file=%s/sa.key",
     offsetof(struct control_plane, pki_dir)},
    // Into kubeadm's manifests in 1.19 (PR 92720), out of them in 1.23 (PR 104157, 105034).
    {COMPONENT_KUBE_CONTROLLER_MANAGER, 0, 22, "port=0", 0},
    {COMPONENT_KUBE_SCHEDULER, 0, 22, "port=0", 0},
    // etcd 3.5 may have lost writes on a member without the others knowing (PR 109074 to 109076).
    {COMPONENT_ETCD, 30500, 30599, "experimental-initial-corrupt-check=true", 0},
    // Bookmarks of kube-apiserver's watches (PR 111383).
    {COMPONENT_ETCD, 30500, 30599, "experimental-watch-progress-notify-interval=5s", 0},
    // The same two under their names of etcd 3.6 (PR 132838).
    {COMPONENT_ETCD, 30600, ALWAYS, "feature-gates=InitialCorruptCheck=true", 0},
    {COMPONENT_ETCD, 30600, ALWAYS, "watch-progress-notify-interval=5s", 0},
};

static char *argument_of(const struct row *row, const struct control_plane *plane)
{
    const char *mark = strstr(row->argument, "%s");
    if (!mark)
        return xstrdup(row->argument);
    const char *value = *(const char *const *)(const void *)((const char *)plane + row->value);
    return xasprintf("%.*s%s%s", (int)(mark - row->argument), row->argument, value, mark + 2);
}

void version_arguments(const struct control_plane *plane, enum control_plane_component component,
                       int minor, struct string_list *out)
{
    int release = component == COMPONENT_ETCD ? etcd_release(plane->etcd_image_tag, minor) : minor;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].component == component && release >= rows[i].first && release <= rows[i].last)
            string_list_add_owned(out, argument_of(&rows[i], plane));
}
