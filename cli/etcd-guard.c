// `mainstay etcd guard`: stops nothing itself, but says when a member of etcd may be stopped, and
// keeps the others from being stopped meanwhile.
//
// Without a command it works for somebody who reads its lines and holds its standard input (the
// agent, before it stops the pod). It writes "wait TEXT", "refuse TEXT", "go TEXT" or "pass TEXT",
// one a line. From "go" or "pass" on it reads words: "again" (it is to be stopped once more: look
// again), "ready" (it was started and is ready: wait until it is well, then give the turn back),
// "gone" (it stays away: give it back now). The end of its input before "go" means that it is not
// wanted any more; after it, that nobody is there to tell: then the member's own word counts.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/process.h"
#include "cli/check.h"
#include "cli/commands.h"
#include "cli/etcd.h"
#include "cli/guard-session.h"

enum {
    READY_STEADY_USEC = 1000000,  // well for so long: its peers have found it again
    UNTOLD_STEADY_USEC = 3000000, // the same, where nobody says that it was restarted
    ELECTION_MSEC = 1000,         // etcd's default
    ELECTION_MSEC_MOST = 50000,   // and its limit
    LINE_MOST = 64,
    EXIT_CANNOT_RUN = 127,
};

struct post {
    struct guard guard;
    struct etcd_access access;
    int signals, wake; // signalfd; and the epoll descriptor of it and of standard input
    bool has_input;    // standard input is watched
    bool ended;        // it is at its end
    bool for_people;   // a command is run: what there is to say goes to stderr
    struct buffer input;
};

extern char **environ;

// ---- what is said ----

static void say_line(void *userdata, enum guard_word word, const char *text)
{
    static const char *const words[] = {
        [GUARD_WAIT] = "wait", [GUARD_REFUSE] = "refuse", [GUARD_GO] = "go",
        [GUARD_PASS] = "pass", [GUARD_BACK] = "back",     [GUARD_LATE] = "late",
    };
    const struct post *post = userdata;
    if (!post->for_people) {
        printf("%s %s\n", words[word], text);
        fflush(stdout);
    } else if (!str_empty(text)) {
        bool waits = word == GUARD_WAIT || word == GUARD_REFUSE;
        fprintf(stderr, "%s%s\n", waits ? "waiting: " : "", text);
    }
}

// ---- what wakes it ----

static int watch(const struct post *post, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    return epoll_ctl(post->wake, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int post_open(struct post *post, struct error *err)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN); // who reads the lines may be gone while the turn is still held
    post->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    post->wake = epoll_create1(EPOLL_CLOEXEC);
    if (post->signals < 0 || post->wake < 0 || watch(post, post->signals) < 0)
        return error_errno(err, errno, "cannot wait for signals");
    post->has_input = !post->for_people;
    if (post->has_input && watch(post, STDIN_FILENO) < 0)
        return error_set(err, EINVAL,
                         "without a command, standard input must be a pipe that is held open while "
                         "the member is away; or say: mainstay etcd guard -- COMMAND");
    return 0;
}

static void post_close(struct post *post)
{
    guard_free(&post->guard);
    etcd_access_free(&post->access);
    cleanup_close(&post->signals);
    cleanup_close(&post->wake);
    buffer_free(&post->input);
}

static bool is_signalled(const struct post *post)
{
    struct pollfd fd = {.fd = post->signals, .events = POLLIN};
    return poll(&fd, 1, 0) > 0;
}

static void end_input(struct post *post)
{
    post->ended = true;
    epoll_ctl(post->wake, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
}

// What there is to read without waiting.
static void read_input(struct post *post)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    while (!post->ended && poll(&fd, 1, 0) > 0) {
        ssize_t n = read(STDIN_FILENO, buffer_reserve(&post->input, LINE_MOST), LINE_MOST);
        if (n <= 0 && errno != EINTR)
            end_input(post);
        if (n > 0)
            post->input.len += (size_t)n;
        if (post->input.len > LINE_MOST)
            end_input(post);
    }
}

static bool take_word(struct post *post, const char *word)
{
    size_t len = strlen(word);
    bool is = post->input.len > len && memcmp(post->input.data, word, len) == 0 &&
              post->input.data[len] == '\n';
    if (is)
        buffer_consume(&post->input, len + 1);
    return is;
}

// ---- for the agent ----

enum order { ORDER_NONE, ORDER_AGAIN, ORDER_READY, ORDER_GONE, ORDER_UNTOLD };

static enum order read_order(struct post *post)
{
    read_input(post);
    if (take_word(post, "again"))
        return ORDER_AGAIN;
    if (take_word(post, "ready"))
        return ORDER_READY;
    if (take_word(post, "gone"))
        return ORDER_GONE;
    return post->ended ? ORDER_UNTOLD : ORDER_NONE;
}

// While the member is away.
static enum order await_order(struct post *post)
{
    for (;;) {
        struct pollfd fd = {.fd = post->wake, .events = POLLIN};
        poll(&fd, 1, GUARD_KEEP_MSEC);
        if (is_signalled(post))
            return ORDER_GONE;
        enum order order = read_order(post);
        if (order != ORDER_NONE)
            return order;
        guard_keep(&post->guard);
    }
}

