// From a pod to what the shim is told, and in the last tests to a process that runs as told.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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
#include "supervisor/container-spec-internal.h"
#include "supervisor/container-spec.h"
#include "supervisor/shim/container.h"
#include "supervisor/termination.h"
#include "supervisor/volumes.h"

struct fixture {
    char dir[40], logs[64], links[64];
    struct container_spec_options options;
    struct pod_list pods;
    struct shim_spec spec;
    struct string_list notes;
    const char *reason;
    struct error err;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/test-container-spec-XXXXXX");
    if (!mkdtemp(f->dir) || chmod(f->dir, 0755) < 0)
        return -1;
    snprintf(f->logs, sizeof(f->logs), "%s/log", f->dir);
    snprintf(f->links, sizeof(f->links), "%s/links", f->dir);
    f->options = (struct container_spec_options){
        .root_dir = f->dir,
        .run_dir = f->dir,
        .log_dir = f->logs,
        .container_links_dir = f->links,
        .node_name = "node",
        .node_ip = "192.0.2.1",
        .unprivileged = geteuid() != 0,
        .log_max_bytes = 10 << 20,
        .log_max_files = 5,
        .memory_capacity_bytes = (int64_t)1 << 30,
    };
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
    free(f);
    return code;
}

// `container` and `spec` are YAML, indented by six and two spaces.
static int build(struct fixture *f, const char *container, const char *spec, uint64_t restart)
{
    struct diag_list diags = {0};
    _cleanup_free_ char *text =
        xasprintf("apiVersion: v1\nkind: Pod\n"
                  "metadata: {name: p-node, namespace: kube-system, uid: u1}\n"
                  "spec:\n%s  containers:\n    - name: c\n%s",
                  spec, container);
    clear(f);
    if (podspec_parse("test.yaml", text, strlen(text), &f->pods, &diags) < 0)
        fail_msg("the test's own manifest is wrong:\n%s", text);
    diag_list_free(&diags);
    const struct pod *pod = f->pods.items[0];
    int code = container_spec_build(&f->options, pod, &pod->spec.containers.items[0], false,
                                    restart, &f->spec, &f->notes, &f->reason, &f->err);
    if (code < 0)
        print_message("%s: %s\n", f->reason, error_message(&f->err));
    return code;
}

static const char host_network[] = "  hostNetwork: true\n";

static void command_and_arguments_are_expanded(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(build(f,
                           "      image: busybox:1\n      command: [sh, -c]\n"
                           "      args: [\"echo $(WHO) $(NOBODY) $$(WHO)\"]\n"
                           "      env: [{name: WHO, value: me}]\n      workingDir: /tmp\n",
                           host_network, 3),
                     0);
    assert_int_equal(f->spec.argv.n, 3);
    assert_string_equal(f->spec.argv.items[2], "echo me $(NOBODY) $(WHO)");
    assert_string_equal(f->spec.id, "u1_c_3");
    assert_string_equal(f->spec.working_dir, "/tmp");
    assert_int_equal(f->spec.restart_count, 3);
    assert_true(f->spec.new_pid_namespace && f->spec.new_ipc_namespace);
    assert_false(f->spec.new_net_namespace || f->spec.new_uts_namespace);
    assert_int_equal(f->notes.n, 1);
    assert_non_null(strstr(f->notes.items[0], "running the host's /"));
}

static void images_decide_where_it_runs(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *bin = path_join(f->dir, "images/etcd/3.4/bin");
    _cleanup_free_ char *rootfs = path_join(f->dir, "images/box/1/rootfs");
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, bin, 0755), 0);
    assert_int_equal(fs_mkdir_parents(AT_FDCWD, rootfs, 0755), 0);
    assert_int_equal(build(f, "      image: etcd:3.4\n      args: [--x]\n", host_network, 0), 0);
    assert_int_equal(f->spec.root_kind, SHIM_ROOT_HOST);
    assert_string_equal(f->spec.path_prepend.items[0], bin);
    assert_string_equal(f->spec.argv.items[0], "etcd"); // the program that is called like the image
    assert_string_equal(f->spec.argv.items[1], "--x");
    assert_int_equal(build(f, "      image: box:1\n      command: [x]\n", host_network, 0), 0);
    assert_int_equal(f->spec.root_kind, SHIM_ROOT_OVERLAY);
    assert_string_equal(f->spec.root_lower, rootfs);
    assert_int_equal(access(f->spec.root_upper, F_OK), 0);
    assert_int_equal(access(f->spec.root_work, F_OK), 0);
    assert_string_equal(f->spec.mounts.items[0].destination, "/etc/hosts");
    assert_int_equal(build(f, "      image: box:1\n", host_network, 0), -EINVAL);
    assert_string_equal(f->reason, "CreateContainerConfigError");
}

