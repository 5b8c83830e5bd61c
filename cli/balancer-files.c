// The balancer's files on this node: what is there, whether the program that a new one is for takes
// it, and its place.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "cli/balancer.h"

enum { FILE_MAX = 1 << 20, OUTPUT_MAX = 8192, CHECK_FD = 9 };
#define CHECK_FILE "/dev/fd/9"

extern char **environ;

// How each program checks a configuration: it reads the file, and leaves everything else alone.
static const struct {
    const char *file;
    const char *argv[8];
} checks[] = {
    {"haproxy.cfg", {"haproxy", "-c", "-q", "-f", CHECK_FILE, NULL}},
    {"kube-apiserver.conf", {"nginx", "-t", "-q", "-c", CHECK_FILE, NULL}},
    {"keepalived.conf", {"keepalived", "--config-test", "--use-file=" CHECK_FILE, NULL}},
};

static int spawn_check(const char *const *argv, int file, int output, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions, file, CHECK_FD);
    int code = posix_spawnp(ret, argv[0], &actions, &attributes, (char **)argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return -code;
}

static int memory_file(const char *name, const void *data, size_t len)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int code = fs_write_all(fd, data, len);
    if (code < 0) {
        close(fd);
        return code;
    }
    return fd;
}

static int end_of(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EINVAL;
}

static int run_check(const char *const *argv, const struct buffer *text, struct buffer *output,
                     struct error *err)
{
    _cleanup_close_ int file = memory_file("configuration", text->data, text->len);
    _cleanup_close_ int said = memory_file("output", "", 0);
    pid_t pid = -1;
    if (file < 0 || said < 0)
        return error_errno(err, file < 0 ? file : said, "cannot make a file in memory");
    int code = spawn_check(argv, file, said, &pid);
    if (code < 0)
        return code;
    code = end_of(pid);
    if (code < 0 && lseek(said, 0, SEEK_SET) == 0)
        fs_read_fd(said, OUTPUT_MAX, output);
    return code;
}

// Without the program (it may have an image of its own, which is not to be seen from here) there is
// nobody to ask.
static int check(const char *path, const struct buffer *text, struct error *err)
{
    _cleanup_buffer_ struct buffer output = BUFFER_EMPTY;
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        if (!str_equal(path_base(path), checks[i].file))
            continue;
        int code = run_check(checks[i].argv, text, &output, err);
        if (code == -ENOENT)
            return 0;
        if (code < 0)
            return error_set(err, EINVAL, "%s: %s does not take the new one: %s", path,
                             checks[i].argv[0], buffer_str(&output));
    }
    return 0;
}

bool balancer_has_files(const struct balancer_site *site)
{
    static const char *const files[] = {"etc/haproxy/haproxy.cfg", "etc/nginx/kube-apiserver.conf",
                                        "etc/keepalived/keepalived.conf"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", site->root, files[i]);
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

int balancer_put_file(const char *root, const struct file_set_file *file, struct error *err)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", root, file->path);
    _cleanup_buffer_ struct buffer old = BUFFER_EMPTY;
    // Before it is written, because the agent reloads HAProxy then; and else, too, because it is
    // reloaded for other reasons: new certificates, or somebody's hand.
    if (str_equal(path_base(path), "haproxy.cfg"))
        balancer_keep_servers(root, &file->text);
    int code = fs_read_file(AT_FDCWD, path, FILE_MAX, &old);
    if (code == 0 && old.len == file->text.len &&
        memcmp(buffer_str(&old), buffer_str(&file->text), old.len) == 0)
        return 0;
    code = check(path, &file->text, err);
    if (code < 0)
        return code;
    code = fs_mkdir_parents_of(AT_FDCWD, path);
    if (code == 0)
        code = fs_write_atomic(AT_FDCWD, path, file->text.data, file->text.len, file->mode,
                               FS_WRITE_SYNC);
    return code < 0 ? error_errno(err, code, "cannot write %s", path) : 1;
}
