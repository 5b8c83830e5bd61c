// Starting the shim program, cheaply: posix_spawn() shares the agent's memory until exec, so its
// size does not matter.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/shim-link-internal.h"
#include "supervisor/shim/shim-proto.h"
#include "supervisor/shim/shim-wait.h"

// The targets of the descriptors must not be hit before they are duplicated: above them, nothing
// is.
enum { SAFE_FD = 16 };

int shim_spawn_spec_memfd(const void *data, size_t len)
{
    _cleanup_close_ int fd = memfd_create("shim-spec", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int code = fs_write_all(fd, data, len);
    if (code < 0)
        return code;
    if (lseek(fd, 0, SEEK_SET) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all;
    sigfillset(&all);
    int code = posix_spawnattr_setsigmask(attributes, &all); // blocked before they can arrive
    if (code == 0)
        code = posix_spawnattr_setsigdefault(attributes, &all);
    if (code == 0)
        code = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                        POSIX_SPAWN_SETSID);
    return -code;
}

static int set_descriptors(posix_spawn_file_actions_t *actions, const int *from, int n)
{
    int code = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDWR, 0);
    if (code == 0)
        code = posix_spawn_file_actions_adddup2(actions, 0, 1);
    if (code == 0)
        code = posix_spawn_file_actions_adddup2(actions, 0, 2);
    for (int i = 0; i < n && code == 0; i++)
        code = posix_spawn_file_actions_adddup2(actions, from[i], SHIM_FD_SPEC + i);
    return -code;
}

static int spawn_from(const char *program, char *const argv[], const int *from, int n, pid_t *ret)
{
    char *environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int code = -posix_spawn_file_actions_init(&actions);
    if (code < 0)
        return code;
    code = -posix_spawnattr_init(&attributes);
    if (code == 0) {
        code = set_attributes(&attributes);
        if (code == 0)
            code = set_descriptors(&actions, from, n);
        if (code == 0)
            code = -posix_spawn(ret, program, &actions, &attributes, argv, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

// The child has `given` as its descriptors from SHIM_FD_SPEC on.
static int spawn_with(const char *program, char *const argv[], const int *given, int n, pid_t *ret,
                      struct error *err)
{
    int from[SHIM_FDS_MOST] = {-1, -1, -1, -1};
    int code = 0;
    for (int i = 0; i < n && code == 0; i++) {
        from[i] = fcntl(given[i], F_DUPFD_CLOEXEC, SAFE_FD);
        code = from[i] < 0 ? -errno : 0;
    }
    if (code == 0)
        code = spawn_from(program, argv, from, n, ret);
    for (int i = 0; i < n; i++)
        cleanup_close(&from[i]);
    return code < 0 ? error_errno(err, code, "cannot start %s", program) : 0;
}

int shim_spawn(const struct shim_spawn *spawn, pid_t *ret, struct error *err)
{
    const int given[SHIM_FDS_MOST] = {spawn->spec, spawn->lock, spawn->socket, spawn->dir};
    char name[] = "mainstay-shim";
    char *argv[] = {name, (char *)spawn->title, NULL};
    return spawn_with(spawn->program, argv, given, SHIM_FDS_MOST, ret, err);
}

int shim_spawn_waiting(const char *program, int socket, pid_t *ret, struct error *err)
{
    char name[] = "mainstay-shim", what[] = "--wait", room[SHIM_TITLE_ROOM];
    char *argv[] = {name, what, room, NULL};
    memset(room, ' ', sizeof(room) - 1);
    room[sizeof(room) - 1] = '\0';
    return spawn_with(program, argv, &socket, 1, ret, err);
}
