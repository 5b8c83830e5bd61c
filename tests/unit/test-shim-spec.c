// The wire form of the shim's spec: whole, partly unknown, and damaged.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "supervisor/shim/shim-spec.h"

static struct shim_spec full_spec(void)
{
    struct shim_spec spec = {
        .id = xstrdup("uid_etcd_3"),
        .pod_namespace = xstrdup("kube-system"),
        .pod_name = xstrdup("etcd-n0"),
        .pod_uid = xstrdup("uid"),
        .container = xstrdup("etcd"),
        .node = xstrdup("n0"),
        .restart_count = 3,
        .working_dir = xstrdup("/var"),
        .root_kind = SHIM_ROOT_OVERLAY,
        .root_lower = xstrdup("/l"),
        .root_upper = xstrdup("/u"),
        .root_work = xstrdup("/w"),
        .root_read_only = true,
        .new_pid_namespace = true,
        .hostname = xstrdup("h"),
        .net_namespace = xstrdup("/run/ns/u/net"),
        .ipc_namespace = xstrdup("/run/ns/u/ipc"),
        .uts_namespace = xstrdup("/run/ns/u/uts"),
        .pid_namespace = xstrdup("/run/ns/u/pid"),
        .shm_dir = xstrdup("/run/ns/u/shm"),
        .run_as_user = 1000,
        .run_as_group = -1,
        .no_new_privileges = true,
        .oom_score_adj = -997,
        .stop_signal = 3,
        .log_path = xstrdup("/log/0.log"),
        .log_max_bytes = 10 << 20,
        .log_max_files = 5,
        .journal_socket = xstrdup("/run/systemd/journal/socket"),
        .stdin_open = true,
        .exec_output_max = 10240,
    };
    string_list_add(&spec.argv, "etcd");
    string_list_add(&spec.argv, "");
    string_list_add(&spec.hidden_mounts, "/run/ns");
    string_list_add(&spec.environment, "A=b=c");
    string_list_add(&spec.capabilities_add, "NET_ADMIN");
    string_list_add(&spec.cgroup_dirs, "/sys/fs/cgroup/x");
    *LIST_APPEND(&spec.supplemental_groups) = 5;
    *LIST_APPEND(&spec.supplemental_groups) = INT64_MAX;
    *LIST_APPEND(&spec.mounts) = (struct shim_mount){
        .source = xstrdup("/var/lib/etcd"),
        .destination = xstrdup("/data"),
        .volume = xstrdup("data"),
        .sub_path = xstrdup("a/b"),
        .read_only = true,
        .propagate_both = true,
        .check = SHIM_PATH_DIRECTORY_OR_CREATE,
    };
    *LIST_APPEND(&spec.mounts) =
        (struct shim_mount){.source = xstrdup("/s"), .destination = xstrdup("/d")};
    *LIST_APPEND(&spec.limits) =
        (struct shim_limit){.path = xstrdup("/c"), .value = xstrdup("max"), .required = true};
    return spec;
}

static void a_full_spec_round_trips(void **state)
{
    struct shim_spec spec = full_spec(), back;
    _cleanup_buffer_ struct buffer wire = BUFFER_EMPTY, again = BUFFER_EMPTY;
    shim_spec_encode(&spec, &wire);
    assert_int_equal(shim_spec_decode(wire.data, wire.len, &back, NULL), 0);
    shim_spec_encode(&back, &again);
    assert_int_equal(wire.len, again.len);
    assert_memory_equal(wire.data, again.data, wire.len);
    assert_string_equal(back.id, "uid_etcd_3");
    assert_int_equal(back.argv.n, 2);
    assert_string_equal(back.argv.items[1], "");
    assert_int_equal(back.root_kind, SHIM_ROOT_OVERLAY);
    assert_int_equal(back.oom_score_adj, -997);
    assert_int_equal(back.run_as_group, -1);
    assert_int_equal(back.mounts.n, 2);
    assert_int_equal(back.mounts.items[0].check, SHIM_PATH_DIRECTORY_OR_CREATE);
    assert_true(back.mounts.items[0].propagate_both && !back.mounts.items[1].propagate_both);
    assert_null(back.mounts.items[1].sub_path);
    assert_true(back.supplemental_groups.items[1] == INT64_MAX);
    assert_true(back.limits.items[0].required);
    assert_null(back.termination_path);
    shim_spec_free(&spec);
    shim_spec_free(&back);
    shim_spec_free(&back); // empty by now
}

