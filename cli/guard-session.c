// See guard-session.h.
#include "cli/guard-session.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/alloc.h"
#include "base/time-format.h"

enum {
    LOOK_MSEC = 2000,                // between two looks at the members while they do not suffice
    SETTLE_MSEC_LEAST = 10000,       // no leader for so long: that is no election any more
    SETTLE_ELECTIONS = 5,            // or for so many of etcd's election time-outs
    PROBE_PATIENCE_USEC = 600000000, // a failed probe is not passed over for longer than that
};

void guard_init(struct guard *guard, const struct guard_options *options)
{
    const char *urls = options->access->local.client_urls;
    *guard = (struct guard){.options = *options};
    etcd_turn_init(&guard->turn, GUARD_PREFIX);
    for (urls = urls ? urls : "http://localhost:2379"; *urls;) { // the latter is etcd's default
        size_t len = strcspn(urls, ",");
        if (len > 0)
            string_list_add_owned(&guard->own, xstrndup(urls, len));
        urls += len + (urls[len] == ',');
    }
}

void guard_leave(struct guard *guard)
{
    if (!guard->client)
        return;
    etcd_client_set_interrupt(guard->client, -1);
    etcd_client_set_timeout(guard->client, QUORUM_ASK_MSEC);
    etcd_turn_leave(guard->client, &guard->turn);
    etcd_client_free(TAKE_PTR(guard->client));
}

void guard_free(struct guard *guard)
{
    guard_leave(guard);
    etcd_turn_free(&guard->turn);
    string_list_free(&guard->own);
    free(guard->said_text);
}

bool guard_holds(const struct guard *guard)
{
    return guard->turn.key != NULL;
}

static void say(struct guard *guard, enum guard_word word, const char *text)
{
    if (guard->said_text && guard->said == word && str_equal(guard->said_text, text))
        return;
    char *copy = xstrdup(text);
    free(guard->said_text);
    guard->said = word;
    guard->said_text = copy;
    guard->options.say(guard->options.userdata, word, text);
}

// -ECANCELED where the interrupt came.
static int pause_for(const struct guard *guard, int msec)
{
    struct pollfd fd = {.fd = guard->options.interrupt_fd, .events = POLLIN};
    return poll(&fd, 1, msec) > 0 ? -ECANCELED : 0;
}

static struct quorum_question question(const struct guard *guard)
{
    const struct etcd_access *access = guard->options.access;
    return (struct quorum_question){
        .name = guard->options.name ? guard->options.name : access->local.name,
        .own = &guard->own,
        .other = &access->endpoints,
        .cacert = access->cacert,
        .cert = access->cert,
        .key = access->key,
        .interrupt_fd = guard->options.interrupt_fd,
    };
}

// ---- the turn ----

static int connect_to(struct guard *guard, const struct quorum_view *view, struct error *err)
{
    if (guard->client)
        return 0;
    int code = etcd_access_connect(guard->options.access, &view->endpoints, 2 * QUORUM_ASK_MSEC,
                                   &guard->client, err);
    if (code == 0)
        etcd_client_set_interrupt(guard->client, guard->options.interrupt_fd);
    return code;
}

static bool is_lost(const struct guard *guard, monotime now)
{
    return monotime_since(now, guard->kept) >= guard->turn.ttl_sec * USEC_PER_SEC;
}

// A lease that could not be kept alive for its whole time is as good as gone.
void guard_keep(struct guard *guard)
{
    monotime asked = monotime_now();
    if (!guard_holds(guard))
        return;
    etcd_client_set_interrupt(guard->client, -1);
    int code = etcd_turn_keep(guard->client, &guard->turn, NULL);
    etcd_client_set_interrupt(guard->client, guard->options.interrupt_fd);
    if (code == 0)
        guard->kept = asked;
    else if (code == -ENOENT || is_lost(guard, monotime_now()))
        etcd_turn_forget(&guard->turn);
}

static int enter(struct guard *guard, const struct quorum_view *view, struct error *err)
{
    int code = connect_to(guard, view, err);
    guard->kept = monotime_now();
    return code < 0 ? code
                    : etcd_turn_enter(guard->client, view->name, GUARD_TTL_SEC, &guard->turn, err);
}

