// Volumes on disk and as mounts. See volumes.h.
#include "supervisor/volumes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "podspec/expand.h"
#include "supervisor/volumes-internal.h"

struct preparation {
    const struct volumes_options *options;
    const struct pod *pod;
    const struct container *container;
    struct shim_spec *spec;
    struct string_list *notes;
};

char *volumes_dir(const struct volumes_options *options, const char *uid, const char *plugin,
                  const char *name)
{
    return xasprintf("%s/pods/%s/volumes/kubernetes.io~%s/%s", options->root_dir, uid, plugin,
                     name);
}

char *volumes_memory_dir(const struct volumes_options *options, const char *uid)
{
    return xasprintf("%s/memory/%s", options->run_dir, uid);
}

int volumes_make_dir(const struct volumes_options *options, const char *dir, mode_t mode)
{
    _cleanup_free_ char *pods = path_join(options->root_dir, "pods");
    _cleanup_free_ char *memory = path_join(options->run_dir, "memory");
    int code = fs_mkdir_parents(AT_FDCWD, str_starts_with(dir, memory) ? memory : pods, 0700);
    return code < 0 ? code : fs_mkdir_parents(AT_FDCWD, dir, mode);
}

gid_t volumes_fs_group(const struct pod *pod)
{
    const struct pod_security_context *security = pod->spec.securityContext;
    return security && security->fsGroup && geteuid() == 0 ? (gid_t)*security->fsGroup : (gid_t)-1;
}

// ---- one volume ----

