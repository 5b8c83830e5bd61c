// What the API says about pods and manifests: v1 Pod with the status that the kubelet computes
// (K/kubelet_pods.go, K/status/generate.go), our extension "mainstay" beside it, and the items of
// /mainstay/v1/manifests. The shapes stand in api.h. Everything returned is a new reference.
#pragma once

#include <jansson.h>

#include "manifests/source.h"
#include "supervisor/config.h"
#include "supervisor/pods.h"
#include "supervisor/revisions.h"

// What a pod's JSON is made from beside its worker; all borrowed.
struct status_context {
    const struct config *config;
    const struct pods *pods;                 // for the successor; NULL: none has one
    const struct revisions *revisions;       // for its trial; NULL: none is on one
    const struct manifest_status *manifests; // of all files, for the one that a pod came from
    size_t n_manifests;
    monotime now;
    walltime now_wall;
};

json_t *status_pod(const struct pod_worker *w, const struct status_context *context);

// The "status" alone, and the "mainstay" extension alone.
json_t *status_pod_status(const struct pod_worker *w, const struct status_context *context);
json_t *status_pod_extension(const struct pod_worker *w, const struct status_context *context);

json_t *status_manifest(const struct manifest_status *manifest);