static int serve(struct post *post, struct error *err)
{
    for (;;) {
        int code = guard_ask(&post->guard, err);
        if (code == -ECANCELED) {
            enum order order = read_order(post);
            if (is_signalled(post) || order == ORDER_UNTOLD || order == ORDER_GONE)
                return 0; // not wanted any more
            continue;
        }
        if (code < 0)
            return code;
        enum order order = await_order(post);
        if (order == ORDER_GONE)
            return 0;
        if (order == ORDER_AGAIN)
            continue;
        if (!post->ended)
            end_input(post); // nothing is waited for any more but the member
        bool told = order == ORDER_READY;
        return guard_wait_back(&post->guard, told ? READY_STEADY_USEC : UNTOLD_STEADY_USEC, err);
    }
}

// ---- for people ----

static int spawn(const struct options_rest *rest, pid_t *ret, struct error *err)
{
    posix_spawnattr_t attributes;
    sigset_t none, all;
    _cleanup_string_list_ struct string_list words = {0};
    for (size_t i = 0; i < rest->n_after; i++)
        string_list_add(&words, rest->after_dashes[i]);
    _cleanup_free_ char **argv = string_list_argv(&words);
    sigemptyset(&none);
    sigfillset(&all);
    if (words.n == 0 || posix_spawnattr_init(&attributes) != 0)
        return error_set(err, EINVAL, "there is no command to run");
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int wrong = posix_spawnp(ret, words.items[0], NULL, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    return wrong ? error_errno(err, wrong, "cannot run %s", words.items[0]) : 0;
}

// Hands signals on, and keeps the turn until the command is over: its exit status.
static int attend(struct post *post, pid_t pid)
{
    _cleanup_close_ int process = process_pidfd(pid);
    siginfo_t info = {0};
    for (;;) {
        struct signalfd_siginfo signal_info;
        struct pollfd fds[] = {{.fd = process, .events = POLLIN},
                               {.fd = post->signals, .events = POLLIN}};
        poll(fds, ARRAY_SIZE(fds), GUARD_KEEP_MSEC);
        while (read(post->signals, &signal_info, sizeof(signal_info)) == sizeof(signal_info))
            kill(pid, (int)signal_info.ssi_signo);
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid != 0)
            return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
        guard_keep(&post->guard);
    }
}

static int run_command(struct post *post, const struct options_rest *rest, int *ret_status,
                       struct error *err)
{
    pid_t pid = 0;
    int code = guard_ask(&post->guard, err);
    if (code < 0)
        return code;
    *ret_status = EXIT_CANNOT_RUN;
    code = spawn(rest, &pid, err);
    if (code < 0)
        return code;
    *ret_status = attend(post, pid);
    if (guard_holds(&post->guard))
        code = guard_wait_back(&post->guard, UNTOLD_STEADY_USEC, err);
    return code < 0 ? error_prefix(err, code, "the member is not well again") : 0;
}

// ---- the command ----

static int64_t election_msec(const char *manifests)
{
    long long msec = ELECTION_MSEC;
    _cleanup_node_manifests_ struct node_manifests list = {0};
    if (node_manifests_load(manifests, NULL, &list, NULL) < 0)
        return msec;
    LIST_EACH (draft, &list.drafts)
        for (size_t i = 0; i < draft->pods.n; i++)
            LIST_EACH (container, &draft->pods.items[i]->spec.containers) {
                const char *value = container_flag(container, "election-timeout");
                if (container_runs(container, "etcd") && value)
                    str_to_int(value, 1, ELECTION_MSEC_MOST, &msec);
            }
    return msec;
}

static int prepare(struct post *post, const struct etcd_options *options, struct error *err)
{
    const struct check_options places = {.common = options->common,
                                         .manifests = options->access.manifests};
    _cleanup_free_ char *path = check_manifest_path(&places);
    int code = etcd_access_find(&options->access, path, &post->access, err);
    if (code == 0 && !post->access.local.file)
        code = error_set(err, ENOENT, "no manifest in %s runs a member of etcd", path);
    if (code == 0)
        code = post_open(post, err);
    if (code < 0)
        return code;
    const struct guard_options guard = {
        .access = &post->access,
        .name = options->name,
        .probe_failed = options->probe_failed,
        .election_msec = election_msec(path),
        .patience_usec = options->patience_nsec / NSEC_PER_USEC,
        .back_usec = options->back_nsec / NSEC_PER_USEC,
        .deadline = options->go_nsec > 0
                        ? monotime_add_usec(monotime_now(), options->go_nsec / NSEC_PER_USEC)
                        : MONOTIME_NEVER,
        .interrupt_fd = post->wake,
        .say = say_line,
        .userdata = post,
    };
    guard_init(&post->guard, &guard);
    return 0;
}

int etcd_cmd_guard(const struct etcd_options *options, const struct options_rest *rest)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct post post = {.signals = -1, .wake = -1, .for_people = rest->n_after > 0};
    int status = CLI_DONE;
    if (rest->n > 1)
        return etcd_usage("guard takes no \"%s\"; a command stands behind --", rest->arguments[1]);
    int code = prepare(&post, options, &err);
    if (code == 0)
        code = post.for_people ? run_command(&post, rest, &status, &err) : serve(&post, &err);
    post_close(&post);
    if (code < 0)
        return status != CLI_DONE ? (etcd_failed(&err), status) : etcd_failed(&err);
    return status;
}
