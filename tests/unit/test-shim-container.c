// What a container's first process finds itself in: mounts, namespaces, credentials, standard
// streams, errors. Every test starts real processes; what this host lacks is skipped with a reason.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fence-state.h"
#include "base/fs.h"
#include "supervisor/shim/container.h"
#include "supervisor/shim/credentials.h"
#include "supervisor/shim/mounts.h"

struct fixture {
    char dir[64];
    struct shim_spec spec;
    struct buffer warnings;
    int termination; // of the last one that ran
    struct buffer output;
    char *command;
    const char *reason;
    struct error err;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/test-shim-container-XXXXXX");
    if (!mkdtemp(f->dir) || chmod(f->dir, 0755) < 0)
        return -1;
    f->termination = -1;
    f->spec.root_kind = SHIM_ROOT_HOST;
    f->spec.run_as_user = f->spec.run_as_group = -1;
    f->spec.oom_score_adj = INT64_MIN;
    f->spec.new_pid_namespace = f->spec.new_ipc_namespace = true;
    f->spec.default_capabilities = true;
    f->spec.new_user_namespace = geteuid() != 0;
    string_list_add(&f->spec.environment, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *work = path_join(f->dir, "work/work");
    chmod(work, 0700); // overlayfs leaves it with no permissions at all
    int code = fs_remove_tree(AT_FDCWD, f->dir);
    shim_spec_free(&f->spec);
    buffer_free(&f->warnings);
    cleanup_close(&f->termination);
    buffer_free(&f->output);
    free(f->command);
    error_clear(&f->err);
    free(f);
    return code;
}

static void argv(struct fixture *f, const char *script)
{
    string_list_free(&f->spec.argv);
    string_list_add(&f->spec.argv, "sh");
    string_list_add(&f->spec.argv, "-c");
    string_list_add(&f->spec.argv, script);
}

static char *in_dir(const struct fixture *f, const char *name)
{
    return path_join(f->dir, name);
}

static void write_text(const struct fixture *f, const char *name, const char *text)
{
    _cleanup_free_ char *path = in_dir(f, name);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, 0), 0);
}

static struct shim_mount *add_mount(struct fixture *f, const char *source, const char *destination)
{
    struct shim_mount *mount = LIST_APPEND(&f->spec.mounts);
    mount->source = in_dir(f, source);
    mount->destination = xstrdup(destination);
    mount->volume = xstrdup("v");
    return mount;
}

static void read_all(int fd, struct buffer *out)
{
    for (;;) {
        ssize_t n = read(fd, buffer_reserve(out, 4096), 4096);
        if (n <= 0)
            break;
        out->len += (size_t)n;
    }
    buffer_add(out, "", 0);
}

// Starts and waits; the wait status, or the negative errno of the start.
static int run(struct fixture *f)
{
    int out[2];
    struct shim_child child;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    struct shim_stdio stdio = {.fds = {-1, out[1], out[1]}};
    buffer_truncate(&f->warnings, 0);
    buffer_truncate(&f->output, 0);
    error_clear(&f->err);
    free(TAKE_PTR(f->command));
    int code = shim_container_start(&f->spec, &stdio, &child, &f->command, &f->warnings, &f->reason,
                                    &f->err);
    close(out[1]);
    if (code == 0) {
        read_all(out[0], &f->output);
        assert_int_equal(waitpid(child.pid, &code, 0), child.pid);
        close(child.pidfd);
        cleanup_close(&f->termination);
        f->termination = child.termination;
    }
    close(out[0]);
    if (code < 0)
        print_message("%s: %s\n", f->reason, error_message(&f->err));
    if (f->warnings.len)
        print_message("%s", buffer_str(&f->warnings));
    return code;
}

static void assert_says(struct fixture *f, const char *script, const char *expected)
{
    argv(f, script);
    assert_int_equal(run(f), 0);
    assert_string_equal(buffer_str(&f->output), expected);
}

static bool is_root(void)
{
    if (geteuid() != 0)
        print_message("skipped: needs root\n");
    return geteuid() == 0;
}

static void runs_and_tells_which_file(void **state)
{
    struct fixture *f = *state;
    assert_says(f, "echo $$ $PATH; pwd; echo err >&2", "1 /usr/sbin:/usr/bin:/sbin:/bin\n/\nerr\n");
    assert_true(str_ends_with(f->command, "/sh"));
    argv(f, "exit 7");
    assert_int_equal(WEXITSTATUS(run(f)), 7);
}

