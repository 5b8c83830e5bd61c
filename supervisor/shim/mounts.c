// The order in which the container's file system is put together. See mounts.h.
#include "supervisor/shim/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/fs.h"
#include "base/string-list.h"

static int depth_of(const char *path)
{
    int depth = 0;
    for (const char *p = path; *p; p++)
        depth += *p == '/' && p[1] && p[1] != '/';
    return depth;
}

// True where the container has something of its own below this mount.
static bool has_more_below(const struct shim_spec *spec, const struct shim_mount *mount)
{
    size_t length = strlen(mount->destination);
    LIST_EACH (other, &spec->mounts)
        if (strncmp(other->destination, mount->destination, length) == 0 &&
            other->destination[length] == '/')
            return true;
    const char *file = spec->termination_path;
    return file && strncmp(file, mount->destination, length) == 0 && file[length] == '/';
}

// What is mounted in a shared mount shows on the host and stays there. A volume with Bidirectional
// propagation in which the container has other mounts is therefore shared only when these are in
// place; until then a second copy keeps its place in the peer group.
static int open_peer(const struct mount_plan *plan, const struct shim_mount *mount, int original,
                     int *ret, struct error *err)
{
    *ret = -1;
    if (!mount->propagate_both || !has_more_below(plan->spec, mount))
        return 0;
    *ret = mounts_clone(plan, original);
    return *ret < 0 ? error_errno(err, *ret, "volume %s: %s", mount->volume, mount->source) : 0;
}

static int share_again(const struct mount_plan *plan, struct error *err)
{
    LIST_EACH (tree, &plan->trees) {
        int code = tree->peer < 0 ? 0 : mounts_join_peers(tree->fd, tree->peer);
        if (code < 0)
            return error_errno(err, code,
                               "volume %s: a Bidirectional volume in which something else is "
                               "mounted needs Linux 5.15",
                               tree->mount->volume);
    }
    return 0;
}

static int open_source(struct mount_plan *plan, const struct shim_mount *mount, struct error *err)
{
    struct stat st;
    int code = mounts_check_source(mount, err);
    if (code < 0)
        return code;
    int fd = open(mount->source, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "volume %s: %s", mount->volume, mount->source);
    if (!str_empty(mount->sub_path)) {
        int sub = mounts_open_sub_path(fd, mount, err);
        close(fd);
        if (sub < 0)
            return sub;
        fd = sub;
    }
    _cleanup_close_ int original = fd;
    if (fstat(original, &st) < 0)
        return error_errno(err, errno, "volume %s: %s", mount->volume, mount->source);
    if ((code = mounts_check_propagation(original, mount, err)) < 0)
        return code;
    if (plan->classic && (mount->propagate_from_host || mount->propagate_both))
        return error_set(err, ENOSYS,
                         "volume %s: mountPropagation needs open_tree(2), which is not had here",
                         mount->volume);
    int peer = -1, tree = mounts_clone(plan, original);
    if (tree < 0)
        return error_errno(err, tree, "volume %s: cannot bind %s", mount->volume, mount->source);
    if ((code = open_peer(plan, mount, original, &peer, err)) < 0) {
        close(tree);
        return code;
    }
    *LIST_APPEND(&plan->trees) = (struct mount_tree){
        .mount = mount,
        .fd = tree,
        .peer = peer,
        .directory = S_ISDIR(st.st_mode),
        .depth = depth_of(mount->destination),
    };
    return 0;
}

int mounts_open_sources(struct mount_plan *plan, struct error *err)
{
    LIST_EACH (mount, &plan->spec->mounts) {
        int code = open_source(plan, mount, err);
        if (code < 0)
            return code;
    }
    return 0;
}

// The source may be of a shared mount, and its copy with it. It is attached below a private one,
// which shows nowhere else, and gets its own propagation there; only then may something be mounted
// in it.
static int put_volume(struct mount_plan *plan, const struct mount_tree *tree, int point)
{
    const struct shim_mount *mount = tree->mount;
    int code = mounts_put(plan, tree->fd, point);
    _cleanup_close_ int top = code < 0 ? code : mounts_open_top(plan, tree->fd, point);
    if (top < 0)
        return top;
    if (tree->peer >= 0)
        code = mounts_set_propagation(top, MS_PRIVATE, false);
    else if (!mount->propagate_both)
        code =
            mounts_set_propagation(top, mount->propagate_from_host ? MS_SLAVE : MS_PRIVATE, true);
    if (code == 0 && mount->read_only)
        code = mounts_set_read_only(plan, top, mount->recursive_read_only);
    return code;
}

