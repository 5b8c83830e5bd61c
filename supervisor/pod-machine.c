// See pod-machine.h. One row a state; what is not in the table means nothing in that state.
#include "supervisor/pod-machine.h"

// clang-format off
#define TO(state, act) {true, POD_##state, POD_DO_##act}

static const struct pod_transition table[POD_STATES][POD_EVENTS] = {
    [POD_WAITING] = {
        [POD_EV_ADMIT]       = TO(PREPARING, PREPARE),
        [POD_EV_REMOVE]      = TO(GONE, BURY),
        [POD_EV_HOLD]        = TO(HELD, REST),
    },
    [POD_PREPARING] = {
        [POD_EV_PREPARED]    = TO(INITIALIZING, INIT),
        [POD_EV_REMOVE]      = TO(DISMANTLING, DISMANTLE),
        [POD_EV_HOLD]        = TO(DISMANTLING, DISMANTLE),
    },
    [POD_INITIALIZING] = {
        [POD_EV_INIT_DONE]   = TO(RUNNING, START),
        [POD_EV_INIT_FAILED] = TO(ENDING, STOP),
        [POD_EV_EXPIRED]     = TO(ENDING, EXPIRE),
        [POD_EV_REMOVE]      = TO(STOPPING, STOP),
        [POD_EV_HOLD]        = TO(STOPPING, STOP),
        [POD_EV_SANDBOX_LOST] = TO(STOPPING, STOP),
    },
    [POD_RUNNING] = {
        [POD_EV_ALL_DONE]    = TO(ENDING, STOP),
        [POD_EV_EXPIRED]     = TO(ENDING, EXPIRE),
        [POD_EV_REMOVE]      = TO(STOPPING, STOP),
        [POD_EV_HOLD]        = TO(STOPPING, STOP),
        [POD_EV_SANDBOX_LOST] = TO(STOPPING, STOP),
    },
    [POD_ENDING] = {
        [POD_EV_ALL_PROVEN]  = TO(FINISHED, FINISH),
        [POD_EV_REMOVE]      = TO(STOPPING, STOP),
        [POD_EV_HOLD]        = TO(STOPPING, STOP),
    },
    [POD_STOPPING] = {
        [POD_EV_ALL_PROVEN]  = TO(DISMANTLING, DISMANTLE),
        [POD_EV_REMOVE]      = TO(STOPPING, NOTHING),
        [POD_EV_HOLD]        = TO(STOPPING, NOTHING),
        [POD_EV_RELEASE]     = TO(STOPPING, NOTHING),
    },
    // The end of a stop: HELD here, GONE where the pod is to be removed (pod_machine_step()).
    [POD_DISMANTLING] = {
        [POD_EV_DISMANTLED]  = TO(HELD, REST),
        [POD_EV_REMOVE]      = TO(DISMANTLING, NOTHING),
        [POD_EV_HOLD]        = TO(DISMANTLING, NOTHING),
        [POD_EV_RELEASE]     = TO(DISMANTLING, NOTHING),
    },
    [POD_HELD] = {
        [POD_EV_RELEASE]     = TO(WAITING, NOTHING),
        [POD_EV_REMOVE]      = TO(GONE, BURY),
    },
    [POD_FINISHED] = {
        [POD_EV_REMOVE]      = TO(DISMANTLING, DISMANTLE),
        [POD_EV_HOLD]        = TO(DISMANTLING, DISMANTLE),
        [POD_EV_RELEASE]     = TO(WAITING, NOTHING),
    },
};
// clang-format on

struct pod_transition pod_machine_step(enum pod_state state, enum pod_event event, bool removing)
{
    struct pod_transition t = table[state][event];
    if (state == POD_DISMANTLING && event == POD_EV_DISMANTLED && removing)
        return (struct pod_transition){true, POD_GONE, POD_DO_BURY};
    return t;
}

const char *pod_state_name(enum pod_state state)
{
    static const char *const names[POD_STATES] = {
        [POD_WAITING] = "Waiting",         [POD_PREPARING] = "Preparing",
        [POD_DISMANTLING] = "Dismantling", [POD_INITIALIZING] = "Initializing",
        [POD_RUNNING] = "Running",         [POD_ENDING] = "Ending",
        [POD_STOPPING] = "Stopping",       [POD_HELD] = "Held",
        [POD_FINISHED] = "Finished",       [POD_GONE] = "Gone",
    };
    return names[state];
}

const char *pod_event_name(enum pod_event event)
{
    static const char *const names[POD_EVENTS] = {
        [POD_EV_ADMIT] = "Admit",           [POD_EV_PREPARED] = "Prepared",
        [POD_EV_INIT_DONE] = "InitDone",    [POD_EV_INIT_FAILED] = "InitFailed",
        [POD_EV_ALL_DONE] = "AllDone",      [POD_EV_EXPIRED] = "Expired",
        [POD_EV_REMOVE] = "Remove",         [POD_EV_HOLD] = "Hold",
        [POD_EV_RELEASE] = "Release",       [POD_EV_ALL_PROVEN] = "AllProven",
        [POD_EV_DISMANTLED] = "Dismantled", [POD_EV_SANDBOX_LOST] = "SandboxLost",
    };
    return names[event];
}
