// See fence-state.h.
#include "base/fence-state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/process.h"

enum { BOOT_ID_LENGTH = 36, NUMBERS = 4, NUMBER_LENGTH = 21, READS = 100 };

// FNV-1a, for accidents only.
static uint64_t sum(const char *text, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
    return hash;
}

int fence_state_write(int fd, const struct fence_state *state)
{
    char boot[BOOT_ID_LENGTH + 1], text[FENCE_STATE_SIZE + 1];
    int n =
        snprintf(text, sizeof(text), "%-36.36s %020" PRIu64 " %020" PRIu64 " %020" PRIu64,
                 process_boot_id(boot), state->owner, state->start_until.usec, state->kill_at.usec);
    snprintf(text + n, sizeof(text) - (size_t)n, " %020" PRIu64 "\n", sum(text, (size_t)n));
    ssize_t written = pwrite(fd, text, FENCE_STATE_SIZE, 0);
    return written == FENCE_STATE_SIZE ? 0 : written < 0 ? -errno : -EIO;
}

// What is in memory is of this boot. That comes first, for in a container the boot's id may be one
// that was put there, and not the same for all.
static bool is_of_this_boot(int fd, const char *text)
{
    char boot[BOOT_ID_LENGTH + 1];
    struct statfs fs;
    if (fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC)
        return true;
    process_boot_id(boot);
    return strlen(boot) == BOOT_ID_LENGTH && memcmp(text, boot, BOOT_ID_LENGTH) == 0;
}

static int parse(int fd, const char *text, struct fence_state *ret)
{
    uint64_t numbers[NUMBERS];
    const char *p = text + BOOT_ID_LENGTH;
    for (int i = 0; i < NUMBERS; i++, p += NUMBER_LENGTH) {
        char *end = NULL;
        errno = 0;
        numbers[i] = strtoull(p + 1, &end, 10);
        if (*p != ' ' || errno != 0 || end != p + NUMBER_LENGTH)
            return -EBADMSG;
    }
    if (*p != '\n' || numbers[3] != sum(text, FENCE_STATE_SIZE - NUMBER_LENGTH - 1))
        return -EBADMSG;
    if (!is_of_this_boot(fd, text))
        return -ESTALE;
    *ret = (struct fence_state){numbers[0], {numbers[1]}, {numbers[2]}};
    return 0;
}

int fence_state_read(int fd, struct fence_state *ret)
{
    int code = -EBADMSG;
    *ret = (struct fence_state){0};
    for (int i = 0; i < READS && code == -EBADMSG; i++) {
        char text[FENCE_STATE_SIZE + 1] = "";
        ssize_t n = pread(fd, text, FENCE_STATE_SIZE, 0);
        if (n < 0)
            return -errno;
        if (n != FENCE_STATE_SIZE)
            return -EBADMSG;
        code = parse(fd, text, ret);
    }
    return code;
}

int fence_state_read_path(const char *path, struct fence_state *ret)
{
    *ret = (struct fence_state){0};
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    return fd < 0 ? -errno : fence_state_read(fd, ret);
}

char *fence_state_cgroups(const char *path)
{
    return xasprintf("%s.d", path);
}