static void say_whose_turn(struct guard *guard, const struct etcd_turn_view *line)
{
    const char *holder = buffer_str(&line->holder);
    _cleanup_free_ char *text =
        line->n_ahead == 1 ? xasprintf("it is the turn of %s; this member's comes next", holder)
                           : xasprintf("it is the turn of %s; this member's comes after %zu more",
                                       holder, line->n_ahead - 1);
    say(guard, GUARD_WAIT, text);
}

// True where nothing listens any more: then there is nothing to wait for.
static bool is_down(const struct guard *guard)
{
    const struct quorum_question q = question(guard);
    return quorum_is_closed(&q);
}

// Waits in the line: 0 where it is our turn (or the place was lost, or the member is down): look
// again. Whoever is behind wakes when the key just before its own goes away.
static int await_turn(struct guard *guard, struct error *err)
{
    for (;;) {
        _cleanup_etcd_turn_view_ struct etcd_turn_view line = {0};
        int code = etcd_turn_look(guard->client, &guard->turn, &line, err);
        if (code == 0 && line.n_ahead == 0)
            return 0;
        if (code == 0) {
            say_whose_turn(guard, &line);
            code = etcd_turn_wait(guard->client, &line, GUARD_KEEP_MSEC, err);
        }
        if (code == -EAGAIN && pause_for(guard, 200) < 0)
            code = -ECANCELED;
        if (code == -ECANCELED || monotime_reached(guard->options.deadline, monotime_now()))
            return -ECANCELED;
        guard_keep(guard);
        if (code == -ENOENT || !guard_holds(guard) || is_down(guard)) {
            guard_leave(guard);
            return 0;
        }
    }
}

// ---- what each verdict means ----

enum step { STEP_GO, STEP_LOOK_AGAIN, STEP_LOOK_LATER };

static enum step refuse(struct guard *guard, const char *text)
{
    guard_leave(guard);
    say(guard, GUARD_REFUSE, text);
    return STEP_LOOK_LATER;
}

static enum step take_turn(struct guard *guard, const struct quorum_view *view)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    int code = enter(guard, view, &err);
    if (code == 0)
        code = await_turn(guard, &err);
    return code == 0 || code == -ECANCELED ? STEP_LOOK_AGAIN : refuse(guard, error_message(&err));
}

static enum step on_kept(struct guard *guard, const struct quorum_view *view)
{
    if (!guard_holds(guard))
        return take_turn(guard, view);
    guard_keep(guard);
    if (!guard_holds(guard) || is_lost(guard, monotime_now()))
        return STEP_LOOK_AGAIN;
    say(guard, GUARD_GO, view->why);
    return STEP_GO;
}

static bool has_lasted(monotime *since, int64_t usec)
{
    monotime now = monotime_now();
    if (!since->usec)
        *since = now;
    return monotime_since(now, *since) >= usec;
}

// Whose turn it is may be who is missing: then waiting in the line is all there is to do.
static bool holder_is_away(struct guard *guard, const struct quorum_view *view)
{
    _cleanup_etcd_turn_view_ struct etcd_turn_view line = {0};
    return connect_to(guard, view, NULL) == 0 &&
           etcd_turn_look(guard->client, &guard->turn, &line, NULL) == 0 && line.n_ahead > 0 &&
           string_list_contains(&view->away, buffer_str(&line.holder));
}

static enum step on_lost(struct guard *guard, const struct quorum_view *view)
{
    bool waits = !guard_holds(guard) && holder_is_away(guard, view);
    if (guard->options.probe_failed && has_lasted(&guard->lost, PROBE_PATIENCE_USEC)) {
        say(guard, GUARD_PASS, view->why);
        return STEP_GO;
    }
    return waits ? take_turn(guard, view) : refuse(guard, view->why);
}

