// Timelines of pods in virtual time: what comes in is a list of (millisecond, event), and what the
// pod worker does is written down, each deed with its millisecond, to be compared with a table. The
// agent may go and come back in between, over a state directory of its own.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fs.h"
#include "supervisor/state.h"
#include "tests/unit/pod-worker-fixture.h"

enum what {
    RUNS,  // the process of container `who` is there
    EXITS, // it exits with status `arg`; without an agent, `who` is the container's number
    SHIM_DIES,
    HOOK_OK,
    HOOK_FAILS,
    STARTED_PASSES, // its startup probe succeeds
    STARTED_FAILS,
    LIVE_FAILS,
    READY_PASSES,
    READY_FAILS,
    REMOVE,
    HOLD,
    RELEASE,
    RESTART, // `who` or, where NULL, all
    RETRY,
    BREAK, // nothing can be started from now on
    MEND,
    AGENT_DIES,
    AGENT_STARTS,
    MACHINE_RESTARTS, // with the agent
};

struct input {
    int64_t msec;
    enum what what;
    const char *who;
    int arg;
};

struct deed {
    int64_t msec;
    const char *text;
};

struct timeline {
    const char *spec; // in YAML, what stands below "spec:"
    const char *annotations;
    struct input inputs[32];
    int64_t until; // when to stop looking; deadlines that come before it are met
    struct deed deeds[64];
};

struct player {
    struct fake fake; // first: the fixture's operations take it
    const struct timeline *timeline;
    monotime origin;
    struct buffer log;
    char phase[96];
    bool ready, broken;
    char dir[64];
    char waits[MOST][32];
    struct {
        bool living;
        bool told; // its process was reported
        bool exited;
        int code;
        monotime at;
        uint64_t restart_count;
    } runs[MOST]; // what outlives the agent
};

static void note(struct player *p, const char *format, ...) _printf_(2, 3);

static void note(struct player *p, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    long long usec = monotime_since(p->fake.now, p->origin);
    assert_int_equal(usec % 1000, 0);
    buffer_printf(&p->log, "%lld %s\n", usec / 1000, text);
}

// ---- the runtime ----

static int play_start(void *runtime, struct container_worker *c, const char **ret_reason,
                      struct error *err)
{
    struct player *p = runtime;
    size_t i = index_of(c);
    assert_false(p->runs[i].living); // promise 3: one instance
    p->fake.fail_start = p->broken;
    int r = fake_start(runtime, c, ret_reason, err);
    note(p, "%s %s", r < 0 ? "cannot start" : "start", c->spec->name);
    if (r == 0) {
        memset(&p->runs[i], 0, sizeof(p->runs[i]));
        p->runs[i].living = true;
        p->runs[i].restart_count = c->restart_count;
    }
    return r;
}

static void play_signal(void *runtime, struct container_worker *c)
{
    note(runtime, "TERM %s", c->spec->name);
}

static void play_kill(void *runtime, struct container_worker *c, bool shim_too)
{
    note(runtime, "%s %s", shim_too ? "KILL all of" : "KILL", c->spec->name);
}

static int play_hook(void *runtime, struct container_worker *c,
                     const struct lifecycle_handler *hook, int64_t timeout_usec, struct error *err)
{
    bool post = c->spec->lifecycle && hook == c->spec->lifecycle->postStart;
    note(runtime, "%s %s", post ? "postStart" : "preStop", c->spec->name);
    return fake_hook(runtime, c, hook, timeout_usec, err);
}

static void play_cancel(void *runtime, struct container_worker *c)
{
    // Nothing is written down: it is asked for in case there is one.
}

static void play_prove(void *runtime, struct container_worker *c)
{
    struct player *p = runtime;
    p->runs[index_of(c)].living = false;
    fake_prove(runtime, c);
}

