// Runs a command and interferes with its N-th call that changes a file system (those that open a
// file to create it, write, rename, link, remove, make, change the mode or owner, sync): so that a
// test can try every such moment, one after the other, without any luck.
//
//   at-write [--kill N | --full N | --fail N] [--memory FILE] --report FILE -- COMMAND…
//
//   --kill N    it is killed by SIGKILL instead of that call
//   --full N    the disk is full from then on: what needs space fails with ENOSPC
//   --fail N    that one call fails with EIO
//   --memory F  what its memory holds when it ends is written to F
//
// The report is one line: how many such calls there were, and the name of the N-th. Exit status:
// the command's, 128 + its signal, 125 where this program fails itself, 77 where the kernel has no
// seccomp notification. Standard input, output and error do not count.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILED = 125, SKIPPED = 77, NAME_SIZE = 32, CHUNK = 1 << 16 };

enum mode { COUNT, KILL, FULL, FAIL };

struct run {
    enum mode mode;
    uint64_t at, n;
    const char *report, *memory;
    char name[NAME_SIZE];
    pid_t child;
    int notify;
};

static const struct call {
    const char *name;
    bool needs_space;
    int condition; // 0: always; 'f': of a descriptor above 2; 'o' and 'O': its flags create a file
} calls[] = {
    {"open", true, 'o'},     {"openat", true, 'O'},   {"creat", true, 0},
    {"write", true, 'f'},    {"pwrite64", true, 'f'}, {"writev", true, 'f'},
    {"mkdir", true, 0},      {"mkdirat", true, 0},    {"link", true, 0},
    {"linkat", true, 0},     {"symlink", true, 0},    {"symlinkat", true, 0},
    {"rename", false, 0},    {"renameat", false, 0},  {"renameat2", false, 0},
    {"unlink", false, 0},    {"unlinkat", false, 0},  {"rmdir", false, 0},
    {"chmod", false, 0},     {"fchmod", false, 0},    {"fchmodat", false, 0},
    {"chown", false, 0},     {"fchown", false, 0},    {"fchownat", false, 0},
    {"ftruncate", false, 0}, {"fsync", false, 0},     {"fdatasync", false, 0},
};

// ---- the filter, in the child ----

static int add_call(scmp_filter_ctx filter, const struct call *call)
{
    int nr = seccomp_syscall_resolve_name(call->name);
    if (nr < 0)
        return 0; // not on this machine
    if (call->condition == 'f')
        return seccomp_rule_add(filter, SCMP_ACT_NOTIFY, nr, 1, SCMP_A0(SCMP_CMP_GT, 2));
    if (call->condition == 0)
        return seccomp_rule_add(filter, SCMP_ACT_NOTIFY, nr, 0);
    unsigned place = call->condition == 'o' ? 1 : 2;
    int code = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, nr, 1,
                                SCMP_CMP(place, SCMP_CMP_MASKED_EQ, O_CREAT, O_CREAT));
    return code < 0 ? code
                    : seccomp_rule_add(filter, SCMP_ACT_NOTIFY, nr, 1,
                                       SCMP_CMP(place, SCMP_CMP_MASKED_EQ, O_TMPFILE, O_TMPFILE));
}

static int load_filter(bool with_end)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int code = filter ? 0 : -ENOMEM;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && code == 0; i++)
        code = add_call(filter, &calls[i]);
    if (code == 0 && with_end)
        code = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(exit_group), 0);
    if (code == 0)
        code = seccomp_load(filter);
    return code < 0 ? code : seccomp_notify_fd(filter);
}

static void send_descriptor(int socket, int fd)
{
    char byte = 0;
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = fd < 0 ? 0 : sizeof(control.space)};
    if (fd >= 0) {
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    }
    sendmsg(socket, &message, 0);
}

static int receive_descriptor(int socket)
{
    char byte;
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof(control.space)};
    int fd = -1;
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0)
        return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header)
        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return fd;
}

// ---- interfering, in the parent ----

static const struct call *call_of(int nr)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (seccomp_syscall_resolve_name(calls[i].name) == nr)
            return &calls[i];
    return NULL;
}