static int attach_one(struct mount_plan *plan, const struct mount_tree *tree, struct error *err)
{
    const struct shim_mount *mount = tree->mount;
    struct stat st;
    _cleanup_close_ int point = mounts_point(plan, mount->destination, tree->directory, err);
    if (point < 0)
        return error_prefix(err, point, "volume %s", mount->volume);
    if (fstat(point, &st) == 0 && S_ISDIR(st.st_mode) != tree->directory)
        return error_set(err, ENOTDIR,
                         "volume %s: %s is a %s, but what is at %s in the container is %s",
                         mount->volume, mount->source, tree->directory ? "directory" : "file",
                         mount->destination, tree->directory ? "none" : "a directory");
    int code = put_volume(plan, tree, point);
    if (code == -ENOSYS && mount->recursive_read_only)
        return error_set(err, code,
                         "volume %s: recursiveReadOnly Enabled needs Linux 5.12 (mount_setattr)",
                         mount->volume);
    if (code < 0)
        return error_errno(err, code, "volume %s: cannot mount %s at %s", mount->volume,
                           mount->source, mount->destination);
    if (!mount->read_only && !plan->classic)
        mounts_add_writable(plan, tree->fd);
    return 0;
}

int mounts_attach(struct mount_plan *plan, struct error *err)
{
    size_t done = 0;
    for (int depth = 0; done < plan->trees.n; depth++)
        LIST_EACH (tree, &plan->trees) {
            if (tree->depth != depth)
                continue;
            int code = attach_one(plan, tree, err);
            if (code < 0)
                return code;
            done++;
        }
    return 0;
}

// Before anything is mounted over its path. A disk that has no room for it costs the message only:
// then *ret is -1.
static int make_termination_file(const struct mount_plan *plan, int *ret, struct error *err)
{
    const struct shim_spec *spec = plan->spec;
    *ret = -1;
    if (str_empty(spec->termination_path) || str_empty(spec->termination_file))
        return 0;
    _cleanup_close_ int file =
        fs_open_empty(spec->termination_file, SHIM_TERMINATION_MODE, SHIM_TERMINATION_DIR_MODE);
    if (file < 0) {
        mounts_warn(plan, "it runs without its terminationMessagePath: cannot make %s: %s",
                    spec->termination_file, strerror(-file));
        return 0;
    }
    *ret = mounts_clone(plan, file);
    return *ret < 0 ? error_errno(err, *ret, "cannot bind %s", spec->termination_file) : 0;
}

static int bind_termination_file(struct mount_plan *plan, int tree, struct error *err)
{
    const struct shim_spec *spec = plan->spec;
    if (tree < 0)
        return 0;
    _cleanup_close_ int point = mounts_point(plan, spec->termination_path, false, err);
    if (point < 0)
        return error_prefix(err, point, "terminationMessagePath");
    int code = mounts_put(plan, tree, point);
    return code < 0 ? error_errno(err, code, "cannot mount the termination log at %s",
                                  spec->termination_path)
                    : 0;
}

// ---- the root ----

// Overlay options separate by comma and (layers) by colon; both may stand in an image's path.
static void add_layer(struct buffer *options, const char *name, const char *path)
{
    buffer_printf(options, "%s%s=", options->len ? "," : "", name);
    for (const char *p = path; *p; p++) {
        if (strchr(",:\\", *p))
            buffer_add_char(options, '\\');
        buffer_add_char(options, *p);
    }
}

