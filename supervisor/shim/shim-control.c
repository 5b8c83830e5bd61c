// The control socket: who may connect, and what the messages do (shim-proto.h).
#include "supervisor/shim/shim.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/process.h"

static void close_client(struct shim *shim, struct shim_client *client)
{
    shim_exec_kill(shim, client);
    shim_source_close(shim, &client->source);
    client->open = client->wants_state = false;
}

static void send_error(int fd, int code, const char *text)
{
    struct shim_message message = {
        .type = SHIM_ERROR,
        .length = (uint32_t)strlen(text),
        .number = -code,
    };
    (void)shim_message_send(fd, &message, text, NULL, 0);
}

// A client that does not read what it asked for is closed: nothing waits for it.
static void send_state(struct shim *shim, struct shim_client *client)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    shim_report_format(shim, &text);
    struct shim_message message = {.type = SHIM_STATE, .length = (uint32_t)text.len};
    if (shim_message_send(client->source.fd, &message, text.data, NULL, 0) < 0)
        close_client(shim, client);
}

void shim_control_tell(struct shim *shim)
{
    for (size_t i = 0; i < SHIM_CLIENTS_MAX; i++)
        if (shim->clients[i].open && shim->clients[i].wants_state)
            send_state(shim, &shim->clients[i]);
}

static int send_signal(struct shim *shim, int64_t number)
{
    if (number < 0 || number > 64)
        return -EINVAL;
    return process_signal(shim->child.pidfd, (int)number);
}

// 0, or why the message is refused.
static int obey(struct shim *shim, struct shim_client *client, struct shim_received *message)
{
    switch (message->head.type) {
    case SHIM_HELLO:
        client->wants_state = true;
        send_state(shim, client);
        return 0;
    case SHIM_SIGNAL:
        return send_signal(shim, message->head.number);
    case SHIM_KILL:
        shim_kill_container(shim);
        return 0;
    case SHIM_EXEC:
        if (client->exec_pid)
            return -EBUSY;
        shim_exec_start(shim, client, message);
        return 0;
    case SHIM_ROTATE:
        shim_log_file_reopen(shim->log_file);
        return 0;
    default:
        return -EBADMSG;
    }
}

static void client_ready(struct shim_source *source, struct shim *shim)
{
    struct shim_client *client = (struct shim_client *)source;
    struct shim_received message = SHIM_RECEIVED_NONE;
    int code = shim_message_receive(source->fd, &message);
    if (code == -EAGAIN)
        return;
    bool received = code == 0;
    if (received)
        code = obey(shim, client, &message);
    shim_received_clear(&message);
    if (code < 0 && client->open && code != -ECONNRESET)
        send_error(source->fd, code, strerror(-code));
    if (client->open && (!received || code == -EBADMSG))
        close_client(shim, client);
}

static bool peer_may(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static struct shim_client *free_client(struct shim *shim)
{
    for (size_t i = 0; i < SHIM_CLIENTS_MAX; i++)
        if (!shim->clients[i].open)
            return &shim->clients[i];
    return NULL;
}

static void listener_ready(struct shim_source *source, struct shim *shim)
{
    int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct shim_client *client = peer_may(fd) ? free_client(shim) : NULL;
    if (!client || shim_source_add(shim, &client->source, fd, client_ready) < 0) {
        send_error(fd, client ? -ENOMEM : -EUSERS, "the shim takes no more connections");
        close(fd);
        return;
    }
    client->open = true;
}

int shim_control_listen(struct shim *shim, int fd)
{
    for (size_t i = 0; i < SHIM_CLIENTS_MAX; i++) {
        shim->clients[i].source.fd = -1;
        shim->clients[i].exec_output.fd = -1;
    }
    return shim_source_add(shim, &shim->listener, fd, listener_ready);
}

void shim_control_reaped(struct shim *shim, pid_t pid, int wait_status)
{
    for (size_t i = 0; i < SHIM_CLIENTS_MAX; i++)
        if (shim->clients[i].exec_pid == pid)
            shim_exec_exited(shim, &shim->clients[i], wait_status);
}

void shim_control_end(struct shim *shim)
{
    for (size_t i = 0; i < SHIM_CLIENTS_MAX; i++)
        if (shim->clients[i].open)
            shim_exec_kill(shim, &shim->clients[i]);
}
