// The roll: of the pods whose files changed, one at a time is restarted (or sent its signal), and
// the next one waits until it is ready again. One that does not become ready holds the others.
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/process.h"
#include "base/string-list.h"
#include "base/work.h"
#include "supervisor/changes-internal.h"
#include "supervisor/runtime.h"

static struct event_object about(const struct watched_pod *p, const char *container)
{
    return (struct event_object){
        .namespace_ = p->namespace_, .pod = p->name, .container = container};
}

static struct watched_pod *rolling_pod(const struct changes *ch)
{
    LIST_EACH (p, &ch->pods)
        if (p->rolling)
            return p;
    return NULL;
}

// ---- whose turn it is ----

// "etcd" and "kube-system/etcd" mean etcd-node1 on node1, as in podspec/annotations.h.
static bool is_named(const struct watched_pod *p, const struct watched_pod *by, const char *name,
                     const char *node)
{
    const char *slash = strchr(name, '/');
    size_t ns_len = slash ? (size_t)(slash - name) : 0;
    const char *bare = slash ? slash + 1 : name;
    bool same_ns =
        slash ? strlen(p->namespace_) == ns_len && strncmp(p->namespace_, name, ns_len) == 0
              : strcmp(p->namespace_, by->namespace_) == 0;
    _cleanup_free_ char *suffixed = xasprintf("%s-%s", bare, node ? node : "");
    return same_ns && (strcmp(p->name, bare) == 0 || strcmp(p->name, suffixed) == 0);
}

static bool waits_for_another(const struct changes *ch, const struct watched_pod *p)
{
    const struct pod_worker *w = changes_worker(ch, p);
    LIST_EACH (name, &p->depends_on)
        LIST_EACH (other, &ch->pods)
            if (other != p && other->due &&
                is_named(other, p, *name, w ? w->pod->spec.nodeName : NULL))
                return true;
    return false;
}

// Pods that are no more, and nothing took their place.
static void drop_gone(struct changes *ch)
{
    for (size_t i = ch->pods.n; i-- > 0;)
        if (ch->pods.items[i].gone)
            changes_drop(ch, &ch->pods.items[i], true);
}

static struct watched_pod *choose(const struct changes *ch)
{
    struct watched_pod *first = NULL;
    LIST_EACH (p, &ch->pods) {
        if (!p->due)
            continue;
        if (!waits_for_another(ch, p))
            return p;
        first = first ? first : p;
    }
    return first;
}

// ---- its turn ----

static const struct volume_use *changed_volume_of(const struct watched_pod *p,
                                                  const struct container_worker *c)
{
    LIST_EACH (volume, &p->volumes)
        LIST_EACH (mount, &c->spec->volumeMounts)
            if (volume->changed && str_equal(mount->name, volume->name))
                return volume;
    return NULL;
}

// It mounts what changed, and began before that.
static bool is_concerned(const struct watched_pod *p, const struct container_worker *c)
{
    if (c->init && !c->sidecar)
        return false;
    if (c->state == CONTAINER_BACKOFF)
        return changed_volume_of(p, c) != NULL;
    bool saw_it = c->state == CONTAINER_STARTING || c->process_at.usec >= p->content_at.usec;
    return container_state_is_alive(c->state) && !saw_it && changed_volume_of(p, c);
}

static void send_signal(const struct changes *ch, const struct watched_pod *p,
                        struct container_worker *c)
{
    char name[16];
    struct shim_link *link = runtime_run_link(c);
    int r = link ? shim_link_signal(link, p->signal) : -ESRCH;
    if (r < 0)
        event_add(ch->options.events, about(p, c->spec->name), EVENT_WARNING, "SignalFailed",
                  "%s could not be sent to container %s: %s", signal_name(p->signal, name),
                  c->spec->name, strerror(-r));
}

// Where the volume's root was replaced (or is one file that was), the container still sees the old
// one, and a signal would be in vain.
static bool wants_signal(const struct watched_pod *p, const struct container_worker *c)
{
    return p->signal && c->state == CONTAINER_RUNNING && !changed_volume_of(p, c)->replaced;
}

static void act_on(struct changes *ch, const struct watched_pod *p, struct pod_worker *w,
                   struct container_worker *c)
{
    char name[16];
    bool signal = wants_signal(p, c);
    if (signal)
        event_add(ch->options.events, about(p, c->spec->name), EVENT_NORMAL, "FilesChanged",
                  "%s changed: sending %s to container %s", p->why, signal_name(p->signal, name),
                  c->spec->name);
    else
        event_add(ch->options.events, about(p, c->spec->name), EVENT_NORMAL, "FilesChanged",
                  "%s changed: restarting container %s%s", p->why, c->spec->name,
                  p->signal ? " (a signal would not do: it sees the files of before until then)"
                            : "");
    if (signal) {
        send_signal(ch, p, c);
        return;
    }
    ch->roll.restarted++;
    pod_worker_restart(w, c->spec->name, monotime_now());
}

