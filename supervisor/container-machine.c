// See container-machine.h. One row a state; what is not in the table means nothing in that state.
#include "supervisor/container-machine.h"

#include "base/macro.h"

// clang-format off
#define TO(state, act) {true, CONTAINER_##state, CONTAINER_DO_##act}

static const struct container_transition table[CONTAINER_STATES][CONTAINER_EVENTS] = {
    [CONTAINER_WAITING] = {
        [CONTAINER_EV_START]       = TO(STARTING, START),
        [CONTAINER_EV_STOP]        = TO(EXITED, NOTHING),
    },
    // A stop that arrives before the process is there is sent at once (the shim may hang in a
    // mount) and once more when the process appears.
    [CONTAINER_STARTING] = {
        [CONTAINER_EV_STARTED]     = TO(POST_START, POST_START),
        [CONTAINER_EV_OVER]        = TO(PROVING, PROVE),
        [CONTAINER_EV_STOP]        = TO(TERMINATING, TERMINATE),
    },
    [CONTAINER_POST_START] = {
        [CONTAINER_EV_HOOK_DONE]   = TO(RUNNING, NOTHING),
        [CONTAINER_EV_HOOK_FAILED] = TO(PRE_STOP, PRE_STOP),
        [CONTAINER_EV_OVER]        = TO(PROVING, PROVE),
        [CONTAINER_EV_STOP]        = TO(PRE_STOP, PRE_STOP),
    },
    [CONTAINER_RUNNING] = {
        [CONTAINER_EV_OVER]        = TO(PROVING, PROVE),
        [CONTAINER_EV_STOP]        = TO(PRE_STOP, PRE_STOP),
    },
    [CONTAINER_PRE_STOP] = {
        [CONTAINER_EV_HOOK_DONE]   = TO(AWAIT_TURN, AWAIT_TURN),
        [CONTAINER_EV_HOOK_FAILED] = TO(AWAIT_TURN, AWAIT_TURN),
        [CONTAINER_EV_DEADLINE]    = TO(TERMINATING, TERMINATE),
        [CONTAINER_EV_OVER]        = TO(PROVING, PROVE),
    },
    [CONTAINER_AWAIT_TURN] = {
        [CONTAINER_EV_TURN]        = TO(TERMINATING, TERMINATE),
        [CONTAINER_EV_DEADLINE]    = TO(TERMINATING, TERMINATE),
        [CONTAINER_EV_OVER]        = TO(PROVING, PROVE),
    },
    [CONTAINER_TERMINATING] = {
        [CONTAINER_EV_STARTED]     = TO(TERMINATING, TERMINATE),
        [CONTAINER_EV_DEADLINE]    = TO(KILLING, KILL),
        [CONTAINER_EV_OVER]        = TO(PROVING, PROVE),
    },
    [CONTAINER_KILLING] = {
        [CONTAINER_EV_STARTED]     = TO(KILLING, KILL),
        [CONTAINER_EV_DEADLINE]    = TO(KILLING, KILL_AGAIN),
        [CONTAINER_EV_OVER]        = TO(PROVING, PROVE),
    },
    [CONTAINER_PROVING] = {
        [CONTAINER_EV_DEADLINE]    = TO(PROVING, KILL_AGAIN),
        [CONTAINER_EV_PROVEN]      = TO(EXITED, DECIDE),
    },
    [CONTAINER_BACKOFF] = {
        [CONTAINER_EV_DEADLINE]    = TO(STARTING, START),
        [CONTAINER_EV_START]       = TO(STARTING, START),
        [CONTAINER_EV_RETRY]       = TO(STARTING, START),
        [CONTAINER_EV_STOP]        = TO(EXITED, NOTHING),
    },
    [CONTAINER_EXITED] = {
        [CONTAINER_EV_START]       = TO(STARTING, START),
        [CONTAINER_EV_BACK_OFF]    = TO(BACKOFF, NOTHING),
    },
};
// clang-format on

struct container_transition container_machine_step(enum container_state state,
                                                   enum container_event event)
{
    return table[state][event];
}

const char *container_state_name(enum container_state state)
{
    static const char *const names[CONTAINER_STATES] = {
        [CONTAINER_WAITING] = "Waiting",         [CONTAINER_STARTING] = "Starting",
        [CONTAINER_POST_START] = "PostStart",    [CONTAINER_RUNNING] = "Running",
        [CONTAINER_PRE_STOP] = "PreStop",        [CONTAINER_AWAIT_TURN] = "AwaitTurn",
        [CONTAINER_TERMINATING] = "Terminating", [CONTAINER_KILLING] = "Killing",
        [CONTAINER_PROVING] = "Proving",         [CONTAINER_BACKOFF] = "BackOff",
        [CONTAINER_EXITED] = "Exited",
    };
    return names[state];
}

const char *container_event_name(enum container_event event)
{
    static const char *const names[CONTAINER_EVENTS] = {
        [CONTAINER_EV_START] = "Start",        [CONTAINER_EV_STARTED] = "Started",
        [CONTAINER_EV_HOOK_DONE] = "HookDone", [CONTAINER_EV_HOOK_FAILED] = "HookFailed",
        [CONTAINER_EV_OVER] = "Over",          [CONTAINER_EV_PROVEN] = "Proven",
        [CONTAINER_EV_STOP] = "Stop",          [CONTAINER_EV_TURN] = "Turn",
        [CONTAINER_EV_DEADLINE] = "Deadline",  [CONTAINER_EV_BACK_OFF] = "BackOff",
        [CONTAINER_EV_RETRY] = "Retry",
    };
    return names[event];
}

bool container_state_is_alive(enum container_state state)
{
    switch (state) {
    case CONTAINER_STARTING:
    case CONTAINER_POST_START:
    case CONTAINER_RUNNING:
    case CONTAINER_PRE_STOP:
    case CONTAINER_AWAIT_TURN:
    case CONTAINER_TERMINATING:
    case CONTAINER_KILLING:
    case CONTAINER_PROVING:
        return true;
    default:
        return false;
    }
}
