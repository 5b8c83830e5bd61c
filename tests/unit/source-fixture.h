// What the tests of the directory source share: a temporary directory, a real event loop, and a
// record of what the source told.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "manifests/source-internal.h"

struct seen_pod {
    char *name; // without the node's suffix
    char *uid;
    char *version; // the first word of its command
    char *file;    // the base name of the file it came with
};

struct fixture {
    char *root, *dir, *state;
    int64_t settle_usec;
    sd_event *loop;
    struct manifest_source *source;
    LIST_OF(struct seen_pod) pods;
    unsigned sets, removals, handovers, changes, file_removals, syncs;
    bool present;
    struct string_list log; // "set etcd v1", "removed etcd", …, in order
};

static inline void seen_pod_clear(struct seen_pod *pod)
{
    free(pod->name);
    free(pod->uid);
    free(pod->version);
    free(pod->file);
}

// "etcd-node" → "etcd"
static inline char *without_node(const char *name)
{
    assert_true(str_ends_with(name, "-node"));
    return xstrndup(name, strlen(name) - strlen("-node"));
}

static inline struct seen_pod *seen_pod(struct fixture *f, const char *name)
{
    LIST_EACH (pod, &f->pods) {
        if (strcmp(pod->name, name) == 0)
            return pod;
    }
    return NULL;
}

static inline void on_pod_set(void *userdata, struct pod *pod, const char *file)
{
    struct fixture *f = userdata;
    _cleanup_free_ char *name = without_node(pod->metadata.name);
    struct seen_pod *seen = seen_pod(f, name);
    bool handover = seen && str_equal(seen->uid, pod->metadata.uid);
    if (!seen)
        seen = LIST_APPEND(&f->pods);
    if (handover)
        assert_string_not_equal(seen->file, path_base(file)); // told only where it changed
    seen_pod_clear(seen);
    seen->name = TAKE_PTR(name);
    seen->uid = xstrdup(pod->metadata.uid);
    seen->version = xstrdup(pod->spec.containers.items[0].command.items[0]);
    seen->file = xstrdup(path_base(file));
    string_list_add_owned(&f->log, xasprintf("%s %s %s", handover ? "hand over" : "set", seen->name,
                                             handover ? seen->file : seen->version));
    f->sets += !handover;
    f->handovers += handover;
    pod_free(pod);
}

static inline void on_pod_removed(void *userdata, const char *namespace_, const char *name,
                                  const char *uid, const char *file)
{
    struct fixture *f = userdata;
    _cleanup_free_ char *short_name = without_node(name);
    struct seen_pod *seen = seen_pod(f, short_name);
    assert_non_null(seen);
    assert_string_equal(seen->uid, uid);
    assert_string_equal(namespace_, "default");
    assert_non_null(file);
    seen_pod_clear(seen);
    *seen = f->pods.items[--f->pods.n];
    string_list_add_owned(&f->log, xasprintf("removed %s", short_name));
    f->removals++;
}

static inline void on_file_changed(void *userdata, const struct manifest_status *status)
{
    static const char *const states[] = {"accepted", "refused", "conflict"};
    struct fixture *f = userdata;
    string_list_add_owned(&f->log,
                          xasprintf("%s %s", path_base(status->file), states[status->state]));
    f->changes++;
}

static inline void on_file_removed(void *userdata, const char *file)
{
    struct fixture *f = userdata;
    string_list_add_owned(&f->log, xasprintf("%s gone", path_base(file)));
    f->file_removals++;
}

static inline void on_synced(void *userdata, bool present)
{
    struct fixture *f = userdata;
    f->syncs++;
    f->present = present;
    string_list_add(&f->log, "synced");
}

static inline void start_source_at(struct fixture *f, const char *path)
{
    static const struct manifest_source_ops ops = {.pod_set = on_pod_set,
                                                   .pod_removed = on_pod_removed,
                                                   .file_changed = on_file_changed,
                                                   .file_removed = on_file_removed,
                                                   .synced = on_synced};
    struct manifest_source_options options = {.directory = path,
                                              .state_dir = f->state,
                                              .node_name = "node",
                                              .rescan_usec = 3600 * USEC_PER_SEC,
                                              .settle_usec = f->settle_usec};
    assert_int_equal(manifest_source_new(f->loop, &options, &ops, f, &f->source, NULL), 0);
}

// As the agent does after a crash: what ran is told again, from the start.
static inline void stop_source(struct fixture *f)
{
    manifest_source_free(f->source);
    f->source = NULL;
    LIST_EACH (pod, &f->pods)
        seen_pod_clear(pod);
    f->pods.n = 0;
    f->sets = f->removals = f->handovers = f->changes = f->file_removals = f->syncs = 0;
    string_list_free(&f->log);
}

