// Commands inside a container, each over a connection of its own: closing it is what kills the
// command (shim-link.h).
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/alloc.h"
#include "supervisor/shim-link-internal.h"

struct shim_exec {
    struct shim_exec *next;
    struct shim_link *link;
    int socket;
    sd_event_source *socket_source, *timer;
    shim_exec_done done;
    void *userdata;
};

static void exec_free(struct shim_exec *exec)
{
    sd_event_source_disable_unref(exec->socket_source);
    sd_event_source_disable_unref(exec->timer);
    cleanup_close(&exec->socket);
    free(exec);
}

static void unlist(struct shim_exec *exec)
{
    for (struct shim_exec **at = &exec->link->execs; *at; at = &(*at)->next)
        if (*at == exec) {
            *at = exec->next;
            return;
        }
}

static void finish(struct shim_exec *exec, int code, int wait_status, const char *output,
                   size_t output_len)
{
    shim_exec_done done = exec->done;
    void *userdata = exec->userdata;
    unlist(exec);
    exec_free(exec);
    done(userdata, code, wait_status, output, output_len);
}

static int timer_ready(sd_event_source *source, uint64_t usec, void *userdata)
{
    finish(userdata, -ETIMEDOUT, 0, "", 0);
    return 0;
}

static int socket_ready(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct shim_received message = SHIM_RECEIVED_NONE;
    int code = shim_message_receive(fd, &message);
    if (code == -EAGAIN)
        return 0;
    if (code < 0) // the container ended, and the command with it
        finish(userdata, code == -ECONNRESET ? -ESRCH : code, 0, "", 0);
    else if (message.head.type == SHIM_EXEC_EXITED)
        finish(userdata, 0, (int)message.head.number, buffer_str(&message.text), message.text.len);
    else if (message.head.type == SHIM_ERROR)
        finish(userdata, message.head.number > 0 ? -(int)message.head.number : -EIO, 0,
               buffer_str(&message.text), message.text.len);
    shim_received_clear(&message);
    return 0;
}

static int send_command(int fd, const struct string_list *argv)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    LIST_EACH (argument, argv)
        buffer_add(&text, *argument, strlen(*argument) + 1);
    struct shim_message message = {.type = SHIM_EXEC, .length = (uint32_t)text.len};
    return text.len > SHIM_MESSAGE_MAX ? -E2BIG
                                       : shim_message_send(fd, &message, text.data, NULL, 0);
}

static int watch(struct shim_exec *exec, int64_t timeout_usec)
{
    sd_event *event = exec->link->event;
    int code =
        sd_event_add_io(event, &exec->socket_source, exec->socket, EPOLLIN, socket_ready, exec);
    if (code < 0 || timeout_usec <= 0)
        return code;
    return sd_event_add_time_relative(event, &exec->timer, CLOCK_BOOTTIME, (uint64_t)timeout_usec,
                                      1, timer_ready, exec);
}

int shim_link_exec(struct shim_link *link, const struct string_list *argv, int64_t timeout_usec,
                   shim_exec_done done, void *userdata, struct shim_exec **ret, struct error *err)
{
    if (link->over)
        return error_set(err, ESRCH, "the container is over");
    struct shim_exec *exec = xcalloc(1, sizeof(*exec));
    *exec = (struct shim_exec){.link = link, .done = done, .userdata = userdata};
    int code = exec->socket = shim_socket_connect(link->dir, "socket");
    if (code >= 0)
        code = send_command(exec->socket, argv);
    if (code >= 0)
        code = watch(exec, timeout_usec);
    if (code < 0) {
        exec_free(exec);
        return error_errno(err, code, "cannot ask the shim to run a command");
    }
    exec->next = link->execs;
    link->execs = exec;
    *ret = exec;
    return 0;
}

void shim_exec_cancel(struct shim_exec *exec)
{
    if (!exec)
        return;
    unlist(exec);
    exec_free(exec);
}

static void end_exec(struct shim_exec *exec)
{
    struct shim_received message = SHIM_RECEIVED_NONE;
    int code;
    do
        code = shim_message_receive(exec->socket, &message);
    while (code == 0 && message.head.type != SHIM_EXEC_EXITED);
    if (code == 0)
        finish(exec, 0, (int)message.head.number, buffer_str(&message.text), message.text.len);
    else
        finish(exec, -ESRCH, 0, "", 0);
    shim_received_clear(&message);
}

void shim_link_end_execs(struct shim_link *link)
{
    while (link->execs && !link->freed) {
        struct shim_exec *exec = link->execs;
        link->execs = exec->next;
        end_exec(exec);
    }
}
