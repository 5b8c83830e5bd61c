// See health.h. A handful of parts in an array; whether one is silent is computed when somebody
// asks.
#include "monit/health.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time-format.h"

enum { CREDIT_PERIODS = 2 };

struct part {
    char *name;
    int64_t max_silence_usec;
    uint64_t alive;           // of the health clock
    char *failure, *degraded; // NULL while it is well
    bool ready;
};

struct health {
    int64_t period_usec;
    monotime observed;
    uint64_t clock; // microseconds in which the agent could run
    uint64_t gap;   // what it was at the last gap
    struct part *parts;
    size_t n;
};

struct health *health_new(int64_t period_usec, monotime now)
{
    struct health *health = xcalloc(1, sizeof(*health));
    health->period_usec = period_usec;
    health->observed = now;
    return health;
}

void health_free(struct health *health)
{
    if (!health)
        return;
    for (size_t i = 0; i < health->n; i++) {
        free(health->parts[i].name);
        free(health->parts[i].failure);
        free(health->parts[i].degraded);
    }
    free(health->parts);
    free(health);
}

// ---- the health clock ----

void health_set_period(struct health *health, int64_t period_usec)
{
    health->period_usec = period_usec;
}

void health_observe(struct health *health, monotime now)
{
    int64_t passed = monotime_since(now, health->observed);
    int64_t most = CREDIT_PERIODS * health->period_usec;
    health->observed = now;
    health->clock += (uint64_t)(passed < most ? passed : most);
    if (passed > most)
        health->gap = health->clock;
}

static int64_t since(const struct health *health, uint64_t then)
{
    return (int64_t)(health->clock - (then > health->gap ? then : health->gap));
}

int64_t health_waiting(const struct health *health, struct health_wait *wait, uint64_t what)
{
    if (!wait->waiting || wait->what != what)
        *wait = (struct health_wait){.waiting = true, .what = what, .since = health->clock};
    return since(health, wait->since);
}

void health_waited(struct health_wait *wait)
{
    wait->waiting = false;
}

// ---- what the parts report ----

size_t health_register(struct health *health, const char *name, int64_t max_silence_usec)
{
    health->parts = xreallocarray(health->parts, health->n + 1, sizeof(*health->parts));
    health->parts[health->n] = (struct part){
        .name = xstrdup(name),
        .max_silence_usec = max_silence_usec,
        .alive = health->clock,
        .ready = true,
    };
    return health->n++;
}

void health_alive(struct health *health, size_t part)
{
    health->parts[part].alive = health->clock;
}

static void set(char **at, const char *message)
{
    char *copy = xstrdup_or_null(message);
    free(*at);
    *at = copy;
}

void health_set_failed(struct health *health, size_t part, const char *message)
{
    set(&health->parts[part].failure, message);
}

void health_set_degraded(struct health *health, size_t part, const char *message)
{
    set(&health->parts[part].degraded, message);
}

void health_set_ready(struct health *health, size_t part, bool ready)
{
    health->parts[part].ready = ready;
}

// ---- the judgement ----

static bool is_silent(const struct health *health, const struct part *p)
{
    return p->max_silence_usec > 0 && since(health, p->alive) > p->max_silence_usec;
}

static void say_why(const struct health *health, const struct part *p, struct buffer *why)
{
    char duration[DURATION_SIZE];
    if (p->failure)
        buffer_add_str(why, p->failure);
    else if (is_silent(health, p))
        buffer_printf(why, "silent for %s",
                      duration_format_human(since(health, p->alive) / USEC_PER_SEC, duration));
    else if (p->degraded)
        buffer_add_str(why, p->degraded);
    else if (!p->ready)
        buffer_add_str(why, "not ready yet");
}

static struct health_verdict judge(const struct health *health, const struct part *p)
{
    struct health_verdict v = {
        .name = p->name,
        .live = !p->failure && !is_silent(health, p),
        .degraded = p->degraded != NULL,
    };
    v.ready = v.live && !v.degraded && p->ready;
    return v;
}

const char *health_culprit(const struct health *health)
{
    const char *degraded = NULL;
    for (size_t i = 0; i < health->n; i++) {
        struct health_verdict v = judge(health, &health->parts[i]);
        if (!v.live)
            return v.name;
        if (v.degraded && !degraded)
            degraded = v.name;
    }
    return degraded;
}

bool health_is_live(const struct health *health)
{
    for (size_t i = 0; i < health->n; i++)
        if (!judge(health, &health->parts[i]).live)
            return false;
    return true;
}

bool health_is_ready(const struct health *health)
{
    for (size_t i = 0; i < health->n; i++)
        if (!judge(health, &health->parts[i]).ready)
            return false;
    return true;
}

size_t health_count(const struct health *health)
{
    return health->n;
}

struct health_verdict health_part(const struct health *health, size_t part, struct buffer *why)
{
    const struct part *p = &health->parts[part];
    say_why(health, p, why);
    return judge(health, p);
}

ssize_t health_find(const struct health *health, const char *name)
{
    for (size_t i = 0; i < health->n; i++)
        if (strcmp(health->parts[i].name, name) == 0)
            return (ssize_t)i;
    return -1;
}

bool health_describe(const struct health *health, const char *check, bool readiness,
                     bool (*skip)(const char *part, void *userdata), void *userdata,
                     struct buffer *out)
{
    bool passed = true;
    for (size_t i = 0; i < health->n; i++) {
        _cleanup_buffer_ struct buffer why = BUFFER_EMPTY;
        struct health_verdict v = health_part(health, i, &why);
        bool well = readiness ? v.ready : v.live;
        if (skip && skip(v.name, userdata)) {
            buffer_printf(out, "[+]%s excluded: ok\n", v.name);
            continue;
        }
        if (well)
            buffer_printf(out, "[+]%s ok\n", v.name);
        else
            buffer_printf(out, "[-]%s failed: %s\n", v.name, buffer_str(&why));
        passed = passed && well;
    }
    buffer_printf(out, "%s check %s\n", check, passed ? "passed" : "failed");
    return passed;
}