static void play_save(void *runtime, struct pod_worker *w)
{
    struct player *p = runtime;
    char phase[96];
    if (w->state == POD_GONE)
        return;
    snprintf(phase, sizeof(phase), "%s%s%s", pod_worker_phase(w), w->failed_reason ? " " : "",
             w->failed_reason ? w->failed_reason : "");
    if (strcmp(phase, p->phase) != 0)
        note(p, "%s", phase);
    snprintf(p->phase, sizeof(p->phase), "%s", phase);
    if (p->ready != pod_worker_is_ready(w))
        note(p, "%s", p->ready ? "not ready" : "ready");
    p->ready = pod_worker_is_ready(w);
    for (size_t i = 0; i < w->n_containers; i++) {
        const struct container_worker *c = &w->containers[i];
        const char *reason = c->state == CONTAINER_BACKOFF ? c->waiting_reason : "";
        if (*reason && strcmp(reason, p->waits[i]) != 0)
            note(p, "%s: %s", c->spec->name, reason);
        snprintf(p->waits[i], sizeof(p->waits[i]), "%s", reason);
    }
}

static void play_bury(void *runtime, struct pod_worker *w)
{
    fake_bury(runtime, w);
    note(runtime, "gone");
}

static void play_probe(void *runtime, struct container_worker *c, bool on)
{
}

static walltime play_wall(void *runtime)
{
    const struct player *p = runtime;
    return (walltime){1000000 * NSEC_PER_SEC +
                      monotime_since(p->fake.now, p->origin) * NSEC_PER_USEC};
}

static const struct pod_runtime_ops play_ops = {
    .start = play_start,
    .signal = play_signal,
    .kill = play_kill,
    .hook = play_hook,
    .cancel_hook = play_cancel,
    .probe = play_probe,
    .prove = play_prove,
    .forget = fake_forget,
    .bury = play_bury,
    .save = play_save,
    .arm = fake_arm,
    .gone = fake_gone,
    .wall = play_wall,
};

// ---- the agent ----

static struct pod_worker *play_worker(struct player *p)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    _cleanup_diag_list_ struct diag_list diags = {0};
    struct pod_list pods = {0};
    buffer_printf(&text,
                  "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: default, "
                  "uid: u1, annotations: {%s}}, spec: {hostNetwork: true, %s}}",
                  p->timeline->annotations ? p->timeline->annotations : "", p->timeline->spec);
    if (podspec_parse("timeline", buffer_str(&text), text.len, &pods, &diags) < 0)
        fail_msg("%s: %s", diags.items[0].path, diags.items[0].message);
    struct pod_worker *w = pod_worker_new(TAKE_PTR(pods.items[0]), "/m/web.yaml", BACKOFF_KUBELET,
                                          &play_ops, p, p->fake.events);
    pod_list_free(&pods);
    return w;
}

static void agent_dies(struct player *p)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    assert_int_equal(state_save_worker(p->dir, p->fake.w, &err), 0);
    pod_worker_free(TAKE_PTR(p->fake.w));
    p->fake.armed = MONOTIME_NEVER;
}

// What the process of a run that an earlier agent started has done meanwhile.
static void adopt(struct player *p, size_t i)
{
    struct container_worker *c = &p->fake.w->containers[i];
    struct shim_state state = {.phase = SHIM_PHASE_RUNNING, .pid = 100 + (int)i, .started_at = {1}};
    if (!p->runs[i].living)
        return;
    p->fake.runs[i].over = p->runs[i].exited;
    c->run = &p->fake.runs[i];
    pod_worker_adopt(c, p->runs[i].restart_count, p->fake.now);
    if (p->runs[i].exited) {
        state.phase = SHIM_PHASE_EXITED;
        state.exit_code = p->runs[i].code;
        state.finished_at.nsec =
            play_wall(p).nsec - monotime_since(p->fake.now, p->runs[i].at) * NSEC_PER_USEC;
        pod_worker_container_over(c, &state, p->fake.now);
    } else if (p->runs[i].told) {
        pod_worker_container_started(c, &state, p->fake.now);
    }
}

