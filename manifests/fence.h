// The fence: a small process beside podmaster that takes the manifest away, and freezes and kills
// what runs of the pod, when its deadlines pass: also when podmaster, the agent or both hang, are
// stopped or have been killed. It knows one manifest and one state file (base/fence-state.h), and
// asks nobody.
//
// Why no process of the pod is alive on this node after kill_at, and so never on two nodes:
//
// 1. podmaster writes both deadlines, start_until ≤ kill_at, and only from an answer of etcd
// (lease.h);
//    they are points in time, so one that is written late, by a podmaster that was stopped, has
//    passed when it is written. A file that is missing, damaged or of another boot is a deadline
//    that has passed: the manifest that a reboot leaves behind starts nothing.
// 2. podmaster puts `mainstay.dev/fence: STATE` into the manifest (guard.h). With it the first
// process
//    of each container, started by its shim on the agent's wish, (a) is in the container's cgroup,
//    (b) names that cgroup in STATE.d, (c) reads the state, and goes on only before start_until.
//    Whoever asks for the start (an agent that was stopped, and finds its container dead when it
//    goes on, before it has read that the manifest is gone) makes no difference.
// 3. At kill_at or later the fence reads STATE.d and kills every cgroup that is named there. A
// process
//    that has done (b) before that is killed with its cgroup, whatever it had come to. One that
//    does (b) afterwards does (c) after kill_at, and is refused. cgroup.kill and freezing take what
//    forks.
// 4. The shim of each container kills its cgroup at kill_at as well (shim-fence.c). It needs
// neither
//    podmaster nor the fence nor the agent, so all of these may be stopped or dead at once.
//
// A machine that sleeps: every deadline is one of CLOCK_BOOTTIME, which counts sleep, and so is the
// timer of fence and shim, which has fired when the machine wakes up. The fence runs in real time
// (SCHED_FIFO) and the shims at the highest priority (nice -20), where that is permitted; so
// nothing of the pod gets a processor before the fence, but for what another processor goes on with
// until the fence has frozen the cgroups: the time of its wake-up and of one write. Before the
// first process of a container begins, the deadline is asked again (2c).
//
// What it cannot do: to have that time be zero; and to count time in which the machine's clocks
// stand still while etcd's run on (a paused virtual machine, where the hypervisor holds its
// clocks). There the pod runs on until the first of: podmaster asks for the next renewal, a third
// of the lease later at most, and hears that the lease is gone; the deadline by the clock that
// stood still. The same holds for a machine on which fence and shim are stopped both.
//
// The state file carries who wrote it: the fence of a podmaster that has died goes by the file,
// which a podmaster that takes its place writes on, and ends when that one, which has a fence of
// its own by then, has written. Whoever runs holds a lock on the file.
#pragma once

#include "base/error.h"
#include "base/fence-state.h"
#include "base/monotime.h"

struct fence;

// Takes the lock on `state_path` and starts the watch over the file `manifest` and the cgroups
// named beside the state. *ret_inherited is what an earlier podmaster has left in this boot, or all
// zero. -EBUSY where another one runs for the same file. Both paths are copied.
int fence_new(const char *state_path, const char *manifest, struct fence **ret,
              struct fence_state *ret_inherited, struct error *err);

// From now on the pod may begin to run until `start_until` and be alive until `kill_at`; {0}: not
// at all. Starts the watch anew where it has died. A negative errno means that nobody watches: then
// the manifest must not be there.
int fence_set(struct fence *fence, monotime start_until, monotime kill_at, struct error *err);

// After fence_set() with a start_until of 0: waits until nothing of the pod is alive. 1 then; 0
// where `until` came first or `interrupt_fd` (-1: none) became readable; -ENOENT where no cgroup
// was ever named: no agent of ours has started the pod since the machine has.
int fence_await_dead(const struct fence *fence, monotime until, int interrupt_fd);

// Ends the watch; a manifest that is still there stays. Accepts NULL.
void fence_free(struct fence *fence);
DEFINE_CLEANUP(struct fence *, fence_free)
#define _cleanup_fence_ _cleanup_(cleanup_fence_free)
