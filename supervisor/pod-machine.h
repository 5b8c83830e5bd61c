// The life of one pod as a table of (state, event) → (state, action). Pure, as container-machine.h.
#pragma once

#include <stdbool.h>

enum pod_state {
    POD_WAITING,      // admitted when what it waits for (an older instance, the network) allows
    POD_PREPARING,    // its namespaces and its network are being made
    POD_INITIALIZING, // init containers run, one after the other
    POD_RUNNING,      // its containers were started
    POD_ENDING,       // it ends by itself, or its time is up: what is left of it is being stopped
    POD_STOPPING,     // all containers are being stopped
    POD_DISMANTLING,  // nothing of any container is left; network and namespaces are being removed
    POD_HELD,         // stopped by an operator until he starts it again; nothing of it is left
    POD_FINISHED,     // all containers ended and none will be restarted
    POD_GONE,         // stopped for good; nothing of it is left
    POD_STATES,
};

enum pod_event {
    POD_EV_ADMIT,        // it may start
    POD_EV_PREPARED,     // its namespaces and its network are there
    POD_EV_INIT_DONE,    // the last init container succeeded (or there is none)
    POD_EV_INIT_FAILED,  // an init container failed and may not be restarted
    POD_EV_ALL_DONE,     // every container but sidecars ended for good by itself
    POD_EV_EXPIRED,      // activeDeadlineSeconds have passed
    POD_EV_REMOVE,       // its manifest is gone or was replaced
    POD_EV_HOLD,         // mainstay stop
    POD_EV_RELEASE,      // mainstay start
    POD_EV_ALL_PROVEN,   // while stopping or ending: nothing of any container is left
    POD_EV_DISMANTLED,   // nothing of its namespaces and its network is left
    POD_EV_SANDBOX_LOST, // they are gone under its containers: all begins anew
    POD_EVENTS,
};

enum pod_action {
    POD_DO_NOTHING,
    POD_DO_PREPARE,   // make its namespaces and its network
    POD_DO_INIT,      // start the first init container
    POD_DO_START,     // start the containers
    POD_DO_STOP,      // stop all containers, sidecars last
    POD_DO_EXPIRE,    // the same, and say that its time is up
    POD_DO_DISMANTLE, // remove its namespaces and its network
    POD_DO_FINISH,    // record phase Succeeded or Failed
    POD_DO_REST,      // stopped: tidy up, but keep it
    POD_DO_BURY,      // stopped for good: remove what it left on disk and tell the owner
};

struct pod_transition {
    bool valid;
    enum pod_state to;
    enum pod_action action;
};

// Where POD_DISMANTLING ends depends on whether the pod is to be removed or held; `removing` says
// so.
struct pod_transition pod_machine_step(enum pod_state state, enum pod_event event, bool removing);
const char *pod_state_name(enum pod_state state);
const char *pod_event_name(enum pod_event event);