static void agent_starts(struct player *p)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    bool rebooted = false;
    p->fake.w = play_worker(p);
    assert_int_equal(state_load_worker(p->dir, p->fake.w, &rebooted, &err), 0);
    p->fake.w->rebooted = rebooted;
    pod_worker_adopt_begin(p->fake.w);
    for (size_t i = 0; i < p->fake.w->n_containers; i++)
        adopt(p, i);
    pod_worker_adopt_end(p->fake.w, p->fake.now);
    pod_worker_resume(p->fake.w, p->fake.now);
}

// The records are those of another boot then.
static void machine_restarts(struct player *p)
{
    _cleanup_buffer_ struct buffer content = BUFFER_EMPTY, changed = BUFFER_EMPTY;
    _cleanup_free_ char *path = xasprintf("%s/u1.state", p->dir);
    char hex[DIGEST_HEX_SIZE];
    agent_dies(p);
    assert_int_equal(fs_read_file(AT_FDCWD, path, 1 << 20, &content), 0);
    char *body = strchr(buffer_str(&content), '\n') + 1, *boot = strstr(body, "\"bootId\":\"");
    assert_non_null(boot);
    boot[strlen("\"bootId\":\"")] ^= 1;
    buffer_printf(&changed, "mainstay-state 1 %s\n%s", digest_sha256_hex(body, strlen(body), hex),
                  body);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, changed.data, changed.len, 0600, 0), 0);
    memset(p->runs, 0, sizeof(p->runs));
    agent_starts(p);
}

// ---- what comes in ----

static void play_exit(struct player *p, const struct input *in)
{
    if (p->fake.w) {
        report_exit(&p->fake, in->who, in->arg);
        return;
    }
    size_t i = (size_t)strtoul(in->who ? in->who : "0", NULL, 10); // nobody is there to see it
    assert_true(i < MOST && p->runs[i].living);
    p->runs[i].exited = true;
    p->runs[i].code = in->arg;
    p->runs[i].at = p->fake.now;
}

static void play_probed(struct player *p, const struct input *in)
{
    static const struct {
        enum probe_kind kind;
        enum probe_result result;
    } answers[] = {
        [STARTED_PASSES] = {PROBE_STARTUP, PROBE_SUCCESS},
        [STARTED_FAILS] = {PROBE_STARTUP, PROBE_FAILURE},
        [LIVE_FAILS] = {PROBE_LIVENESS, PROBE_FAILURE},
        [READY_PASSES] = {PROBE_READINESS, PROBE_SUCCESS},
        [READY_FAILS] = {PROBE_READINESS, PROBE_FAILURE},
    };
    pod_worker_probed(container(&p->fake, in->who), answers[in->what].kind,
                      answers[in->what].result, p->fake.now);
}

static void play_runs(struct player *p, const struct input *in)
{
    struct container_worker *c = container(&p->fake, in->who);
    struct shim_state state = {
        .phase = SHIM_PHASE_RUNNING, .pid = 100 + (int)index_of(c), .started_at = {1}};
    assert_non_null(c->run);
    p->runs[index_of(c)].told = true;
    c->pid = 0;
    pod_worker_container_started(c, &state, p->fake.now);
}

static void play_shim_death(struct player *p, const struct input *in)
{
    struct container_worker *c = container(&p->fake, in->who);
    ((struct fake_run *)c->run)->over = true;
    pod_worker_container_over(c, NULL, p->fake.now);
}

static void play_order(struct player *p, const struct input *in)
{
    struct pod_worker *w = p->fake.w;
    switch (in->what) {
    case REMOVE:
        pod_worker_remove(w, p->fake.now);
        break;
    case HOLD:
        pod_worker_hold(w, p->fake.now);
        break;
    case RELEASE:
        pod_worker_release(w, p->fake.now);
        break;
    case RESTART:
        pod_worker_restart(w, in->who, p->fake.now);
        break;
    default:
        pod_worker_retry(w, p->fake.now);
    }
}

