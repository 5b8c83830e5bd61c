// What the containers of one pod share beside volumes: namespaces (network, IPC, UTS, and PID under
// shareProcessNamespace) and the network that the node's CNI plugins give it. A sandbox outlives
// the agent, its shims and every container: its namespaces are pinned as files below <run>/ns/<uid>
// and its record is <root>/state/sandboxes/<uid>.
//
//   sandbox.c          the life of one: made, up, taken apart; tried again
//   sandbox-pins.c     files, mounts and the program that makes them
//   sandbox-record.c   what a new agent has to know
//   sandbox-wishes.c   what a pod asks for
//   sandbox-network.c  the directory of the CNI configuration
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "base/string-list.h"
#include "podspec/pod.h"
#include "supervisor/cgroup.h"
#include "supervisor/events.h"

struct sandboxes; // all of the node

struct sandbox_options { // borrowed
    sd_event *event;
    const char *run_dir, *root_dir, *shim_path;
    const char *cni_conf_dir; // "/etc/cni/net.d"
    const char *cni_bin_dirs; // "/opt/cni/bin,/usr/lib/cni"
    int64_t timeout_usec;     // of one CNI plugin
    struct cgroup_tree *cgroups;
    struct event_log *events;
    bool unprivileged; // no pins can be made: pods have no namespaces of their own
};

// All are called from the loop. `owner` is what was given to sandbox_raise() or sandbox_claim().
struct sandbox_ops {
    void (*up)(void *owner);
    // An attempt failed; the next one follows by itself.
    void (*failed)(void *owner, const char *why);
    void (*down)(void *owner);
    // The first process of its PID namespace died, and with it every process in there.
    void (*lost)(void *owner, const char *why);
    // What pods_closed() of the network says may have changed.
    void (*network_changed)(void *userdata);
};

// What the pod's containers are to join; NULL where it is not the sandbox's. Borrowed.
struct sandbox_view {
    char *net, *ipc, *uts, *pid, *shm;
    struct string_list ips; // empty for a pod on the node's network
};

int sandboxes_new(const struct sandbox_options *options, const struct sandbox_ops *ops,
                  void *userdata, struct sandboxes **ret, struct error *err);
void sandboxes_free(struct sandboxes *all); // what is up stays up

// Whether the pod needs one. One on the node's network with one container does not: nobody could
// tell the difference.
bool sandbox_is_wanted(const struct sandboxes *all, const struct pod *pod);

// Why no pod can have a network of its own at present, in a sentence; NULL where it can. Borrowed
// until the next call. The first call begins to watch the directory.
const char *sandboxes_network_problem(struct sandboxes *all);

// Makes it. 1 where it is up (or not wanted), 0 where up() or failed() follow. `hostname`: of the
// UTS namespace.
int sandbox_raise(struct sandboxes *all, const struct pod *pod, const char *hostname, void *owner);
// Takes it apart, whatever it is doing. 1 where nothing is left already, 0 where down() follows.
int sandbox_lower(struct sandboxes *all, const char *uid);
// After a restart of the agent: 1 where it is up, 0 where there is none, -ESTALE where it was but
// is not any more (the machine was restarted).
int sandbox_claim(struct sandboxes *all, const char *uid, void *owner);
// The owner goes; the sandbox stays.
void sandbox_release(struct sandboxes *all, const char *uid);
// Takes apart what nobody has claimed, and removes pins that no record knows.
void sandboxes_tidy(struct sandboxes *all);

// NULL where the pod has none that is up.
const struct sandbox_view *sandbox_view(const struct sandboxes *all, const char *uid);

// The directory that containers on the host's root are to detach; NULL where nothing is mounted.
const char *sandboxes_mounted(const struct sandboxes *all);