static void unknown_records_are_passed_over(void **state)
{
    struct shim_spec spec = full_spec(), back;
    _cleanup_buffer_ struct buffer wire = BUFFER_EMPTY;
    shim_spec_encode(&spec, &wire);
    buffer_add(&wire, "\xff\x7f\0\0\x03\0\0\0abc", 11);
    assert_int_equal(shim_spec_decode(wire.data, wire.len, &back, NULL), 0);
    assert_string_equal(back.container, "etcd");
    shim_spec_free(&spec);
    shim_spec_free(&back);
}

static void missing_records_have_safe_values(void **state)
{
    struct shim_spec spec = {.id = (char *)"i", .log_path = (char *)"/l"}, back;
    char *argv[] = {(char *)"x"};
    spec.argv.items = argv;
    spec.argv.n = 1;
    _cleanup_buffer_ struct buffer wire = BUFFER_EMPTY, cut = BUFFER_EMPTY;
    shim_spec_encode(&spec, &wire);
    // Only what is required: header, id, argv, log_path, picked out of the records.
    buffer_add(&cut, wire.data, 12);
    for (size_t at = 12; at < wire.len;) {
        uint16_t tag;
        uint32_t length;
        memcpy(&tag, wire.data + at, sizeof(tag));
        memcpy(&length, wire.data + at + 4, sizeof(length));
        if (tag == 1 || tag == 8 || tag == 37)
            buffer_add(&cut, wire.data + at, 8 + length);
        at += 8 + length;
    }
    assert_int_equal(shim_spec_decode(cut.data, cut.len, &back, NULL), 0);
    assert_int_equal(back.run_as_user, -1);
    assert_int_equal(back.run_as_group, -1);
    assert_true(back.oom_score_adj == INT64_MIN);
    shim_spec_free(&back);
}

static void every_truncation_is_refused_or_whole(void **state)
{
    struct shim_spec spec = full_spec(), back;
    _cleanup_buffer_ struct buffer wire = BUFFER_EMPTY;
    shim_spec_encode(&spec, &wire);
    shim_spec_free(&spec);
    for (size_t size = 0; size < wire.len; size++) {
        _cleanup_error_ struct error err = ERROR_NONE;
        _cleanup_free_ char *copy = xmalloc(size);
        memcpy(copy, wire.data, size);
        int code = shim_spec_decode(copy, size, &back, &err);
        if (code == 0)
            shim_spec_free(&back);
        else
            assert_int_equal(code, -EBADMSG);
    }
}

static void damage_is_refused(void **state)
{
    struct shim_spec spec = full_spec(), back;
    _cleanup_buffer_ struct buffer wire = BUFFER_EMPTY;
    _cleanup_error_ struct error err = ERROR_NONE;
    shim_spec_encode(&spec, &wire);
    shim_spec_free(&spec);
    wire.data[8] = 2;
    assert_int_equal(shim_spec_decode(wire.data, wire.len, &back, &err), -EPROTONOSUPPORT);
    assert_string_equal(error_message(&err), "damaged shim spec: its version is 2, not 1");
    wire.data[8] = 1;
    wire.data[0] = 'X';
    assert_int_equal(shim_spec_decode(wire.data, wire.len, &back, &err), -EBADMSG);
    wire.data[0] = 'M';
    wire.data[12 + 8] = '\0'; // inside the id
    assert_int_equal(shim_spec_decode(wire.data, wire.len, &back, &err), -EBADMSG);
    wire.data[12 + 8] = 'u';
    memset(wire.data + 12 + 4, 0xff, 4); // the id's length
    assert_int_equal(shim_spec_decode(wire.data, wire.len, &back, &err), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_spec_round_trips),
        cmocka_unit_test(unknown_records_are_passed_over),
        cmocka_unit_test(missing_records_have_safe_values),
        cmocka_unit_test(every_truncation_is_refused_or_whole),
        cmocka_unit_test(damage_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
