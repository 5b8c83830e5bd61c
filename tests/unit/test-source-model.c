// Random bursts of what people and programs do to a manifest directory, against a model of what
// must run. Everything is repeatable: MAINSTAY_SEED gives the seed (it is printed), MAINSTAY_STEPS
// the number of steps. Time is skipped, not waited for.
#include "source-fixture.h"

#include <time.h>

enum { N_FILES = 6, N_PODS = 4, N_TARGETS = 3, N_DIRS = 2, PODS_MOST = 2 };

// What stands in a file.
struct content {
    enum { ABSENT, GOOD, BAD, LINK } kind;
    struct {
        int name, version;
    } pods[PODS_MOST];
    int n_pods;
    int target; // LINK
};

// What the source must know of a file of that name.
struct known {
    bool gone, has_good, refused;
    struct content good;
};

struct model {
    struct fixture *f;
    uint64_t random;
    struct content disk[N_DIRS][N_FILES]; // the first is the manifest directory
    struct content targets[2][N_TARGETS];
    int current;    // of the two directories of targets
    bool dir_aside; // the manifest directory is moved away
    struct known known[N_FILES];
    struct {
        int owner, version; // owner -1: does not run
    } pods[N_PODS];
    unsigned sets, removals, handovers;
};

static unsigned dice(struct model *m, unsigned sides)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (unsigned)((m->random >> 11) % sides);
}

// ---- the model

static const struct content *resolve(const struct model *m, int file)
{
    static const struct content absent = {.kind = ABSENT}, dangling = {.kind = BAD};
    if (m->dir_aside)
        return &absent;
    const struct content *content = &m->disk[0][file];
    if (content->kind != LINK)
        return content;
    const struct content *target = &m->targets[m->current][content->target];
    return target->kind == ABSENT ? &dangling : target;
}

static void observe_file(struct model *m, int file)
{
    struct known *known = &m->known[file];
    const struct content *content = resolve(m, file);
    known->gone = content->kind == ABSENT;
    known->refused = content->kind == BAD;
    if (content->kind == GOOD) {
        known->has_good = true;
        known->good = *content;
    }
}

static int claimed_version(const struct known *known, int pod)
{
    for (int i = 0; known->has_good && i < known->good.n_pods; i++) {
        if (known->good.pods[i].name == pod)
            return known->good.pods[i].version;
    }
    return -1;
}

static void settle_pod(struct model *m, int pod)
{
    int old = m->pods[pod].owner, owner = -1, heir = -1;
    if (old >= 0 && claimed_version(&m->known[old], pod) >= 0)
        owner = old;
    for (int file = N_FILES - 1; file >= 0; file--) {
        if (!m->known[file].gone && claimed_version(&m->known[file], pod) >= 0)
            heir = file;
    }
    if (owner < 0 || (m->known[owner].gone && heir >= 0))
        owner = heir;
    int version = owner >= 0 ? claimed_version(&m->known[owner], pod) : -1;
    if (version < 0 && old >= 0)
        m->removals++;
    if (version >= 0 && (old < 0 || m->pods[pod].version != version))
        m->sets++;
    if (version >= 0 && old >= 0 && m->pods[pod].version == version && old != owner)
        m->handovers++;
    m->pods[pod].owner = owner;
    m->pods[pod].version = version;
}

static void observe(struct model *m)
{
    for (int file = 0; file < N_FILES; file++)
        observe_file(m, file);
    for (int pod = 0; pod < N_PODS; pod++)
        settle_pod(m, pod);
}

static void forget_the_gone(struct model *m)
{
    for (int file = 0; file < N_FILES; file++) {
        if (m->known[file].gone)
            m->known[file].has_good = false;
    }
    for (int pod = 0; pod < N_PODS; pod++)
        settle_pod(m, pod);
}

// ---- the world

static void file_name(char *name, int dir, int file)
{
    snprintf(name, 64, "%sf%d.yaml", dir == 0 ? "" : "../other/", file);
}

static void target_name(char *name, int directory, int target)
{
    snprintf(name, 64, "../targets%d/t%d.yaml", directory, target);
}

