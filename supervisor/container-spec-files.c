// The files of one container instance: its log and the links to it, its termination message, its
// overlay layers. See container-spec.h.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/fs.h"
#include "supervisor/container-spec-internal.h"
#include "supervisor/termination-files.h"
#include "supervisor/volumes.h"

enum {
    FILE_NAME_MAX = 255, // ext4, K/kuberuntime/legacy.go
    PRIVATE_MODE = 0700, // others on the node do not get there
};

char *container_spec_log_dir(const struct container_spec_options *options, const struct pod *pod)
{
    return xasprintf("%s/%s_%s_%s", options->log_dir, pod->metadata.namespace, pod->metadata.name,
                     pod->metadata.uid);
}

char *container_spec_log_path(const struct container_spec_options *options, const struct pod *pod,
                              const char *container, uint64_t restart_count)
{
    _cleanup_free_ char *dir = container_spec_log_dir(options, pod);
    return xasprintf("%s/%s/%" PRIu64 ".log", dir, container, restart_count);
}

char *container_spec_log_link(const struct container_spec_options *options, const struct pod *pod,
                              const char *container, uint64_t restart_count)
{
    char hex[DIGEST_HEX_SIZE];
    if (!options->container_links_dir)
        return NULL;
    // Log shippers expect a container id of 64 hex digits at the end.
    _cleanup_free_ char *id =
        xasprintf("%s_%s_%" PRIu64, pod->metadata.uid, container, restart_count);
    digest_sha256_hex(id, strlen(id), hex);
    _cleanup_free_ char *name =
        xasprintf("%s_%s_%s-%s", pod->metadata.name, pod->metadata.namespace, container, hex);
    return xasprintf("%s/%.*s.log", options->container_links_dir, FILE_NAME_MAX - 4, name);
}

char *container_spec_instance_dir(const struct container_spec_options *options,
                                  const struct pod *pod, const char *container,
                                  uint64_t restart_count)
{
    return xasprintf("%s/pods/%s/containers/%s/%" PRIu64, options->root_dir, pod->metadata.uid,
                     container, restart_count);
}

static void link_log(const struct container_spec_options *options, const struct pod *pod,
                     const char *container, uint64_t restart_count, const char *log)
{
    _cleanup_free_ char *link = container_spec_log_link(options, pod, container, restart_count);
    if (!link || fs_mkdir_parents_of(AT_FDCWD, link) < 0)
        return;
    // A log shipper's convenience: that it cannot be made stops nothing.
    if (symlink(log, link) < 0 && errno == EEXIST && unlink(link) == 0 && symlink(log, link) < 0)
        return;
}

// Removes the logs of a container's instances below this number, with what was rotated, and the
// links to them.
static void remove_logs(const struct container_spec_options *options, const struct pod *pod,
                        const char *container, const char *dir, uint64_t below)
{
    DIR *stream = opendir(dir);
    if (!stream)
        return;
    for (struct dirent *entry; (entry = readdir(stream));) {
        char *end;
        uint64_t number = strtoull(entry->d_name, &end, 10);
        if (end == entry->d_name || strncmp(end, ".log", 4) != 0 || number >= below)
            continue;
        unlinkat(dirfd(stream), entry->d_name, 0);
        _cleanup_free_ char *link = container_spec_log_link(options, pod, container, number);
        if (link)
            unlink(link);
    }
    closedir(stream);
}

int container_spec_remove_logs(const struct container_spec_options *options, const struct pod *pod,
                               struct error *err)
{
    _cleanup_free_ char *logs = container_spec_log_dir(options, pod);
    DIR *stream = opendir(logs);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        _cleanup_free_ char *dir = path_join(logs, entry->d_name);
        if (path_is_name(entry->d_name))
            remove_logs(options, pod, entry->d_name, dir, UINT64_MAX);
    }
    if (stream)
        closedir(stream);
    int code = fs_remove_tree(AT_FDCWD, logs);
    return code < 0 ? error_errno(err, code, "cannot remove %s", logs) : 0;
}