static void only_three_descriptors_are_inherited(void **state)
{
    struct fixture *f = *state;
    int stray = open("/dev/null", O_RDONLY); // not close-on-exec, on purpose
    assert_says(f, "for i in /proc/self/fd/*; do echo ${i##*/}; done | sort -n | head -n 4",
                "0\n1\n2\n3\n"); // 3 is the shell's own, reading the directory
    close(stray);
}

static void missing_commands_are_named(void **state)
{
    struct fixture *f = *state;
    string_list_add(&f->spec.argv, "no-such-command");
    assert_int_equal(run(f), -ENOENT);
    assert_string_equal(f->reason, "StartError");
    assert_non_null(strstr(error_message(&f->err), "no-such-command not found in PATH"));
    string_list_free(&f->spec.argv);
    assert_int_equal(run(f), -EINVAL);
    assert_string_equal(f->reason, "CreateContainerConfigError");
}

static void image_directories_come_first_in_path(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *hello = in_dir(f, "hello");
    assert_int_equal(fs_write_atomic(AT_FDCWD, hello, "#!/bin/sh\necho $PATH\n", 21, 0755, 0), 0);
    string_list_add(&f->spec.path_prepend, f->dir);
    string_list_add(&f->spec.argv, "hello");
    assert_int_equal(run(f), 0);
    assert_string_equal(f->command, hello);
    assert_true(str_starts_with(buffer_str(&f->output), f->dir));
}

static void volumes_are_mounted(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *target = in_dir(f, "target"), *source = in_dir(f, "source");
    assert_int_equal(mkdir(target, 0755), 0);
    assert_int_equal(mkdir(source, 0755), 0);
    write_text(f, "source/file", "content\n");
    struct shim_mount *mount = add_mount(f, "source", target);
    _cleanup_free_ char *script = xasprintf("cat %s/file; touch %s/new", target, target);
    assert_says(f, script, "content\n");
    _cleanup_free_ char *made = in_dir(f, "source/new");
    assert_int_equal(access(made, F_OK), 0);
    mount->read_only = true;
    _cleanup_free_ char *fails = xasprintf("touch %s/newer 2>/dev/null || echo refused", target);
    assert_says(f, fails, "refused\n");
    _cleanup_free_ char *outside = in_dir(f, "target/file");
    assert_int_equal(access(outside, F_OK), -1); // nothing shows in this namespace
}

static void missing_mount_points_leave_the_host_alone(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *parent = in_dir(f, "parent"), *source = in_dir(f, "source");
    _cleanup_free_ char *point = in_dir(f, "parent/a/b"), *first = in_dir(f, "parent/a");
    assert_int_equal(mkdir(parent, 0755), 0);
    assert_int_equal(mkdir(source, 0755), 0);
    write_text(f, "source/file", "content\n");
    write_text(f, "parent/sibling", "sibling\n");
    add_mount(f, "source", point);
    _cleanup_free_ char *script =
        xasprintf("cat %s/file %s/sibling; echo changed > %s/sibling; touch %s/x 2>/dev/null || "
                  "echo refused",
                  point, parent, parent, parent);
    assert_says(f, script, "content\nsibling\nrefused\n");
    assert_int_equal(access(first, F_OK), -1);
    _cleanup_buffer_ struct buffer sibling = BUFFER_EMPTY;
    _cleanup_free_ char *path = in_dir(f, "parent/sibling");
    fs_read_file(AT_FDCWD, path, 100, &sibling);
    assert_string_equal(sibling.data, "changed\n"); // the mirror shows the file itself
}

static void mount_points_in_the_root_leave_the_host_alone(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *source = in_dir(f, "source");
    assert_int_equal(mkdir(source, 0755), 0);
    write_text(f, "source/file", "content\n");
    add_mount(f, "source", "/no-such-directory-here/x");
    assert_says(f, "cat /no-such-directory-here/x/file; test -d /usr/bin && echo there",
                "content\nthere\n");
    assert_int_equal(access("/no-such-directory-here", F_OK), -1);
    assert_int_equal(access("/tmp", F_OK), 0);
}

