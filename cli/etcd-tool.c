// See etcd-tool.h.
#include "cli/etcd-tool.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/image.h"

enum { OUTPUT_MAX = 1 << 20 };

#define ROOT_DIR "/var/lib/mainstay"

extern char **environ;

static char *in_directories(const char *directories)
{
    static const char *const names[] = {"etcdutl", "etcdctl"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char *found = NULL;
        if (directories && image_find_command(names[i], directories, &found) == 0)
            return found;
    }
    return NULL;
}

// The official image has static programs in usr/local/bin: they run without its root.
static char *in_image(const char *reference)
{
    struct image image = {0};
    const char *reason = NULL;
    char *found = NULL;
    if (image_find(ROOT_DIR, reference, &image, &reason, NULL) == 0 && image.path) {
        _cleanup_free_ char *directories =
            image.kind == IMAGE_BIN ? xstrdup(image.path)
                                    : xasprintf("%s/usr/local/bin:%s/bin", image.path, image.path);
        found = in_directories(directories);
    }
    image_clear(&image);
    return found;
}

int etcd_tool_find(const struct etcd_access *access, char **ret, struct error *err)
{
    *ret = access->local.image ? in_image(access->local.image) : NULL;
    if (!*ret)
        *ret = in_directories(getenv("PATH"));
    return *ret ? 0
                : error_set(err, ENOENT,
                            "neither etcdutl nor etcdctl is here (they come with etcd; Debian: "
                            "etcd-client)");
}

static int start(char *const *argv, int output, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    int r = -posix_spawn(ret, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return r;
}

static void collect(int fd, struct buffer *out)
{
    char chunk[4096];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        if (out->len < OUTPUT_MAX)
            buffer_add(out, chunk, (size_t)n);
    }
}

static const char *last_line(struct buffer *out)
{
    while (out->len > 0 && out->data[out->len - 1] == '\n')
        buffer_truncate(out, out->len - 1);
    const char *text = buffer_str(out), *newline = strrchr(text, '\n');
    return newline ? newline + 1 : text;
}

int etcd_tool_run(char *const *argv, struct buffer *out, struct error *err)
{
    int ends[2], status = 0;
    pid_t pid = 0;
    setenv("ETCDCTL_API", "3", 1);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(err, errno, "cannot make a pipe");
    int r = start(argv, ends[1], &pid);
    close(ends[1]);
    if (r == 0)
        collect(ends[0], out);
    close(ends[0]);
    if (r < 0)
        return error_errno(err, r, "cannot run %s", argv[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return error_set(err, EREMOTEIO, "%s: %s", path_base(argv[0]), last_line(out));
}
