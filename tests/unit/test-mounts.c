// The sources of mounts: every hostPath type against every kind of thing that can be there, sub
// paths that try to get out, and how mounts are made read-only, also on kernels without
// mount_setattr(2).
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/shim/mounts.h"

static int set_up(void **state)
{
    char pattern[] = "/tmp/test-mounts-XXXXXX";
    if (!mkdtemp(pattern))
        return -1;
    *state = xstrdup(pattern);
    return 0;
}

static int tear_down(void **state)
{
    int code = fs_remove_tree(AT_FDCWD, *state);
    free(*state);
    return code;
}

// ---- hostPath types ----

enum kind {
    NOTHING,
    NOTHING_DEEP, // neither it nor its directory
    DIRECTORY,
    REGULAR,
    SOCKET,
    FIFO,
    CHAR_DEVICE,
    BLOCK_DEVICE,
    BELOW_FILE, // "file/x"
    DANGLING,
    LINK_TO_DIRECTORY,
    LINK_TO_FILE,
    LINK_TO_SOCKET,
    LINK_TO_DEVICE,
    LINK_LOOP,
    KINDS,
};

enum { MAKES_DIRECTORY = 1, MAKES_FILE = 2, MAKES_TARGET = 3 };

// 0: taken as it is; MAKES_...: made; negative: refused. In the order of enum shim_path_check: any,
// DirectoryOrCreate, Directory, FileOrCreate, File, Socket, CharDevice, BlockDevice.
static const int expected[KINDS][SHIM_PATH_BLOCK_DEVICE + 1] = {
    [NOTHING] = {-ENOENT, MAKES_DIRECTORY, -ENOENT, MAKES_FILE, -ENOENT, -ENOENT, -ENOENT, -ENOENT},
    [NOTHING_DEEP] = {-ENOENT, MAKES_DIRECTORY, -ENOENT, -ENOENT, -ENOENT, -ENOENT, -ENOENT,
                      -ENOENT},
    [DIRECTORY] = {0, 0, 0, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    [REGULAR] = {0, -ENOTDIR, -ENOTDIR, 0, 0, -EINVAL, -EINVAL, -EINVAL},
    [SOCKET] = {0, -ENOTDIR, -ENOTDIR, -EINVAL, -EINVAL, 0, -EINVAL, -EINVAL},
    [FIFO] = {0, -ENOTDIR, -ENOTDIR, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    [CHAR_DEVICE] = {0, -ENOTDIR, -ENOTDIR, -EINVAL, -EINVAL, -EINVAL, 0, -EINVAL},
    [BLOCK_DEVICE] = {0, -ENOTDIR, -ENOTDIR, -EINVAL, -EINVAL, -EINVAL, -EINVAL, 0},
    [BELOW_FILE] = {-ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOTDIR},
    [DANGLING] = {-ENOENT, -ENOENT, -ENOENT, MAKES_TARGET, -ENOENT, -ENOENT, -ENOENT, -ENOENT},
    [LINK_TO_DIRECTORY] = {0, 0, 0, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    [LINK_TO_FILE] = {0, -ENOTDIR, -ENOTDIR, 0, 0, -EINVAL, -EINVAL, -EINVAL},
    [LINK_TO_SOCKET] = {0, -ENOTDIR, -ENOTDIR, -EINVAL, -EINVAL, 0, -EINVAL, -EINVAL},
    [LINK_TO_DEVICE] = {0, -ENOTDIR, -ENOTDIR, -EINVAL, -EINVAL, -EINVAL, 0, -EINVAL},
    [LINK_LOOP] = {-ELOOP, -ELOOP, -ELOOP, -ELOOP, -ELOOP, -ELOOP, -ELOOP, -ELOOP},
};

static bool make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(address.sun_path, path);
    return bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

// Makes the thing in `dir`; *ret is the path that is asked for. False where this host cannot.
static bool make_kind(const char *dir, enum kind kind, char **ret)
{
    _cleanup_free_ char *target = path_join(dir, "target");
    *ret = path_join(dir, kind == NOTHING_DEEP || kind == BELOW_FILE ? "thing/x" : "thing");
    _cleanup_free_ char *thing = path_join(dir, "thing");
    switch (kind) {
    case DIRECTORY:
        return mkdir(thing, 0700) == 0;
    case REGULAR:
    case BELOW_FILE:
        return mknod(thing, S_IFREG | 0600, 0) == 0;
    case SOCKET:
        return make_socket(thing);
    case FIFO:
        return mkfifo(thing, 0600) == 0;
    case CHAR_DEVICE:
        return mknod(thing, S_IFCHR | 0600, makedev(1, 3)) == 0;
    case BLOCK_DEVICE:
        return mknod(thing, S_IFBLK | 0600, makedev(7, 250)) == 0;
    case DANGLING:
        return symlink(target, thing) == 0;
    case LINK_TO_DIRECTORY:
        return mkdir(target, 0700) == 0 && symlink("target", thing) == 0;
    case LINK_TO_FILE:
        return mknod(target, S_IFREG | 0600, 0) == 0 && symlink("target", thing) == 0;
    case LINK_TO_SOCKET:
        return make_socket(target) && symlink("target", thing) == 0;
    case LINK_TO_DEVICE:
        return symlink("/dev/null", thing) == 0;
    case LINK_LOOP:
        return symlink("thing", thing) == 0;
    default:
        return true;
    }
}

static void assert_made(const char *dir, const char *path, int made)
{
    struct stat st;
    _cleanup_free_ char *target = path_join(dir, "target");
    assert_int_equal(lstat(made == MAKES_TARGET ? target : path, &st), 0);
    assert_int_equal(st.st_mode, made == MAKES_DIRECTORY ? S_IFDIR | 0755 : S_IFREG | 0644);
}

static void types_are_checked_exactly(void **state)
{
    size_t made = 0, unmade = 0;
    for (int kind = 0; kind < KINDS; kind++)
        for (int check = 0; check <= SHIM_PATH_BLOCK_DEVICE; check++) {
            _cleanup_error_ struct error err = ERROR_NONE;
            _cleanup_free_ char *name = xasprintf("%d.%d", kind, check);
            _cleanup_free_ char *dir = path_join(*state, name), *path = NULL;
            assert_int_equal(mkdir(dir, 0700), 0);
            if (!make_kind(dir, (enum kind)kind, &path)) {
                unmade++;
                continue;
            }
            made++;
            struct shim_mount mount = {
                .source = path, .volume = (char *)"v", .check = (enum shim_path_check)check};
            int code = mounts_check_source(&mount, &err), want = expected[kind][check];
            if (code != MIN(want, 0))
                fail_msg("kind %d, type %d: %d (%s) instead of %d", kind, check, code,
                         error_message(&err), want);
            if (code < 0)
                assert_non_null(strstr(error_message(&err), path));
            if (want > 0)
                assert_made(dir, path, want);
        }
    if (unmade)
        print_message("%zu of %zu cases need devices that cannot be made here\n", unmade,
                      made + unmade);
}

// ---- sub paths ----

static int open_sub(const char *volume, const char *sub_path, struct error *err)
{
    _cleanup_close_ int fd = open(volume, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct shim_mount mount = {.volume = (char *)"v", .sub_path = (char *)sub_path};
    error_clear(err);
    return mounts_open_sub_path(fd, &mount, err);
}

static void sub_paths_do_not_lead_out(void **state)
{
    static const struct {
        const char *sub_path;
        int code; // 0: opened
    } cases[] = {
        {"inside", 0},
        {"inside/file", 0},
        {"inside/../inside/file", 0}, // manifests may not say so, but links may
        {"in-link", 0},
        {"in-link/made", 0},
        {"inside/up-and-back/made2", 0},
        {"made/deep/er", 0},
        {"./made3", 0},
        {"made//4", 0},
        {"out-link", -EXDEV},
        {"out-link/made", -EXDEV},
        {"absolute", -EXDEV},
        {"absolute/made", -EXDEV},
        {"..", -EXDEV},
        {"../outside", -EXDEV},
        {"inside/../../outside", -EXDEV},
        {"/", -EXDEV},
        {"root-link/etc", -EXDEV},
        {"proc-link/root", -EXDEV},
        {"self", -ELOOP},
        {"dangling", -ENOTDIR},
        {"dangling/made", -ENOTDIR},
        {"dangling-out/made", -EXDEV},
        {"inside/file/made", -ENOTDIR},
    };
    static const struct {
        const char *target, *name;
    } links[] = {
        {"inside", "in-link"},
        {"../inside", "inside/up-and-back"},
        {"../outside", "out-link"},
        {"/etc", "absolute"},
        {"/", "root-link"},
        {"/proc/self", "proc-link"},
        {"self", "self"},
        {"nothing", "dangling"},
        {"../nothing", "dangling-out"},
    };
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_free_ char *volume = path_join(*state, "volume"), *file = NULL, *inside = NULL;
    _cleanup_free_ char *outside = path_join(*state, "outside");
    inside = path_join(volume, "inside");
    file = path_join(inside, "file");
    assert_int_equal(mkdir(volume, 0700) | mkdir(inside, 0700) | mkdir(outside, 0700), 0);
    assert_int_equal(mknod(file, S_IFREG | 0600, 0), 0);
    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        _cleanup_free_ char *path = path_join(volume, links[i].name);
        assert_int_equal(symlink(links[i].target, path), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_close_ int fd = open_sub(volume, cases[i].sub_path, &err);
        if ((fd < 0 ? fd : 0) != cases[i].code)
            fail_msg("%s: %d (%s) instead of %d", cases[i].sub_path, fd, error_message(&err),
                     cases[i].code);
    }
    assert_int_equal(rmdir(outside), 0); // nothing was made there
}

// hostutil GetMode of the volume for what is made (K/kubelet_pods.go makeMounts).
static void missing_sub_paths_are_like_the_volume(void **state)
{
    static const mode_t modes[] = {0700, 0755, 0777, 02770, 01777, 02777};
    _cleanup_error_ struct error err = ERROR_NONE;
    mode_t mask = umask(0); // as in the container's first process
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        struct stat st;
        _cleanup_free_ char *name = xasprintf("%zu", i);
        _cleanup_free_ char *volume = path_join(*state, name);
        assert_int_equal(mkdir(volume, 0700), 0);
        assert_int_equal(chmod(volume, modes[i]), 0);
        _cleanup_close_ int fd = open_sub(volume, "a/b", &err);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_mode & 07777, modes[i]);
    }
    umask(mask);
}

// A container of the volume swaps what a sub path leads through, as fast as it can.
static void swap_for_ever(const char *volume)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    int fd = open(volume, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0;; i++) {
        renameat2(fd, "dir", fd, i & 1 ? "absolute" : "up", RENAME_EXCHANGE);
        renameat2(fd, "inner/sub", fd, "out", RENAME_EXCHANGE);
    }
}

static void races_are_not_won(void **state)
{
    enum { ROUNDS = 20000 };
    static const char *const sub_paths[] = {"dir/sub", "inner/sub", "dir/made/new",
                                            "inner/sub/made"};
    static const struct {
        const char *target, *name;
    } links[] = {{"../outside", "up"}, {"../outside", "out"}, {"inner", "within"}};
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_free_ char *volume = path_join(*state, "volume"),
                        *outside = path_join(*state, "outside");
    _cleanup_free_ char *secret = path_join(outside, "sub"),
                        *absolute = path_join(volume, "absolute");
    _cleanup_free_ char *in_dir = path_join(volume, "dir/sub"),
                        *in = path_join(volume, "inner/sub");
    struct stat st, outer, inner;
    size_t opened = 0, refused = 0, swapped = 0;
    ino_t first = 0;
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, in_dir, 0755), 0);
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, in, 0755), 0);
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, secret, 0755), 0);
    assert_int_equal(symlink(outside, absolute), 0);
    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        _cleanup_free_ char *path = path_join(volume, links[i].name);
        assert_int_equal(symlink(links[i].target, path), 0);
    }
    assert_int_equal(stat(secret, &outer), 0);
    assert_int_equal(stat(outside, &inner), 0);
    pid_t swapper = fork();
    if (swapper == 0)
        swap_for_ever(volume);
    for (int i = 0; i < ROUNDS; i++) {
        _cleanup_close_ int fd =
            open_sub(volume, sub_paths[(size_t)i % ARRAY_SIZE(sub_paths)], &err);
        opened += fd >= 0;
        refused += fd < 0;
        if (fd >= 0 && fstat(fd, &st) == 0) {
            assert_true(st.st_ino != outer.st_ino && st.st_ino != inner.st_ino);
            swapped += first != 0 && st.st_ino != first;
            first = st.st_ino;
        }
    }
    kill(swapper, SIGKILL);
    waitpid(swapper, NULL, 0);
    assert_int_equal(rmdir(secret), 0); // it is empty, and the only thing there
    assert_int_equal(rmdir(outside), 0);
    print_message("%zu opened, %zu refused\n", opened, refused);
    assert_true(opened > 0 && refused > 0 && swapped > 0);
}

