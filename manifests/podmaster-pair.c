// See podmaster-pair.h. lease.h has the timing, and fence.h what happens when this process does not
// live to take the manifest away.
#include "manifests/podmaster-pair.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/process.h"
#include "base/string-list.h"
#include "etcd/client.h"
#include "manifests/fence.h"
#include "manifests/guard.h"
#include "manifests/lease.h"

enum { MANIFEST_MAX = 10 << 20, BOOT_ID_SIZE = 37, RELEASE_MSEC = 5000 };

struct podmaster {
    const struct podmaster_options *options;
    const char *key, *source, *destination;
    char *twin; // the other key of the lease (lease.h)
    int status_fd;
    struct etcd_client *etcd;
    struct fence *fence;
    char *state_path;
    struct lease lease;
    int64_t lease_id;       // etcd's, while the lease is held
    int64_t seen_revision;  // of the store, when somebody else held the lease; 0: nobody
    const char *seen_key;   // which of the two keys stood then
    char *mark;             // what we write under the key
    struct buffer manifest; // the source as last read, guarded
    bool placed;
    char *complaint; // what was said last, so that it is not said every second
    int signal_fd, inotify_fd;
    bool stopping;
};

static void complain(struct podmaster *p, const char *what, const char *why)
{
    _cleanup_free_ char *message = xasprintf("%s: %s", what, why);
    if (str_equal(message, p->complaint))
        return;
    log_warning("%s", message);
    free(p->complaint);
    p->complaint = TAKE_PTR(message);
}

static void all_is_well(struct podmaster *p)
{
    free(p->complaint);
    p->complaint = NULL;
}

static void tell_status(const struct podmaster *p, const char *before, const char *after)
{
    if (p->status_fd < 0)
        sd_notifyf(0, "READY=1\nSTATUS=%s %s%s", before, p->key, after);
    else
        dprintf(p->status_fd, "%s %s%s\n", before, p->key, after);
}

// --- the manifest

// What was read before stays in force where the source cannot be used.
static void read_source(struct podmaster *p)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY, guarded = BUFFER_EMPTY;
    _cleanup_error_ struct error err = ERROR_NONE;
    int code = fs_read_file(AT_FDCWD, p->source, MANIFEST_MAX, &text);
    if (code < 0 || text.len == 0) {
        complain(p, p->source, code < 0 ? strerror(-code) : "is empty");
        return;
    }
    if (guard_manifest(p->source, &text, p->state_path, &guarded, &err) < 0) {
        complain(p, "not taken", error_message(&err));
        return;
    }
    buffer_free(&p->manifest);
    p->manifest = guarded;
    guarded = (struct buffer)BUFFER_EMPTY;
}

static bool destination_is_current(const struct podmaster *p)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    return fs_read_file(AT_FDCWD, p->destination, MANIFEST_MAX, &text) == 0 &&
           text.len == p->manifest.len &&
           memcmp(buffer_str(&text), buffer_str(&p->manifest), text.len) == 0;
}

// Writes the manifest where it is missing or differs.
static void place_manifest(struct podmaster *p)
{
    const char *path = p->destination;
    read_source(p);
    if (!destination_is_current(p)) {
        int code = fs_mkdir_parents_of(AT_FDCWD, path);
        if (code == 0)
            code = fs_write_atomic(AT_FDCWD, path, p->manifest.data, p->manifest.len, 0600,
                                   FS_WRITE_SYNC);
        if (code < 0) {
            log_error("cannot write %s: %s", path, strerror(-code));
            return;
        }
        log_notice("%s: put the manifest there", path);
    }
    p->placed = true;
    tell_status(p, "Holds", ": the manifest is in place");
}

// No process of the pod begins from now on; what runs of it may live until `kill_at`.
static void take_manifest_away(struct podmaster *p, monotime kill_at, const char *why)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    const char *path = p->destination;
    if (unlink(path) == 0)
        log_notice("%s: took the manifest away: %s", path, why);
    else if (errno != ENOENT)
        log_error("%s: cannot take the manifest away: %m", path);
    if (fence_set(p->fence, (monotime){0}, kill_at, &err) < 0)
        log_error("%s", error_message(&err));
    p->placed = false;
    p->lease_id = 0;
    tell_status(p, "Waits for", "");
}

// --- the lease

static void no_answer(struct podmaster *p, const char *what, const struct error *err)
{
    if (err->code == -ECANCELED)
        return; // a signal; the loop looks at it next
    complain(p, what, error_message(err));
    lease_no_answer(&p->lease, monotime_now());
}

