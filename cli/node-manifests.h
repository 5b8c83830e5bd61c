// What the manifests of this node say of its components: which pods there are, and where their
// flags put certificates, endpoints and data. Read from the files, so that it is known also where
// no agent runs.
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/macro.h"
#include "base/string-list.h"
#include "cli/draft.h"

struct node_manifests {
    LIST_OF(struct draft) drafts;   // by the files' names
    struct string_list passed_over; // files that are no good manifest: "FILE: why"
};

// `path` is a directory or one file. `node` NULL: this host's name. 0, or a negative errno where
// the directory cannot be read. node_manifests_free() it in either case.
int node_manifests_load(const char *path, const char *node, struct node_manifests *ret,
                        struct error *err);
// Adds a text that is to be the manifest `file`; what is no good manifest is passed over.
void node_manifests_add(struct node_manifests *manifests, const char *file,
                        const struct buffer *text, const char *node);
void node_manifests_free(struct node_manifests *manifests);
#define _cleanup_node_manifests_ _cleanup_(node_manifests_free)

// Calls `fn` for each container of each good pod.
typedef void (*node_container_fn)(void *userdata, const struct pod *pod,
                                  const struct container *container);
void node_manifests_each(const struct node_manifests *manifests, node_container_fn fn,
                         void *userdata);

// True where the container runs a program of this name ("etcd", "kube-apiserver").
bool container_runs(const struct container *container, const char *program);

// The value of "--name=value" or "--name value", the last one as the programs take it; NULL where
// there is none. Borrowed.
const char *container_flag(const struct container *container, const char *name);

// The path on this host of what the container sees at `path`: by its hostPath mounts, else the
// same. The caller frees.
char *container_host_path(const struct pod *pod, const struct container *container,
                          const char *path);

// A pod's name without "-<node>", as it stands in its manifest. The caller frees.
char *pod_short_name(const struct pod *pod);
