// What the files volumes*.c share; nobody else includes it.
#pragma once

#include <sys/types.h>

#include "podspec/pod.h"
#include "supervisor/volumes.h"

// "<root>/pods/<uid>/volumes/kubernetes.io~<plugin>/<name>". The caller frees.
char *volumes_dir(const struct volumes_options *options, const char *uid, const char *plugin,
                  const char *name);

// Where an ordinary user's agent, which cannot mount, puts the memory-backed volumes of a pod:
// below its run directory, which is in memory where XDG_RUNTIME_DIR is. The caller frees.
char *volumes_memory_dir(const struct volumes_options *options, const char *uid);

// Makes the directory of a volume and those above, which are closed to everyone else on the node,
// for a volume may be writable for all.
int volumes_make_dir(const struct volumes_options *options, const char *dir, mode_t mode);

// The group that owns the pod's own volumes; -1 where there is none, or none can be given.
gid_t volumes_fs_group(const struct pod *pod);

// ---- volumes-empty-dir.c ----

extern const char volumes_empty_dir_plugin[];

// Makes an emptyDir where it is not there yet; *ret is its directory, which the caller frees.
int volumes_make_empty_dir(const struct volumes_options *options, const struct pod *pod,
                           const struct volume *volume, struct string_list *notes, char **ret,
                           struct error *err);

// How large a volume of medium Memory may grow: its sizeLimit, the pod's memory limit or the node's
// memory, whichever is least (pkg/volume/emptydir calculateEmptyDirMemorySize).
int64_t volumes_memory_size(const struct volumes_options *options, const struct pod *pod,
                            const struct volume *volume);

// ---- volumes-payload.c ----

// What a volume shows that the agent writes, sorted by path.
struct payload_file {
    char *path; // relative, clean: no empty, "." or ".." part
    char *text;
    mode_t mode;
};

struct payload {
    LIST_OF(struct payload_file) files;
};

void payload_clear(struct payload *payload);
#define _cleanup_payload_ _cleanup_(payload_clear)

// The path without empty and "." parts, which the caller frees. -EINVAL where it is absolute or
// empty, has a ".." part, begins with ".." (which is the writer's own), or has a part longer than
// 255 bytes (pkg/volume/util/atomic_writer.go, validatePath).
int payload_clean_path(const char *path, char **ret, struct error *err);

// Adds a copy of the text, instead of an earlier file of this path.
int payload_add(struct payload *payload, const char *path, const char *text, mode_t mode,
                struct error *err);

// Makes `dir` (which exists) show exactly this, as the kubelet's atomic writer lays it out: the
// files are in "..<time>", "..data" is a link to that, and "x" one to "..data/x" for every "x" or
// "x/y". A reader that keeps "..data" open sees either the old files or the new ones. Nothing is
// done where they are the same. With a group (not -1), files and directories are its own and it may
// read.
int payload_write(const struct payload *payload, const char *dir, gid_t group, struct error *err);

// ---- volumes-files.c ----

// The files of a downwardAPI or projected volume.
int volumes_gather_downward(const struct pod *pod, const struct container *container,
                            const struct volume *volume, struct payload *ret, struct error *err);
int volumes_gather_projected(const struct pod *pod, const struct container *container,
                             const struct volume *volume, struct payload *ret, struct error *err);

// ---- volumes-remove.c ----

// "<base>/.removed". The caller frees.
char *volumes_removed_dir(const char *base);
