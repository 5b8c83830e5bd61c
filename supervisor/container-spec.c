// See container-spec.h: the order of things, and what needs no file of its own.
#include "supervisor/container-spec.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"
#include "podspec/annotations.h"
#include "podspec/expand.h"
#include "supervisor/container-spec-internal.h"
#include "supervisor/device-filter.h"
#include "supervisor/environment.h"
#include "supervisor/image.h"
#include "supervisor/pod-files.h"
#include "supervisor/pod-names.h"
#include "supervisor/sandbox.h"
#include "supervisor/volumes.h"

enum {
    HOSTNAME_LENGTH_MAX = 63,
    EXEC_OUTPUT_MAX = 10 << 10, // K/prober: maxRespBodyLength of exec probes
};

struct build {
    const struct container_spec_options *options;
    const struct pod *pod;
    const struct container *container;
    struct shim_spec *spec;
    struct string_list *notes;
    struct image image;
    struct string_map vars;
    const char **reason;
};

static void set_identity(struct build *b, uint64_t restart_count)
{
    struct shim_spec *spec = b->spec;
    const struct object_meta *meta = &b->pod->metadata;
    spec->id = xasprintf("%s_%s_%" PRIu64, meta->uid, b->container->name, restart_count);
    spec->pod_namespace = xstrdup(meta->namespace ? meta->namespace : "default");
    spec->pod_name = xstrdup_or_null(meta->name);
    spec->pod_uid = xstrdup_or_null(meta->uid);
    spec->container = xstrdup(b->container->name);
    spec->node = xstrdup_or_null(b->options->node_name);
    spec->restart_count = restart_count;
    spec->log_max_bytes = b->options->log_max_bytes;
    spec->log_max_files = b->options->log_max_files;
    spec->journal_socket = xstrdup_or_null(b->options->journal_socket);
    spec->fence = xstrdup_or_null(string_map_get(&meta->annotations, ANNOTATION_FENCE));
    spec->stdin_open = b->container->stdin_;
    spec->tty = b->container->tty;
    spec->exec_output_max = EXEC_OUTPUT_MAX;
    spec->working_dir =
        xstrdup_or_null(str_empty(b->container->workingDir) ? NULL : b->container->workingDir);
    const struct lifecycle *lifecycle = b->container->lifecycle;
    if (lifecycle && !str_empty(lifecycle->stopSignal)) {
        int number = signal_from_name(lifecycle->stopSignal);
        spec->stop_signal = number > 0 ? number : 0;
    }
}

// ---- namespaces ----

static int set_namespaces(struct build *b, struct error *err)
{
    const struct pod_spec *pod = &b->pod->spec;
    struct shim_spec *spec = b->spec;
    static const struct sandbox_view none;
    const struct sandbox_view *box = b->options->sandbox ? b->options->sandbox : &none;
    if (!pod->hostNetwork && !box->net) {
        *b->reason = "NetworkNotReady";
        return error_set(err, ENETDOWN, "the pod has no network of its own");
    }
    spec->net_namespace = pod->hostNetwork ? NULL : xstrdup(box->net);
    spec->uts_namespace = xstrdup_or_null(box->uts);
    spec->ipc_namespace = xstrdup_or_null(box->ipc);
    spec->pid_namespace = xstrdup_or_null(box->pid);
    spec->shm_dir = xstrdup_or_null(box->shm);
    spec->new_pid_namespace = !pod->hostPID && !box->pid;
    spec->new_ipc_namespace = !pod->hostIPC && !box->ipc;
    spec->new_user_namespace = b->options->unprivileged;
    bool shares = pod->shareProcessNamespace && *pod->shareProcessNamespace;
    if (shares && !box->pid && !pod->hostPID)
        string_list_add(b->notes, "shareProcessNamespace takes an agent that runs as root: the "
                                  "container sees its own processes only");
    if (b->options->hidden_mount)
        string_list_add(&spec->hidden_mounts, b->options->hidden_mount);
    return 0;
}

// The addresses of a pod with a network of its own; NULL for one on the node's.
static const struct string_list *own_ips(const struct build *b)
{
    return b->pod->spec.hostNetwork || !b->options->sandbox ? NULL : &b->options->sandbox->ips;
}

// A pod on the host's network has the host's name.
static char *host_name(const struct build *b)
{
    struct utsname name;
    char *own = NULL;
    if (!b->pod->spec.hostNetwork &&
        pod_names_for_kernel(b->pod, b->options->dns.cluster_domain, &own, NULL) == 0)
        return own;
    if (uname(&name) < 0)
        return xstrdup(b->options->node_name ? b->options->node_name : "");
    return xstrndup(name.nodename, HOSTNAME_LENGTH_MAX);
}

