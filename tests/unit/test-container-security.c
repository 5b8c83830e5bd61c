// From the security contexts and annotations of a manifest to a process that is confined as they
// say: the way through container_spec_build() and the shim's start, with real processes.
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "podspec/podspec.h"
#include "supervisor/container-spec.h"
#include "supervisor/seccomp.h"
#include "supervisor/shim/container.h"
#include "supervisor/shim/credentials.h"
#include "supervisor/volumes.h"

struct fixture {
    char dir[48], profiles[64];
    struct container_spec_options options;
    struct pod_list pods;
    struct shim_spec spec;
    struct string_list notes;
    struct buffer output, warnings;
    const char *reason;
    struct error err;
};

static void write_file(struct fixture *f, const char *name, const char *text)
{
    _cleanup_free_ char *path = path_join(f->dir, name);
    assert_int_equal(fs_mkdir_parents_of(AT_FDCWD, path), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, 0), 0);
}

// Without kill(), which programs do not need to start.
static const char no_kill[] = "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": "
                              "[\"kill\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 13}]}";
static const char no_capset[] =
    "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"capset\", "
    "\"setresuid\", \"setgroups\", \"prctl\"], \"action\": \"SCMP_ACT_KILL_PROCESS\"}]}";

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/test-container-security-XXXXXX");
    if (!mkdtemp(f->dir) || chmod(f->dir, 0755) < 0)
        return -1;
    snprintf(f->profiles, sizeof(f->profiles), "%s/seccomp", f->dir);
    f->options = (struct container_spec_options){
        .root_dir = f->dir,
        .run_dir = f->dir,
        .log_dir = f->dir,
        .seccomp_root = f->profiles,
        .node_name = "node",
        .node_ip = "192.0.2.1",
        .unprivileged = geteuid() != 0,
        .seccomp = seccomp_cache_new(),
        .memory_capacity_bytes = (int64_t)1 << 30,
    };
    write_file(f, "seccomp/no-kill.json", no_kill);
    write_file(f, "seccomp/deep/no-capset.json", no_capset);
    write_file(f, "seccomp/wrong.json", "{\"defaultAction\": \"ALLOW\"}");
    write_file(f, "outside.json", no_kill);
    *state = f;
    return 0;
}

static void clear(struct fixture *f)
{
    pod_list_free(&f->pods);
    shim_spec_free(&f->spec);
    f->spec = (struct shim_spec){0};
    string_list_free(&f->notes);
    error_clear(&f->err);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct volumes_options volumes = {f->dir, f->dir, f->options.unprivileged};
    volumes_remove(&volumes, "u1", NULL);
    int code = fs_remove_tree(AT_FDCWD, f->dir);
    clear(f);
    seccomp_cache_free(f->options.seccomp);
    buffer_free(&f->output);
    buffer_free(&f->warnings);
    free(f);
    return code;
}

// `annotations`, `pod` and `container` are YAML in one line each; the last two security contexts.
static int build_image(struct fixture *f, const char *image, const char *annotations,
                       const char *pod, const char *container, const char *script)
{
    struct diag_list diags = {0};
    _cleanup_free_ char *text = xasprintf(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: d, uid: u1, annotations: {%s}}\n"
        "spec:\n  hostNetwork: true\n  securityContext: {%s}\n  containers:\n  - name: c\n"
        "    image: %s\n    command: [sh, -c, '%s']\n    securityContext: {%s}\n",
        annotations, pod, image, script, container);
    clear(f);
    if (podspec_parse("test.yaml", text, strlen(text), &f->pods, &diags) < 0)
        fail_msg("the test's own manifest is wrong:\n%s", text);
    diag_list_free(&diags);
    const struct pod *p = f->pods.items[0];
    return container_spec_build(&f->options, p, &p->spec.containers.items[0], false, 0, &f->spec,
                                &f->notes, &f->reason, &f->err);
}