static void what_is_missing_is_told(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        build(f, "      image: a:1\n      command: [no-such-command]\n", host_network, 0), -ENOENT);
    assert_string_equal(f->reason, "ErrImagePull");
    assert_int_equal(build(f,
                           "      image: a:1\n      imagePullPolicy: Never\n"
                           "      command: [no-such-command]\n",
                           host_network, 0),
                     -ENOENT);
    assert_string_equal(f->reason, "ErrImageNeverPull");
    assert_int_equal(build(f, "      image: a\n      command: [sh]\n", host_network, 0), -ENOENT);
    assert_non_null(strstr(error_message(&f->err), "IfNotPresent")); // no tag: latest, Always
    assert_int_equal(build(f, "      image: a:1\n      command: [sh]\n", "", 0), -ENETDOWN);
    assert_string_equal(f->reason, "NetworkNotReady");
    assert_int_equal(build(f,
                           "      image: a:1\n      command: [/opt/x/tool]\n"
                           "      volumeMounts: [{name: v, mountPath: /opt/x}]\n",
                           "  hostNetwork: true\n  volumes: [{name: v, emptyDir: {}}]\n", 0),
                     0);
}

static void security_contexts_become_credentials(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(build(f,
                           "      image: a:1\n      command: [sh]\n"
                           "      securityContext:\n        runAsUser: 0\n        "
                           "allowPrivilegeEscalation: false\n"
                           "        readOnlyRootFilesystem: true\n"
                           "        capabilities: {add: [NET_ADMIN], drop: [ALL]}\n",
                           "  hostNetwork: true\n  hostPID: true\n"
                           "  securityContext: {runAsUser: 7, runAsGroup: 8, fsGroup: 9, "
                           "supplementalGroups: [10, 9]}\n",
                           0),
                     0);
    assert_int_equal(f->spec.run_as_user, 0);
    assert_int_equal(f->spec.run_as_group, 8);
    assert_true(f->spec.no_new_privileges && f->spec.root_read_only);
    assert_true(f->spec.default_capabilities);
    assert_false(f->spec.new_pid_namespace);
    assert_string_equal(f->spec.capabilities_add.items[0], "NET_ADMIN");
    size_t n = f->spec.supplemental_groups.n;
    assert_true(n >= 2); // and those of root in /etc/group
    assert_int_equal(f->spec.supplemental_groups.items[n - 2], 10);
    assert_int_equal(f->spec.oom_score_adj, 1000);
    assert_int_equal(build(f,
                           "      image: a:1\n      command: [sh]\n"
                           "      securityContext: {runAsNonRoot: true}\n",
                           host_network, 0),
                     -EPERM);
    assert_string_equal(f->reason, "CreateContainerConfigError");
    assert_int_equal(build(f,
                           "      image: a:1\n      command: [sh]\n"
                           "      securityContext: {privileged: true, runAsNonRoot: true, "
                           "runAsUser: 5}\n",
                           host_network, 0),
                     0);
    assert_true(f->spec.privileged);
    assert_false(f->spec.default_capabilities);
}

static void users_come_from_the_roots_own_files(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *etc = path_join(f->dir, "etc");
    _cleanup_free_ char *passwd = path_join(etc, "passwd"), *group = path_join(etc, "group");
    static const char users[] = "broken\nroot:x:0:0:root:/root:/bin/sh\nx:x:no:1:::\n"
                                "etcd:x:70:71:Etcd:/var/lib/etcd:/bin/false\n";
    static const char groups[] = "root:x:0:\nadm:x:4:syslog,etcd\nssl:x:5:etcd\nbad:x:z:etcd\n";
    assert_int_equal(mkdir(etc, 0755), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, passwd, users, sizeof(users) - 1, 0644, 0), 0);
    assert_int_equal(fs_write_atomic(AT_FDCWD, group, groups, sizeof(groups) - 1, 0644, 0), 0);
    struct container_user user;
    container_user_find(f->dir, 70, &user);
    assert_string_equal(user.name, "etcd");
    assert_string_equal(user.home, "/var/lib/etcd");
    assert_int_equal(user.gid, 71);
    assert_int_equal(user.groups.n, 2);
    assert_int_equal(user.groups.items[1], 5);
    container_user_clear(&user);
    container_user_find(f->dir, 1, &user);
    assert_null(user.name);
    assert_string_equal(user.home, "/");
    assert_int_equal(user.gid, 0);
    container_user_clear(&user);
    // A link out of the image is not followed.
    assert_int_equal(unlink(passwd), 0);
    assert_int_equal(symlink("/etc/passwd", passwd), 0);
    container_user_find(f->dir, 0, &user);
    assert_null(user.name);
    container_user_clear(&user);
}