// ---- environment and command ----

static int set_environment(struct build *b, struct error *err)
{
    _cleanup_free_ char *hostname = host_name(b);
    struct environment env = {
        .pod = b->pod,
        .container = b->container,
        .node_name = b->options->node_name,
        .node_ip = b->options->node_ip,
        .hostname = hostname,
        .pod_ips =
            b->pod->spec.hostNetwork || !b->options->sandbox ? NULL : &b->options->sandbox->ips,
        .cpu_capacity_milli = b->options->cpu_capacity_milli,
        .memory_capacity_bytes = b->options->memory_capacity_bytes,
    };
    *b->reason = "CreateContainerConfigError";
    return environment_build(&env, &b->spec->environment, &b->vars, err);
}

static void add_expanded(struct build *b, const struct string_list *from)
{
    for (size_t i = 0; i < from->n; i++)
        string_list_add_owned(&b->spec->argv, expand_references(from->items[i], &b->vars));
}

// Without a command it is the image's business what runs: in an image of programs, the one that is
// called like the image.
static int set_command(struct build *b, struct error *err)
{
    *b->reason = "CreateContainerConfigError";
    add_expanded(b, &b->container->command);
    if (b->spec->argv.n == 0 && b->image.kind == IMAGE_BIN)
        string_list_add(&b->spec->argv, path_base(b->image.name));
    if (b->spec->argv.n == 0)
        return error_set(err, EINVAL,
                         "container %s has no command: what image %s would run by itself is not "
                         "known here; set `command`",
                         b->container->name, b->container->image);
    add_expanded(b, &b->container->args);
    return 0;
}

static bool is_below(const char *path, size_t length, const char *dir)
{
    size_t n = strlen(dir);
    return length >= n && strncmp(path, dir, n) == 0 && (length == n || path[n] == '/');
}

// True where the command may come with a volume, so that only the container can tell.
static bool may_be_mounted(const struct build *b, const char *command, const char *path)
{
    LIST_EACH (mount, &b->spec->mounts) {
        if (*command == '/' && is_below(command, strlen(command), mount->destination))
            return true;
        for (const char *p = path; *p && !strchr(command, '/');) {
            size_t length = strcspn(p, ":");
            if (is_below(p, length, mount->destination))
                return true;
            p += length + (p[length] == ':');
        }
    }
    return false;
}

static const char *search_path(const struct build *b)
{
    for (size_t i = 0; i < b->spec->environment.n; i++)
        if (str_starts_with(b->spec->environment.items[i], "PATH="))
            return b->spec->environment.items[i] + 5;
    return environment_default_path;
}

// There is no such image here: the host's own program, where the pull policy does not ask for a
// fresh image.
static int use_host(struct build *b, struct error *err)
{
    const char *policy = b->container->imagePullPolicy, *command = b->spec->argv.items[0];
    const char *path = search_path(b);
    _cleanup_free_ char *file = NULL;
    if (str_equal(policy, "Always")) {
        *b->reason = "ErrImagePull";
        return error_set(err, ENOENT,
                         "image %s is not at %s, and nothing is pulled: put it there (a rootfs/ or "
                         "bin/), or set imagePullPolicy: IfNotPresent to run the host's own %s",
                         b->container->image, b->image.dir, command);
    }
    bool relative = *command != '/' && strchr(command, '/');
    int code = relative ? -ENOENT : image_find_command(command, path, &file);
    if (code < 0 && !relative && !may_be_mounted(b, command, path)) {
        *b->reason = str_equal(policy, "Never") ? "ErrImageNeverPull" : "ErrImagePull";
        return error_set(err, code, "image %s is not at %s, and %s is not %s on this host (%s)",
                         b->container->image, b->image.dir, command,
                         code == -EACCES ? "executable" : "there", path);
    }
    string_list_add_owned(b->notes,
                          file ? xasprintf("image %s is not at %s: running the host's %s",
                                           b->container->image, b->image.dir, file)
                               : xasprintf("image %s is not at %s: running %s on the host's root",
                                           b->container->image, b->image.dir, command));
    return 0;
}

static int find_image(struct build *b, struct error *err)
{
    struct shim_spec *spec = b->spec;
    int code = image_find(b->options->root_dir, b->container->image, &b->image, b->reason, err);
    if (code < 0)
        return code;
    if (b->image.kind == IMAGE_ROOTFS) {
        spec->root_kind = SHIM_ROOT_OVERLAY;
        spec->root_lower = xstrdup(b->image.path);
    } else if (b->image.kind == IMAGE_BIN) {
        string_list_add(&spec->path_prepend, b->image.path);
    }
    return 0;
}

// ---- mounts ----