static void play_input(struct player *p, const struct input *in)
{
    switch (in->what) {
    case RUNS:
        play_runs(p, in);
        break;
    case EXITS:
        play_exit(p, in);
        break;
    case SHIM_DIES:
        play_shim_death(p, in);
        break;
    case HOOK_OK:
    case HOOK_FAILS:
        pod_worker_hook_done(container(&p->fake, in->who), in->what == HOOK_OK, "it failed",
                             p->fake.now);
        break;
    case BREAK:
    case MEND:
        p->broken = in->what == BREAK;
        break;
    case AGENT_DIES:
        agent_dies(p);
        break;
    case AGENT_STARTS:
        agent_starts(p);
        break;
    case MACHINE_RESTARTS:
        machine_restarts(p);
        break;
    case STARTED_PASSES:
    case STARTED_FAILS:
    case LIVE_FAILS:
    case READY_PASSES:
    case READY_FAILS:
        play_probed(p, in);
        break;
    default:
        play_order(p, in);
    }
}

// Lets the time pass, deadline by deadline.
static void pass_to(struct player *p, int64_t msec)
{
    monotime to = monotime_add_ms(p->origin, msec);
    while (p->fake.w && !monotime_is_never(p->fake.armed) && p->fake.armed.usec < to.usec) {
        if (p->fake.armed.usec > p->fake.now.usec)
            p->fake.now = p->fake.armed;
        p->fake.armed = MONOTIME_NEVER;
        pod_worker_tick(p->fake.w, p->fake.now);
    }
    p->fake.now = to;
}

static void play(const struct timeline *timeline)
{
    struct player p = {.timeline = timeline, .log = BUFFER_EMPTY, .dir = "/tmp/timeline.XXXXXX"};
    _cleanup_buffer_ struct buffer expected = BUFFER_EMPTY;
    assert_non_null(mkdtemp(p.dir));
    p.origin = (monotime){100000 * (uint64_t)USEC_PER_SEC};
    p.fake.now = p.origin;
    p.fake.armed = MONOTIME_NEVER;
    p.fake.prove_at_once = true;
    p.fake.events = event_log_open(NULL, "node");
    p.fake.w = play_worker(&p);
    snprintf(p.phase, sizeof(p.phase), "Pending");
    pod_worker_admit(p.fake.w, p.fake.now);
    for (const struct input *in = timeline->inputs; in->msec || in->who || in->what; in++) {
        pass_to(&p, in->msec);
        play_input(&p, in);
    }
    pass_to(&p, timeline->until);
    for (const struct deed *deed = timeline->deeds; deed->text; deed++)
        buffer_printf(&expected, "%lld %s\n", (long long)deed->msec, deed->text);
    if (strcmp(buffer_str(&expected), buffer_str(&p.log)) != 0)
        print_message("---- this came\n%s----\n", buffer_str(&p.log));
    assert_string_equal(buffer_str(&p.log), buffer_str(&expected));
    pod_worker_free(p.fake.w);
    event_log_free(p.fake.events);
    buffer_free(&p.log);
    fs_remove_tree(AT_FDCWD, p.dir);
}

// ---- words of the tables ----

#define ONE    "containers: [{name: a, image: i}]"
#define NEVER  "restartPolicy: Never, "
#define FAILED "restartPolicy: OnFailure, "
#define HOOKS                                                                                      \
    "containers: [{name: a, image: i, lifecycle: {postStart: {exec: {command: [go]}}, preStop: "   \
    "{exec: {command: [stop]}}}}]"
#define PRE_STOP                                                                                   \
    "containers: [{name: a, image: i, lifecycle: {preStop: {exec: {command: [stop]}}}}]"
#define SIDE  "{name: s, image: i, restartPolicy: Always}"
#define SIDE2 "{name: t, image: i, restartPolicy: Always}"

#define PLAY(...)                                                                                  \
    do {                                                                                           \
        static const struct timeline timeline = {__VA_ARGS__};                                     \
        play(&timeline);                                                                           \
    } while (0)