// ---- how mounts are made ----

// Makes mount_setattr(2), or all of the newer calls, fail as on a kernel that does not know them.
static bool forget_calls(bool all)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mount_setattr, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, all ? SYS_open_tree : SYS_mount_setattr, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, all ? SYS_move_mount : SYS_mount_setattr, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };
    struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum world { NEWEST, WITHOUT_SETATTR, CLASSIC };

enum { // the exit status of the child that looked
    TOP_READ_ONLY = 1,
    BELOW_READ_ONLY = 2,
    SEEN_OUTSIDE = 4,
    NOT_MOUNTED = 8,
    BROKEN = 16,
};

static bool is_read_only(const char *path)
{
    struct statvfs st;
    return statvfs(path, &st) == 0 && st.f_flag & ST_RDONLY;
}

// The container's side: mounts as the spec says, looks, and mounts something in the volume.
static int look(const char *target, enum world world, struct shim_spec *spec)
{
    struct buffer warnings = BUFFER_EMPTY;
    struct error err = ERROR_NONE;
    struct mount_plan plan = {.spec = spec, .warnings = &warnings, .root = -1, .termination = -1};
    char *below = path_join(target, "below"), *point = path_join(target, "point");
    if (unshare(CLONE_NEWNS) < 0 || (world != NEWEST && !forget_calls(world == CLASSIC)))
        return BROKEN;
    if (mounts_make_root(&plan, &err) < 0) {
        print_message("%s\n", error_message(&err));
        return NOT_MOUNTED;
    }
    mount("tmpfs", point, "tmpfs", 0, NULL);
    return (is_read_only(target) ? TOP_READ_ONLY : 0) | (is_read_only(below) ? BELOW_READ_ONLY : 0);
}