static int set_files(struct build *b, struct error *err)
{
    const struct security_context *security = b->container->securityContext;
    struct pod_files_options files = {
        .root_dir = b->options->root_dir,
        .dns = b->options->dns,
        .ips = own_ips(b),
        .read_only =
            security && security->readOnlyRootFilesystem && *security->readOnlyRootFilesystem,
    };
    return pod_files_prepare(&files, b->pod, b->spec, err);
}

static int set_mounts(struct build *b, struct error *err)
{
    struct volumes_options volumes = {
        .root_dir = b->options->root_dir,
        .run_dir = b->options->run_dir,
        .unprivileged = b->options->unprivileged,
        .memory_capacity_bytes = b->options->memory_capacity_bytes,
    };
    *b->reason = "FailedMount";
    int code = volumes_prepare(&volumes, b->pod, b->container, &b->vars, b->spec, b->notes, err);
    return code < 0 ? code : set_files(b, err);
}

static int set_security(struct build *b, struct error *err)
{
    bool own_root = b->image.kind == IMAGE_ROOTFS;
    *b->reason = "CreateContainerConfigError";
    int code = container_spec_security(b->options, b->pod, b->container,
                                       own_root ? b->image.path : "", b->spec, err);
    if (code < 0)
        return code;
    *b->reason = "CreateContainerError";
    code = container_spec_lsm(b->options, b->pod, b->container, b->spec, b->notes, err);
    if (code < 0)
        return code;
    return container_spec_seccomp(b->options, b->pod, b->container, b->spec, err);
}

// As under the kubelet, whose runtimes know no way to say otherwise either.
static void name_closed_devices(struct build *b)
{
    LIST_EACH (mount, &b->spec->mounts) {
        struct stat st;
        bool device =
            mount->check == SHIM_PATH_CHAR_DEVICE || mount->check == SHIM_PATH_BLOCK_DEVICE;
        if (device && stat(mount->source, &st) == 0 && !device_filter_allows(&st))
            string_list_add_owned(b->notes,
                                  xasprintf("volume %s: %s can be opened by privileged containers "
                                            "only",
                                            mount->volume, mount->source));
    }
}

static void confine_devices(struct build *b)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (!b->options->devices || b->spec->privileged || b->spec->cgroup_dirs.n == 0)
        return;
    if (device_filter_attach(b->options->devices, b->spec->cgroup_dirs.items[0], &err) < 0)
        string_list_add(b->notes, error_message(&err));
    else
        name_closed_devices(b);
}

static int set_cgroups(struct build *b, struct error *err)
{
    if (!b->options->cgroups)
        return 0;
    *b->reason = "CreateContainerError";
    int code = cgroup_prepare(b->options->cgroups, b->pod, b->container, b->spec,
                              &b->spec->unenforced, err);
    if (code == 0)
        confine_devices(b);
    return code;
}

// What touches the disk comes last: a manifest that cannot run leaves nothing behind.
static int build(struct build *b, uint64_t restart_count, struct error *err)
{
    set_identity(b, restart_count);
    int code = set_namespaces(b, err);
    if (code == 0)
        code = find_image(b, err);
    if (code == 0)
        code = set_environment(b, err);
    if (code == 0)
        code = set_command(b, err);
    if (code == 0)
        code = set_security(b, err);
    if (code == 0)
        code = set_mounts(b, err);
    if (code == 0 && b->image.kind == IMAGE_HOST)
        code = use_host(b, err);
    if (code == 0)
        code = set_cgroups(b, err);
    if (code < 0)
        return code;
    *b->reason = "CreateContainerError";
    return container_spec_make_files(b->options, b->pod, b->container, restart_count, b->spec, err);
}

int container_spec_build(const struct container_spec_options *options, const struct pod *pod,
                         const struct container *container, bool init, uint64_t restart_count,
                         struct shim_spec *ret, struct string_list *notes, const char **ret_reason,
                         struct error *err)
{
    struct shim_spec spec = {
        .run_as_user = -1,
        .run_as_group = -1,
        .oom_score_adj = INT64_MIN,
    };
    struct build b = {
        .options = options,
        .pod = pod,
        .container = container,
        .spec = &spec,
        .notes = notes,
        .reason = ret_reason,
    };
    *ret_reason = "CreateContainerConfigError";
    if (str_empty(pod->metadata.uid) || !path_is_name(pod->metadata.uid) ||
        str_empty(container->name) || !path_is_name(container->name))
        return error_set(err, EINVAL, "the pod's uid or the container's name is no file name");
    int code = build(&b, restart_count, err);
    image_clear(&b.image);
    string_map_free(&b.vars);
    if (code < 0)
        shim_spec_free(&spec);
    else
        *ret = spec;
    return code;
}