static struct content random_content(struct model *m)
{
    struct content content = {.kind = dice(m, 4) == 0 ? BAD : GOOD};
    content.n_pods = dice(m, 4) == 0 ? 2 : 1;
    for (int i = 0; i < content.n_pods; i++) {
        content.pods[i].name = (int)dice(m, N_PODS);
        content.pods[i].version = (int)dice(m, 4);
    }
    if (content.n_pods == 2 && content.pods[0].name == content.pods[1].name)
        content.kind = BAD; // one name twice
    return content;
}

static char *content_text(struct model *m, const struct content *content)
{
    struct buffer text = BUFFER_EMPTY;
    for (int i = 0; i < content->n_pods; i++) {
        char pod[16], version[16], comment[16];
        snprintf(pod, sizeof(pod), "p%d", content->pods[i].name);
        snprintf(version, sizeof(version), "v%d", content->pods[i].version);
        snprintf(comment, sizeof(comment), "%u", dice(m, 3));
        _cleanup_free_ char *one = manifest_text(pod, version, comment);
        buffer_printf(&text, "%s%s", i > 0 ? "---\n" : "", one);
    }
    bool twice = content->n_pods == 2 && content->pods[0].name == content->pods[1].name;
    if (content->kind == BAD && !twice) {
        if (dice(m, 3) == 0)
            buffer_truncate(&text, 0);
        else if (dice(m, 2) == 0)
            buffer_truncate(&text, strlen("# 1\napiVersion: v1\nki"));
        else
            buffer_add_str(&text, "  nonsense: [1, 2\n");
    }
    return buffer_take(&text);
}

static void turn_both(struct model *m)
{
    turn_once(m->f);
    observe(m);
}

// What is in the way of a plain file: a directory or a link.
static void clear_name(struct model *m, const char *name)
{
    _cleanup_free_ char *path = in_dir(m->f, name);
    struct stat st;
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
        assert_int_equal(fs_remove_tree(AT_FDCWD, path), 0);
}