// The host's side: a shared (or private) tmpfs with another one in it.
static int host_and_container(const char *dir, enum world world, bool shared,
                              struct shim_spec *spec)
{
    int status = 0;
    struct stat before, after;
    char *source = path_join(dir, "source"), *below = path_join(dir, "source/below");
    char *point = path_join(dir, "source/point"), *target = path_join(dir, "target");
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", source, "tmpfs", 0, NULL) < 0 ||
        (shared && mount(NULL, source, NULL, MS_SHARED, NULL) < 0) || mkdir(below, 0755) < 0 ||
        mkdir(point, 0755) < 0 || mount("tmpfs", below, "tmpfs", 0, NULL) < 0 ||
        stat(point, &before) < 0)
        return BROKEN;
    pid_t pid = fork();
    if (pid == 0)
        _exit(look(target, world, spec));
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || stat(point, &after) < 0)
        return BROKEN;
    return WEXITSTATUS(status) | (before.st_dev != after.st_dev ? SEEN_OUTSIDE : 0);
}

static int mount_in_child(const char *dir, enum world world, bool shared,
                          const struct shim_mount *how)
{
    int status = 0;
    _cleanup_free_ char *source = path_join(dir, "source"), *target = path_join(dir, "target");
    mkdir(source, 0755);
    mkdir(target, 0755);
    struct shim_mount mount = *how;
    mount.source = source;
    mount.destination = target;
    mount.volume = (char *)"v";
    struct shim_spec spec = {.run_as_user = -1, .privileged = true, .mounts = {&mount, 1}};
    pid_t pid = fork();
    if (pid == 0)
        _exit(host_and_container(dir, world, shared, &spec));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) & BROKEN) {
        print_message("skipped: nothing can be mounted here\n");
        skip();
    }
    return WEXITSTATUS(status);
}

