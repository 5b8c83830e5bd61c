// The life of one container as a table of (state, event) → (state, action). Pure: no I/O, no clock;
// the pod worker carries the actions out and feeds the events.
#pragma once

#include <stdbool.h>

enum container_state {
    CONTAINER_WAITING,    // not started yet: its turn has not come
    CONTAINER_STARTING,   // the shim is started, the container's process is not there yet
    CONTAINER_POST_START, // the process runs, its postStart hook has not returned
    CONTAINER_RUNNING,
    CONTAINER_PRE_STOP,    // to be stopped: its preStop hook runs
    CONTAINER_AWAIT_TURN,  // a sidecar: the hook has returned, those that it serves still live
    CONTAINER_TERMINATING, // the stop signal is sent, the grace period runs
    CONTAINER_KILLING,     // SIGKILL is sent to all of it
    CONTAINER_PROVING,     // its shim is over; what is left in its cgroup is killed and awaited
    CONTAINER_BACKOFF,     // proven gone; waits for its next start
    CONTAINER_EXITED,      // proven gone; will not be started again by itself
    CONTAINER_STATES,
};

enum container_event {
    CONTAINER_EV_START,     // the pod says that its turn has come
    CONTAINER_EV_STARTED,   // the shim reports the process
    CONTAINER_EV_HOOK_DONE, // the hook that runs has returned (postStart: successfully)
    CONTAINER_EV_HOOK_FAILED,
    CONTAINER_EV_OVER,     // the shim is over: the process exited, or never started
    CONTAINER_EV_PROVEN,   // nothing of it is left
    CONTAINER_EV_STOP,     // the pod stops, or an operator restarts the container
    CONTAINER_EV_TURN,     // those that have to go before it are gone
    CONTAINER_EV_DEADLINE, // the time of this state is up
    CONTAINER_EV_BACK_OFF, // decided after an exit: start again, but later
    CONTAINER_EV_RETRY,    // an operator (or a dependency) clears the back-off
    CONTAINER_EVENTS,
};

enum container_action {
    CONTAINER_DO_NOTHING,
    CONTAINER_DO_START,      // start a shim
    CONTAINER_DO_POST_START, // run the postStart hook, if there is one
    CONTAINER_DO_PRE_STOP,   // run the preStop hook, if there is one
    CONTAINER_DO_AWAIT_TURN, // wait for those that have to go before it, if there are any
    CONTAINER_DO_TERMINATE,  // send the stop signal, arm what is left of the grace period
    CONTAINER_DO_KILL,       // SIGKILL for all of it
    CONTAINER_DO_KILL_AGAIN, // and for a shim that does not end
    CONTAINER_DO_PROVE,      // record the exit, see to it that nothing is left
    CONTAINER_DO_DECIDE,     // restart now, later or never
};

struct container_transition {
    bool valid; // false: the event means nothing in this state
    enum container_state to;
    enum container_action action;
};

struct container_transition container_machine_step(enum container_state state,
                                                   enum container_event event);
const char *container_state_name(enum container_state state);
const char *container_event_name(enum container_event event);

// True where a process of the container may exist.
bool container_state_is_alive(enum container_state state);
