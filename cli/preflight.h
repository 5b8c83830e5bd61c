// What speaks for and against starting a control plane on this machine, before anything is changed:
// `mainstay init --check`, and first of all by init and join. Checks have names, those of kubeadm
// where it has the same check, so that --ignore-preflight-errors carries over.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/macro.h"
#include "base/string-list.h"
#include "cli/node-manifests.h"
#include "manifests/control-plane.h"

enum preflight_verdict {
    PREFLIGHT_GOOD,
    PREFLIGHT_NOT_CHECKED, // it does not apply here, or cannot be told
    PREFLIGHT_WARNING,
    PREFLIGHT_ERROR,
};

enum preflight_stage {
    PREFLIGHT_HOST = 1 << 0,    // what this machine tells alone
    PREFLIGHT_CLUSTER = 1 << 1, // what the other nodes say; needs certificates where etcd is asked
};

struct preflight_peer {
    const char *name, *address;
};

struct statvfs;
struct timex;

// How the machine is asked, so that a test can be any machine.
struct preflight_machine {
    const char *root; // in front of /proc and /sys
    int (*statvfs)(const char *path, struct statvfs *ret);
    int (*adjtimex)(struct timex *state);
    // Writes, and waits until it is on the disk: how many microseconds that took, or -errno.
    int64_t (*write_synced)(int fd, const void *data, size_t size);
};
extern const struct preflight_machine preflight_this_machine;

// All borrowed.
struct preflight_subject {
    const struct control_plane *plane;
    const struct node_manifests *pods; // what is to run here, as it would be written
    const char *manifests;             // the directory that it goes to
    const char *images_root;           // the agent's root directory, where images/ is
    bool starts;                       // it is started at once: an agent is there
    const char *endpoint;              // "host[:port]" of the balancer, or NULL
    const struct preflight_peer *peers;
    size_t n_peers;
    // Another member of the etcd cluster, for PREFLIGHT_CLUSTER; NULL where there is none.
    const struct string_list *etcd_endpoints;
    const char *etcd_cacert, *etcd_cert, *etcd_key;
    const struct preflight_machine *machine; // NULL: this one
};

struct preflight_finding {
    char *name; // "Port-2380"
    enum preflight_verdict verdict;
    bool ignored; // an error that goes as a warning
    char *text;   // one or more sentences
};

struct preflight_report {
    LIST_OF(struct preflight_finding) findings;
    size_t errors, warnings;
};

// Runs the checks of these stages (a mask) and appends what they find. `ignored` are names of
// --ignore-preflight-errors ("Port-2380", "Port" for all ports, "all"), commas inside allowed.
void preflight_run(const struct preflight_subject *subject, unsigned stages,
                   const struct string_list *ignored, struct preflight_report *report);
void preflight_report_free(struct preflight_report *report);
#define _cleanup_preflight_report_ _cleanup_(preflight_report_free)

// A line for each finding; with `all` also for what is good.
void preflight_print(const struct preflight_report *report, bool all, FILE *out);
// {"items": [{"name", "verdict", "ignored", "text"}], "errors", "warnings"}
void preflight_print_json(const struct preflight_report *report, FILE *out);

// What is no name of a check, for a warning; NULL where all are. The caller frees.
char *preflight_unknown_name(const struct string_list *ignored);