static void host_path_types_are_checked(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *target = in_dir(f, "target"), *file = in_dir(f, "new/file");
    assert_int_equal(mkdir(target, 0755), 0);
    struct shim_mount *mount = add_mount(f, "new", target);
    argv(f, "true");
    assert_int_equal(run(f), -ENOENT);
    assert_string_equal(f->reason, "FailedMount");
    assert_non_null(strstr(error_message(&f->err), "DirectoryOrCreate"));
    mount->check = SHIM_PATH_FILE_OR_CREATE;
    free(mount->source);
    mount->source = xstrdup(file);
    assert_int_equal(run(f), -ENOENT); // its directory is not made
    free(mount->source);
    mount->source = in_dir(f, "new");
    mount->check = SHIM_PATH_DIRECTORY_OR_CREATE;
    assert_int_equal(run(f), 0);
    struct stat st;
    assert_int_equal(stat(mount->source, &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0755);
    mount->check = SHIM_PATH_SOCKET;
    assert_int_equal(run(f), -EINVAL);
    assert_non_null(strstr(error_message(&f->err), "is a directory, but a socket"));
    mount->check = SHIM_PATH_FILE_OR_CREATE;
    assert_true(run(f) < 0);
}

static void sub_paths_stay_inside(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *target = in_dir(f, "target"), *source = in_dir(f, "source");
    _cleanup_free_ char *link = in_dir(f, "source/out");
    assert_int_equal(mkdir(target, 0755), 0);
    assert_int_equal(mkdir(source, 0755), 0);
    assert_int_equal(symlink("../..", link), 0);
    struct shim_mount *mount = add_mount(f, "source", target);
    mount->sub_path = xstrdup("a/b");
    _cleanup_free_ char *script = xasprintf("echo x > %s/file", target);
    assert_says(f, script, "");
    _cleanup_free_ char *made = in_dir(f, "source/a/b/file");
    assert_int_equal(access(made, F_OK), 0);
    free(mount->sub_path);
    mount->sub_path = xstrdup("out");
    assert_int_equal(run(f), -EXDEV);
    assert_string_equal(f->reason, "FailedMount");
}

static void processes_and_devices_of_the_host_are_hidden(void **state)
{
    struct fixture *f = *state;
    assert_says(f, "set -- /proc/[0-9]*; echo $*", "/proc/1\n");
    assert_says(f, "echo x > /dev/null; head -c 4 /dev/zero | wc -c", "4\n");
    assert_says(
        f, "cd /dev; for i in *; do test $i = log || echo -n $i,; done",
        "core,fd,full,mqueue,null,ptmx,pts,random,shm,stderr,stdin,stdout,tty,urandom,zero,");
}

static void set_termination_file(struct fixture *f, const char *file)
{
    f->spec.termination_path = xstrdup("/dev/termination-log");
    f->spec.termination_file = in_dir(f, file);
}

static void assert_message(const struct fixture *f, const char *expected)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    assert_int_equal(fs_read_file(AT_FDCWD, f->spec.termination_file, 100, &text), 0);
    assert_string_equal(buffer_str(&text), expected);
}

