// Commands that join the running container for a client: started, watched, their output gathered
// where the client brought no descriptors of its own.
#include "supervisor/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"

enum {
    ARGUMENTS_MAX = 4096,
    GATHERED_MAX = SHIM_MESSAGE_MAX - (int)sizeof(struct shim_message),
};

static size_t gathered_max(const struct shim *shim)
{
    int64_t wanted = shim->spec.exec_output_max;
    return wanted > 0 && wanted < GATHERED_MAX ? (size_t)wanted : (size_t)GATHERED_MAX;
}

// Reads once; what is over the bound is read and thrown away, so that the command is not held up.
static ssize_t gather(struct shim *shim, struct shim_client *client)
{
    char chunk[4096];
    ssize_t n = read(client->exec_output.fd, chunk, sizeof(chunk));
    if (n > 0)
        buffer_add(&client->gathered, chunk,
                   MIN((size_t)n, gathered_max(shim) - client->gathered.len));
    return n < 0 ? -errno : n;
}

static void exec_output_ready(struct shim_source *source, struct shim *shim)
{
    struct shim_client *client =
        (struct shim_client *)((char *)source - offsetof(struct shim_client, exec_output));
    ssize_t n = gather(shim, client);
    if (n <= 0 && n != -EAGAIN && n != -EINTR)
        shim_source_close(shim, source);
}

// The arguments as a vector that borrows from `text`; NULL where they are malformed.
static const char **split_arguments(const struct buffer *text)
{
    size_t n = 0;
    // The last one's NUL may be there or not; the buffer has one behind its end.
    for (size_t at = 0; at < text->len; at += strlen(text->data + at) + 1)
        n++;
    if (n == 0 || n > ARGUMENTS_MAX)
        return NULL;
    const char **argv = xcalloc(n + 1, sizeof(*argv));
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        argv[i] = text->data + at;
        at += strlen(argv[i]) + 1;
    }
    return argv;
}

static void answer(struct shim_client *client, enum shim_message_type type, int64_t number,
                   const char *text, size_t len)
{
    struct shim_message message = {.type = type, .number = number, .length = (uint32_t)len};
    (void)shim_message_send(client->source.fd, &message, text, NULL, 0);
}

static int make_output(struct shim *shim, struct shim_client *client, int *ret_writer)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    int code = fs_set_nonblocking(ends[0], true);
    if (code == 0)
        code = shim_source_add(shim, &client->exec_output, ends[0], exec_output_ready);
    if (code < 0) {
        close(ends[0]);
        close(ends[1]);
        return code;
    }
    *ret_writer = ends[1];
    return 0;
}

static int start(struct shim *shim, struct shim_client *client, struct shim_received *message,
                 struct error *err)
{
    _cleanup_close_ int writer = -1;
    _cleanup_free_ const char **argv = split_arguments(&message->text);
    int fds[3] = {message->fds[0], message->fds[1], message->fds[2]};
    if (!argv)
        return error_set(err, EINVAL, "the command is empty or has too many arguments");
    if (fds[0] < 0 && fds[1] < 0 && fds[2] < 0) {
        int code = make_output(shim, client, &writer);
        if (code < 0)
            return error_errno(err, code, "cannot make a pipe for the command's output");
        fds[1] = fds[2] = writer;
    }
    return shim_container_exec(&shim->spec, &shim->child, argv, fds, message->head.flags,
                               &client->exec_pid, err);
}

void shim_exec_start(struct shim *shim, struct shim_client *client, struct shim_received *message)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    int code = start(shim, client, message, &err);
    if (code < 0) {
        client->exec_pid = 0;
        shim_source_close(shim, &client->exec_output);
        const char *text = error_message(&err);
        answer(client, SHIM_ERROR, -code, text, strlen(text));
        return;
    }
    answer(client, SHIM_EXEC_STARTED, client->exec_pid, NULL, 0);
}

void shim_exec_kill(struct shim *shim, struct shim_client *client)
{
    if (client->exec_pid) {
        // It leads a session of its own where the container's code gave it one.
        if (getpgid(client->exec_pid) == client->exec_pid)
            kill(-client->exec_pid, SIGKILL);
        kill(client->exec_pid, SIGKILL);
        client->exec_pid = 0; // reaped like any other child
    }
    shim_source_close(shim, &client->exec_output);
    buffer_free(&client->gathered);
}

void shim_exec_exited(struct shim *shim, struct shim_client *client, int wait_status)
{
    client->exec_pid = 0;
    // What is in the pipe now; a process that the command left behind may hold it open.
    if (client->exec_output.fd >= 0) {
        int left = 0;
        if (ioctl(client->exec_output.fd, FIONREAD, &left) < 0)
            left = 0;
        while (left > 0) {
            ssize_t n = gather(shim, client);
            if (n <= 0)
                break;
            left -= (int)n;
        }
    }
    shim_source_close(shim, &client->exec_output);
    answer(client, SHIM_EXEC_EXITED, wait_status, client->gathered.data, client->gathered.len);
    buffer_free(&client->gathered);
}
