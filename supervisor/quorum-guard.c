// See quorum-guard.h. What the child reads and writes is described in cli/etcd-guard.c. It gets the
// pod's spec as it runs in a file in memory: the manifest says something else by now, or is gone.
#include "supervisor/quorum-guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/monotime.h"
#include "base/process.h"
#include "base/string-list.h"
#include "base/time-format.h"
#include "base/work.h"

#define SPEC_FLAG "--manifests=/proc/self/fd/3"

enum {
    CHILD_FDS = 4, // 0, 1 and 2, and the spec
    SAFE_FD = 16,  // above those
    LINE_MOST = 8192,
};

struct quorum_guard {
    pid_t pid;
    int input;                     // write end of its standard input
    sd_event_source *end, *output; // `end` owns this struct (its destroy callback)
    struct buffer text;            // of its output, what is no whole line yet
    char *error;                   // what it complained of last
    bool given;                    // it has said that the member may be stopped
    bool detached;                 // nobody listens any more
    void (*says)(void *userdata, enum quorum_word word, const char *text);
    void *userdata;
};

// ---- what it says ----

static void take_line(struct quorum_guard *guard, const char *line)
{
    static const struct {
        const char *word;
        enum quorum_word is;
    } words[] = {{"wait ", QUORUM_WAITS},
                 {"refuse ", QUORUM_REFUSES},
                 {"go ", QUORUM_GOES},
                 {"pass ", QUORUM_PASSES}};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (!str_starts_with(line, words[i].word) || guard->given)
            continue;
        guard->given = words[i].is == QUORUM_GOES || words[i].is == QUORUM_PASSES;
        guard->says(guard->userdata, words[i].is, line + strlen(words[i].word));
        return;
    }
    if (str_starts_with(line, "error: ")) {
        free(guard->error);
        guard->error = xstrdup(line + strlen("error: "));
    }
}

static void read_lines(struct quorum_guard *guard, int fd)
{
    for (;;) {
        ssize_t n = read(fd, buffer_reserve(&guard->text, 4096), 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 || (n < 0 && errno != EAGAIN))
            sd_event_source_set_enabled(guard->output, SD_EVENT_OFF);
        if (n <= 0)
            return;
        guard->text.len += (size_t)n;
        guard->text.data[guard->text.len] = '\0';
        char *newline;
        while (!guard->detached && (newline = strchr(buffer_str(&guard->text), '\n'))) {
            size_t len = (size_t)(newline - guard->text.data);
            _cleanup_free_ char *line = xstrndup(guard->text.data, len);
            buffer_consume(&guard->text, len + 1);
            take_line(guard, line);
        }
        if (guard->detached)
            return;
        if (guard->text.len > LINE_MOST)
            buffer_truncate(&guard->text, 0);
    }
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    WORK_SCOPE("pods", "quorum guard", NULL, NULL);
    read_lines(userdata, fd);
    return 0;
}

// ---- its end ----

static void close_ends(struct quorum_guard *guard)
{
    guard->output = sd_event_source_disable_unref(guard->output);
    cleanup_close(&guard->input);
    guard->input = -1;
}

static void destroy(void *userdata)
{
    struct quorum_guard *guard = userdata;
    close_ends(guard);
    buffer_free(&guard->text);
    free(guard->error);
    free(guard);
}

