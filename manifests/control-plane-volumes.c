// What a component of the control plane sees of its node: kubeadm's volumes
// (K/cmd/kubeadm/app/phases/controlplane/volumes.go), the user's own, and environment variables.
#include <string.h>

#include "base/alloc.h"
#include "manifests/control-plane-internal.h"

#define CERTIFICATES_DIR "/etc/ssl/certs"

static const char directory[] = "DirectoryOrCreate", file[] = "FileOrCreate";

struct list {
    struct control_plane_volume *items;
    size_t n;
    struct string_list owned;
};

const char *plane_extra(const struct control_plane *plane, enum control_plane_component component,
                        const char *flag)
{
    const struct string_list *args = &plane->extra_args[component];
    size_t len = strlen(flag);
    for (size_t i = 0; i < args->n; i++) {
        const char *arg = args->items[i] + strspn(args->items[i], "-");
        if (strncmp(arg, flag, len) == 0 && arg[len] == '=')
            return arg + len + 1;
    }
    return NULL;
}

// A volume of a name that is there takes its place, so that a user's own wins.
static void put(struct list *list, const struct control_plane_volume *volume)
{
    for (size_t i = 0; i < list->n; i++) {
        if (str_equal(list->items[i].name, volume->name)) {
            list->items[i] = *volume;
            return;
        }
    }
    *LIST_APPEND(list) = *volume;
}

static void put_path(struct list *list, const char *name, char *path, const char *type,
                     bool read_only)
{
    string_list_add_owned(&list->owned, path);
    const struct control_plane_volume volume = {name, path, path, type, read_only};
    put(list, &volume);
}

// ---- the files of an external etcd ----

static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

// The directories of the client's files, without those that are there anyway, and without those
// that lie in another of them.
static void put_external_etcd(struct list *list, const struct control_plane *plane)
{
    const char *const files[] = {plane->etcd_ca_file, plane->etcd_certificate_file,
                                 plane->etcd_key_file};
    _cleanup_string_list_ struct string_list dirs = {0};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        const char *slash = files[i] ? strrchr(files[i], '/') : NULL;
        _cleanup_free_ char *dir = slash ? xstrndup(files[i], (size_t)(slash - files[i])) : NULL;
        if (dir && !is_below(dir, plane->pki_dir) && !is_below(dir, CERTIFICATES_DIR) &&
            !string_list_contains(&dirs, dir))
            string_list_add(&dirs, dir);
    }
    for (size_t i = 0, n = 0; i < dirs.n; i++) {
        bool covered = false;
        for (size_t j = 0; j < dirs.n; j++)
            covered |= i != j && is_below(dirs.items[i], dirs.items[j]);
        if (covered)
            continue;
        char *name = xasprintf("etcd-certs-%zu", n++);
        string_list_add_owned(&list->owned, name);
        put_path(list, name, xstrdup(dirs.items[i]), directory, true);
    }
}

// ---- kubeadm's own ----

static void put_certificates(struct list *list, const struct control_plane *plane)
{
    put_path(list, "k8s-certs", xstrdup(plane->pki_dir), directory, true);
    put_path(list, "ca-certs", xstrdup(CERTIFICATES_DIR), directory, true);
}

static void put_kubeconfig(struct list *list, const struct control_plane *plane, const char *name)
{
    put_path(list, "kubeconfig", xasprintf("%s/%s", plane->kubeconfig_dir, name), file, true);
}

static void put_own(struct list *list, const struct control_plane *plane,
                    enum control_plane_component component)
{
    const char *flex = plane_extra(plane, component, "flex-volume-plugin-dir");
    switch (component) {
    case COMPONENT_ETCD:
        put_path(list, "etcd-data", xstrdup(plane->etcd_data_dir), directory, false);
        put_path(list, "etcd-certs", xasprintf("%s/etcd", plane->pki_dir), directory, true);
        break;
    case COMPONENT_KUBE_APISERVER:
        put_certificates(list, plane);
        if (plane->external_etcd)
            put_external_etcd(list, plane);
        break;
    case COMPONENT_KUBE_CONTROLLER_MANAGER:
        put_certificates(list, plane);
        put_kubeconfig(list, plane, "controller-manager.conf");
        put_path(list, "flexvolume-dir", xstrdup(flex ? flex : plane->flex_volume_dir), directory,
                 false);
        break;
    case COMPONENT_KUBE_SCHEDULER:
        put_kubeconfig(list, plane, "scheduler.conf");
        break;
    case COMPONENTS:
        break;
    }
}

// ---- YAML ----

// Values came through a YAML parser or a check, so they are UTF-8.
static void add_quoted(struct buffer *out, const char *before, const char *value)
{
    buffer_printf(out, "%s\"", before);
    render_quoted(value, out);
    buffer_add_str(out, "\"\n");
}

static void add_volume(const struct control_plane_volume *volume, struct buffer *mounts,
                       struct buffer *volumes)
{
    add_quoted(mounts, "- name: ", volume->name);
    add_quoted(mounts, "  mountPath: ", volume->mount_path);
    if (volume->read_only)
        buffer_add_str(mounts, "  readOnly: true\n");
    add_quoted(volumes, "- name: ", volume->name);
    buffer_add_str(volumes, "  hostPath:\n");
    add_quoted(volumes, "    path: ", volume->host_path);
    if (volume->path_type)
        buffer_printf(volumes, "    type: %s\n", volume->path_type);
}

void plane_volume_blocks(const struct control_plane *plane, enum control_plane_component component,
                         struct buffer *mounts, struct buffer *volumes)
{
    struct list list = {0};
    put_own(&list, plane, component);
    for (size_t i = 0; i < plane->extra_volumes[component].n; i++)
        put(&list, &plane->extra_volumes[component].items[i]);
    for (size_t i = 0; i < list.n; i++)
        add_volume(&list.items[i], mounts, volumes);
    free(list.items);
    string_list_free(&list.owned);
}

void plane_env_block(const struct control_plane *plane, enum control_plane_component component,
                     struct buffer *out)
{
    const struct control_plane_envs *envs = &plane->extra_envs[component];
    if (envs->n > 0)
        buffer_add_str(out, "env:\n");
    for (size_t i = 0; i < envs->n; i++) {
        add_quoted(out, "- name: ", envs->items[i].name);
        add_quoted(out, "  value: ", envs->items[i].value ? envs->items[i].value : "");
    }
}