static void logs_have_the_paths_that_shippers_expect(void **state)
{
    struct fixture *f = *state;
    char target[256];
    static const char container[] = "      image: a:1\n      command: [sh]\n";
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(build(f, container, host_network, i), 0);
        assert_int_equal(fs_mkdir_parents_of(AT_FDCWD, f->spec.log_path), 0);
        assert_int_equal(fs_write_atomic(AT_FDCWD, f->spec.log_path, "x", 1, 0644, 0), 0);
        container_spec_tidy_logs(&f->options, f->pods.items[0], "c", i);
    }
    const struct pod *pod = f->pods.items[0];
    _cleanup_free_ char *expected = path_join(f->logs, "kube-system_p-node_u1/c/3.log");
    _cleanup_free_ char *previous = container_spec_log_path(&f->options, pod, "c", 2);
    _cleanup_free_ char *older = container_spec_log_path(&f->options, pod, "c", 1);
    _cleanup_free_ char *link = container_spec_log_link(&f->options, pod, "c", 3);
    _cleanup_free_ char *older_link = container_spec_log_link(&f->options, pod, "c", 1);
    assert_string_equal(f->spec.log_path, expected);
    assert_int_equal(access(previous, F_OK), 0);
    assert_int_equal(access(older, F_OK), -1);
    ssize_t n = readlink(link, target, sizeof(target) - 1);
    assert_true(n > 0);
    target[n] = '\0';
    assert_string_equal(target, expected);
    assert_int_equal(readlink(older_link, target, sizeof(target)), -1);
    assert_true(str_starts_with(path_base(link), "p-node_kube-system_c-"));
    assert_int_equal(strlen(path_base(link)), strlen("p-node_kube-system_c-") + 64 + 4);
    struct pod later = {.metadata = {.name = pod->metadata.name,
                                     .namespace = pod->metadata.namespace,
                                     .uid = (char[]){"another"}}};
    assert_int_equal(container_spec_remove_older_logs(&f->options, pod, &f->err), 0);
    assert_int_equal(readlink(link, target, sizeof(target)) > 0, 1);
    assert_int_equal(container_spec_remove_older_logs(&f->options, &later, &f->err), 0);
    _cleanup_free_ char *all = container_spec_log_dir(&f->options, pod);
    assert_int_equal(access(all, F_OK), -1);
    assert_int_equal(readlink(link, target, sizeof(target)), -1);
    assert_int_equal(container_spec_remove_logs(&f->options, pod, &f->err), 0);
    f->options.container_links_dir = NULL;
    assert_null(container_spec_log_link(&f->options, pod, "c", 3));
}

// ---- with a process ----

