// The face of the room: manifests in, accepted pod specs out. Pure: no clock, no network, no
// processes, and nothing is read from the machine.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"
#include "podspec/diag.h"
#include "podspec/pod.h"

enum { PODSPEC_SIZE_MAX = 10 << 20 }; // K/config/file.go: manifests over 10 MiB are not read

// Pods of one file, in the order of its documents. Every pod is owned.
struct pod_list {
    struct pod **items;
    size_t n;
};

void pod_list_free(struct pod_list *list);
#define _cleanup_pod_list_ _cleanup_(pod_list_free)

// Decodes, defaults (pkg/apis/core/v1/defaults.go) and checks every field of every document. `file`
// names the source in findings. All findings go to `diags`. Returns 0 and fills *ret when there is
// no error (warnings may be there), else -EINVAL (-ENODATA where all that is wrong is that a List
// is empty). YAML or JSON; v1 Pod, and List or PodList of them; empty documents are passed over,
// but a file without any pod is an error.
int podspec_parse(const char *file, const void *data, size_t size, struct pod_list *ret,
                  struct diag_list *diags);

struct podspec_node {
    const char *name;   // lower case is made of it
    const char *source; // "file" or "http": annotation kubernetes.io/config.source
};

// What the kubelet does to a static pod before it is accepted (K/config/common.go): UID (32 hex
// digits of our own canonical hash over spec, node and name unless metadata.uid is set), name
// suffixed with "-<node>", namespace "default", spec.nodeName, annotations
// kubernetes.io/config.hash and config.source, the NoExecute toleration. Then validation of the
// whole pod (pkg/apis/core/validation) on the suffixed name. Returns 0, or -EINVAL with findings.
int podspec_make_static(struct pod *pod, const struct podspec_node *node, struct diag_list *diags);

// Cross-field validation alone (podspec_make_static() calls it).
int podspec_validate(const struct pod *pod, struct diag_list *diags);

// The canonical hash of what a pod asks for: 32 hex digits over the canonical JSON of labels,
// annotations (without those this program sets), name, namespace and spec after defaulting, without
// positions and comments. Stable across releases: fields that are unset do not count, so a field
// that a later release knows does not change it. `hex` has 33 bytes; returns hex.
char *pod_hash(const struct pod *pod, char *hex);

// The same for one container (what decides whether a container must be replaced). 16 hex digits.
char *container_hash(const struct container *container, char *hex);

struct pod *pod_copy(const struct pod *pod);
void pod_free(struct pod *pod);
DEFINE_CLEANUP(struct pod *, pod_free)
#define _cleanup_pod_ _cleanup_(cleanup_pod_free)

// The place table that findings use costs memory; drop it once a pod is accepted.
void pod_drop_places(struct pod *pod);

// The pod as a v1 Pod object with fields in Go's order and unset ones left out. A new reference.
json_t *pod_to_json(const struct pod *pod);
// The same as YAML with two-space indentation, appended to `out`.
void pod_to_yaml(const struct pod *pod, struct buffer *out);
// Any JSON value as block YAML, as `kubectl -o yaml` shows it.
void json_to_yaml(const json_t *value, struct buffer *out);

// `mainstay explain pod.spec.containers.livenessProbe`, in kubectl's shape, from the table:
// 0, or -ENOENT with the nearest known name in *err.
int podspec_explain(const char *path, bool recursive, struct buffer *out, struct error *err);

// The paths that begin as an unfinished one does, down to its next dot ("pod.spec.con":
// "pod.spec.containers"). Added to *ret.
void podspec_explain_names(const char *path, struct string_list *ret);
