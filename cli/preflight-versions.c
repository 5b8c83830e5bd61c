// See preflight-internal.h: whether the programs are here, and are of the version that the
// manifests were made for.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/monotime.h"
#include "base/process.h"
#include "cli/preflight-facts.h"
#include "cli/preflight-internal.h"
#include "supervisor/image.h"

enum { VERSION_WAIT_MS = 10000, VERSION_TEXT_MAX = 4096 };

// Where the agent runs containers that say no PATH.
#define USUAL_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// ---- asking a program ----

static int start(const char *program, int *ret_fd, pid_t *ret_pid)
{
    int ends[2];
    const char *const argv[] = {program, "--version", NULL};
    char *const env[] = {NULL};
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int r = -posix_spawn(ret_pid, program, &actions, NULL, (char *const *)argv, env);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (r < 0)
        close(ends[0]);
    else
        *ret_fd = ends[0];
    return r;
}

static void read_until(int fd, monotime deadline, struct buffer *out)
{
    while (out->len < VERSION_TEXT_MAX) {
        int64_t left = monotime_since(deadline, monotime_now()) / USEC_PER_MSEC;
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&poll_fd, 1, (int)left) <= 0)
            return;
        ssize_t n = read(fd, buffer_reserve(out, 1024), 1024);
        if (n <= 0)
            return;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
    }
}

// What `PROGRAM --version` says. 0, or a negative errno.
static int ask_version(const char *program, struct facts_version *ret)
{
    _cleanup_close_ int fd = -1;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    pid_t pid = 0;
    int r = start(program, &fd, &pid);
    if (r < 0)
        return r;
    read_until(fd, monotime_add_ms(monotime_now(), VERSION_WAIT_MS), &text);
    kill(pid, SIGKILL); // it has nothing more to say
    waitpid(pid, NULL, 0);
    return facts_version(buffer_str(&text), ret) ? 0 : -ENODATA;
}

// ---- finding it ----

// The program that the agent would run for this container. The caller frees *ret.
static int find_program(const struct preflight *p, const struct container *container, char **ret,
                        struct image *image)
{
    const char *command =
        container->command.n > 0 ? container->command.items[0] : container->args.items[0];
    const char *reason = NULL;
    int r = image_find(p->subject->images_root, container->image, image, &reason, NULL);
    if (r < 0)
        return r;
    if (image->kind == IMAGE_HOST)
        return image_find_command(command, USUAL_PATH, ret);
    _cleanup_free_ char *path = image->kind == IMAGE_BIN
                                    ? xasprintf("%s:" USUAL_PATH, image->path)
                                    : xasprintf("%s/usr/local/bin:%s/usr/bin:%s/bin:%s",
                                                image->path, image->path, image->path, image->path);
    if (image->kind == IMAGE_BIN || command[0] != '/')
        return image_find_command(command, path, ret);
    _cleanup_free_ char *inside = xasprintf("%s%s", image->path, command);
    return image_find_command(inside, path, ret);
}

// ---- judging ----

static void judge(struct preflight *p, const char *program, const char *path,
                  struct facts_version is, const char *wanted_text)
{
    struct facts_version wanted;
    bool etcd = str_equal(program, "etcd");
    if (!facts_version(wanted_text, &wanted))
        preflight_find(p, PREFLIGHT_NOT_CHECKED, program,
                       "%s is %lld.%lld.%lld; \"%s\" is no "
                       "version to compare it with",
                       path, is.major, is.minor, is.patch, wanted_text);
    else if (!facts_same_minor(is, wanted))
        preflight_find(p, etcd ? PREFLIGHT_WARNING : PREFLIGHT_ERROR, program,
                       "%s is %lld.%lld.%lld, and the manifest is made for %s: its flags may be "
                       "others. %s",
                       path, is.major, is.minor, is.patch, wanted_text,
                       etcd ? "Give --etcd-image-tag, or install that version"
                            : "Give --kubernetes-version, or install that version");
    else
        preflight_find(p, is.patch == wanted.patch || etcd ? PREFLIGHT_GOOD : PREFLIGHT_WARNING,
                       program, "%s is %lld.%lld.%lld%s%s", path, is.major, is.minor, is.patch,
                       is.patch == wanted.patch || etcd ? "" : ", and asked for is ",
                       is.patch == wanted.patch || etcd ? "" : wanted_text);
}

static void check_program(struct preflight *p, const char *program, const char *wanted,
                          struct facts_version *ret)
{
    const struct container *container = preflight_container(p, program, NULL);
    _cleanup_(image_clear) struct image image = {0};
    _cleanup_free_ char *path = NULL;
    if (!container)
        return;
    int r = find_program(p, container, &path, &image);
    if (r < 0) {
        preflight_find(p, p->subject->starts ? PREFLIGHT_ERROR : PREFLIGHT_WARNING, program,
                       "there is no %s to run: neither an image directory %s nor the program in "
                       "PATH. Install one of them",
                       program, image.dir ? image.dir : container->image);
        return;
    }
    r = ask_version(path, ret);
    if (r < 0)
        preflight_find(p, PREFLIGHT_NOT_CHECKED, program, "%s --version says none (%s)", path,
                       strerror(-r));
    else
        judge(p, program, path, *ret, wanted);
}

void preflight_versions(struct preflight *p)
{
    const struct control_plane *plane = p->subject->plane;
    static const char *const kubes[] = {"kube-apiserver", "kube-controller-manager",
                                        "kube-scheduler"};
    struct facts_version versions[ARRAY_SIZE(kubes)] = {0}, etcd = {0};
    check_program(p, "etcd", plane->etcd_image_tag, &etcd);
    for (size_t i = 0; i < ARRAY_SIZE(kubes); i++)
        check_program(p, kubes[i], plane->kubernetes_version, &versions[i]);
    for (size_t i = 1; i < ARRAY_SIZE(kubes); i++)
        if (versions[0].major > 0 && versions[i].major > 0 &&
            (versions[i].minor > versions[0].minor || versions[i].minor + 1 < versions[0].minor))
            preflight_find(p, PREFLIGHT_ERROR, "mixed",
                           "%s is %lld.%lld and kube-apiserver %lld.%lld: it may be the same minor "
                           "version or one older (Kubernetes' version skew policy)",
                           kubes[i], versions[i].major, versions[i].minor, versions[0].major,
                           versions[0].minor);
}