// Standard input ends once the start has returned.
static int run(struct fixture *f, struct buffer *output)
{
    int out[2], in[2], code;
    struct shim_child child;
    _cleanup_free_ char *command = NULL;
    _cleanup_buffer_ struct buffer warnings = BUFFER_EMPTY;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    struct shim_stdio stdio = {.fds = {in[0], out[1], out[1]}};
    code = shim_container_start(&f->spec, &stdio, &child, &command, &warnings, &f->reason, &f->err);
    close(out[1]);
    close(in[0]);
    close(in[1]);
    if (code < 0)
        fail_msg("%s: %s", f->reason, error_message(&f->err));
    print_message("%s", buffer_str(&warnings));
    for (;;) {
        ssize_t n = read(out[0], buffer_reserve(output, 4096), 4096);
        if (n <= 0)
            break;
        output->len += (size_t)n;
    }
    close(out[0]);
    buffer_add(output, "", 0);
    assert_int_equal(waitpid(child.pid, &code, 0), child.pid);
    close(child.pidfd);
    return WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

static void what_is_built_runs(void **state)
{
    struct fixture *f = *state;
    _cleanup_buffer_ struct buffer output = BUFFER_EMPTY;
    _cleanup_free_ char *host = path_join(f->dir, "data");
    _cleanup_free_ char *spec =
        xasprintf("  hostNetwork: true\n  volumes:\n"
                  "  - {name: scratch, emptyDir: {}}\n"
                  "  - {name: data, hostPath: {path: %s, type: DirectoryOrCreate}}\n"
                  "  - {name: info, downwardAPI: {items: [{path: name, fieldRef: {fieldPath: "
                  "metadata.name}}]}}\n",
                  host);
    assert_int_equal(build(f,
                           "      image: a:1\n      command: [sh, -c]\n"
                           "      args: ['echo one > /scratch/x; cat /scratch/x /info/name; echo; "
                           "echo $IP; echo because > /run/why; touch /data/y; exit 4']\n"
                           "      terminationMessagePath: /run/why\n"
                           "      env: [{name: IP, valueFrom: {fieldRef: {fieldPath: "
                           "status.podIP}}}]\n"
                           "      volumeMounts:\n"
                           "      - {name: scratch, mountPath: /scratch}\n"
                           "      - {name: data, mountPath: /data}\n"
                           "      - {name: info, mountPath: /info}\n",
                           spec, 0),
                     0);
    assert_int_equal(run(f, &output), 4);
    assert_string_equal(buffer_str(&output), "one\np-node\n192.0.2.1\n");
    _cleanup_free_ char *written = path_join(host, "y");
    assert_int_equal(access(written, F_OK), 0);
    const struct pod *pod = f->pods.items[0];
    _cleanup_free_ char *message = termination_of_file(f->spec.termination_file);
    assert_string_equal(message, "because\n");
    assert_int_equal(container_spec_remove_instance(&f->options, pod, "c", 0, &f->err), 0);
    assert_int_equal(access(f->spec.termination_file, F_OK), -1);
}

static const char *message_file(struct fixture *f, const char *more)
{
    _cleanup_free_ char *container =
        xasprintf("      image: a:1\n      command: [\"true\"]\n%s", more);
    static const char volume[] =
        "  hostNetwork: true\n  volumes: [{name: dev, hostPath: {path: /dev}}]\n";
    assert_int_equal(build(f, container, volume, 0), 0);
    return f->spec.termination_file;
}

// Only what may grow, or is not in a file system of the container's own, takes a file on the disk.
static void the_usual_termination_message_needs_no_disk(void **state)
{
    struct fixture *f = *state;
    assert_null(message_file(f, ""));
    assert_string_equal(f->spec.termination_path, "/dev/termination-log");
    assert_null(message_file(f, "      volumeMounts: [{name: dev, mountPath: /dev/host}]\n"));
    assert_non_null(message_file(f, "      terminationMessagePath: /var/log/x\n"));
    assert_non_null(message_file(f, "      terminationMessagePath: /dev/x\n"));
    assert_non_null(message_file(f, "      volumeMounts: [{name: dev, mountPath: /dev}]\n"));
    assert_non_null(message_file(f, "      securityContext: {privileged: true}\n"));
}

static int remove_cgroups(struct fixture *f)
{
    struct cgroup_tree *tree = f->options.cgroups;
    int code = cgroup_remove_pod(tree, f->pods.items[0]);
    cgroup_tree_remove(tree);
    cgroup_tree_free(tree);
    return code;
}

static void containers_start_in_their_cgroups(void **state)
{
    struct fixture *f = *state;
    _cleanup_buffer_ struct buffer output = BUFFER_EMPTY;
    char name[64];
    snprintf(name, sizeof(name), "mainstay-test-spec-%d", (int)getpid());
    assert_int_equal(cgroup_tree_open(name, &f->options.cgroups, &f->err), 0);
    if (!cgroup_tree_can_kill(f->options.cgroups)) {
        print_message("skipped: cgroups: %s\n", cgroup_tree_describe(f->options.cgroups));
        cgroup_tree_free(f->options.cgroups);
        skip();
    }
    assert_int_equal(build(f,
                           "      image: a:1\n      command: [sh, -c]\n"
                           "      args: ['read line; cat /proc/self/cgroup']\n"
                           "      resources: {requests: {cpu: 100m}, limits: {memory: 50Mi}}\n",
                           host_network, 0),
                     0);
    int status = run(f, &output);
    size_t joined = 0;
    char *rest = output.data;
    for (char *line; rest && (line = strsep(&rest, "\n"));)
        joined += str_ends_with(line, "/kubepods/burstable/podu1/c");
    size_t dirs = f->spec.cgroup_dirs.n;
    assert_int_equal(remove_cgroups(f), 0);
    assert_int_equal(status, 0);
    assert_int_equal(joined, dirs); // also those that are joined after the start
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(command_and_arguments_are_expanded),
        TEST(images_decide_where_it_runs),
        TEST(what_is_missing_is_told),
        TEST(security_contexts_become_credentials),
        TEST(users_come_from_the_roots_own_files),
        TEST(logs_have_the_paths_that_shippers_expect),
        TEST(the_usual_termination_message_needs_no_disk),
        TEST(what_is_built_runs),
        TEST(containers_start_in_their_cgroups),
    };
    return cmocka_run_group_tests_name("container-spec", tests, NULL, NULL);
}