static void read_only_goes_as_deep_as_asked(void **state)
{
    const struct shim_mount plain = {0}, top = {.read_only = true},
                            all = {.read_only = true, .recursive_read_only = true};
    for (int world = NEWEST; world <= CLASSIC; world++) {
        int recursive = world == NEWEST ? TOP_READ_ONLY | BELOW_READ_ONLY : NOT_MOUNTED;
        enum world w = (enum world)world;
        assert_int_equal(mount_in_child(*state, w, true, &plain), 0);
        assert_int_equal(mount_in_child(*state, w, true, &top), TOP_READ_ONLY);
        assert_int_equal(mount_in_child(*state, w, true, &all), recursive);
    }
}

static void mounts_show_outside_only_where_asked(void **state)
{
    const struct shim_mount none = {0}, from_host = {.propagate_from_host = true},
                            both = {.propagate_both = true};
    for (int world = NEWEST; world <= CLASSIC; world++) {
        enum world w = (enum world)world;
        assert_int_equal(mount_in_child(*state, w, true, &none), 0);
        assert_int_equal(mount_in_child(*state, w, true, &from_host),
                         w == CLASSIC ? NOT_MOUNTED : 0);
        assert_int_equal(mount_in_child(*state, w, true, &both),
                         w == CLASSIC ? NOT_MOUNTED : SEEN_OUTSIDE);
        assert_int_equal(mount_in_child(*state, w, false, &none), 0);
        assert_int_equal(mount_in_child(*state, w, false, &from_host), NOT_MOUNTED);
        assert_int_equal(mount_in_child(*state, w, false, &both), NOT_MOUNTED);
    }
}

