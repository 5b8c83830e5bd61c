// See health.h. A handful of parts in an array; silence is computed when somebody asks, so that a
// healthy agent needs no timer for it.
#include "monit/health.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/time-format.h"

struct part {
    char *name;
    int64_t max_silence_usec;
    monotime alive;
    char *failure; // NULL while it is well
    bool ready;
};

struct health {
    struct part *parts;
    size_t n;
};

struct health *health_new(void)
{
    return xcalloc(1, sizeof(struct health));
}

void health_free(struct health *health)
{
    if (!health)
        return;
    for (size_t i = 0; i < health->n; i++) {
        free(health->parts[i].name);
        free(health->parts[i].failure);
    }
    free(health->parts);
    free(health);
}

size_t health_register(struct health *health, const char *name, int64_t max_silence_usec,
                       monotime now)
{
    health->parts = xreallocarray(health->parts, health->n + 1, sizeof(*health->parts));
    health->parts[health->n] = (struct part){
        .name = xstrdup(name),
        .max_silence_usec = max_silence_usec,
        .alive = now,
        .ready = true,
    };
    return health->n++;
}

void health_alive(struct health *health, size_t part, monotime now)
{
    health->parts[part].alive = now;
}

void health_set_failed(struct health *health, size_t part, const char *message)
{
    char *copy = xstrdup_or_null(message);
    free(health->parts[part].failure);
    health->parts[part].failure = copy;
}

void health_set_ready(struct health *health, size_t part, bool ready)
{
    health->parts[part].ready = ready;
}

static bool is_silent(const struct part *p, monotime now)
{
    return p->max_silence_usec > 0 && monotime_since(now, p->alive) > p->max_silence_usec;
}

static bool is_live(const struct part *p, monotime now)
{
    return !p->failure && !is_silent(p, now);
}

const char *health_culprit(const struct health *health, monotime now)
{
    for (size_t i = 0; i < health->n; i++)
        if (!is_live(&health->parts[i], now))
            return health->parts[i].name;
    return NULL;
}

bool health_is_live(const struct health *health, monotime now)
{
    return health_culprit(health, now) == NULL;
}

bool health_is_ready(const struct health *health, monotime now)
{
    for (size_t i = 0; i < health->n; i++)
        if (!health->parts[i].ready)
            return false;
    return health_is_live(health, now);
}

size_t health_count(const struct health *health)
{
    return health->n;
}

const char *health_part(const struct health *health, size_t part, monotime now, bool *ret_ok,
                        bool *ret_ready, struct buffer *why)
{
    const struct part *p = &health->parts[part];
    char duration[DURATION_SIZE];
    *ret_ok = is_live(p, now);
    *ret_ready = p->ready;
    if (p->failure)
        buffer_add_str(why, p->failure);
    else if (is_silent(p, now))
        buffer_printf(
            why, "silent for %s",
            duration_format_human(monotime_since(now, p->alive) / USEC_PER_SEC, duration));
    else if (!p->ready)
        buffer_add_str(why, "not ready yet");
    return p->name;
}

void health_describe(const struct health *health, monotime now, bool readiness, struct buffer *out)
{
    bool passed = true;
    for (size_t i = 0; i < health->n; i++) {
        _cleanup_buffer_ struct buffer why = BUFFER_EMPTY;
        bool ok, ready;
        const char *name = health_part(health, i, now, &ok, &ready, &why);
        if (ok && (ready || !readiness)) {
            buffer_printf(out, "[+]%s ok\n", name);
            continue;
        }
        passed = false;
        buffer_printf(out, "[-]%s failed: %s\n", name, buffer_str(&why));
    }
    buffer_printf(out, "%s check %s\n", readiness ? "readyz" : "healthz",
                  passed ? "passed" : "failed");
}
