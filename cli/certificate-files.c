// See certificate-files.h.
#include "cli/certificate-files.h"

#include <string.h>

#include "base/alloc.h"

// Flags whose value is a certificate, a CA or a kubeconfig: --tls-cert-file, --etcd-cafile,
// --client-ca-file, --kubelet-client-certificate, --trusted-ca-file, --kubeconfig, …
static bool names_certificates(const char *flag, size_t len)
{
    _cleanup_free_ char *name = xstrndup(flag, len);
    return !strstr(name, "key") && !str_ends_with(name, "-dir") &&
           (strstr(name, "cert") || str_ends_with(name, "ca-file") ||
            str_ends_with(name, "cafile") || str_ends_with(name, "kubeconfig"));
}

struct certificate_file *certificate_files_get(struct certificate_files *files, const char *path)
{
    LIST_EACH (file, files)
        if (str_equal(file->path, path))
            return file;
    struct certificate_file *file = LIST_APPEND(files);
    file->path = xstrdup(path);
    return file;
}

static void add_user(struct certificate_files *files, const struct pod *pod,
                     const struct container *container, const char *value, const char *flag,
                     size_t flag_length)
{
    _cleanup_free_ char *host = container_host_path(pod, container, value);
    _cleanup_free_ char *user = xasprintf("%s --%.*s", container->name, (int)flag_length, flag);
    struct certificate_file *file = certificate_files_get(files, host);
    if (!string_list_contains(&file->users, user))
        string_list_add(&file->users, user);
}

static void add_flags(struct certificate_files *files, const struct pod *pod,
                      const struct container *container, const struct string_list *words)
{
    for (size_t i = 0; i < words->n; i++) {
        const char *flag = words->items[i] + strspn(words->items[i], "-");
        size_t len = strcspn(flag, "=");
        if (flag == words->items[i] || !names_certificates(flag, len))
            continue;
        const char *value = flag[len]          ? flag + len + 1
                            : i + 1 < words->n ? words->items[i + 1]
                                               : "";
        if (value[0] == '/') // not --client-cert-auth=true
            add_user(files, pod, container, value, flag, len);
    }
}

static void add_container(void *userdata, const struct pod *pod, const struct container *container)
{
    add_flags(userdata, pod, container, &container->command);
    add_flags(userdata, pod, container, &container->args);
}

void certificate_files_find(const struct node_manifests *manifests, struct certificate_files *ret)
{
    node_manifests_each(manifests, add_container, ret);
}

void certificate_files_free(struct certificate_files *files)
{
    if (!files)
        return;
    LIST_EACH (file, files) {
        free(file->path);
        string_list_free(&file->users);
    }
    free(files->items);
    *files = (struct certificate_files){0};
}