static int build(struct fixture *f, const char *annotations, const char *pod, const char *container,
                 const char *script)
{
    return build_image(f, "busybox:1", annotations, pod, container, script);
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

// Runs what was built; what it wrote is in f->output. The wait status, or why it did not start.
static int run(struct fixture *f)
{
    int out[2];
    struct shim_child child;
    _cleanup_free_ char *command = NULL;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    struct shim_stdio stdio = {.fds = {-1, out[1], out[1]}};
    buffer_truncate(&f->output, 0);
    buffer_truncate(&f->warnings, 0);
    int code =
        shim_container_start(&f->spec, &stdio, &child, &command, &f->warnings, &f->reason, &f->err);
    close(out[1]);
    if (code == 0) {
        read_all(out[0], &f->output);
        assert_int_equal(waitpid(child.pid, &code, 0), child.pid);
        close(child.pidfd);
    }
    close(out[0]);
    return code;
}

// Builds and runs; fails unless the output is as expected.
static void assert_says(struct fixture *f, const char *annotations, const char *pod,
                        const char *container, const char *script, const char *expected)
{
    int code = build(f, annotations, pod, container, script);
    if (code == 0)
        code = run(f);
    if (code != 0 || strcmp(buffer_str(&f->output), expected) != 0)
        fail_msg("{%s} {%s} {%s}: %d %s\n%s", annotations, pod, container, code,
                 error_message(&f->err), buffer_str(&f->output));
}

#define FILTERED "grep -c \"^Seccomp:.2\" /proc/self/status || true"
#define KILL     "kill -0 1 2>/dev/null && echo can || echo cannot"

// ---- which profile ----

static void the_nearest_profile_counts(void **state)
{
    struct fixture *f = *state;
    static const char of_pod[] = "seccomp.security.alpha.kubernetes.io/pod: %s";
    static const char of_container[] = "container.seccomp.security.alpha.kubernetes.io/c: %s";
    static const struct {
        const char *annotation, *value, *pod, *container;
        bool filtered;
    } rows[] = {
        {"", "", "", "", false},
        {"", "", "seccompProfile: {type: RuntimeDefault}", "", true},
        {"", "", "seccompProfile: {type: RuntimeDefault}", "seccompProfile: {type: Unconfined}",
         false},
        {"", "", "seccompProfile: {type: Unconfined}", "seccompProfile: {type: RuntimeDefault}",
         true},
        {of_pod, "runtime/default", "", "", true},
        {of_pod, "docker/default", "", "", true},
        {of_pod, "unconfined", "", "", false},
        {of_pod, "localhost/no-kill.json", "", "", true},
        {of_container, "runtime/default", "", "", true},
        // The container's annotation is stronger than the pod's field, and that than the pod's.
        {of_pod, "runtime/default", "seccompProfile: {type: RuntimeDefault}", "", true},
        {of_container, "runtime/default", "seccompProfile: {type: Unconfined}", "", true},
        {of_pod, "runtime/default", "", "seccompProfile: {type: Unconfined}", false},
        {"container.seccomp.security.alpha.kubernetes.io/other: %s", "runtime/default", "", "",
         false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char annotation[128];
        snprintf(annotation, sizeof(annotation), "%.60s%s",
                 *rows[i].annotation ? rows[i].annotation : "", "");
        char *mark = strstr(annotation, "%s");
        if (mark)
            snprintf(mark, sizeof(annotation) - (size_t)(mark - annotation), "%s", rows[i].value);
        if (build(f, annotation, rows[i].pod, rows[i].container, "true") < 0)
            fail_msg("row %zu: %s", i, error_message(&f->err));
        if ((f->spec.seccomp_filter.size > 0) != rows[i].filtered)
            fail_msg("row %zu: %zu bytes", i, f->spec.seccomp_filter.size);
    }
}

static void the_agents_default_counts_last(void **state)
{
    struct fixture *f = *state;
    f->options.seccomp_default = true;
    assert_int_equal(build(f, "", "", "", "true"), 0);
    assert_true(f->spec.seccomp_filter.size > 0);
    assert_int_equal(build(f, "", "seccompProfile: {type: Unconfined}", "", "true"), 0);
    assert_int_equal(f->spec.seccomp_filter.size, 0);
    assert_int_equal(build(f, "", "", "privileged: true", "true"), 0);
    assert_int_equal(f->spec.seccomp_filter.size, 0);
}

static void a_profile_that_cannot_be_had_stops_the_container(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *file, *message;
    } rows[] = {
        {"none.json", "/seccomp/none.json"},
        {"wrong.json", "defaultAction: ALLOW is not known"},
        {"deep", "/seccomp/deep"},
        {"link.json", "/seccomp/link.json"},
    };
    _cleanup_free_ char *link = path_join(f->profiles, "link.json");
    assert_int_equal(symlink("../outside.json", link), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *profile =
            xasprintf("seccompProfile: {type: Localhost, localhostProfile: %s}", rows[i].file);
        assert_true(build(f, "", "", profile, "true") < 0);
        assert_string_equal(f->reason, "CreateContainerError");
        if (!strstr(error_message(&f->err), rows[i].message))
            fail_msg("%s: %s", rows[i].file, error_message(&f->err));
    }
}

// ---- filters at work ----

static void filters_are_in_force(void **state)
{
    struct fixture *f = *state;
    static const char local[] = "seccompProfile: {type: Localhost, localhostProfile: no-kill.json}";
    assert_says(f, "", "", "", FILTERED, "0\n");
    assert_says(f, "", "seccompProfile: {type: RuntimeDefault}", "", FILTERED, "1\n");
    assert_says(f, "", "",
                "allowPrivilegeEscalation: false, seccompProfile: {type: RuntimeDefault}",
                FILTERED "; grep -c \"^NoNewPrivs:.1\" /proc/self/status", "1\n1\n");
    assert_says(f, "", "", local, KILL, "cannot\n");
    assert_says(f, "", "", "", KILL, "can\n");
}

static void filters_leave_no_powers_behind(void **state)
{
    struct fixture *f = *state;
    static const char caps[] = "grep ^Cap /proc/self/status | tr -d \"[:blank:]\"";
    static const char *const users[] = {"0", "1000"};
    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < ARRAY_SIZE(users); i++)
        for (int no_new = 0; no_new < 2; no_new++) {
            _cleanup_free_ char *with =
                xasprintf("runAsUser: %s, allowPrivilegeEscalation: %s, seccompProfile: {type: "
                          "RuntimeDefault}",
                          users[i], no_new ? "false" : "true");
            _cleanup_free_ char *without = xasprintf("runAsUser: %s, allowPrivilegeEscalation: %s",
                                                     users[i], no_new ? "false" : "true");
            assert_int_equal(build(f, "", "", without, caps), 0);
            assert_int_equal(run(f), 0);
            _cleanup_free_ char *expected = xstrdup(buffer_str(&f->output));
            assert_non_null(strstr(expected, "CapInh:0000000000000000"));
            assert_says(f, "", "", with, caps, expected);
        }
}

