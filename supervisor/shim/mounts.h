// The container's view of the file system, made by its first process in a mount namespace of its
// own, before it takes on its credentials. Used by container-child.c only.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "supervisor/shim/shim-spec.h"

enum { MOUNT_PATH_MAX = 4096 };

struct mount_tree { // the source of one mount, opened before anything was mounted over it
    const struct shim_mount *mount; // borrowed
    int fd;                         // a detached tree, or (classic) O_PATH of the source
    int peer; // of a Bidirectional one that waits to be shared, see mounts.c; else -1
    bool directory;
    int depth; // parts of the destination: parents are mounted before what is below them
};

struct mount_plan {
    const struct shim_spec *spec; // borrowed
    struct buffer *warnings;      // borrowed
    int root;                     // O_PATH of the container's root
    int termination; // -1, or the termination file in the container's own /dev, to be read
    bool classic;    // mount(2) only: sandboxes without the newer calls
    LIST_OF(struct mount_tree) trees;
    LIST_OF(uint64_t) writable; // ids of mounts in which mount points may be made
    LIST_OF(int) mirrors;       // mirrors that become read-only in the end
};

void mounts_plan_free(struct mount_plan *plan);

// Checks, creates where the volume's type says so, and opens the sources of all mounts.
int mounts_open_sources(struct mount_plan *plan, struct error *err);

// Attaches the opened sources at their destinations, parents first.
int mounts_attach(struct mount_plan *plan, struct error *err);

// The whole view, from the first unsharing of propagation to the final root.
int mounts_make_root(struct mount_plan *plan, struct error *err);

// ---- mounts-check.c ----

// Checks a host path against its hostPath type (pkg/volume/hostpath/host_path.go) and makes it
// where the type says so. A path that is missing and of no type is refused: whether a file or a
// directory was meant cannot be known.
int mounts_check_source(const struct shim_mount *mount, struct error *err);

// An O_PATH descriptor of mount->sub_path below the volume (made as a directory, with the volume's
// mode, where it is missing); neither ".." nor a symlink leads out of the volume.
int mounts_open_sub_path(int volume, const struct shim_mount *mount, struct error *err);

// HostToContainer needs a source on a shared or slave mount, Bidirectional one on a shared mount,
// as container runtimes check it: on any other, nothing would ever be seen. -EINVAL with the mount.
int mounts_check_propagation(int source, const struct shim_mount *mount, struct error *err);

// ---- mounts-point.c ----

// An O_PATH descriptor of `path` inside the root; symlinks are followed inside the root. Where it
// is missing it is made: in the container's own file systems as a directory or file, on the host's
// root in a mirror of the nearest existing directory, so that the host's file system is never
// written to.
int mounts_point(struct mount_plan *plan, const char *path, bool directory, struct error *err);

// True where a part of the path that stands directly in the root is missing there.
bool mounts_needs_root_mirror(const struct mount_plan *plan);

// Makes a tmpfs with everything in "/" bound into it the root.
int mounts_mirror_root(struct mount_plan *plan, struct error *err);

// Makes those mirrors read-only whose original keeps what is written to it: better an error than a
// file that is lost.
void mounts_seal_mirrors(struct mount_plan *plan);

// ---- mounts-dev.c ----

// /dev with the devices that every runtime gives (OCI runtime-spec, config-linux.md), /dev/pts,
// /dev/shm, /dev/mqueue; a privileged container gets the host's /dev.
int mounts_make_dev(struct mount_plan *plan, struct error *err);

// /proc of the PID namespace, /sys, and the paths that the default procMount hides or protects.
int mounts_make_proc_sys(struct mount_plan *plan, struct error *err);

// ---- mounts-util.c ----

int mounts_open_in_root(int root, const char *path, int flags); // openat2, RESOLVE_IN_ROOT
uint64_t mounts_id(int fd);                                     // 0 where unknown
void mounts_add_writable(struct mount_plan *plan, int fd);
bool mounts_is_writable(const struct mount_plan *plan, int fd);

// Mounts a new file system on the directory `target`: mount(2)'s errno.
int mounts_new(const char *type, int target, unsigned long flags, const char *options);

// Binds what `from` (O_PATH) shows, submounts included, onto `target`, by mount(2) alone.
int mounts_bind(int from, int target);

// A detached copy of what `fd` (O_PATH) shows, submounts included; classic: a duplicate of `fd`.
int mounts_clone(const struct mount_plan *plan, int fd);

// Puts a tree from mounts_clone() onto `target`. Afterwards `tree` is the mount there (classic:
// what it was).
int mounts_put(const struct mount_plan *plan, int tree, int target);

// As mounts_put(), and read-only, with what is mounted below where this kernel can.
int mounts_put_read_only(const struct mount_plan *plan, int tree, int target);

// Makes the mount (and with `recursive` those below it, else -ENOSYS) read-only.
int mounts_set_read_only(const struct mount_plan *plan, int fd, bool recursive);

// What mounts_put() has put onto `target`: the tree itself, or (classic) the mount found anew by
// its name. The caller closes it.
int mounts_open_top(const struct mount_plan *plan, int tree, int target);

// MS_PRIVATE or MS_SLAVE for the mount (and with `recursive` those below it).
int mounts_set_propagation(int fd, unsigned long type, bool recursive);

// Makes the private mount `fd` a peer of `peer`, which is a mount of the same directory.
int mounts_join_peers(int fd, int peer);

void mounts_warn(const struct mount_plan *plan, const char *format, ...) _printf_(2, 3);

// pivot_root() to the directory and detach the old root.
int mounts_pivot(int root);