// By halves: a reader in between must make nothing of it.
static void write_torn(struct model *m, const char *name, const char *text, struct content *at)
{
    _cleanup_free_ char *path = in_dir(m->f, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    const char *second = strstr(text, "---\n"); // the first of two pods is a whole manifest
    size_t half = second ? (size_t)(second - text) : strlen(text) / 2;
    assert_int_equal(fs_write_all(fd, text, half), 0);
    struct content before = *at;
    *at = (struct content){.kind = BAD};
    turn_both(m);
    *at = before;
    assert_int_equal(fs_write_all(fd, text + half, strlen(text) - half), 0);
    close(fd);
}

static void write_content(struct model *m, const char *name, struct content *at, bool tear)
{
    struct content content = random_content(m);
    _cleanup_free_ char *text = content_text(m, &content);
    clear_name(m, name);
    switch (dice(m, 3)) {
    case 0:
        drop_text(m->f, name, text);
        break;
    case 1:
        if (tear) {
            write_torn(m, name, text, at);
            break;
        }
        // fall through
    default:
        write_text(m->f, name, text);
    }
    *at = content;
}

static void step_write(struct model *m, int dir, int file)
{
    char name[64];
    file_name(name, dir, file);
    write_content(m, name, &m->disk[dir][file], dir == 0);
}

static void step_remove(struct model *m, int dir, int file)
{
    char name[64];
    file_name(name, dir, file);
    _cleanup_free_ char *path = in_dir(m->f, name);
    assert_int_equal(fs_remove_tree(AT_FDCWD, path), 0);
    m->disk[dir][file] = (struct content){.kind = ABSENT};
}

static void step_rename(struct model *m, int dir, int file)
{
    int to = (int)dice(m, N_FILES);
    char from_name[64], to_name[64];
    file_name(from_name, dir, file);
    file_name(to_name, dir, to);
    if (to == file || m->disk[dir][file].kind == ABSENT)
        return;
    clear_name(m, to_name);
    _cleanup_free_ char *from_path = in_dir(m->f, from_name), *to_path = in_dir(m->f, to_name);
    assert_int_equal(fs_remove_tree(AT_FDCWD, to_path), 0);
    assert_int_equal(rename(from_path, to_path), 0);
    m->disk[dir][to] = m->disk[dir][file];
    m->disk[dir][file] = (struct content){.kind = ABSENT};
}

static void step_directory_in_place(struct model *m, int dir, int file)
{
    char name[64];
    file_name(name, dir, file);
    _cleanup_free_ char *path = in_dir(m->f, name);
    assert_int_equal(fs_remove_tree(AT_FDCWD, path), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    m->disk[dir][file] = (struct content){.kind = BAD};
}

static void step_link(struct model *m, int dir, int file)
{
    char name[64], to[64];
    int target = (int)dice(m, N_TARGETS);
    file_name(name, dir, file);
    snprintf(to, sizeof(to), "../current/t%d.yaml", target);
    _cleanup_free_ char *path = in_dir(m->f, name);
    assert_int_equal(fs_remove_tree(AT_FDCWD, path), 0);
    assert_int_equal(symlink(to, path), 0);
    m->disk[dir][file] = (struct content){.kind = LINK, .target = target};
}

static void step_target(struct model *m)
{
    int directory = (int)dice(m, 2), target = (int)dice(m, N_TARGETS);
    char name[64];
    target_name(name, directory, target);
    struct content *at = &m->targets[directory][target];
    if (dice(m, 5) > 0) {
        write_content(m, name, at, false);
        return;
    }
    _cleanup_free_ char *path = in_dir(m->f, name);
    assert_int_equal(fs_remove_tree(AT_FDCWD, path), 0);
    *at = (struct content){.kind = ABSENT};
}

static void step_swap_link(struct model *m)
{
    m->current = !m->current;
    _cleanup_free_ char *temporary = path_join(m->f->root, "current.tmp");
    _cleanup_free_ char *current = path_join(m->f->root, "current");
    assert_int_equal(symlink(m->current ? "targets1" : "targets0", temporary), 0);
    assert_int_equal(rename(temporary, current), 0);
}

static void step_directory(struct model *m)
{
    _cleanup_free_ char *other = path_join(m->f->root, "other");
    if (dice(m, 2) == 0) { // changes places with the other one
        assert_int_equal(renameat2(AT_FDCWD, m->f->dir, AT_FDCWD, other, RENAME_EXCHANGE), 0);
        for (int i = 0; i < N_FILES; i++) {
            struct content content = m->disk[0][i];
            m->disk[0][i] = m->disk[1][i];
            m->disk[1][i] = content;
        }
        return;
    }
    if (dice(m, 2) == 0) { // removed and made again, empty
        assert_int_equal(fs_remove_tree(AT_FDCWD, m->f->dir), 0);
        memset(m->disk[0], 0, sizeof(m->disk[0]));
        if (dice(m, 2) == 0) {
            m->dir_aside = true;
            turn_both(m);
            m->dir_aside = false;
        }
        assert_int_equal(mkdir(m->f->dir, 0755), 0);
        return;
    }
    _cleanup_free_ char *aside = path_join(m->f->root, "aside");
    assert_int_equal(rename(m->f->dir, aside), 0);
    m->dir_aside = true;
    turn_both(m);
    assert_int_equal(rename(aside, m->f->dir), 0);
    m->dir_aside = false;
}

static void step(struct model *m)
{
    int dir = dice(m, 8) == 0, file = (int)dice(m, N_FILES);
    unsigned what = dice(m, 100);
    if (what < 50)
        step_write(m, dir, file);
    else if (what < 65)
        step_remove(m, dir, file);
    else if (what < 77)
        step_rename(m, dir, file);
    else if (what < 81)
        step_directory_in_place(m, dir, file);
    else if (what < 87)
        step_link(m, dir, file);
    else if (what < 93)
        step_target(m);
    else if (what < 96)
        step_swap_link(m);
    else if (what < 98)
        step_directory(m);
    else
        manifest_source_rescan(m->f->source);
}

// ---- comparing

static void settle_both(struct model *m)
{
    turn_both(m);
    while (!manifest_source_idle(m->f->source)) {
        manifest_source_skip_time(m->f->source, m->f->settle_usec);
        turn_once(m->f);
    }
    forget_the_gone(m);
}

static void check_pods(struct model *m)
{
    size_t running = 0;
    for (int pod = 0; pod < N_PODS; pod++) {
        char name[16], version[16];
        snprintf(name, sizeof(name), "p%d", pod);
        snprintf(version, sizeof(version), "v%d", m->pods[pod].version);
        if (m->pods[pod].owner >= 0) {
            char file[64];
            file_name(file, 0, m->pods[pod].owner);
            assert_runs(m->f, name, version);
            assert_string_equal(seen_pod(m->f, name)->file, file);
            running++;
        } else {
            assert_runs_not(m->f, name);
        }
    }
    assert_int_equal(m->f->pods.n, running);
    assert_int_equal(m->f->sets, m->sets);
    assert_int_equal(m->f->removals, m->removals);
    assert_int_equal(m->f->handovers, m->handovers);
}

static enum manifest_state expected_state(const struct model *m, int file)
{
    const struct known *known = &m->known[file];
    if (known->refused)
        return MANIFEST_REFUSED;
    for (int i = 0; i < known->good.n_pods; i++) {
        if (m->pods[known->good.pods[i].name].owner != file)
            return MANIFEST_CONFLICT;
    }
    return MANIFEST_ACCEPTED;
}

static void check_files(struct model *m)
{
    struct manifest_status *all;
    size_t n = manifest_source_list(m->f->source, &all), at = 0;
    for (int file = 0; file < N_FILES; file++) {
        if (m->known[file].gone)
            continue;
        char name[64];
        file_name(name, 0, file);
        assert_true(at < n);
        assert_string_equal(path_base(all[at].file), name);
        assert_int_equal(all[at].state, expected_state(m, file));
        assert_int_equal(all[at].has_last_good, m->known[file].has_good);
        at++;
    }
    assert_int_equal(at, n);
    free(all);
}

// Everything is told again after a restart of the agent, and is the same.
static void restart_both(struct model *m)
{
    stop_source(m->f);
    start_source_at(m->f, m->f->dir);
    m->sets = m->removals = m->handovers = 0;
    for (int pod = 0; pod < N_PODS; pod++)
        m->sets += m->pods[pod].owner >= 0;
    settle_both(m);
    assert_int_equal(m->f->syncs, 1);
}

static unsigned long number_from_env(const char *name, unsigned long otherwise)
{
    const char *value = getenv(name);
    return value ? strtoul(value, NULL, 10) : otherwise;
}

static void make_world(struct model *m)
{
    static const char *const names[] = {"other", "targets0", "targets1"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *path = path_join(m->f->root, names[i]);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    m->current = 1;
    step_swap_link(m);
    for (int pod = 0; pod < N_PODS; pod++)
        m->pods[pod].owner = -1;
}

static void bursts_end_as_the_model_says(void **state)
{
    unsigned long seed = number_from_env("MAINSTAY_SEED", (unsigned long)time(NULL));
    unsigned long steps = number_from_env("MAINSTAY_STEPS", 6000);
    print_message("MAINSTAY_SEED=%lu MAINSTAY_STEPS=%lu\n", seed, steps);
    struct model m = {.f = fixture_new(), .random = seed * 0x9E3779B97F4A7C15u + 1};
    m.f->settle_usec = 3600 * USEC_PER_SEC;
    make_world(&m);
    start_source_at(m.f, m.f->dir);
    settle_both(&m);
    for (unsigned long done = 0; done < steps;) {
        for (unsigned burst = 1 + dice(&m, 12); burst > 0; burst--, done++) {
            step(&m);
            if (dice(&m, 3) == 0)
                turn_both(&m);
        }
        settle_both(&m);
        check_pods(&m);
        check_files(&m);
        if (dice(&m, 20) == 0) {
            restart_both(&m);
            check_pods(&m);
            check_files(&m);
        }
    }
    fixture_free(m.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bursts_end_as_the_model_says)};
    alarm(110); // a source that never comes to rest shall not hang the run
    return cmocka_run_group_tests(tests, NULL, NULL);
}