static void hold(struct podmaster *p, const struct etcd_lease *granted, monotime asked)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (p->lease.state != LEASE_HELD)
        log_notice("%s: holds the lease %llx", p->key, (unsigned long long)granted->id);
    p->lease_id = granted->id;
    p->seen_revision = 0;
    p->placed = true; // may be from now on: the watch must know before the file is there
    if (!lease_held(&p->lease, granted->ttl_sec, asked, monotime_now())) {
        take_manifest_away(p, p->lease.kill_at, "etcd answered too late");
    } else if (fence_set(p->fence, p->lease.fence_at, p->lease.kill_at, &err) < 0) {
        log_error("%s", error_message(&err));
        take_manifest_away(p, p->lease.kill_at, "nobody could take it away in time");
        lease_lost(&p->lease, USEC_PER_SEC, monotime_now());
    } else {
        all_is_well(p);
        place_manifest(p);
    }
}

// Somebody else holds the lease: look again when its keys change, or after a lease's time.
static void give_way(struct podmaster *p, const struct etcd_twins *twins)
{
    monotime now = monotime_now();
    bool stopping = p->lease.kill_at.usec > now.usec;
    bool there = access(p->destination, F_OK) == 0; // put there by somebody else
    bool gone = twins->kvs[0].key.len == 0;
    if (p->lease.state != LEASE_FREE || p->placed || stopping || there)
        take_manifest_away(p, (monotime){0}, "another node holds the lease");
    if (gone)
        complain(p, p->key, "is gone, and the lease of its holder is not: waiting for that");
    else if (p->seen_revision == 0)
        log_info("%s: held by %s", p->key, buffer_str(&twins->kvs[0].value));
    if (!gone)
        all_is_well(p);
    p->seen_revision = twins->revision;
    p->seen_key = twins->kvs[1].key.len > 0 ? p->twin : p->key;
    lease_lost(&p->lease, p->lease.ttl_usec, now);
}

// Of one node: both keys, or what is left of them, under this lease.
static bool are_of(const struct etcd_twins *twins, int64_t lease)
{
    return lease != 0 && twins->kvs[0].lease == lease && twins->kvs[1].lease == lease;
}

// Keeps alive the lease that both keys were read under just now. False where etcd says that it has
// run out. The member that was asked may have been a leader and not know yet that it is none; the
// lease it keeps alive is then nobody's. It tells an older term than the read was made in.
static bool keep_alive(struct podmaster *p, const struct etcd_twins *twins, monotime asked)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct etcd_lease lease = {0};
    int code = etcd_lease_keepalive(p->etcd, twins->kvs[0].lease, &lease, &err);
    if (code == 0 && lease.term < twins->term)
        code = error_set(&err, EAGAIN, "a member of etcd does not know its leader yet");
    if (code == -ENOENT)
        return false;
    if (code < 0)
        no_answer(p, "cannot renew the lease", &err);
    else
        hold(p, &lease, asked);
    return true;
}

static void win(struct podmaster *p)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_etcd_twins_ struct etcd_twins twins = {0};
    struct etcd_lease lease = {0};
    monotime asked = monotime_now();
    int code = etcd_lease_grant(p->etcd, p->options->lease_ttl, &lease, &err);
    if (code == 0)
        code = etcd_create_twins(p->etcd, p->key, p->twin, p->mark, strlen(p->mark), lease.id,
                                 &twins, &err);
    if (code < 0) {
        no_answer(p, "cannot contend for the lease", &err);
    } else if (twins.created || are_of(&twins, lease.id)) {
        hold(p, &lease, asked);
    } else {
        give_way(p, &twins);
        etcd_lease_revoke(p->etcd, lease.id, NULL); // else it runs out by itself
    }
}

static void contend(struct podmaster *p)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_etcd_twins_ struct etcd_twins twins = {0};
    read_source(p);
    if (p->manifest.len == 0) { // nothing to run here: leave the lease to others
        lease_lost(&p->lease, p->lease.ttl_usec, monotime_now());
        return;
    }
    monotime asked = monotime_now();
    int code = etcd_get_twins(p->etcd, p->key, p->twin, &twins, &err);
    const struct etcd_kv *kv = &twins.kvs[0];
    if (code < 0)
        no_answer(p, "cannot look at the key", &err);
    else if (kv->key.len == 0 && twins.kvs[1].key.len == 0)
        win(p);
    else if (str_equal(buffer_str(&kv->value), p->mark) && are_of(&twins, kv->lease)) {
        // From an earlier life, or from a request whose answer was lost.
        if (!keep_alive(p, &twins, asked))
            lease_no_answer(&p->lease, monotime_now()); // etcd takes the keys away in a moment
    } else
        give_way(p, &twins);
}

