// How much a directory tree takes on its disk. See sweep.h.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "supervisor/shim/sweep.h"

enum {
    DEPTH_MAX = 512, // each level costs a descriptor; what is deeper is not counted
    BLOCK = 512,     // what st_blocks counts in
};

static DIR *open_below(int dir, const char *name)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };
    int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream && fd >= 0)
        close(fd);
    return stream;
}

// A file with several names is counted once in all, if they are all in the tree.
static int64_t size_of(const struct stat *st)
{
    int64_t bytes = (int64_t)st->st_blocks * BLOCK;
    return S_ISDIR(st->st_mode) || st->st_nlink == 0 ? bytes : bytes / (int64_t)st->st_nlink;
}

static int64_t measure(DIR *top)
{
    static DIR *stack[DEPTH_MAX]; // of a process that does nothing else
    struct stat st;
    int depth = 0;
    int64_t sum = fstat(dirfd(top), &st) == 0 ? size_of(&st) : 0;
    stack[0] = top;
    while (depth >= 0) {
        const struct dirent *entry = readdir(stack[depth]);
        if (!entry) {
            closedir(stack[depth--]);
            continue;
        }
        if (!path_is_name(entry->d_name) ||
            fstatat(dirfd(stack[depth]), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        sum += size_of(&st);
        DIR *below = S_ISDIR(st.st_mode) && depth + 1 < DEPTH_MAX
                         ? open_below(dirfd(stack[depth]), entry->d_name)
                         : NULL;
        if (below)
            stack[++depth] = below;
    }
    return sum;
}

int sweep_measure(char *const *dirs)
{
    setpriority(PRIO_PROCESS, 0, 19);
    for (; *dirs; dirs++) {
        DIR *top = opendir(*dirs);
        printf("%" PRId64 "\n", top ? measure(top) : -1);
    }
    return fflush(stdout) == 0 ? 0 : EIO;
}