static int count_mounts(void)
{
    char line[8192];
    int n = 0;
    _cleanup_fclose_ FILE *mounts = fopen("/proc/self/mountinfo", "re");
    while (mounts && fgets(line, sizeof(line), mounts))
        n++;
    return n;
}

// A directory that is no mount point, on a shared mount, with what a container needs of the kernel.
static bool make_chroot(const char *base, const char *dir)
{
    static const char *const kernels[] = {"proc", "sys", "dev"};
    char *source = path_join(dir, "source"), *file = path_join(source, "file");
    char *etc = path_join(dir, "etc");
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", base, "tmpfs", 0, NULL) < 0 ||
        mount(NULL, base, NULL, MS_SHARED, NULL) < 0 || mkdir(dir, 0755) < 0 ||
        mkdir(source, 0755) < 0 || mkdir(etc, 0755) < 0 || mknod(file, S_IFREG | 0600, 0) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
        char *from = xasprintf("/%s", kernels[i]), *to = path_join(dir, kernels[i]);
        if (mkdir(to, 0755) < 0 || mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0)
            return false;
    }
    return true;
}

static int mount_in_chroot(const char *dir)
{
    struct buffer warnings = BUFFER_EMPTY;
    struct error err = ERROR_NONE;
    struct shim_mount volume = {.source = (char *)"/source",
                                .destination = (char *)"/etc/missing/target",
                                .volume = (char *)"v"};
    struct shim_spec spec = {.run_as_user = -1, .privileged = true, .mounts = {&volume, 1}};
    struct mount_plan plan = {.spec = &spec, .warnings = &warnings, .root = -1, .termination = -1};
    if (chroot(dir) < 0 || chdir("/") < 0 || unshare(CLONE_NEWNS) < 0)
        return BROKEN;
    if (mounts_make_root(&plan, &err) < 0) {
        print_message("%s\n", error_message(&err));
        return NOT_MOUNTED;
    }
    bool in_place = access("/etc/missing/target/file", F_OK) == 0 &&
                    access("/source/file", F_OK) == 0 && access("/usr", F_OK) < 0;
    return in_place ? 0 : NOT_MOUNTED;
}

static int host_and_chroot(const char *base)
{
    int status = 0;
    char *dir = path_join(base, "chroot");
    if (!make_chroot(base, dir))
        return BROKEN;
    int before = count_mounts();
    pid_t pid = fork();
    if (pid == 0)
        _exit(mount_in_chroot(dir));
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return BROKEN;
    return WEXITSTATUS(status) | (count_mounts() != before ? SEEN_OUTSIDE : 0);
}

static void chroots_are_roots(void **state)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(host_and_chroot(*state));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WEXITSTATUS(status) & BROKEN) {
        print_message("skipped: nothing can be mounted here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(types_are_checked_exactly),
        TEST(sub_paths_do_not_lead_out),
        TEST(missing_sub_paths_are_like_the_volume),
        TEST(races_are_not_won),
        TEST(read_only_goes_as_deep_as_asked),
        TEST(mounts_show_outside_only_where_asked),
        TEST(chroots_are_roots),
    };
    return cmocka_run_group_tests_name("mounts", tests, NULL, NULL);
}