// A profile need not allow what the shim does on the way to execve().
static void filters_come_last(void **state)
{
    struct fixture *f = *state;
    static const char local[] =
        "runAsUser: %s, seccompProfile: {type: Localhost, localhostProfile: deep/no-capset.json}";
    char context[128];
    snprintf(context, sizeof(context), local, geteuid() == 0 ? "1000" : "0");
    assert_says(f, "", "", context, "echo started", "started\n");
}

static void commands_in_a_container_are_filtered_alike(void **state)
{
    struct fixture *f = *state;
    int out[2], in[2], status;
    struct shim_child child;
    _cleanup_free_ char *command = NULL;
    pid_t pid;
    assert_int_equal(build(f, "", "",
                           "seccompProfile: {type: Localhost, localhostProfile: no-kill.json}",
                           "read line"),
                     0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    struct shim_stdio stdio = {.fds = {in[0], out[1], out[1]}};
    assert_int_equal(
        shim_container_start(&f->spec, &stdio, &child, &command, &f->warnings, &f->reason, &f->err),
        0);
    const char *const argv[] = {"sh", "-c", KILL "; " FILTERED, NULL};
    const int fds[3] = {-1, out[1], out[1]};
    assert_int_equal(shim_container_exec(&f->spec, &child, argv, fds, 0, &pid, &f->err), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(in[1]);
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    close(in[0]);
    close(child.pidfd);
    close(out[1]);
    buffer_truncate(&f->output, 0);
    read_all(out[0], &f->output);
    close(out[0]);
    assert_string_equal(buffer_str(&f->output), "cannot\n1\n");
}

// What a runtime's default refuses to a container that has the capability for it all the same.
static void the_default_refuses_what_capabilities_would_allow(void **state)
{
    struct fixture *f = *state;
    static const char script[] = "unshare --user true 2>/dev/null && echo made || echo refused";
    if (geteuid() != 0)
        skip();
    assert_says(f, "", "", "seccompProfile: {type: RuntimeDefault}", script, "refused\n");
}

// ---- security modules ----

static bool is_noted(const struct fixture *f, const char *text)
{
    LIST_EACH (note, &f->notes)
        if (strstr(*note, text))
            return true;
    return false;
}

static void app_armor_profiles_must_be_loaded(void **state)
{
    struct fixture *f = *state;
    static const char local[] = "appArmorProfile: {type: Localhost, localhostProfile: my profile}";
    _cleanup_free_ char *sys = path_join(f->dir, "sys");
    f->options.sys_dir = sys;
    assert_true(build(f, "", "", local, "true") < 0);
    assert_string_equal(f->reason, "CreateContainerError");
    assert_non_null(strstr(error_message(&f->err), "AppArmor is not enabled on the host"));
    write_file(f, "sys/module/apparmor/parameters/enabled", "Y\n");
    assert_true(build(f, "", "", local, "true") < 0);
    assert_non_null(strstr(error_message(&f->err), "could not read the loaded profiles"));
    write_file(f, "sys/kernel/security/apparmor/profiles",
               "my profile//child (enforce)\nmy profile too (enforce)\n");
    assert_true(build(f, "", "", local, "true") < 0);
    assert_non_null(strstr(error_message(&f->err), "profile \"my profile\" is not loaded"));
    write_file(f, "sys/kernel/security/apparmor/profiles", "a (enforce)\nmy profile (complain)\n");
    assert_int_equal(build(f, "", "", local, "true"), 0);
    assert_string_equal(f->spec.apparmor_profile, "my profile");
    // The pod's counts where the container says nothing, and between them the annotation.
    assert_int_equal(build(f, "", local, "", "true"), 0);
    assert_string_equal(f->spec.apparmor_profile, "my profile");
    assert_int_equal(build(f, "container.apparmor.security.beta.kubernetes.io/c: localhost/a",
                           local, "", "true"),
                     0);
    assert_string_equal(f->spec.apparmor_profile, "a");
    assert_int_equal(build(f, "container.apparmor.security.beta.kubernetes.io/c: localhost/a", "",
                           "appArmorProfile: {type: Unconfined}", "true"),
                     0);
    assert_null(f->spec.apparmor_profile);
}

static void the_default_app_armor_profile_is_taken_where_it_is(void **state)
{
    struct fixture *f = *state;
    static const char wanted[] = "appArmorProfile: {type: RuntimeDefault}";
    _cleanup_free_ char *sys = path_join(f->dir, "sys");
    f->options.sys_dir = sys;
    assert_int_equal(build(f, "", "", wanted, "true"), 0);
    assert_null(f->spec.apparmor_profile);
    assert_true(is_noted(f, "AppArmor is not enabled"));
    write_file(f, "sys/module/apparmor/parameters/enabled", "Y\n");
    write_file(f, "sys/kernel/security/apparmor/profiles", "a (enforce)\n");
    assert_int_equal(build(f, "", "", wanted, "true"), 0);
    assert_true(is_noted(f, "no AppArmor profile mainstay-default"));
    write_file(f, "sys/kernel/security/apparmor/profiles", "mainstay-default (enforce)\n");
    assert_int_equal(build(f, "", "", wanted, "true"), 0);
    assert_string_equal(f->spec.apparmor_profile, "mainstay-default");
    assert_false(is_noted(f, "AppArmor"));
    assert_int_equal(build(f, "", wanted, "privileged: true", "true"), 0);
    assert_null(f->spec.apparmor_profile);
}

static void selinux_labels_are_completed(void **state)
{
    struct fixture *f = *state;
    static const char of_pod[] = "seLinuxOptions: {level: \"s0:c1,c2\"}";
    _cleanup_free_ char *sys = path_join(f->dir, "sys");
    f->options.sys_dir = sys;
    assert_int_equal(build(f, "", of_pod, "", "true"), 0);
    assert_null(f->spec.selinux_label);
    assert_true(is_noted(f, "SELinux is not enabled"));
    write_file(f, "sys/fs/selinux/enforce", "1");
    assert_int_equal(build(f, "", of_pod, "", "true"), 0);
    assert_string_equal(f->spec.selinux_label, "system_u:system_r:container_t:s0:c1,c2");
    assert_int_equal(
        build(f, "", of_pod, "seLinuxOptions: {type: spc_t, user: u, role: r}", "true"), 0);
    assert_string_equal(f->spec.selinux_label, "u:r:spc_t:s0");
    assert_int_equal(build(f, "", "", "", "true"), 0);
    assert_null(f->spec.selinux_label);
}

static void expect_attribute(struct fixture *f, const char *file, const char *expected)
{
    _cleanup_free_ char *path = path_join(f->dir, file);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    assert_int_equal(fs_read_file(AT_FDCWD, path, 4096, &text), 0);
    assert_string_equal(buffer_str(&text), expected);
}

// This kernel may have neither module: what is written is looked at in a directory of our own.
static void labels_are_written_for_the_next_execve(void **state)
{
    struct fixture *f = *state;
    char profile[] = "my profile", label[] = "u:r:t:s0";
    struct shim_spec spec = {.apparmor_profile = profile};
    write_file(f, "attr/exec", "");
    _cleanup_free_ char *path = path_join(f->dir, "attr");
    _cleanup_close_ int attr = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(credentials_set_labels(&spec, attr, NULL), 0);
    expect_attribute(f, "attr/exec", "exec my profile");
    write_file(f, "attr/exec", "");
    write_file(f, "attr/apparmor/exec", "");
    spec.selinux_label = label;
    assert_int_equal(credentials_set_labels(&spec, attr, NULL), 0);
    expect_attribute(f, "attr/apparmor/exec", "exec my profile");
    expect_attribute(f, "attr/exec", label);
}

// The kernel's own answer, from a host without the module.
static void a_label_that_is_refused_stops_the_container(void **state)
{
    struct fixture *f = *state;
    if (access("/sys/fs/selinux/enforce", F_OK) == 0)
        skip();
    assert_int_equal(build(f, "", "", "", "true"), 0);
    f->spec.selinux_label = xstrdup("u:r:t:s0");
    assert_true(run(f) < 0);
    assert_string_equal(f->reason, "CreateContainerError");
    assert_non_null(strstr(error_message(&f->err), "SELinux label u:r:t:s0"));
}

// ---- /proc, users and groups ----

static void proc_is_masked_unless_asked_otherwise(void **state)
{
    struct fixture *f = *state;
    static const char masks[] = "grep -c \" /proc/sys \" /proc/self/mountinfo || true";
    assert_says(f, "", "", "", masks, "1\n");
    assert_says(f, "", "", "procMount: Default", masks, "1\n");
    assert_says(f, "", "", "procMount: Unmasked", masks, "0\n");
}

static bool has_group(const struct shim_spec *spec, int64_t gid)
{
    LIST_EACH (group, &spec->supplemental_groups)
        if (*group == gid)
            return true;
    return false;
}

static void groups_of_the_image_are_merged_or_not(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0)
        skip();
    write_file(f, "images/docker.io/library/box/1/rootfs/etc/passwd",
               "root:x:0:0::/root:/bin/sh\nann:x:1000:1001::/home/ann:/bin/sh\n");
    write_file(f, "images/docker.io/library/box/1/rootfs/etc/group",
               "ann:x:1001:\nbuilders:x:50:bob,ann\nothers:x:51:bob\n");
    static const struct {
        const char *pod;
        bool of_image;
    } rows[] = {
        {"runAsUser: 1000, supplementalGroups: [7], fsGroup: 8", true},
        {"runAsUser: 1000, supplementalGroups: [7], fsGroup: 8, supplementalGroupsPolicy: Merge",
         true},
        {"runAsUser: 1000, supplementalGroups: [7], fsGroup: 8, supplementalGroupsPolicy: Strict",
         false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(build_image(f, "box:1", "", rows[i].pod, "", "true"), 0);
        assert_int_equal(f->spec.run_as_group, 1001);
        assert_true(has_group(&f->spec, 7) && has_group(&f->spec, 8));
        assert_int_equal(has_group(&f->spec, 50), rows[i].of_image);
        assert_false(has_group(&f->spec, 51));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_nearest_profile_counts),
        TEST(the_agents_default_counts_last),
        TEST(a_profile_that_cannot_be_had_stops_the_container),
        TEST(filters_are_in_force),
        TEST(filters_leave_no_powers_behind),
        TEST(filters_come_last),
        TEST(commands_in_a_container_are_filtered_alike),
        TEST(the_default_refuses_what_capabilities_would_allow),
        TEST(app_armor_profiles_must_be_loaded),
        TEST(the_default_app_armor_profile_is_taken_where_it_is),
        TEST(selinux_labels_are_completed),
        TEST(labels_are_written_for_the_next_execve),
        TEST(a_label_that_is_refused_stops_the_container),
        TEST(proc_is_masked_unless_asked_otherwise),
        TEST(groups_of_the_image_are_merged_or_not),
    };
    return cmocka_run_group_tests_name("container-security", tests, NULL, NULL);
}