static inline void settle(struct fixture *f)
{
    while (!manifest_source_idle(f->source))
        assert_true(sd_event_run(f->loop, UINT64_MAX) >= 0);
}

// One turn of the loop for what is in the queue now, without waiting for anything.
static inline void turn_once(struct fixture *f)
{
    while (sd_event_run(f->loop, 0) > 0)
        ;
}

static inline struct fixture *fixture_new(void)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    char template[] = "/tmp/mainstay-source-XXXXXX";
    assert_non_null(mkdtemp(template));
    f->root = xstrdup(template);
    f->dir = path_join(f->root, "manifests");
    f->state = path_join(f->root, "state");
    f->settle_usec = 20 * USEC_PER_MSEC;
    assert_int_equal(mkdir(f->dir, 0755), 0);
    assert_true(sd_event_new(&f->loop) >= 0);
    return f;
}

static inline void fixture_free(struct fixture *f)
{
    stop_source(f);
    sd_event_unref(f->loop);
    free(f->pods.items);
    fs_remove_tree(AT_FDCWD, f->root);
    free(f->root);
    free(f->dir);
    free(f->state);
    free(f);
}

static inline char *manifest_text(const char *name, const char *version, const char *comment)
{
    return xasprintf("# %s\napiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\nspec:\n"
                     "  hostNetwork: true\n  containers:\n  - name: main\n    image: host\n"
                     "    command: [\"%s\", \"--flag\"]\n",
                     comment, name, version);
}

static inline char *in_dir(const struct fixture *f, const char *name)
{
    return path_join(f->dir, name);
}

// In place: truncate, write, close.
static inline void write_text(const struct fixture *f, const char *name, const char *text)
{
    _cleanup_free_ char *path = in_dir(f, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
}

static inline void write_pod(const struct fixture *f, const char *name, const char *pod,
                             const char *version)
{
    _cleanup_free_ char *text = manifest_text(pod, version, "in place");
    write_text(f, name, text);
}

// Beside it, then renamed into place.
static inline void drop_text(const struct fixture *f, const char *name, const char *text)
{
    _cleanup_free_ char *path = in_dir(f, name);
    assert_int_equal(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, 0), 0);
}

static inline void drop_pod(const struct fixture *f, const char *name, const char *pod,
                            const char *version)
{
    _cleanup_free_ char *text = manifest_text(pod, version, "renamed in");
    drop_text(f, name, text);
}

static inline void remove_file(const struct fixture *f, const char *name)
{
    _cleanup_free_ char *path = in_dir(f, name);
    assert_int_equal(unlink(path), 0);
}

static inline void move_file(const struct fixture *f, const char *from, const char *to)
{
    _cleanup_free_ char *a = in_dir(f, from), *b = in_dir(f, to);
    assert_int_equal(rename(a, b), 0);
}

static inline void assert_runs(struct fixture *f, const char *name, const char *version)
{
    struct seen_pod *pod = seen_pod(f, name);
    if (!pod)
        fail_msg("%s does not run", name);
    else
        assert_string_equal(pod->version, version);
}

static inline void assert_runs_not(struct fixture *f, const char *name)
{
    assert_null(seen_pod(f, name));
}

// The status of a file; fails where there is none. Valid until the next turn of the loop.
static inline struct manifest_status status_of(const struct fixture *f, const char *name)
{
    struct manifest_status *all = NULL, found = {0};
    size_t n = manifest_source_list(f->source, &all);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(path_base(all[i].file), name) == 0)
            found = all[i];
    }
    free(all);
    assert_non_null(found.file);
    return found;
}

static inline void assert_state(const struct fixture *f, const char *name,
                                enum manifest_state state)
{
    struct manifest_status status = status_of(f, name);
    assert_int_equal(status.state, state);
}

static inline int setup(void **state)
{
    alarm(100); // a source that never comes to rest shall not hang the run
    *state = fixture_new();
    return 0;
}

static inline int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

static inline struct fixture *running(void **state)
{
    struct fixture *f = *state;
    start_source_at(f, f->dir);
    settle(f);
    return f;
}

static inline void restart(struct fixture *f)
{
    stop_source(f);
    start_source_at(f, f->dir);
    settle(f);
}

static inline void make_link(const struct fixture *f, const char *target, const char *name)
{
    _cleanup_free_ char *path = in_dir(f, name);
    assert_int_equal(symlink(target, path), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
