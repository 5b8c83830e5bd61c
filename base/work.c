// See work.h. One writer, the main thread. A reader copies between two looks at the step, which is
// odd while something is being written; bytes are written one by one, so that no race is undefined.
#include "base/work.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#include "base/monotime.h"

enum { DEPTH_MOST = 8 };

static struct {
    atomic_uint_fast64_t step;
    atomic_int_fast64_t since;
    atomic_int depth;
    struct {
        _Atomic(const char *) part;
        atomic_char what[WORK_WHAT_SIZE];
    } frames[DEPTH_MOST];
} state;

int64_t work_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * USEC_PER_SEC + now.tv_nsec / NSEC_PER_USEC;
}

static void begin_write(void)
{
    uint64_t step = atomic_load_explicit(&state.step, memory_order_relaxed);
    atomic_store_explicit(&state.step, step + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&state.since, work_clock(), memory_order_relaxed);
}

static void end_write(void)
{
    uint64_t step = atomic_load_explicit(&state.step, memory_order_relaxed);
    atomic_store_explicit(&state.step, step + 1, memory_order_release);
}

static size_t add(atomic_char *what, size_t at, const char *text)
{
    for (; text && *text && at < WORK_WHAT_SIZE - 1; text++)
        atomic_store_explicit(&what[at++], *text, memory_order_relaxed);
    return at;
}

static void describe(atomic_char *what, const char *kind, const char *parent, const char *name)
{
    size_t at = add(what, 0, kind);
    if (kind && (parent || name))
        at = add(what, at, " ");
    at = add(what, at, parent);
    if (parent && name)
        at = add(what, at, "/");
    at = add(what, at, name);
    atomic_store_explicit(&what[at], '\0', memory_order_relaxed);
}

int work_enter(const char *part, const char *kind, const char *parent, const char *name)
{
    int depth = atomic_load_explicit(&state.depth, memory_order_relaxed);
    begin_write();
    if (depth < DEPTH_MOST) {
        atomic_store_explicit(&state.frames[depth].part, part, memory_order_relaxed);
        describe(state.frames[depth].what, kind, parent, name);
    }
    atomic_store_explicit(&state.depth, depth + 1, memory_order_relaxed);
    end_write();
#ifdef MAINSTAY_HANGS
    hang_inject(part);
#endif
    return depth;
}

void work_leave(const int *scope)
{
    begin_write();
    atomic_store_explicit(&state.depth, *scope, memory_order_relaxed);
    end_write();
}

void work_step(void)
{
    begin_write();
    end_write();
}

static void copy(struct work *ret, int depth)
{
    int frame = (depth < DEPTH_MOST ? depth : DEPTH_MOST) - 1;
    ret->part = NULL;
    ret->what[0] = '\0';
    if (frame < 0)
        return;
    ret->part = atomic_load_explicit(&state.frames[frame].part, memory_order_relaxed);
    for (size_t i = 0; i < WORK_WHAT_SIZE; i++)
        ret->what[i] = atomic_load_explicit(&state.frames[frame].what[i], memory_order_relaxed);
    ret->what[WORK_WHAT_SIZE - 1] = '\0';
}

bool work_read(struct work *ret)
{
    ret->step = atomic_load_explicit(&state.step, memory_order_acquire);
    ret->since = atomic_load_explicit(&state.since, memory_order_relaxed);
    copy(ret, atomic_load_explicit(&state.depth, memory_order_relaxed));
    atomic_thread_fence(memory_order_acquire);
    return ret->step % 2 == 0 &&
           ret->step == atomic_load_explicit(&state.step, memory_order_relaxed);
}
