// When process 1 starts, aborts and kills the agent. No clock and no process in here: time is
// passed in, what happened is told, and what to do is answered.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/monotime.h"

enum keeper_state {
    KEEPER_DOWN,    // no agent: the next one is started at act_at
    KEEPER_UP,      // it has to be heard of before act_at
    KEEPER_ABORTED, // told to dump core: killed at act_at
    KEEPER_KILLED,  // it is about to be reaped
};

enum keeper_step { KEEPER_WAIT, KEEPER_START, KEEPER_ABORT, KEEPER_KILL };

struct keeper {
    int64_t watchdog_usec;
    enum keeper_state state;
    bool ready;      // this agent has been
    bool ever_ready; // one of them has been
    // Its time is over, and it has one last chance: where everything stood still (a frozen
    // container), it could not be heard of, and is as soon as it runs again.
    bool doubted;
    monotime act_at;
    monotime started_at;
    int64_t pause_usec; // before the next start
    uint64_t starts;
};

// The first step is to start, at once.
void keeper_begin(struct keeper *keeper, int64_t watchdog_usec, monotime now);

// What to do now; on KEEPER_WAIT there is nothing to do before keeper->act_at. The step counts as
// done: the agent is started, or about to die.
enum keeper_step keeper_next(struct keeper *keeper, monotime now);

void keeper_start_failed(struct keeper *keeper, monotime now);         // no process could be made
void keeper_heard(struct keeper *keeper, monotime now);                // WATCHDOG=1
void keeper_ready(struct keeper *keeper, monotime now);                // READY=1
void keeper_extend(struct keeper *keeper, int64_t usec, monotime now); // EXTEND_TIMEOUT_USEC=
void keeper_trigger(struct keeper *keeper, monotime now); // WATCHDOG=trigger: it asks to be aborted

// The agent has died. One that had run for a while is started again at once, otherwise after a
// pause that doubles each time.
void keeper_exited(struct keeper *keeper, monotime now);

// The next start, if one is due, is not waited for.
void keeper_at_once(struct keeper *keeper, monotime now);
