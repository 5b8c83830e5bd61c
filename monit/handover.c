// See handover.h. Over an exec the descriptors keep their numbers, which a variable names: the
// manager's protocol wants them at 3 and upwards, where libraries have descriptors of their own.
#include "monit/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/string-list.h"

// "PID,NAME=FD,NAME=FD…": of another process it means nothing.
#define VARIABLE "MAINSTAYD_SOCKETS"

struct handed {
    char *name;
    int fd; // -1: claimed
};

struct handover {
    LIST_OF(struct handed) items;
};

void handover_add(struct handover *handover, const char *name, int fd)
{
    *LIST_APPEND(&handover->items) = (struct handed){.name = xstrdup(name), .fd = fd};
}

static void receive_from_manager(struct handover *handover)
{
    char **names = NULL;
    int n = sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < n; i++) {
        handover_add(handover, names[i], SD_LISTEN_FDS_START + i);
        free(names[i]);
    }
    free(names);
}

static void receive_one(struct handover *handover, char *item)
{
    char *number = item;
    const char *name = strsep(&number, "=");
    long long fd;
    if (!number || str_to_int(number, 3, INT_MAX, &fd) < 0)
        return;
    if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0)
        handover_add(handover, name, (int)fd);
}

static void receive_from_before(struct handover *handover)
{
    _cleanup_free_ char *text = xstrdup_or_null(getenv(VARIABLE));
    unsetenv(VARIABLE);
    char *rest = text;
    const char *pid = rest ? strsep(&rest, ",") : NULL;
    long long number;
    if (!pid || str_to_int(pid, 1, INT_MAX, &number) < 0 || number != getpid())
        return;
    for (char *item; (item = strsep(&rest, ","));)
        receive_one(handover, item);
}

struct handover *handover_receive(void)
{
    struct handover *handover = xcalloc(1, sizeof(*handover));
    receive_from_before(handover);
    receive_from_manager(handover);
    return handover;
}

void handover_free(struct handover *handover)
{
    if (!handover)
        return;
    LIST_EACH (item, &handover->items) {
        if (item->fd >= 0)
            close(item->fd);
        free(item->name);
    }
    free(handover->items.items);
    free(handover);
}

int handover_claim(struct handover *handover, const char *name)
{
    if (!handover)
        return -1;
    LIST_EACH (item, &handover->items)
        if (item->fd >= 0 && str_equal(item->name, name))
            return TAKE_FD(item->fd);
    return -1;
}

void handover_pass(struct handover *handover)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    buffer_printf(&text, "%d", (int)getpid());
    LIST_EACH (item, &handover->items) {
        if (item->fd < 0 || fcntl(item->fd, F_SETFD, 0) < 0)
            continue;
        buffer_printf(&text, ",%s=%d", item->name, item->fd);
    }
    setenv(VARIABLE, buffer_str(&text), 1);
}