static uint64_t count_restarts(const struct pod_worker *w)
{
    uint64_t restarts = 0;
    for (size_t i = 0; i < w->n_containers; i++)
        restarts += w->containers[i].restart_count;
    return restarts;
}

static void learn(const struct changes *ch, struct watched_pod *p)
{
    LIST_EACH (volume, &p->volumes) {
        const struct target *target = changes_target(ch, volume->path);
        if (volume->known && target && target->looked)
            files_apply(&volume->files, &target->files);
    }
    p->due = false;
}

// True where the others must wait for this one.
static bool take_turn(struct changes *ch, struct watched_pod *p)
{
    WORK_SCOPE("changes", "pod", p->namespace_, p->name);
    struct pod_worker *w = pods_worker(ch->options.pods, p->namespace_, p->name);
    bool acted = false;
    bool runs = w && !w->removing && !w->held && w->state == POD_RUNNING;
    monotime now = monotime_now();
    ch->roll = (struct roll){.restarts = w ? count_restarts(w) : 0};
    for (size_t i = 0; runs && i < w->n_containers; i++) {
        if (!is_concerned(p, &w->containers[i]))
            continue;
        acted = true;
        act_on(ch, p, w, &w->containers[i]);
    }
    learn(ch, p);
    p->rolling = ch->roll.on = acted;
    ch->roll.deadline = monotime_add_usec(now, ROLL_PATIENCE_USEC);
    changes_save(ch, p);
    return acted;
}

// ---- the end of it ----

// A process that ends at once was ready, too, for a moment.
static bool is_back(struct changes *ch, const struct pod_worker *w, monotime now)
{
    struct roll *roll = &ch->roll;
    uint64_t restarts = count_restarts(w);
    bool ready = pod_worker_is_ready(w) && restarts >= roll->restarts + roll->restarted;
    if (!ready)
        roll->steady = (monotime){0};
    else if (!roll->steady.usec || restarts != roll->steady_restarts)
        roll->steady = now;
    roll->steady_restarts = restarts;
    bool waits_for_an_operator = w->held || w->state == POD_FINISHED;
    return ready ? monotime_since(now, roll->steady) >= STEADY_USEC : waits_for_an_operator;
}

static bool is_in_back_off(const struct pod_worker *w)
{
    for (size_t i = 0; i < w->n_containers; i++)
        if (w->containers[i].state == CONTAINER_BACKOFF)
            return true;
    return false;
}

static void tell_stopped(struct changes *ch, const struct watched_pod *p)
{
    _cleanup_buffer_ struct buffer others = BUFFER_EMPTY;
    LIST_EACH (other, &ch->pods)
        if (other->due && other != p)
            buffer_printf(&others, "%s%s", others.len ? ", " : "", other->name);
    event_add(ch->options.events, about(p, NULL), EVENT_WARNING, "RollStopped",
              "after its files changed, %s has not become ready again%s%s; see `mainstay describe "
              "pod %s`",
              p->name,
              others.len ? ". Not restarted until it is, though their files changed, too: " : "",
              buffer_str(&others), p->name);
    ch->roll.told = true;
}

// False while the pod whose turn it is holds the others.
static bool end_turn(struct changes *ch, struct watched_pod *p)
{
    const struct pod_worker *w = changes_worker(ch, p);
    monotime now = monotime_now();
    if (w && w->asked) // its turn is to come yet
        ch->roll.deadline = monotime_add_usec(now, ROLL_PATIENCE_USEC);
    if (w && !w->removing && !is_back(ch, w, now)) {
        bool lost = monotime_reached(ch->roll.deadline, now) || is_in_back_off(w);
        if (lost && !ch->roll.told)
            tell_stopped(ch, p);
        return false;
    }
    p->rolling = false;
    changes_save(ch, p);
    return true;
}

// One that an earlier agent began is waited for.
static void resume_turn(struct changes *ch)
{
    ch->roll = (struct roll){.on = true,
                             .deadline = monotime_add_usec(monotime_now(), ROLL_PATIENCE_USEC)};
}

int changes_on_next(sd_event_source *source, void *userdata)
{
    struct changes *ch = userdata;
    drop_gone(ch);
    struct watched_pod *p = rolling_pod(ch);
    if (p && !ch->roll.on)
        resume_turn(ch);
    if (p && !end_turn(ch, p)) {
        changes_arm(ch);
        return 0;
    }
    ch->roll.on = false;
    while ((p = choose(ch)) && !take_turn(ch, p))
        continue;
    if (p) // it may be ready all the while: nothing happens to a pod that got a signal
        changes_roll_on(ch);
    changes_arm(ch);
    return 0;
}

void changes_roll_on(struct changes *ch)
{
    sd_event_source_set_enabled(ch->next, SD_EVENT_ONESHOT);
}

monotime changes_roll_due(const struct changes *ch)
{
    if (ch->roll.on && ch->roll.steady.usec)
        return monotime_add_usec(ch->roll.steady, STEADY_USEC);
    return ch->roll.on && !ch->roll.told ? ch->roll.deadline : MONOTIME_NEVER;
}
