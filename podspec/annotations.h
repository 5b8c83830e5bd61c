// What a pod asks for beyond a pod spec, by annotations under mainstay.dev/. Values are checked
// with the manifest: a pod whose annotation cannot be understood is not accepted.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/string-list.h"
#include "podspec/pod.h"

// mainstay.dev/fence: "/run/mainstay/podmaster/X.lease": podmaster guards the pod and tells there
// until when this node may have it (base/fence-state.h). podmaster puts it into the manifest.
#define ANNOTATION_FENCE "mainstay.dev/fence"

struct pod_annotations {
    // mainstay.dev/depends-on: "etcd,kube-system/kube-apiserver": pods (with or without the node's
    // suffix; without a namespace: of the pod's own) that must be ready before this one starts.
    struct string_list depends_on;
    // mainstay.dev/restart-on-change: "certs,config": names of the pod's hostPath volumes; when a
    // file in one of them changes, the containers that mount it are restarted.
    struct string_list restart_on_change;
    int reload_signal; // mainstay.dev/reload-signal: "HUP": sent instead; 0: restart
    int64_t
        confirm_usec; // mainstay.dev/confirm: "60s": how long a change is on trial; 0: it is not
    // mainstay.dev/backoff: "1s..60s": this pod's restart back-off; 0: the node's.
    int64_t backoff_initial_usec, backoff_max_usec;
};

// Reads all of them. 0, or -EINVAL where one is wrong; *ret is to be freed in both cases.
int pod_annotations_parse(const struct pod *pod, struct pod_annotations *ret, struct error *err);
void pod_annotations_free(struct pod_annotations *annotations); // what it owns
#define _cleanup_pod_annotations_ _cleanup_(pod_annotations_free)

// For validation: what is wrong with one annotation of the pod, or 0. -ENOENT where `key` is none
// of ours; -EINVAL with what is wrong; -ESRCH with the nearest known name where it is under
// mainstay.dev/ but not known.
int pod_annotation_check(const struct pod *pod, const char *key, const char *value,
                         struct error *err);