static int mount_overlay(struct mount_plan *plan, struct error *err)
{
    const struct shim_spec *spec = plan->spec;
    _cleanup_buffer_ struct buffer options = BUFFER_EMPTY;
    add_layer(&options, "lowerdir", spec->root_lower);
    add_layer(&options, "upperdir", spec->root_upper);
    add_layer(&options, "workdir", spec->root_work);
    if (spec->new_user_namespace)
        buffer_add_str(&options, ",userxattr");
    // Over the image itself: that needs no mount point, and nobody else sees it.
    if (mount("overlay", spec->root_lower, "overlay", 0, buffer_str(&options)) < 0)
        return error_errno(err, errno,
                           "cannot mount an overlay of %s and %s (layers cannot be on an overlay, "
                           "a network or a FAT file system)",
                           spec->root_lower, spec->root_upper);
    plan->root = open(spec->root_lower, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (plan->root < 0)
        return error_errno(err, errno, "%s", spec->root_lower);
    mounts_add_writable(plan, plan->root);
    return 0;
}

static int open_host_root(struct mount_plan *plan, struct error *err)
{
    plan->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (plan->root < 0)
        return error_errno(err, errno, "/");
    if (plan->spec->root_read_only) {
        int code = mounts_set_read_only(plan, plan->root, true);
        if (code < 0)
            return error_errno(err, code, "cannot make the root read-only");
    }
    return mounts_needs_root_mirror(plan) ? mounts_mirror_root(plan, err) : 0;
}

static int finish_overlay_root(struct mount_plan *plan, struct error *err)
{
    if (plan->spec->root_read_only) {
        int code = mounts_set_read_only(plan, plan->root, false);
        if (code < 0)
            return error_errno(err, code, "cannot make the root read-only");
    }
    int code = mounts_pivot(plan->root);
    return code < 0 ? error_errno(err, code, "cannot change to the container's root") : 0;
}

// In a chroot, "/" may be no mount of its own: then neither can its propagation be changed, nor
// something be put over it. The way is out to the root of the mount namespace, which is this
// process's alone, and back to a mount that stands where the chroot was.
static int enter_as_mount(void)
{
    struct stat here, up;
    _cleanup_close_ int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (old < 0 || chroot("/proc") < 0 || fchdir(old) < 0)
        return -errno;
    do {
        if (stat(".", &here) < 0 || chdir("..") < 0 || stat(".", &up) < 0)
            return -errno;
    } while (here.st_dev != up.st_dev || here.st_ino != up.st_ino);
    if (chroot(".") < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    _cleanup_close_ int tree =
        open_tree(old, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    if (tree < 0 || move_mount(tree, "", old, "", flags) < 0)
        return -errno;
    return mounts_pivot(tree);
}

static int make_private(void)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        return 0;
    return errno == EINVAL ? enter_as_mount() : -errno;
}

// Sandboxes such as gVisor, and some seccomp profiles of the runtime that the agent is in.
static bool lacks_new_calls(void)
{
    return open_tree(-1, "", 0) < 0 && (errno == ENOSYS || errno == EPERM);
}

// What the agent keeps for other pods is none of this container's business, and would outlive them
// here.
static void detach_hidden(const struct mount_plan *plan)
{
    LIST_EACH (path, &plan->spec->hidden_mounts)
        while (umount2(*path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
            ;
}

int mounts_make_root(struct mount_plan *plan, struct error *err)
{
    bool overlay = plan->spec->root_kind == SHIM_ROOT_OVERLAY;
    _cleanup_close_ int termination = -1;
    plan->classic = plan->classic || lacks_new_calls();
    int code = mounts_open_sources(plan, err);
    if (code < 0)
        return code;
    // From here on nothing that is mounted shows outside.
    code = make_private();
    if (code < 0)
        return error_errno(err, code, "cannot make the mount namespace private");
    code = make_termination_file(plan, &termination, err);
    if (code == 0)
        code = overlay ? mount_overlay(plan, err) : open_host_root(plan, err);
    if (code == 0)
        code = mounts_make_proc_sys(plan, err);
    if (code == 0)
        code = mounts_make_dev(plan, err);
    if (code == 0)
        code = mounts_attach(plan, err);
    if (code == 0)
        code = bind_termination_file(plan, termination, err);
    if (code == 0)
        code = share_again(plan, err);
    if (code == 0 && !overlay)
        detach_hidden(plan);
    if (code == 0)
        mounts_seal_mirrors(plan);
    return code == 0 && overlay ? finish_overlay_root(plan, err) : code;
}