int container_spec_remove_older_logs(const struct container_spec_options *options,
                                     const struct pod *pod, struct error *err)
{
    _cleanup_free_ char *prefix = xasprintf("%s_%s_", pod->metadata.namespace, pod->metadata.name);
    DIR *stream = opendir(options->log_dir);
    int first = 0;
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        char *uid = entry->d_name + strlen(prefix);
        if (!str_starts_with(entry->d_name, prefix) || strcmp(uid, pod->metadata.uid) == 0)
            continue;
        struct pod older = {.metadata = {.namespace = pod->metadata.namespace,
                                         .name = pod->metadata.name,
                                         .uid = uid}};
        int code = container_spec_remove_logs(options, &older, first ? NULL : err);
        first = first ? first : code;
    }
    if (stream)
        closedir(stream);
    return first;
}

void container_spec_tidy_logs(const struct container_spec_options *options, const struct pod *pod,
                              const char *container, uint64_t restart_count)
{
    _cleanup_free_ char *log = container_spec_log_path(options, pod, container, restart_count);
    _cleanup_free_ char *dir = xstrndup(log, (size_t)(path_base(log) - log - 1));
    if (restart_count >= 2) // the kubelet, too, keeps one dead container
        remove_logs(options, pod, container, dir, restart_count - 1);
    link_log(options, pod, container, restart_count, log);
}

// The usual path is in a file system that the container has to itself, which costs no disk its time
// and is as bounded as all of /dev. Any other path may be that of a log.
static bool is_in_own_dev(const struct shim_spec *spec)
{
    if (spec->privileged || !str_equal(spec->termination_path, SHIM_TERMINATION_DEFAULT))
        return false;
    LIST_EACH (mount, &spec->mounts)
        if (str_equal(mount->destination, "/dev") ||
            str_equal(mount->destination, SHIM_TERMINATION_DEFAULT))
            return false;
    return true;
}

static int make_layers(const struct container_spec_options *options, const char *instance,
                       struct shim_spec *spec, struct error *err)
{
    _cleanup_free_ char *pods = path_join(options->root_dir, "pods");
    spec->root_upper = path_join(instance, "upper");
    spec->root_work = path_join(instance, "work");
    int code = fs_mkdir_parents(AT_FDCWD, pods, PRIVATE_MODE);
    if (code == 0)
        code = fs_mkdir_parents(AT_FDCWD, spec->root_upper, 0755);
    if (code == 0)
        code = fs_mkdir_parents(AT_FDCWD, spec->root_work, 0700);
    return code < 0 ? error_errno(err, code, "cannot make the layers in %s", instance) : 0;
}

int container_spec_make_files(const struct container_spec_options *options, const struct pod *pod,
                              const struct container *container, uint64_t restart_count,
                              struct shim_spec *spec, struct error *err)
{
    spec->log_path = container_spec_log_path(options, pod, container->name, restart_count);
    if (!str_empty(container->terminationMessagePath)) {
        spec->termination_path = xstrdup(container->terminationMessagePath);
        if (!is_in_own_dev(spec))
            spec->termination_file = termination_file_path(options->root_dir, pod->metadata.uid,
                                                           container->name, restart_count);
    }
    if (spec->root_kind != SHIM_ROOT_OVERLAY)
        return 0;
    _cleanup_free_ char *instance =
        container_spec_instance_dir(options, pod, container->name, restart_count);
    return make_layers(options, instance, spec, err);
}

int container_spec_remove_instance(const struct container_spec_options *options,
                                   const struct pod *pod, const char *container,
                                   uint64_t restart_count, struct error *err)
{
    _cleanup_free_ char *dir = container_spec_instance_dir(options, pod, container, restart_count);
    _cleanup_free_ char *message =
        termination_file_path(options->root_dir, pod->metadata.uid, container, restart_count);
    int code = termination_file_remove(options->root_dir, message, err);
    // The layers hold what the container wrote, which can be much.
    int aside = volumes_set_aside(options->root_dir, dir, code < 0 ? NULL : err);
    return code < 0 ? code : aside;
}