// The key is not ours any more. Others wait for the lease, which is released once nothing lives.
static void lose(struct podmaster *p)
{
    int64_t id = p->lease_id;
    take_manifest_away(p, (monotime){0}, "the lease or the key is gone");
    lease_lost(&p->lease, 2 * p->lease.ttl_usec, monotime_now()); // it is the others' turn
    monotime until = monotime_add_usec(monotime_now(), p->lease.ttl_usec);
    if (fence_await_dead(p->fence, until, p->signal_fd) == 1)
        etcd_lease_revoke(p->etcd, id, NULL); // else it runs out by itself
}

// A lease that lives on is not enough: somebody may have deleted a key, to move the pod away.
static void renew(struct podmaster *p)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_etcd_twins_ struct etcd_twins twins = {0};
    monotime asked = monotime_now();
    int code = etcd_get_twins(p->etcd, p->key, p->twin, &twins, &err);
    if (code < 0)
        no_answer(p, "cannot renew the lease", &err);
    else if (!are_of(&twins, p->lease_id) || !keep_alive(p, &twins, asked))
        lose(p); // and another node may have it already
}

static void follow(struct podmaster *p, int64_t usec)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    int msec = (int)MIN(usec / USEC_PER_MSEC + 1, INT_MAX);
    int code = etcd_wait_change(p->etcd, p->seen_key, p->seen_revision, msec, &err);
    if (code == 1) {
        p->seen_revision = 0;
        lease_wake(&p->lease, monotime_now());
    } else if (code < 0) {
        no_answer(p, "cannot follow the key", &err);
    }
}

// --- the loop

static void take_signals(struct podmaster *p)
{
    struct signalfd_siginfo info;
    while (read(p->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        p->stopping = true;
}

// Any event in the source's directory may be about the source: a symlink may have been turned.
static void take_inotify(struct podmaster *p)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    while (read(p->inotify_fd, events, sizeof(events)) > 0)
        ;
    if (p->lease.state == LEASE_HELD)
        place_manifest(p);
    else if (p->manifest.len == 0)
        lease_wake(&p->lease, monotime_now());
}

static void wait_for_events(struct podmaster *p, int64_t usec)
{
    struct pollfd fds[] = {{.fd = p->signal_fd, .events = POLLIN},
                           {.fd = p->inotify_fd, .events = POLLIN}};
    struct timespec timeout = {.tv_sec = (time_t)(usec / USEC_PER_SEC),
                               .tv_nsec = (long)(usec % USEC_PER_SEC * NSEC_PER_USEC)};
    if (ppoll(fds, ARRAY_SIZE(fds), &timeout, NULL) > 0 && fds[1].revents)
        take_inotify(p);
}

static void step(struct podmaster *p)
{
    int64_t usec = 0;
    monotime now = monotime_now();
    enum lease_step next = lease_next(&p->lease, now, &usec);
    etcd_client_set_timeout(p->etcd, (int)(lease_patience(&p->lease, now) / USEC_PER_MSEC));
    switch (next) {
    case LEASE_YIELD:
        take_manifest_away(p, p->lease.kill_at, "the lease could not be renewed in time");
        break;
    case LEASE_CONTEND:
        contend(p);
        break;
    case LEASE_RENEW:
        renew(p);
        break;
    case LEASE_WAIT:
        if (p->lease.state == LEASE_FREE && p->seen_revision != 0)
            follow(p, usec);
        else
            wait_for_events(p, usec);
        break;
    }
    take_signals(p);
}

// --- the end

static void pause_until(const struct podmaster *p, monotime until)
{
    int64_t usec = monotime_since(until, monotime_now());
    struct timespec timeout = {.tv_sec = (time_t)(usec / USEC_PER_SEC),
                               .tv_nsec = (long)(usec % USEC_PER_SEC * NSEC_PER_USEC)};
    struct pollfd fd = {.fd = p->signal_fd, .events = POLLIN};
    ppoll(&fd, 1, &timeout, NULL);
}

// True once nothing of the pod is alive, which is then proven. It gets its time to stop; a second
// signal cuts that short. An agent that hangs, or none, makes no difference.
static bool stop_pod(struct podmaster *p, monotime kill_at)
{
    int dead = fence_await_dead(p->fence, kill_at, p->signal_fd);
    if (dead == -ENOENT) { // somebody else's agent, or none: all we can do is to wait
        pause_until(p, kill_at);
        return true;
    }
    if (dead == 0) {
        take_manifest_away(p, (monotime){0}, "podmaster was told to stop");
        monotime ends = monotime_add_usec(monotime_now(), p->lease.ttl_usec);
        dead = fence_await_dead(p->fence, ends, -1);
    }
    return dead == 1;
}

static void hand_over(struct podmaster *p)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    int64_t id = p->lease_id;
    bool held = p->lease.state == LEASE_HELD;
    monotime stop = monotime_add_usec(monotime_now(), p->lease.stop_usec);
    monotime kill_at = monotime_min(stop, p->lease.kill_at);
    take_manifest_away(p, kill_at, "podmaster was told to stop");
    if (p->status_fd < 0)
        sd_notify(0, "STOPPING=1");
    bool dead = stop_pod(p, kill_at);
    if (!held)
        return;
    etcd_client_set_interrupt(p->etcd, -1);
    etcd_client_set_timeout(p->etcd, RELEASE_MSEC);
    if (!dead)
        log_error("%s: something of the pod does not die: the lease is left to run out",
                  p->destination);
    else if (etcd_lease_revoke(p->etcd, id, &err) < 0)
        log_warning("cannot release the lease, it will run out: %s", error_message(&err));
    else
        log_notice("%s: released the lease", p->key);
}