static char *describe_end(const struct quorum_guard *guard, const siginfo_t *info)
{
    char name[16];
    if (guard->error)
        return xstrdup(guard->error);
    if (info->si_code == CLD_EXITED)
        return xasprintf("`mainstay etcd guard` ended with exit status %d", info->si_status);
    return xasprintf("`mainstay etcd guard` was ended by %s", signal_name(info->si_status, name));
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct quorum_guard *guard = userdata;
    siginfo_t info = {0};
    WORK_SCOPE("pods", "quorum guard", NULL, NULL);
    if (waitid(P_PID, (id_t)guard->pid, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0)
        return 0;
    guard->pid = 0;
    sd_event_source_set_enabled(guard->end, SD_EVENT_OFF);
    if (!guard->detached && guard->output)
        read_lines(guard, sd_event_source_get_io_fd(guard->output));
    if (guard->detached) {
        sd_event_source_set_floating(source, false); // that was the last reference
    } else {
        _cleanup_free_ char *why = describe_end(guard, &info);
        guard->says(guard->userdata, QUORUM_ENDED, why);
    }
    return 0;
}

static void send_word(const struct quorum_guard *guard, const char *word)
{
    if (guard->input >= 0) // a few bytes always fit; where nobody reads them, nobody needs them
        (void)!write(guard->input, word, strlen(word));
}

void quorum_guard_again(struct quorum_guard *guard)
{
    guard->given = false;
    send_word(guard, "again\n");
}

// The loop keeps the source, and so the rest, until the child has ended.
void quorum_guard_free(struct quorum_guard *guard)
{
    if (!guard)
        return;
    close_ends(guard);
    guard->detached = true;
    if (guard->pid > 0 && guard->end && sd_event_source_set_floating(guard->end, true) >= 0) {
        sd_event_source_unref(guard->end);
        return;
    }
    if (guard->end)
        sd_event_source_disable_unref(guard->end);
    else
        destroy(guard);
}

void quorum_guard_ready(struct quorum_guard *guard)
{
    if (guard)
        send_word(guard, "ready\n");
    quorum_guard_free(guard);
}

void quorum_guard_gone(struct quorum_guard *guard)
{
    if (guard)
        send_word(guard, "gone\n");
    quorum_guard_free(guard);
}

// ---- its start ----

static int spec_file(const struct pod *pod)
{
    json_t *json = pod_to_json(pod);
    _cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    _cleanup_close_ int fd = memfd_create("pod", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int code = text ? fs_write_all(fd, text, strlen(text)) : -EINVAL;
    if (code < 0)
        return code;
    return TAKE_FD(fd);
}

static int spawn_with(const struct quorum_guard_options *options, char *const *argv,
                      const int from[CHILD_FDS], pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char *environment[] = {NULL};
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    int code = -posix_spawn_file_actions_init(&actions);
    if (code < 0)
        return code;
    code = -posix_spawnattr_init(&attributes);
    if (code == 0) {
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                  POSIX_SPAWN_SETSID);
        for (int i = 0; i < CHILD_FDS && code == 0; i++)
            code = -posix_spawn_file_actions_adddup2(&actions, from[i], i);
        if (code == 0)
            code = -posix_spawn(ret, options->program, &actions, &attributes, argv, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

// Takes `fd` to where dup2() into the child's descriptors does no harm.
static int move_up(int *fd)
{
    int high = *fd < 0 ? -EBADF : fcntl(*fd, F_DUPFD_CLOEXEC, SAFE_FD);
    if (high < 0)
        return *fd < 0 ? *fd : -errno;
    close(*fd);
    *fd = high;
    return 0;
}

static int open_ends(int from[CHILD_FDS], int *ret_input, int *ret_output)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) < 0)
        return -errno;
    from[0] = in[0];
    *ret_input = in[1];
    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    from[1] = out[1];
    *ret_output = out[0];
    from[2] = fcntl(out[1], F_DUPFD_CLOEXEC, SAFE_FD);
    int code = from[2] < 0 ? -errno : fs_set_nonblocking(*ret_output, true);
    return code < 0 ? code : fs_set_nonblocking(*ret_input, true);
}

static int run(const struct quorum_guard_options *options, struct quorum_guard *guard,
               int *ret_output)
{
    char patience[DURATION_SIZE];
    duration_format_go(options->patience_usec * NSEC_PER_USEC, patience);
    _cleanup_string_list_ struct string_list words = {0};
    const char *const fixed[] = {"mainstay", "etcd", "guard", SPEC_FLAG};
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
        string_list_add(&words, fixed[i]);
    string_list_add_owned(&words, xasprintf("--patience=%s", patience));
    if (options->probe_failed)
        string_list_add(&words, "--probe-failed");
    _cleanup_free_ char **argv = string_list_argv(&words);
    int from[CHILD_FDS] = {-1, -1, -1, spec_file(options->pod)};
    int code = from[3] < 0 ? from[3] : open_ends(from, &guard->input, ret_output);
    for (int i = 0; i < CHILD_FDS && code == 0; i++)
        code = move_up(&from[i]);
    if (code == 0)
        code = spawn_with(options, argv, from, &guard->pid);
    for (int i = 0; i < CHILD_FDS; i++)
        cleanup_close(&from[i]);
    return code;
}

static int watch(sd_event *event, struct quorum_guard *guard, int *output)
{
    int pidfd = process_pidfd(guard->pid);
    if (pidfd < 0)
        return pidfd;
    int r = sd_event_add_io(event, &guard->end, pidfd, EPOLLIN, on_end, guard);
    if (r < 0) {
        close(pidfd);
        return r;
    }
    sd_event_source_set_io_fd_own(guard->end, true);
    sd_event_source_set_destroy_callback(guard->end, destroy);
    r = sd_event_add_io(event, &guard->output, *output, EPOLLIN, on_output, guard);
    if (r < 0)
        return r;
    *output = -1;
    return sd_event_source_set_io_fd_own(guard->output, true);
}

int quorum_guard_start(const struct quorum_guard_options *options, struct quorum_guard **ret,
                       struct error *err)
{
    _cleanup_close_ int output = -1;
    struct quorum_guard *guard = xcalloc(1, sizeof(*guard));
    *guard =
        (struct quorum_guard){.input = -1, .says = options->says, .userdata = options->userdata};
    int code = run(options, guard, &output);
    if (code == 0)
        code = watch(options->event, guard, &output);
    if (code < 0) {
        quorum_guard_free(guard);
        return error_errno(err, code, "cannot run %s", options->program);
    }
    *ret = guard;
    return 0;
}
