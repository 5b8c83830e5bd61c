// What a pod's JSON means to an operator: kubectl's READY, STATUS and RESTARTS
// (pkg/printers/internalversion/printers.go printPod), and why a pod is not ready.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/monotime.h"
#include "cli/term.h"

struct pod_view {
    char status[128]; // "Running", "Init:0/1", "CrashLoopBackOff", "Running,Refused", …
    long long ready, total, restarts;
    walltime last_restart;
    enum term_style style; // for STATUS
};

void pod_view_read(const json_t *pod, struct pod_view *ret);

// The condition Ready is True.
bool pod_is_ready(const json_t *pod);
// The pod that `name` means: its name, or its name without "-<node>" (spec.nodeName).
bool pod_is_named(const json_t *pod, const char *namespace_, const char *name);

// Appends the reasons why the pod is not ready, one a line, each indented by two spaces.
void pod_explain_unready(const json_t *pod, struct buffer *out);