static enum shim_path_check check_of(const char *type)
{
    static const struct {
        const char *name;
        enum shim_path_check check;
    } types[] = {
        {"DirectoryOrCreate", SHIM_PATH_DIRECTORY_OR_CREATE},
        {"Directory", SHIM_PATH_DIRECTORY},
        {"FileOrCreate", SHIM_PATH_FILE_OR_CREATE},
        {"File", SHIM_PATH_FILE},
        {"Socket", SHIM_PATH_SOCKET},
        {"CharDevice", SHIM_PATH_CHAR_DEVICE},
        {"BlockDevice", SHIM_PATH_BLOCK_DEVICE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (str_equal(type, types[i].name))
            return types[i].check;
    return SHIM_PATH_ANY;
}

static int make_written(const struct preparation *p, const struct volume *volume, char **ret,
                        struct error *err)
{
    bool downward = volume->downwardAPI != NULL;
    _cleanup_payload_ struct payload payload = {0};
    _cleanup_free_ char *dir = volumes_dir(p->options, p->pod->metadata.uid,
                                           downward ? "downward-api" : "projected", volume->name);
    int code = downward ? volumes_gather_downward(p->pod, p->container, volume, &payload, err)
                        : volumes_gather_projected(p->pod, p->container, volume, &payload, err);
    if (code < 0)
        return error_prefix(err, code, "volume %s", volume->name);
    code = volumes_make_dir(p->options, dir, 0755);
    if (code < 0)
        return error_errno(err, code, "volume %s: %s", volume->name, dir);
    code = payload_write(&payload, dir, volumes_fs_group(p->pod), err);
    if (code < 0)
        return error_prefix(err, code, "volume %s", volume->name);
    *ret = TAKE_PTR(dir);
    return 0;
}

// An optional Secret or ConfigMap that does not exist is an empty directory.
static int make_absent(const struct preparation *p, const struct volume *volume, const char *kind,
                       const char *name, const bool *optional, char **ret, struct error *err)
{
    if (!optional || !*optional)
        return error_set(err, ENOTSUP,
                         "volume %s: %s %s cannot be read: a static pod has no API server; put the "
                         "files on the node and use hostPath",
                         volume->name, kind, name ? name : "");
    _cleanup_free_ char *dir =
        volumes_dir(p->options, p->pod->metadata.uid, "absent", volume->name);
    int code = volumes_make_dir(p->options, dir, 0755);
    if (code < 0)
        return error_errno(err, code, "volume %s: %s", volume->name, dir);
    *ret = TAKE_PTR(dir);
    return 0;
}

static int make_source(const struct preparation *p, const struct volume *volume,
                       struct shim_mount *mount, struct error *err)
{
    if (volume->hostPath) {
        mount->source = xstrdup(volume->hostPath->path);
        mount->check = check_of(volume->hostPath->type);
        return 0;
    }
    if (volume->emptyDir)
        return volumes_make_empty_dir(p->options, p->pod, volume, p->notes, &mount->source, err);
    mount->read_only = true;
    if (volume->downwardAPI || volume->projected)
        return make_written(p, volume, &mount->source, err);
    if (volume->secret)
        return make_absent(p, volume, "Secret", volume->secret->secretName,
                           volume->secret->optional, &mount->source, err);
    if (volume->configMap)
        return make_absent(p, volume, "ConfigMap", volume->configMap->name,
                           volume->configMap->optional, &mount->source, err);
    return error_set(err, ENOTSUP,
                     "volume %s: only hostPath, emptyDir, downwardAPI and projected volumes can be "
                     "had without an API server",
                     volume->name);
}

// ---- one mount ----

static const struct volume *find_volume(const struct pod *pod, const char *name)
{
    LIST_EACH (volume, &pod->spec.volumes)
        if (str_equal(volume->name, name))
            return volume;
    return NULL;
}

// K/kubelet_pods.go: an undefined variable in subPathExpr is an error, for a path with "$(X)" in it
// would be somebody else's.
static int expand_sub_path(const struct volume_mount *from, const struct string_map *vars,
                           char **ret, struct error *err)
{
    if (str_empty(from->subPathExpr)) {
        *ret = xstrdup_or_null(str_empty(from->subPath) ? NULL : from->subPath);
        return 0;
    }
    _cleanup_free_ char *path = expand_references(from->subPathExpr, vars);
    if (strstr(path, "$("))
        return error_set(err, EINVAL, "subPathExpr %s: a variable in it is not defined",
                         from->subPathExpr);
    _cleanup_free_ char *guarded = xasprintf("/%s", path);
    if (*path == '/' || !path_is_clean_absolute(guarded))
        return error_set(err, EINVAL, "subPathExpr %s: %s must be relative and without \"..\"",
                         from->subPathExpr, path);
    *ret = TAKE_PTR(path);
    return 0;
}

static char *clean_destination(const char *path)
{
    char *clean = *path == '/' ? xstrdup(path) : xasprintf("/%s", path);
    size_t length = strlen(clean);
    while (length > 1 && clean[length - 1] == '/')
        clean[--length] = '\0';
    return clean;
}

bool volumes_is_recursively_read_only(const struct volume_mount *mount)
{
    if (!mount->readOnly || str_empty(mount->recursiveReadOnly))
        return false;
    if (str_equal(mount->recursiveReadOnly, "IfPossible"))
        return mount_setattr(-1, "", 0, NULL, 0) == 0 || errno != ENOSYS;
    return str_equal(mount->recursiveReadOnly, "Enabled");
}

static int add_mount(const struct preparation *p, const struct volume_mount *from,
                     const struct string_map *vars, struct error *err)
{
    const struct volume *volume = find_volume(p->pod, from->name);
    if (!volume)
        return error_set(err, EINVAL, "volumeMount %s: the pod has no such volume", from->name);
    struct shim_mount *mount = LIST_APPEND(&p->spec->mounts);
    mount->volume = xstrdup(volume->name);
    mount->destination = clean_destination(from->mountPath ? from->mountPath : "");
    if (!path_is_clean_absolute(mount->destination) || strcmp(mount->destination, "/") == 0)
        return error_set(err, EINVAL, "volume %s cannot be mounted at %s", volume->name,
                         mount->destination);
    int code = expand_sub_path(from, vars, &mount->sub_path, err);
    if (code < 0)
        return error_prefix(err, code, "volume %s", volume->name);
    mount->propagate_from_host = str_equal(from->mountPropagation, "HostToContainer");
    mount->propagate_both = str_equal(from->mountPropagation, "Bidirectional");
    code = make_source(p, volume, mount, err);
    mount->read_only |= from->readOnly;
    mount->recursive_read_only = volumes_is_recursively_read_only(from);
    return code;
}

int volumes_prepare(const struct volumes_options *options, const struct pod *pod,
                    const struct container *container, const struct string_map *vars,
                    struct shim_spec *spec, struct string_list *notes, struct error *err)
{
    struct preparation p = {options, pod, container, spec, notes};
    if (container->volumeDevices.n > 0)
        return error_set(err, ENOTSUP, "volumeDevices cannot be had without an API server");
    LIST_EACH (mount, &container->volumeMounts) {
        int code = add_mount(&p, mount, vars, err);
        if (code < 0)
            return code;
    }
    return 0;
}
