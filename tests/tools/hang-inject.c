// What makes a part of the agent hang: only the program mainstayd-hangs has this (base/work.h).
//
// MAINSTAY_HANG names a file. As long as it exists, it says "PART KIND", where KIND is
//   block   the part sleeps when it is entered next, until the file is gone
//   spin    it works without an end, until the file is gone
//   silent  it does nothing any more, and so do its event sources, for good
// MAINSTAY_HANG_SCALE divides the limits after which a hang is told.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/work.h"

#ifndef MAINSTAY_HANGS
#error "this belongs to mainstayd-hangs only"
#endif

static bool is_asked_for(const char *part, const char *kind)
{
    char text[64];
    const char *path = getenv("MAINSTAY_HANG");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    size_t len = strlen(part);
    return strncmp(text, part, len) == 0 && text[len] == ' ' &&
           strncmp(text + len + 1, kind, strlen(kind)) == 0;
}

void hang_inject(const char *part)
{
    while (is_asked_for(part, "block"))
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    while (is_asked_for(part, "spin"))
        continue;
}

bool work_is_silenced(const char *part)
{
    return is_asked_for(part, "silent");
}

int64_t work_scaled_usec(int64_t usec)
{
    const char *scale = getenv("MAINSTAY_HANG_SCALE");
    long by = scale ? strtol(scale, NULL, 10) : 1;
    return by > 1 ? usec / by : usec;
}
