// A component to supervise, for tests and benchmarks: what it does is told by its arguments, one
// after the other.
//
//   stamp FILE    append "<pid> <CLOCK_MONOTONIC in ns>" to FILE: main() was reached
//   lock FILE     hold an exclusive lock on FILE; if somebody holds it, append "TWICE" to it, exit
//   99 ignore-term   ignore SIGTERM from here on daemon        leave a process of its own session
//   behind, its output closed talker        the same, but it keeps stdout open lines N MS    write
//   N numbered lines ("line 1" …; N = 0: without end), MS apart (0: at full speed) flood BYTES
//   write so many bytes in lines of 100 at full speed say TEXT      write TEXT and a newline exit
//   CODE     exit with CODE crash         die of SIGILL (end)         wait for SIGTERM, then exit
//   0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    exit(98);
}

static void write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            die("write");
        data += n;
        len -= (size_t)n;
    }
}

static void stamp(const char *path)
{
    char line[64];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        die(path);
    int n = snprintf(line, sizeof(line), "%d %lld\n", (int)getpid(),
                     (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    write_all(fd, line, (size_t)n);
    close(fd);
}

static void lock(const char *path)
{
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT, 0666); // inherited: it lives as long as we do
    if (fd < 0)
        die(path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return;
    write_all(fd, "TWICE\n", 6);
    exit(99);
}

static void leave_daemon(int keep_stdout)
{
    if (fork() != 0)
        return;
    setsid();
    if (fork() != 0)
        _exit(0);
    close(0);
    if (!keep_stdout) {
        close(1);
        close(2);
    }
    for (;;)
        pause();
}

static void lines(long n, long ms)
{
    struct timespec pause_time = {ms / 1000, ms % 1000 * 1000000};
    char line[32];
    for (long i = 1; n == 0 || i <= n; i++) {
        int len = snprintf(line, sizeof(line), "line %ld\n", i);
        write_all(1, line, (size_t)len);
        if (ms)
            nanosleep(&pause_time, NULL);
    }
}

static void flood(long long bytes)
{
    char block[64 * 100];
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = i % 100 == 99 ? '\n' : 'x';
    for (; bytes > 0; bytes -= (long long)sizeof(block))
        write_all(1, block, sizeof(block));
}

// Carries out one word; returns how many arguments it took.
static int carry_out(char **argv)
{
    const char *word = argv[0];
    const char *first = argv[1] ? argv[1] : "";
    if (strcmp(word, "stamp") == 0)
        return stamp(first), 2;
    if (strcmp(word, "lock") == 0)
        return lock(first), 2;
    if (strcmp(word, "ignore-term") == 0)
        return signal(SIGTERM, SIG_IGN), 1;
    if (strcmp(word, "daemon") == 0)
        return leave_daemon(0), 1;
    if (strcmp(word, "talker") == 0)
        return leave_daemon(1), 1;
    if (strcmp(word, "lines") == 0)
        return lines(atol(first), argv[2] ? atol(argv[2]) : 0), 3;
    if (strcmp(word, "flood") == 0)
        return flood(atoll(first)), 2;
    if (strcmp(word, "say") == 0)
        return dprintf(1, "%s\n", first), 2;
    if (strcmp(word, "exit") == 0)
        exit(atoi(first));
    if (strcmp(word, "crash") == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        __builtin_trap(); // raise() would do nothing to the first process of a PID namespace
    }
    fprintf(stderr, "component: unknown word %s\n", word);
    exit(98);
}

static void on_term(int number)
{
    _exit(0);
}

int main(int argc, char **argv)
{
    signal(SIGTERM, on_term);
    for (int i = 1; i < argc;) {
        int taken = carry_out(argv + i);
        i += taken;
    }
    for (;;)
        pause();
}
