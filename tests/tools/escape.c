// What a container might try, told by its arguments one after the other; each prints one line,
// "NAME: ok", "NAME: ERRNO" or what it found. Static, so that it runs in an image of nothing else.
//
//   fds               the open descriptors
//   pids              the processes that /proc shows
//   write FILE TEXT   open and write
//   read FILE         open and read: how many bytes (at most 64)
//   mount DIR         a tmpfs there
//   remount DIR       bound writable again
//   umount DIR
//   proc DIR          a new /proc there
//   kill PID SIGNAL
//   trace PID         ptrace(PTRACE_SEIZE)
//   connect FILE      to a socket
//   rename FROM TO
//   device FILE TYPE MAJOR MINOR   make a node (b, c) and open it
//   unshare           a user namespace
//   own               one with mounts and cgroups, as root in it
//   cgroups DIR       cgroup v2 there
//   nest DIR          a cgroup of its own below DIR, and into it
//   flood BYTES       lines on stderr
//   undying           ask not to die with the parent
//   daemon FILE       a process of a session of its own stays, which holds the output and writes
//   its
//                     PID (of the PID namespace it is in) to FILE; with cgroup.procs as FILE it
//                     moves there
//   forks N           so many children at once, which stay
//   silence           close all three standard streams
//   say TEXT
//   exit CODE
//   (end)             wait for SIGTERM
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static void tell(const char *name, int result)
{
    printf("%s: %s\n", name, result < 0 ? strerrorname_np(errno) : "ok");
    fflush(stdout);
}

// The names of a directory that are numbers, its own descriptor left out.
static void numbers(const char *name, const char *path)
{
    DIR *dir = opendir(path);
    printf("%s:", name);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        int number = atoi(entry->d_name);
        if ((number || strcmp(entry->d_name, "0") == 0) &&
            !(strcmp(name, "fds") == 0 && number == dirfd(dir)))
            printf(" %s", entry->d_name);
    }
    printf("\n");
    fflush(stdout);
    if (dir)
        closedir(dir);
}

static int write_to(const char *file, const char *text)
{
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    int code = errno;
    close(fd);
    errno = code;
    return n < 0 ? -1 : 0;
}

static void read_from(const char *file)
{
    char buf[64];
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
    if (n < 0)
        tell("read", -1);
    else
        printf("read: %zd\n", n);
    fflush(stdout);
    if (fd >= 0)
        close(fd);
}

static int connect_to(const char *file)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", file);
    return connect(fd, (struct sockaddr *)&address, sizeof(address));
}

static int open_device(char **words)
{
    mode_t type = *words[1] == 'b' ? S_IFBLK : S_IFCHR;
    unlink(words[0]);
    if (mknod(words[0], type | 0600, makedev((unsigned)atoi(words[2]), (unsigned)atoi(words[3]))) <
        0) {
        printf("mknod ");
        return -1;
    }
    return open(words[0], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static int become_root_of_a_namespace(void)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP) < 0)
        return -1;
    (void)write_to("/proc/self/setgroups", "deny");
    if (write_to("/proc/self/uid_map", "0 0 1") < 0)
        return -1;
    return write_to("/proc/self/gid_map", "0 0 1");
}

static int nest(const char *dir)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/nest", dir);
    if (mkdir(path, 0755) < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/nest/cgroup.procs", dir);
    return write_to(path, "0");
}

static void flood(long bytes)
{
    char line[101];
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\n';
    for (long written = 0; written < bytes; written += (long)sizeof(line))
        if (write(2, line, sizeof(line)) < 0)
            return;
}

static void leave_daemon(const char *file)
{
    int pipe_ends[2];
    char pid[24], byte;
    if (pipe2(pipe_ends, O_CLOEXEC) < 0)
        exit(98);
    if (fork() == 0) {
        setsid();
        if (fork() != 0)
            _exit(0);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        if (!strstr(file, "cgroup.procs"))
            close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
        tell("daemon", write_to(file, pid));
        close(pipe_ends[1]);
        for (;;)
            pause();
    }
    close(pipe_ends[1]);
    (void)!read(pipe_ends[0], &byte, 1); // until it is as it shall be
    close(pipe_ends[0]);
}

static void fork_many(int n)
{
    int made = 0;
    for (; made < n; made++) {
        pid_t pid = fork();
        if (pid < 0)
            break;
        if (pid == 0) {
            setsid();
            for (;;)
                pause();
        }
    }
    printf("forks: %d\n", made);
    fflush(stdout);
}

static int act(char **words)
{
    const char *word = words[0];
    if (strcmp(word, "fds") == 0)
        return numbers(word, "/proc/self/fd"), 1;
    if (strcmp(word, "pids") == 0)
        return numbers(word, "/proc"), 1;
    if (strcmp(word, "write") == 0)
        return tell(word, write_to(words[1], words[2])), 3;
    if (strcmp(word, "read") == 0)
        return read_from(words[1]), 2;
    if (strcmp(word, "mount") == 0)
        return tell(word, mount("none", words[1], "tmpfs", 0, NULL)), 2;
    if (strcmp(word, "remount") == 0)
        return tell(word, mount(NULL, words[1], NULL, MS_REMOUNT | MS_BIND, NULL)), 2;
    if (strcmp(word, "umount") == 0)
        return tell(word, umount2(words[1], MNT_DETACH)), 2;
    if (strcmp(word, "proc") == 0)
        return tell(word, mount("proc", words[1], "proc", 0, NULL)), 2;
    if (strcmp(word, "kill") == 0)
        return tell(word, kill(atoi(words[1]), atoi(words[2]))), 3;
    if (strcmp(word, "trace") == 0)
        return tell(word, (int)ptrace(PTRACE_SEIZE, atoi(words[1]), NULL, NULL)), 2;
    if (strcmp(word, "connect") == 0)
        return tell(word, connect_to(words[1])), 2;
    if (strcmp(word, "rename") == 0)
        return tell(word, rename(words[1], words[2])), 3;
    if (strcmp(word, "device") == 0)
        return tell(word, open_device(words + 1)), 5;
    if (strcmp(word, "unshare") == 0)
        return tell(word, unshare(CLONE_NEWUSER)), 1;
    if (strcmp(word, "own") == 0)
        return tell(word, become_root_of_a_namespace()), 1;
    if (strcmp(word, "cgroups") == 0)
        return tell(word, mount("none", words[1], "cgroup2", 0, NULL)), 2;
    if (strcmp(word, "nest") == 0)
        return tell(word, nest(words[1])), 2;
    if (strcmp(word, "flood") == 0)
        return flood(atol(words[1])), 2;
    if (strcmp(word, "undying") == 0)
        return tell(word, prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)), 1;
    if (strcmp(word, "daemon") == 0)
        return leave_daemon(words[1]), 2;
    if (strcmp(word, "forks") == 0)
        return fork_many(atoi(words[1])), 2;
    if (strcmp(word, "silence") == 0)
        return close(0), close(1), close(2), 1;
    if (strcmp(word, "say") == 0)
        return puts(words[1]), fflush(stdout), 2;
    if (strcmp(word, "exit") == 0)
        exit(atoi(words[1]));
    fprintf(stderr, "escape: %s?\n", word);
    exit(97);
}

int main(int argc, char **argv)
{
    sigset_t term;
    int number;
    for (char **word = argv + 1; *word;)
        word += act(word);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    sigwait(&term, &number);
    return 0;
}