// Whoever it runs as writes it, and nobody else on the node does.
static void termination_messages_reach_the_host(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    _cleanup_free_ char *messages = in_dir(f, "messages");
    set_termination_file(f, "messages/one");
    mode_t before = umask(077);
    assert_says(f, "echo it was me > /dev/termination-log", "");
    umask(before);
    assert_message(f, "it was me\n");
    assert_int_equal(access("/dev/termination-log", F_OK), -1);
    assert_int_equal(stat(f->spec.termination_file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    assert_int_equal(stat(messages, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_says(f, "cat /dev/termination-log", ""); // an earlier one's is not there
    assert_message(f, "");
}

// In the container's own /dev it is a file like any other, but for its name.
static void termination_messages_of_their_own_dev_can_be_read(void **state)
{
    struct fixture *f = *state;
    char text[100] = "";
    f->spec.termination_path = xstrdup(SHIM_TERMINATION_DEFAULT);
    assert_says(
        f,
        "cd /dev; ln -sfn /etc/passwd termination-log 2>/dev/null || echo kept; "
        "rm -f termination-log 2>/dev/null || echo kept; ls -l termination-log | cut -c1-10; "
        "echo it was me > termination-log",
        "kept\nkept\n-rw-rw-rw-\n");
    assert_true(f->termination >= 0);
    assert_int_equal(pread(f->termination, text, sizeof(text), 0), 10);
    assert_string_equal(text, "it was me\n");
    assert_int_equal(access(SHIM_TERMINATION_DEFAULT, F_OK), -1);
    // All that it can hold, and more than that does not fill the machine's memory.
    assert_says(f,
                "head -c 1G /dev/zero > /dev/termination-log 2>/dev/null || echo full; "
                "test $(stat -c %s /dev/termination-log) -le 67108864 && echo held",
                "full\nheld\n");
}

static void a_volume_over_their_directory_hides_no_termination_message(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *source = in_dir(f, "source"), *over = in_dir(f, "messages"),
                        *wrong = in_dir(f, "source/one");
    assert_int_equal(mkdir(source, 0755), 0);
    assert_int_equal(mkdir(over, 0700), 0);
    add_mount(f, "source", over);
    set_termination_file(f, "messages/one");
    assert_says(f, "echo it was me > /dev/termination-log", "");
    assert_message(f, "it was me\n");
    assert_int_equal(access(wrong, F_OK), -1);
}

static void a_disk_without_room_costs_the_message_only(void **state)
{
    struct fixture *f = *state;
    write_text(f, "messages", ""); // what cannot be made, whatever the reason
    set_termination_file(f, "messages/one");
    assert_says(f, "echo runs", "runs\n");
    assert_non_null(strstr(buffer_str(&f->warnings),
                           "it runs without its terminationMessagePath: cannot make"));
}

static void credentials_are_taken_on(void **state)
{
    struct fixture *f = *state;
    if (!is_root())
        skip();
    assert_says(f, "grep -E 'Cap(Prm|Eff|Bnd|Amb|Inh)' /proc/self/status | cut -f2 | uniq",
                "0000000000000000\n00000000a80425fb\n0000000000000000\n");
    string_list_add(&f->spec.capabilities_add, "NET_ADMIN");
    string_list_add(&f->spec.capabilities_drop, "ALL");
    assert_says(f, "grep CapEff /proc/self/status | cut -f2", "0000000000001000\n");
    f->spec.run_as_user = 1234;
    f->spec.run_as_group = 2345;
    *LIST_APPEND(&f->spec.supplemental_groups) = 77;
    f->spec.no_new_privileges = true;
    assert_says(f, "id -u; id -g; id -G; grep -E 'CapEff|NoNewPrivs' /proc/self/status | cut -f2",
                "1234\n2345\n2345 77\n0000000000000000\n1\n");
}

static void privileged_containers_keep_everything(void **state)
{
    struct fixture *f = *state;
    if (!is_root())
        skip();
    f->spec.privileged = true;
    _cleanup_free_ char *all =
        xasprintf("%016llx\n", (unsigned long long)credentials_bounding_set());
    assert_says(f, "grep CapEff /proc/self/status | cut -f2", all);
    assert_says(f, "test -e /dev/kmsg && echo yes", "yes\n");
}

static void read_only_roots_spare_volumes(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *target = in_dir(f, "target"), *source = in_dir(f, "source");
    assert_int_equal(mkdir(target, 0755), 0);
    assert_int_equal(mkdir(source, 0755), 0);
    add_mount(f, "source", target);
    f->spec.root_read_only = true;
    _cleanup_free_ char *script = xasprintf(
        "touch %s/x && echo volume; touch %s/x 2>/dev/null || echo refused; touch /dev/shm/x",
        target, f->dir);
    assert_says(f, script, "volume\nrefused\n");
}

static void working_directories_are_entered(void **state)
{
    struct fixture *f = *state;
    f->spec.working_dir = xstrdup(f->dir);
    _cleanup_free_ char *expected = xasprintf("%s\n", f->dir);
    assert_says(f, "pwd", expected);
    free(f->spec.working_dir);
    f->spec.working_dir = in_dir(f, "nothing");
    assert_int_equal(run(f), -ENOENT);
    assert_non_null(strstr(error_message(&f->err), "workingDir"));
}

static void make_image(struct fixture *f)
{
    static const char *const dirs[] = {"image:1,2", "image:1,2/rootfs", "upper", "work"};
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        _cleanup_free_ char *path = in_dir(f, dirs[i]);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    _cleanup_free_ char *lower = in_dir(f, "image:1,2/rootfs");
    _cleanup_free_ char *copy = xasprintf(
        "mkdir %s/bin %s/dev && cp /bin/sh %s/bin/ && for l in $(ldd /bin/sh /bin/cat | "
        "grep -o '/[^ ]*'); do l=${l%%:}; mkdir -p %s${l%%/*} && cp $l %s$l; done; "
        "cp /bin/cat /bin/ls /bin/touch %s/bin/; for l in $(ldd /bin/ls | grep -o '/[^ ]*'); do "
        "mkdir -p %s${l%%/*}; cp $l %s$l; done",
        lower, lower, lower, lower, lower, lower, lower, lower);
    assert_int_equal(system(copy), 0);
    f->spec.root_kind = SHIM_ROOT_OVERLAY;
    f->spec.root_lower = TAKE_PTR(lower);
    f->spec.root_upper = in_dir(f, "upper");
    f->spec.root_work = in_dir(f, "work");
}

static void images_with_a_root_run_in_it(void **state)
{
    struct fixture *f = *state;
    make_image(f);
    _cleanup_free_ char *source = in_dir(f, "source");
    assert_int_equal(mkdir(source, 0755), 0);
    write_text(f, "source/file", "content\n");
    add_mount(f, "source", "/data/deep");
    f->spec.working_dir = xstrdup("/srv/work");
    argv(f, "pwd; cat /data/deep/file; echo x > /written; echo x > /dev/null; test -e "
            "/proc/self/stat && echo proc; test -d /sys/class && echo sys; test -e /etc/passwd || "
            "echo no host");
    int code = run(f);
    if (code < 0 && strstr(error_message(&f->err), "overlay")) {
        print_message("skipped: overlayfs cannot be had here\n");
        skip();
    }
    assert_int_equal(code, 0);
    assert_string_equal(buffer_str(&f->output), "/srv/work\ncontent\nproc\nsys\nno host\n");
    _cleanup_free_ char *upper = in_dir(f, "upper/written");
    _cleanup_free_ char *lower = in_dir(f, "image:1,2/rootfs/written");
    assert_int_equal(access(upper, F_OK), 0);
    assert_int_equal(access(lower, F_OK), -1);
    f->spec.root_read_only = true;
    assert_says(f, "echo x > /again || echo refused",
                "sh: 1: cannot create /again: Read-only file system\nrefused\n");
}

static void volumes_can_be_nested(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *outer = in_dir(f, "outer"), *inner = in_dir(f, "inner");
    _cleanup_free_ char *point = in_dir(f, "point"), *link = in_dir(f, "link");
    assert_int_equal(mkdir(outer, 0755), 0);
    assert_int_equal(mkdir(inner, 0755), 0);
    assert_int_equal(mkdir(point, 0755), 0);
    assert_int_equal(symlink("point", link), 0);
    write_text(f, "inner/file", "inner\n");
    write_text(f, "single", "single\n");
    // In the wrong order, over a symlink, with a mount point that is missing in the outer volume.
    _cleanup_free_ char *deep = in_dir(f, "link/a/b"), *file = in_dir(f, "link/a/file");
    _cleanup_free_ char *top = in_dir(f, "link");
    add_mount(f, "inner", deep);
    add_mount(f, "single", file)->read_only = true;
    add_mount(f, "outer", top);
    _cleanup_free_ char *script = xasprintf("cat %s/a/b/file %s/a/file", point, point);
    assert_says(f, script, "inner\nsingle\n");
    assert_int_equal(f->warnings.len, 0);
    assert_true(rmdir(point) == 0); // nothing was made in it
}

static void files_and_directories_are_not_mixed(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *target = in_dir(f, "target");
    assert_int_equal(mkdir(target, 0755), 0);
    write_text(f, "file", "x");
    add_mount(f, "file", target);
    argv(f, "true");
    assert_int_equal(run(f), -ENOTDIR);
    assert_non_null(strstr(error_message(&f->err), "is a file, but what is at"));
}

static void privileged_containers_have_termination_messages(void **state)
{
    struct fixture *f = *state;
    write_text(f, "message", "");
    f->spec.privileged = true;
    f->spec.termination_path = xstrdup("/dev/termination-log");
    f->spec.termination_file = in_dir(f, "message");
    assert_says(f, "echo x > /dev/termination-log; test -c /dev/null && echo dev", "dev\n");
    assert_int_equal(access("/dev/termination-log", F_OK), -1);
}

// In a mount namespace of the test's own, whose mounts are shared as systemd makes them.
static int mount_meanwhile(struct fixture *f, bool from_host, struct buffer *out)
{
    int in[2], pipe_out[2];
    struct shim_child child;
    _cleanup_free_ char *volume = in_dir(f, "volume"), *sub = in_dir(f, "volume/sub");
    _cleanup_free_ char *target = in_dir(f, "target");
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", volume, "tmpfs", 0, NULL) < 0 ||
        mount(NULL, volume, NULL, MS_SHARED, NULL) < 0 || mkdir(sub, 0755) < 0)
        return -errno;
    add_mount(f, "volume", target)->propagate_from_host = from_host;
    _cleanup_free_ char *script = xasprintf("read line; ls %s/sub", target);
    argv(f, script);
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(pipe_out, O_CLOEXEC) < 0)
        return -errno;
    struct shim_stdio stdio = {.fds = {in[0], pipe_out[1], -1}};
    int code = shim_container_start(&f->spec, &stdio, &child, &f->command, &f->warnings, &f->reason,
                                    &f->err);
    close(pipe_out[1]);
    _cleanup_free_ char *seen = in_dir(f, "volume/sub/seen");
    if (code < 0 || mount("tmpfs", sub, "tmpfs", 0, NULL) < 0 || mkdir(seen, 0755) < 0 ||
        write(in[1], "\n", 1) != 1)
        return -EIO;
    read_all(pipe_out[0], out);
    return 0;
}

static void assert_propagates(struct fixture *f, bool from_host, const char *expected)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct buffer out = BUFFER_EMPTY;
        int code = mount_meanwhile(f, from_host, &out);
        _exit(code < 0 ? 2 : strcmp(buffer_str(&out), expected) != 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void mounts_propagate_where_asked(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *volume = in_dir(f, "volume"), *target = in_dir(f, "target");
    if (!is_root())
        skip();
    assert_int_equal(mkdir(volume, 0755), 0);
    assert_int_equal(mkdir(target, 0755), 0);
    assert_propagates(f, true, "seen\n");
    assert_propagates(f, false, "");
}

// The way of kernels and sandboxes that have only mount(2).
static int mount_classically(struct fixture *f)
{
    struct mount_plan plan = {
        .spec = &f->spec, .warnings = &f->warnings, .root = -1, .termination = -1, .classic = true};
    if (unshare(CLONE_NEWNS) < 0)
        return -errno;
    int code = mounts_make_root(&plan, &f->err);
    if (code < 0)
        print_message("%s\n", error_message(&f->err));
    mounts_plan_free(&plan);
    return code;
}

static void mount_alone_is_enough(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *target = in_dir(f, "target"), *missing = in_dir(f, "parent/missing");
    _cleanup_free_ char *parent = in_dir(f, "parent"), *source = in_dir(f, "source");
    _cleanup_free_ char *first = in_dir(f, "target/file"),
                        *second = in_dir(f, "parent/missing/file");
    int status;
    if (!is_root())
        skip();
    assert_int_equal(mkdir(target, 0755), 0);
    assert_int_equal(mkdir(parent, 0755), 0);
    assert_int_equal(mkdir(source, 0755), 0);
    write_text(f, "source/file", "content\n");
    add_mount(f, "source", target)->read_only = true;
    add_mount(f, "source", missing);
    f->spec.termination_path = xstrdup(SHIM_TERMINATION_DEFAULT);
    f->spec.new_pid_namespace = false;
    pid_t pid = fork();
    if (pid == 0) {
        if (mount_classically(f) < 0)
            _exit(1);
        bool refused = open(first, O_WRONLY) < 0 && errno == EROFS;
        bool allowed = open(second, O_WRONLY) >= 0 && open(SHIM_TERMINATION_DEFAULT, O_WRONLY) >= 0;
        bool kept = unlink(SHIM_TERMINATION_DEFAULT) < 0 && errno == EBUSY;
        _exit(refused && allowed && kept ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(access(missing, F_OK), -1);
}

static void children_die_with_the_shim(void **state)
{
    struct fixture *f = *state;
    int out[2], ids[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(ids, O_CLOEXEC), 0);
    argv(f, "echo up; sleep 1000");
    pid_t shim = fork();
    if (shim == 0) {
        struct shim_stdio stdio = {.fds = {-1, out[1], -1}};
        struct shim_child child = {0};
        int code = shim_container_start(&f->spec, &stdio, &child, &f->command, &f->warnings,
                                        &f->reason, &f->err);
        if (code < 0 || write(ids[1], &child.pid, sizeof(child.pid)) < 0)
            _exit(1);
        pause();
    }
    close(out[1]);
    close(ids[1]);
    pid_t pid;
    char text[4];
    assert_int_equal(read(ids[0], &pid, sizeof(pid)), sizeof(pid));
    assert_int_equal(read(out[0], text, 3), 3);
    kill(shim, SIGKILL);
    waitpid(shim, NULL, 0);
    assert_int_equal(read(out[0], text, 1), 0); // end of file: whoever could write is gone
    close(out[0]);
    close(ids[0]);
}

static void commands_join_a_container(void **state)
{
    struct fixture *f = *state;
    int out[2], in[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    argv(f, "read line; exit 3");
    struct shim_child child;
    struct shim_stdio stdio = {.fds = {in[0], -1, -1}};
    assert_int_equal(shim_container_start(&f->spec, &stdio, &child, &f->command, &f->warnings,
                                          &f->reason, &f->err),
                     0);
    const char *const command[] = {"sh", "-c", "test $$ -lt 10 && readlink /proc/1/ns/mnt; exit 5",
                                   NULL};
    int fds[3] = {-1, out[1], out[1]};
    pid_t pid;
    int code = shim_container_exec(&f->spec, &child, command, fds, 0, &pid, &f->err);
    if (code < 0)
        print_message("%s\n", error_message(&f->err));
    assert_int_equal(code, 0);
    close(out[1]);
    read_all(out[0], &f->output);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 5);
    assert_true(str_starts_with(buffer_str(&f->output), "mnt:["));
    const char *const missing[] = {"no-such-command", NULL};
    int none[3] = {-1, -1, -1};
    assert_int_equal(shim_container_exec(&f->spec, &child, missing, none, 0, &pid, &f->err),
                     -ENOENT);
    close(in[1]);
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    assert_int_equal(WEXITSTATUS(status), 3);
    error_clear(&f->err);
    assert_int_equal(shim_container_exec(&f->spec, &child, command, none, 0, &pid, &f->err),
                     -ESRCH);
    close(child.pidfd);
    close(in[0]);
    close(out[0]);
}

static void commands_join_an_image(void **state)
{
    struct fixture *f = *state;
    int out[2], in[2], status;
    make_image(f);
    f->spec.run_as_user = f->spec.run_as_group = geteuid() == 0 ? 1234 : -1;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    argv(f, "read line");
    struct shim_child child;
    struct shim_stdio stdio = {.fds = {in[0], -1, -1}};
    int code = shim_container_start(&f->spec, &stdio, &child, &f->command, &f->warnings, &f->reason,
                                    &f->err);
    if (code < 0 && strstr(error_message(&f->err), "overlay")) {
        print_message("skipped: overlayfs cannot be had here\n");
        skip();
    }
    assert_int_equal(code, 0);
    const char *const command[] = {"sh", "-c", "test -e /etc/passwd || echo image; echo >/x", NULL};
    int fds[3] = {-1, out[1], -1};
    pid_t pid;
    code = shim_container_exec(&f->spec, &child, command, fds, 0, &pid, &f->err);
    if (code < 0)
        print_message("%s\n", error_message(&f->err));
    assert_int_equal(code, 0);
    close(out[1]);
    read_all(out[0], &f->output);
    assert_string_equal(buffer_str(&f->output), "image\n");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status == 0, geteuid() != 0); // the root directory is root's
    close(in[1]);
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    close(child.pidfd);
    close(in[0]);
    close(out[0]);
}

static void capabilities_are_computed(void **state)
{
    struct fixture *f = *state;
    uint64_t all = ((uint64_t)1 << 41) - 1;
    assert_int_equal(credentials_capabilities(&f->spec, all, &f->warnings), 0xa80425fb);
    string_list_add(&f->spec.capabilities_add, "CAP_SYS_TIME");
    string_list_add(&f->spec.capabilities_drop, "chown");
    assert_int_equal(credentials_capabilities(&f->spec, all, &f->warnings), 0xaa0425fa);
    assert_int_equal(f->warnings.len, 0);
    assert_int_equal(credentials_capabilities(&f->spec, all & ~((uint64_t)1 << 25), &f->warnings),
                     0xa80425fa);
    assert_non_null(strstr(buffer_str(&f->warnings), "SYS_TIME cannot be given"));
    assert_int_equal(credentials_capability("NO_SUCH"), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void write_state(const struct fixture *f, int64_t start_msec)
{
    struct fence_state state = {1, monotime_add_ms(monotime_now(), start_msec), {UINT64_MAX}};
    _cleanup_close_ int fd = open(f->spec.fence, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fence_state_write(fd, &state), 0);
}

static void assert_refused(struct fixture *f, int code, const char *why)
{
    assert_int_equal(run(f), code);
    assert_string_equal(f->reason, "CreateContainerError");
    assert_non_null(strstr(error_message(&f->err), why));
}

// The order that counts is asked for in the tests of the fence and of podmaster; here, who answers
// what. The cgroup is a directory that only has to have a cgroup.procs.
static void a_guarded_container_starts_only_before_the_deadline(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *group = in_dir(f, "group"), *other = in_dir(f, "other");
    _cleanup_free_ char *names = in_dir(f, "s.lease.d"), *name = in_dir(f, "s.lease.d/uid_main");
    char target[256] = "";
    argv(f, "exit 7");
    f->spec.fence = in_dir(f, "s.lease");
    f->spec.pod_uid = xstrdup("uid");
    f->spec.container = xstrdup("main");
    assert_refused(f, -EOPNOTSUPP, "no cgroup");
    assert_int_equal(mkdir(group, 0755) | mkdir(other, 0755), 0);
    write_text(f, "group/cgroup.procs", "");
    string_list_add(&f->spec.cgroup_dirs, group);
    assert_refused(f, -ENOENT, "does podmaster run?");
    assert_int_equal(mkdir(names, 0755), 0);
    assert_refused(f, -ENOENT, "its deadline is unknown");
    write_state(f, -1);
    assert_refused(f, -EACCES, "this node does not hold its lease");
    // It has named its cgroup all the same, in place of what was there.
    assert_int_equal(unlink(name), 0);
    assert_int_equal(symlink(other, name), 0);
    write_state(f, 3600000);
    assert_int_equal(WEXITSTATUS(run(f)), 7);
    assert_true(readlink(name, target, sizeof(target) - 1) > 0);
    assert_string_equal(target, group);
    assert_int_equal(WEXITSTATUS(run(f)), 7);
    write_text(f, "s.lease", "garbage");
    assert_refused(f, -EBADMSG, "its deadline is unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(runs_and_tells_which_file),
        TEST(only_three_descriptors_are_inherited),
        TEST(missing_commands_are_named),
        TEST(image_directories_come_first_in_path),
        TEST(volumes_are_mounted),
        TEST(missing_mount_points_leave_the_host_alone),
        TEST(mount_points_in_the_root_leave_the_host_alone),
        TEST(host_path_types_are_checked),
        TEST(sub_paths_stay_inside),
        TEST(processes_and_devices_of_the_host_are_hidden),
        TEST(termination_messages_reach_the_host),
        TEST(termination_messages_of_their_own_dev_can_be_read),
        TEST(a_volume_over_their_directory_hides_no_termination_message),
        TEST(a_disk_without_room_costs_the_message_only),
        TEST(credentials_are_taken_on),
        TEST(privileged_containers_keep_everything),
        TEST(read_only_roots_spare_volumes),
        TEST(working_directories_are_entered),
        TEST(images_with_a_root_run_in_it),
        TEST(volumes_can_be_nested),
        TEST(files_and_directories_are_not_mixed),
        TEST(privileged_containers_have_termination_messages),
        TEST(mounts_propagate_where_asked),
        TEST(mount_alone_is_enough),
        TEST(children_die_with_the_shim),
        TEST(commands_join_a_container),
        TEST(commands_join_an_image),
        TEST(capabilities_are_computed),
        TEST(a_guarded_container_starts_only_before_the_deadline),
    };
    return cmocka_run_group_tests_name("shim-container", tests, NULL, NULL);
}