// --- start

static int watch_source(struct podmaster *p)
{
    const char *base = path_base(p->source);
    _cleanup_free_ char *dir =
        base == p->source ? xstrdup(".") : xstrndup(p->source, (size_t)(base - p->source));
    p->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (p->inotify_fd < 0 ||
        inotify_add_watch(p->inotify_fd, dir,
                          IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE) < 0)
        return -errno;
    return 0;
}

static int open_signals(struct podmaster *p)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return p->signal_fd < 0 ? -errno : 0;
}

static int start_etcd(struct podmaster *p, struct error *err)
{
    struct etcd_config config = {.endpoints = &p->options->endpoints,
                                 .cacert = p->options->cacert,
                                 .cert = p->options->cert,
                                 .key = p->options->cert_key};
    int code = etcd_client_new(&config, &p->etcd, err);
    if (code == 0)
        etcd_client_set_interrupt(p->etcd, p->signal_fd);
    return code;
}

// Goes on where an earlier life of this process was, if there is time left.
static int inherit(struct podmaster *p, const struct fence_state *inherited, struct error *err)
{
    lease_inherit(&p->lease, inherited->start_until, inherited->kill_at, monotime_now());
    if (p->lease.state == LEASE_FREE) {
        take_manifest_away(p, inherited->kill_at, "this node does not hold the lease");
        return 0;
    }
    p->placed = true;
    // What is there came from the source, which may not be readable just now.
    fs_read_file(AT_FDCWD, p->destination, MANIFEST_MAX, &p->manifest);
    return fence_set(p->fence, inherited->start_until, inherited->kill_at, err);
}

static int start(struct podmaster *p, struct error *err)
{
    char boot[BOOT_ID_SIZE];
    struct fence_state inherited = {0};
    p->state_path = xasprintf("%s/%s.lease", p->options->state_dir, path_base(p->destination));
    // In this order: the watch is forked before anything is open that it should not have.
    int code = fence_new(p->state_path, p->destination, &p->fence, &inherited, err);
    if (code < 0)
        return code;
    code = open_signals(p);
    if (code < 0)
        return error_errno(err, code, "cannot take signals");
    code = watch_source(p);
    if (code < 0)
        return error_errno(err, code, "cannot watch the directory of %s", p->source);
    p->twin = xasprintf("mainstay.dev/lease:%s", p->key);
    p->mark = xasprintf("%s %s", p->options->name, process_boot_id(boot));
    lease_begin(&p->lease, p->options->lease_ttl, p->options->stop_time, monotime_now());
    code = inherit(p, &inherited, err);
    return code < 0 ? code : start_etcd(p, err);
}

static void podmaster_free(struct podmaster *p)
{
    etcd_client_free(p->etcd);
    fence_free(p->fence);
    buffer_free(&p->manifest);
    free(p->state_path);
    free(p->mark);
    free(p->twin);
    free(p->complaint);
    if (p->signal_fd >= 0)
        close(p->signal_fd);
    if (p->inotify_fd >= 0)
        close(p->inotify_fd);
}
#define _cleanup_podmaster_ _cleanup_(podmaster_free)

int podmaster_pair_run(const struct podmaster_options *options, size_t index, int status_fd)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_podmaster_ struct podmaster p = {.options = options,
                                              .key = options->keys.items[index],
                                              .source = options->sources.items[index],
                                              .destination = options->destinations.items[index],
                                              .status_fd = status_fd,
                                              .signal_fd = -1,
                                              .inotify_fd = -1};
    if (start(&p, &err) < 0) {
        log_error("%s", error_message(&err));
        return EXIT_FAILURE;
    }
    while (!p.stopping)
        step(&p);
    hand_over(&p);
    return EXIT_SUCCESS;
}
