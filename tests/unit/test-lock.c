// base/lock.h: who waits for whom.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/lock.h"

static int open_lock(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

// /proc/locks: "1: -> FLOCK  ADVISORY  WRITE PID …" while a process waits.
static bool waits_for_lock(pid_t pid)
{
    char line[256], pattern[32];
    bool found = false;
    FILE *locks = fopen("/proc/locks", "re");
    snprintf(pattern, sizeof(pattern), "WRITE %d ", (int)pid);
    while (locks && !found && fgets(line, sizeof(line), locks))
        found = strstr(line, "-> FLOCK") && strstr(line, pattern);
    if (locks)
        fclose(locks);
    return found;
}

static void a_free_lock_is_taken(void **state)
{
    char path[] = "/tmp/mainstay-test-lock-XXXXXX";
    int first = mkstemp(path), second = open_lock(path);
    assert_int_equal(lock_take(first), 0);
    assert_int_equal(lock_take(second), -EWOULDBLOCK);
    close(first);
    assert_int_equal(lock_take(second), 0);
    close(second);
    unlink(path);
}

static void a_holder_that_goes_is_waited_for(void **state)
{
    char path[] = "/tmp/mainstay-test-lock-XXXXXX";
    int held = mkstemp(path), status;
    pid_t parent = getpid();
    assert_int_equal(flock(held, LOCK_EX), 0);
    pid_t child = fork(); // holds what its parent held
    if (child == 0) {
        while (!waits_for_lock(parent) && getppid() == parent)
            ;
        _exit(0);
    }
    close(held);
    int fd = open_lock(path);
    assert_int_equal(lock_take(fd), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_free_lock_is_taken),
        cmocka_unit_test(a_holder_that_goes_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
