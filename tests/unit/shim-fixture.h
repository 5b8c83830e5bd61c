// What the tests of the shim share: a directory of their own with a loop, containers that run a
// shell script, and what their callbacks saw. Tests await events, not time.
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"
#include "supervisor/shim-link.h"

enum { PATIENCE_SEC = 60 };

struct fixture {
    sd_event *event;
    char *dir, *shims, *program;
    struct shim_link_options options;
};

// What the callbacks saw of one container.
struct seen {
    int changed, over, done;
    bool running, had_exit;
    struct shim_state exit;
    int code, wait_status;
    struct buffer output;
};

static inline void on_changed(void *userdata, struct shim_link *link,
                              const struct shim_state *state)
{
    struct seen *seen = userdata;
    seen->changed++;
    seen->running |= state->phase == SHIM_PHASE_RUNNING;
}

static inline void on_over(void *userdata, struct shim_link *link, const struct shim_state *state)
{
    struct seen *seen = userdata;
    seen->over++;
    seen->had_exit = state != NULL;
    if (state) {
        seen->exit = *state;
        seen->exit.error_reason = xstrdup_or_null(state->error_reason);
        seen->exit.message = xstrdup_or_null(state->message);
        seen->exit.command = xstrdup_or_null(state->command);
        seen->exit.termination = xstrdup_or_null(state->termination);
    }
}

static inline void on_done(void *userdata, int error_code, int wait_status, const char *output,
                           size_t output_len)
{
    struct seen *seen = userdata;
    seen->done++;
    seen->code = error_code;
    seen->wait_status = wait_status;
    buffer_add(&seen->output, output, output_len);
}

static const struct shim_link_ops ops = {.changed = on_changed, .over = on_over};

static inline void seen_clear(struct seen *seen)
{
    shim_state_clear(&seen->exit);
    buffer_free(&seen->output);
}
#define _cleanup_seen_ _cleanup_(seen_clear)

// Runs the loop until *what is not zero.
static inline void await(struct fixture *f, const int *what)
{
    monotime deadline = monotime_add_ms(monotime_now(), PATIENCE_SEC * MSEC_PER_SEC);
    while (*what == 0) {
        assert_false(monotime_reached(deadline, monotime_now()));
        assert_true(sd_event_run(f->event, PATIENCE_SEC * (uint64_t)USEC_PER_SEC) >= 0);
    }
}

// What is over must not keep the loop busy: it comes to rest within a few turns.
static inline void await_rest(struct fixture *f)
{
    int turns = 0;
    while (turns < 100 && sd_event_run(f->event, 0) > 0)
        turns++;
    assert_in_range(turns, 0, 99);
}

static inline char *find_program(void)
{
    char self[4096];
    const char *given = getenv("MAINSTAY_SHIM");
    if (given)
        return xstrdup(given);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(n > 0);
    self[n] = '\0';
    *strrchr(self, '/') = '\0'; // BUILD/tests/test-shim-link
    char *slash = strrchr(self, '/');
    return xasprintf("%.*s/mainstay-shim", (int)(slash - self), self);
}

static inline int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    char pattern[] = "/tmp/test-shim-link-XXXXXX";
    assert_non_null(mkdtemp(pattern));
    f->dir = xstrdup(pattern);
    f->shims = path_join(pattern, "shims");
    f->program = find_program();
    assert_true(sd_event_new(&f->event) >= 0);
    f->options = (struct shim_link_options){
        .event = f->event,
        .shims_dir = f->shims,
        .shim_path = f->program,
    };
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    sd_event_unref(f->event);
    assert_int_equal(fs_remove_tree(AT_FDCWD, f->dir), 0);
    free(f->dir);
    free(f->shims);
    free(f->program);
    free(f);
    return 0;
}

static inline struct shim_spec shell_spec(struct fixture *f, const char *script)
{
    struct shim_spec spec = {
        .id = xstrdup("0123456789abcdef0123456789abcdef_a-container-with-a-long-name-that-does-not-"
                      "fit-into-a-socket-address_0"),
        .pod_namespace = xstrdup("kube-system"),
        .pod_name = xstrdup("etcd-node"),
        .pod_uid = xstrdup("0123"),
        .container = xstrdup("etcd"),
        .run_as_user = -1,
        .run_as_group = -1,
        .oom_score_adj = INT64_MIN,
        .log_path = path_join(f->dir, "pods/etcd/0.log"),
        .exec_output_max = 10 << 10,
        .new_user_namespace = geteuid() != 0,
    };
    string_list_add(&spec.argv, "/bin/sh");
    string_list_add(&spec.argv, "-c");
    string_list_add(&spec.argv, script);
    string_list_add(&spec.environment, "PATH=/usr/bin:/bin");
    return spec;
}

static inline struct shim_link *start(struct fixture *f, struct shim_spec *spec, struct seen *seen)
{
    struct shim_link *link = NULL;
    _cleanup_error_ struct error err = ERROR_NONE;
    if (shim_link_start(&f->options, spec, &ops, seen, &link, &err) < 0)
        fail_msg("%s", error_message(&err));
    return link;
}

static inline struct shim_link *start_shell(struct fixture *f, const char *script,
                                            struct seen *seen)
{
    struct shim_spec spec = shell_spec(f, script);
    struct shim_link *link = start(f, &spec, seen);
    shim_spec_free(&spec);
    return link;
}

static inline char *only_id(struct fixture *f)
{
    _cleanup_string_list_ struct string_list ids = {0};
    assert_int_equal(shim_link_list(f->shims, &ids, NULL), 0);
    assert_int_equal(ids.n, 1);
    return xstrdup(ids.items[0]);
}

static inline struct shim_link *adopt(struct fixture *f, struct seen *seen)
{
    struct shim_link *link = NULL;
    struct shim_spec spec;
    _cleanup_free_ char *id = only_id(f);
    _cleanup_error_ struct error err = ERROR_NONE;
    if (shim_link_adopt(&f->options, id, &ops, seen, &link, &spec, &err) < 0)
        fail_msg("%s", error_message(&err));
    assert_string_equal(spec.container, "etcd");
    assert_string_equal(spec.id, id);
    shim_spec_free(&spec);
    return link;
}

static inline void forget(struct fixture *f, struct shim_link *link)
{
    _cleanup_string_list_ struct string_list ids = {0};
    assert_int_equal(shim_link_forget(link), 0);
    shim_link_free(link);
    assert_int_equal(shim_link_list(f->shims, &ids, NULL), 0);
    assert_int_equal(ids.n, 0);
}

static inline void read_log(struct fixture *f, struct buffer *out)
{
    _cleanup_free_ char *path = path_join(f->dir, "pods/etcd/0.log");
    assert_int_equal(fs_read_file(AT_FDCWD, path, 64 << 20, out), 0);
}

static inline void make_fifo(struct fixture *f, const char *name)
{
    _cleanup_free_ char *path = path_join(f->dir, name);
    assert_int_equal(mkfifo(path, 0600), 0);
}

#define shim_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
