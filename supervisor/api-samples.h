// What pods use, gathered for a reply: a few pods in each turn of the loop, so that a thousand of
// them hold nobody up. See api-samples.c.
#pragma once

#include "supervisor/api-internal.h"
#include "supervisor/stats.h"

struct container_sample {
    char *name, *image;
    char *id;         // "<pod uid>_<container>_<restart count>", as in its containerID
    char *cgroup;     // "/kubepods/…", or ""
    char *log_dir;    // where its log files are
    walltime started; // of the run that is on
    struct cgroup_numbers limits;
    struct stats stats;
};

struct pod_sample {
    char *namespace_, *name, *uid;
    char *cgroup;
    walltime started;
    struct stats stats; // of the pod as a whole
    LIST_OF(struct container_sample) containers;
};

struct sampling {
    struct api *api;
    struct string_list uids; // of the pods that are still to be asked, last one first
    LIST_OF(struct pod_sample) pods;
    struct stats_node node;
};

// Of every pod, or of one. To be freed with sampling_free().
struct sampling *sampling_new(struct api *api, const struct pod_worker *one);
void sampling_free(struct sampling *sampling);

// Asks a few more pods. True once all are asked.
bool sampling_step(struct sampling *sampling);