static void copy_range(int memory, FILE *out, uint64_t from, uint64_t to)
{
    static char chunk[CHUNK];
    while (from < to) {
        size_t want = to - from < CHUNK ? (size_t)(to - from) : CHUNK;
        ssize_t n = pread(memory, chunk, want, (off_t)from);
        if (n <= 0)
            return;
        fwrite(chunk, 1, (size_t)n, out);
        from += (uint64_t)n;
    }
}

static void dump_memory(const struct run *run)
{
    char path[64], line[512];
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)run->child);
    FILE *maps = fopen(path, "re"), *out = fopen(run->memory, "we");
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)run->child);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    while (maps && out && memory >= 0 && fgets(line, sizeof(line), maps)) {
        uint64_t from, to;
        char rights[5];
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &from, &to, rights) == 3 &&
            rights[1] == 'w')
            copy_range(memory, out, from, to);
    }
    if (maps)
        fclose(maps);
    if (out)
        fclose(out);
    if (memory >= 0)
        close(memory);
}

static void answer(struct run *run, const struct seccomp_notif *request,
                   struct seccomp_notif_resp *response)
{
    const struct call *call = call_of(request->data.nr);
    response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    if (!call) {
        dump_memory(run);
        return;
    }
    run->n++;
    if (run->n == run->at)
        snprintf(run->name, sizeof(run->name), "%s", call->name);
    if (run->mode == KILL && run->n == run->at)
        kill(run->child, SIGKILL);
    bool fails = run->mode == FAIL ? run->n == run->at
                                   : run->mode == FULL && run->n >= run->at && call->needs_space;
    if (fails) {
        response->flags = 0;
        response->error = run->mode == FAIL ? -EIO : -ENOSPC;
    }
}

static void serve(struct run *run)
{
    struct seccomp_notif *request;
    struct seccomp_notif_resp *response;
    if (seccomp_notify_alloc(&request, &response) < 0)
        return;
    for (;;) {
        struct pollfd ready = {.fd = run->notify, .events = POLLIN};
        if (poll(&ready, 1, -1) < 0 && errno == EINTR)
            continue;
        if (!(ready.revents & POLLIN))
            break; // the last one that has the filter is gone
        memset(request, 0, sizeof(*request));
        memset(response, 0, sizeof(*response));
        if (seccomp_notify_receive(run->notify, request) < 0)
            continue; // it was killed meanwhile
        response->id = request->id;
        answer(run, request, response);
        seccomp_notify_respond(run->notify, response);
    }
    seccomp_notify_free(request, response);
}

static int write_report(const struct run *run)
{
    FILE *out = fopen(run->report, "we");
    if (!out)
        return FAILED;
    fprintf(out, "%" PRIu64 " %s\n", run->n, run->name[0] ? run->name : "-");
    return fclose(out) == 0 ? 0 : FAILED;
}

static int run_command(struct run *run, char **command)
{
    int pair[2], status;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return FAILED;
    run->child = fork();
    if (run->child == 0) {
        send_descriptor(pair[1], load_filter(run->memory != NULL));
        execvp(command[0], command);
        _exit(FAILED);
    }
    close(pair[1]);
    run->notify = run->child > 0 ? receive_descriptor(pair[0]) : -1;
    if (run->notify >= 0)
        serve(run);
    else if (run->child > 0)
        kill(run->child, SIGKILL);
    if (run->child < 0 || waitpid(run->child, &status, 0) < 0)
        return FAILED;
    if (run->notify < 0)
        return SKIPPED;
    if (write_report(run) != 0)
        return FAILED;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {[KILL] = "--kill", [FULL] = "--full", [FAIL] = "--fail"};
    struct run run = {0};
    int i = 1;
    for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
        if (strcmp(argv[i], "--report") == 0)
            run.report = argv[i + 1];
        if (strcmp(argv[i], "--memory") == 0)
            run.memory = argv[i + 1];
        for (int mode = KILL; mode <= FAIL; mode++)
            if (strcmp(argv[i], modes[mode]) == 0) {
                run.mode = (enum mode)mode;
                run.at = strtoull(argv[i + 1], NULL, 10);
            }
    }
    if (i + 1 >= argc || !run.report) {
        fputs("usage: at-write [--kill N | --full N | --fail N] [--memory FILE] --report FILE -- "
              "COMMAND...\n",
              stderr);
        return FAILED;
    }
    return run_command(&run, argv + i + 1);
}
