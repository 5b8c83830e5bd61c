// See init-keeper.h.
#include "supervisor/init-keeper.h"

#include "base/macro.h"

enum {
    START_SEC = 60, // as the systemd unit: from exec to the first sign of life
    LAST_CHANCE_PART = 4,
    ABORT_SEC = 5, // for the core dump
    GOOD_RUN_SEC = 10,
    PAUSE_FIRST_MS = 100,
    PAUSE_MOST_MS = 10000,
    EXTEND_MOST_SEC = 3600,
};

void keeper_begin(struct keeper *k, int64_t watchdog_usec, monotime now)
{
    *k = (struct keeper){.watchdog_usec = watchdog_usec, .state = KEEPER_DOWN, .act_at = now};
}

enum keeper_step keeper_next(struct keeper *k, monotime now)
{
    if (!monotime_reached(k->act_at, now))
        return KEEPER_WAIT;
    switch (k->state) {
    case KEEPER_DOWN:
        k->state = KEEPER_UP;
        k->ready = k->doubted = false;
        k->starts++;
        k->started_at = now;
        k->act_at = monotime_add_usec(now, START_SEC * USEC_PER_SEC);
        return KEEPER_START;
    case KEEPER_UP:
        if (!k->doubted) {
            k->doubted = true;
            k->act_at = monotime_add_usec(now, k->watchdog_usec / LAST_CHANCE_PART);
            return KEEPER_WAIT;
        }
        k->state = KEEPER_ABORTED;
        k->act_at = monotime_add_usec(now, ABORT_SEC * USEC_PER_SEC);
        return KEEPER_ABORT;
    case KEEPER_ABORTED:
        k->state = KEEPER_KILLED;
        k->act_at = MONOTIME_NEVER;
        return KEEPER_KILL;
    case KEEPER_KILLED:
        break;
    }
    return KEEPER_WAIT;
}

void keeper_heard(struct keeper *k, monotime now)
{
    if (k->state != KEEPER_UP)
        return;
    k->doubted = false;
    k->act_at = monotime_add_usec(now, k->watchdog_usec);
}

void keeper_ready(struct keeper *k, monotime now)
{
    k->ready = k->ever_ready = true;
    keeper_heard(k, now);
}

void keeper_extend(struct keeper *k, int64_t usec, monotime now)
{
    if (k->state != KEEPER_UP || usec <= 0)
        return;
    usec = MIN(usec, EXTEND_MOST_SEC * USEC_PER_SEC);
    monotime until = monotime_add_usec(now, usec);
    if (k->act_at.usec < until.usec)
        k->act_at = until;
}

void keeper_trigger(struct keeper *k, monotime now)
{
    if (k->state != KEEPER_UP)
        return;
    k->doubted = true;
    k->act_at = now;
}

void keeper_at_once(struct keeper *k, monotime now)
{
    if (k->state == KEEPER_DOWN)
        k->act_at = now;
}

static void pause_before_next(struct keeper *k, monotime now)
{
    k->state = KEEPER_DOWN;
    k->act_at = monotime_add_usec(now, k->pause_usec);
    k->pause_usec = k->pause_usec == 0 ? PAUSE_FIRST_MS * USEC_PER_MSEC
                                       : MIN(k->pause_usec * 2, PAUSE_MOST_MS * USEC_PER_MSEC);
}

void keeper_exited(struct keeper *k, monotime now)
{
    if (monotime_reached(monotime_add_usec(k->started_at, GOOD_RUN_SEC * USEC_PER_SEC), now))
        k->pause_usec = 0;
    pause_before_next(k, now);
}

void keeper_start_failed(struct keeper *k, monotime now)
{
    pause_before_next(k, now);
}