// An election looks the same for a moment. A probe that fails for want of a quorum is not mended by
// a restart, as long as the member itself answers.
static enum step on_none(struct guard *guard, const struct quorum_view *view)
{
    bool probe = guard->options.probe_failed && view->answers;
    int64_t settle_msec =
        MAX((int64_t)SETTLE_MSEC_LEAST, SETTLE_ELECTIONS * guard->options.election_msec);
    int64_t usec = probe ? PROBE_PATIENCE_USEC : settle_msec * USEC_PER_MSEC;
    if (has_lasted(&guard->none, usec)) {
        say(guard, probe ? GUARD_PASS : GUARD_GO, view->why);
        return STEP_GO;
    }
    _cleanup_free_ char *text =
        xasprintf("%s; %s", view->why,
                  probe ? "a restart does not mend that"
                        : "if that lasts, there is none to lose, and the member may be stopped");
    return refuse(guard, text);
}

static enum step on_unknown(struct guard *guard, const struct quorum_view *view)
{
    char patience[DURATION_SIZE];
    if (has_lasted(&guard->unknown, guard->options.patience_usec)) {
        say(guard, GUARD_PASS, view->why);
        return STEP_GO;
    }
    duration_format_go(guard->options.patience_usec * NSEC_PER_USEC, patience);
    _cleanup_free_ char *text = xasprintf(
        "%s; the member is stopped nevertheless when this has lasted for %s", view->why, patience);
    return refuse(guard, text);
}

static enum step consider(struct guard *guard, const struct quorum_view *view)
{
    if (view->verdict != QUORUM_NONE)
        guard->none = (monotime){0};
    if (view->verdict != QUORUM_UNKNOWN)
        guard->unknown = (monotime){0};
    if (view->verdict != QUORUM_LOST)
        guard->lost = (monotime){0};
    switch (view->verdict) {
    case QUORUM_KEPT:
        return on_kept(guard, view);
    case QUORUM_LOST:
        return on_lost(guard, view);
    case QUORUM_NONE:
        return on_none(guard, view);
    case QUORUM_UNKNOWN:
        return on_unknown(guard, view);
    default: // the only member of a cluster has nothing that is worth a word
        say(guard, GUARD_GO, view->alone ? "" : view->why);
        return STEP_GO;
    }
}

int guard_ask(struct guard *guard, struct error *err)
{
    const struct quorum_question q = question(guard);
    free(TAKE_PTR(guard->said_text));
    for (;;) {
        _cleanup_quorum_view_ struct quorum_view view = {0};
        if (pause_for(guard, 0) < 0)
            return error_set(err, ECANCELED, "interrupted");
        if (monotime_reached(guard->options.deadline, monotime_now()))
            return error_set(err, ETIMEDOUT, "%s",
                             guard->said_text ? guard->said_text : "the time is up");
        guard_keep(guard);
        if (quorum_look(&q, &view, err) < 0)
            continue; // the interrupt is looked at first
        enum step step = consider(guard, &view);
        if (step == STEP_GO)
            return 0;
        if (step == STEP_LOOK_LATER)
            pause_for(guard, LOOK_MSEC);
    }
}

// ---- the way back ----

int guard_wait_back(struct guard *guard, int64_t steady_usec, struct error *err)
{
    const struct quorum_question q = question(guard);
    monotime begin = monotime_now(), steady = {0};
    free(TAKE_PTR(guard->said_text));
    while (guard_holds(guard)) {
        _cleanup_error_ struct error why = ERROR_NONE;
        int code = quorum_is_back(&q, &why);
        if (code == -ECANCELED)
            return error_set(err, code, "interrupted");
        if (code < 0)
            steady = (monotime){0};
        else if (has_lasted(&steady, steady_usec)) {
            say(guard, GUARD_BACK, "the member is well again");
            return 0;
        }
        if (monotime_since(monotime_now(), begin) >= guard->options.back_usec) {
            say(guard, GUARD_LATE, code < 0 ? error_message(&why) : "it is not steady");
            return error_set(err, ETIMEDOUT, "%s", error_message(&why));
        }
        guard_keep(guard);
        if (pause_for(guard, 500) < 0)
            return error_set(err, ECANCELED, "interrupted");
    }
    return 0;
}
