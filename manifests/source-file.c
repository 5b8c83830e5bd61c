// One manifest file: when it is read, when what was read counts, and what is kept of it.
//
// Good content counts at once. Content that is wrong may be half-written (kubeadm writes manifests
// in place), so it is looked at again after the settle time where the file was modified that
// recently; only then is it refused. A file that somebody has open for writing is not read at all
// before it is closed or left alone for the settle time, since the first half of a manifest can be
// a valid manifest too.
#include "manifests/source-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/work.h"
#include "podspec/places.h"

enum {
    DEFERRALS_MOST = 10,           // settle times that a judgement is put off at most
    READS_MOST = 3,                // of a file that changes while it is read
    CLOCK_GRAIN_USEC = 100 * 1000, // two changes within this may bear the same time stamp
};

struct manifest_file *manifest_file_new(const char *path)
{
    struct manifest_file *file = xcalloc(1, sizeof(*file));
    file->path = xstrdup(path);
    file->deferred_since = file->look_at = file->remove_at = MONOTIME_NEVER;
    return file;
}

void manifest_file_free(struct manifest_file *file)
{
    if (!file)
        return;
    pod_list_free(&file->good);
    diag_list_free(&file->diags);
    buffer_free(&file->unsaved);
    free(file->pod_hashes);
    free(file->in_force);
    free(file->conflict_with);
    free(file->reported);
    free(file->path);
    free(file);
}

static struct file_signature signature_of(const struct stat *st)
{
    return (struct file_signature){st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

static bool signature_equal(const struct file_signature *a, const struct file_signature *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

// Wall-clock time since `t`, which is as coarse as the kernel's tick; a time in the future counts
// as just now.
static int64_t age_usec(struct timespec t)
{
    int64_t nsec = walltime_now().nsec - (t.tv_sec * NSEC_PER_SEC + t.tv_nsec);
    return nsec > 0 ? nsec / NSEC_PER_USEC : 0;
}

// By the time of the last change, which nobody can set: cp -p and tar give old dates to new files.
static bool modified_recently(const struct manifest_source *source, const struct stat *st)
{
    int64_t age = age_usec(st->st_ctim);
    if (age_usec(source->skipped_at) < age)
        age += source->skipped_usec;
    return age < source->settle_usec;
}

// ---- judging

static void end_deferral(struct manifest_file *file)
{
    file->deferred_since = file->look_at = MONOTIME_NEVER;
}

static bool patience_is_over(const struct manifest_source *source, const struct manifest_file *file)
{
    if (monotime_is_never(file->deferred_since))
        return false;
    int64_t waited = monotime_since(source_now(source), file->deferred_since);
    return waited >= DEFERRALS_MOST * source->settle_usec;
}

// Puts the judgement off; false where it was put off for long enough.
static bool defer(struct manifest_source *source, struct manifest_file *file)
{
    monotime now = source_now(source);
    if (source->settle_usec <= 0 || patience_is_over(source, file))
        return false;
    if (monotime_is_never(file->deferred_since))
        file->deferred_since = now;
    file->look_at = monotime_add_usec(now, source->settle_usec);
    file->steady = false;
    return true;
}

static void note_judgement(struct manifest_source *source, struct manifest_file *file, bool refused,
                           const char *hash, struct diag_list *diags)
{
    end_deferral(file);
    if (!file->judged || strcmp(file->hash, hash) != 0)
        file->changed = walltime_now();
    file->judged = true;
    file->refused = refused;
    memcpy(file->hash, hash, strlen(hash) + 1);
    diag_list_free(&file->diags);
    file->diags = *diags;
    *diags = (struct diag_list){0};
    source->changed = true;
}

void source_refuse(struct manifest_source *source, struct manifest_file *file, char *message)
{
    struct diag_list diags = {0};
    diag_add(&diags, DIAG_ERROR, (struct diag_place){.file = file->path}, "%s", message);
    free(message);
    note_judgement(source, file, true, "", &diags);
}

char *source_explain_unreadable(int code)
{
    switch (-code) {
    case EMFILE:
    case ENFILE:
        return xasprintf(
            "cannot be read: %s. It is tried again at the next rescan; raise the limit "
            "of open files (LimitNOFILE= of the service, fs.file-max)",
            strerror(-code));
    case EACCES:
    case EPERM:
        return xasprintf("cannot be read: %s. Let the user of the agent read it and search the "
                         "directories above it (chmod, chown)",
                         strerror(-code));
    case ENOENT:
        return xstrdup("is a symlink to something that does not exist. Restore its target, or "
                       "remove the link to remove its pods");
    case ELOOP:
        return xstrdup("leads through too many symlinks (a loop?)");
    case EISDIR:
        return xstrdup("is a directory where a manifest is expected; directories are not read "
                       "into. Remove it, or put the file back");
    case EFBIG:
        return xasprintf("is larger than %d MiB, which no manifest may be", PODSPEC_SIZE_MAX >> 20);
    case EIO:
        return xstrdup("cannot be read: the disk reports an error (see the kernel's log). It is "
                       "tried again at the next rescan");
    default:
        return xasprintf("cannot be read: %s. It is tried again at the next rescan",
                         strerror(-code));
    }
}

// An unreadable file is looked at once more after the settle time: an editor may be at work.
static void judge_unreadable(struct manifest_source *source, struct manifest_file *file,
                             char *message)
{
    file->steady = false;
    bool same = file->judged && file->refused && !*file->hash && file->diags.n == 1 &&
                str_equal(file->diags.items[0].message, message);
    monotime now = source_now(source);
    bool first = monotime_is_never(file->deferred_since);
    bool waited = !first && monotime_since(now, file->deferred_since) >= source->settle_usec;
    if (!same && !waited && (!first || defer(source, file))) {
        free(message);
        return;
    }
    if (same) {
        end_deferral(file);
        free(message);
        return;
    }
    source_refuse(source, file, message);
}

// ---- content

static void refuse_same_names(const struct pod_list *pods, struct diag_list *diags)
{
    for (size_t i = 1; i < pods->n; i++) {
        const struct object_meta *mine = &pods->items[i]->metadata;
        for (size_t j = 0; j < i; j++) {
            const struct object_meta *other = &pods->items[j]->metadata;
            if (!str_equal(mine->name, other->name) ||
                !str_equal(mine->namespace, other->namespace))
                continue;
            diag_add(diags, DIAG_ERROR, places_find(pods->items[i]->places, "metadata.name"),
                     "pod %s/%s stands in this file twice; give one of them another name",
                     mine->namespace, mine->name);
            break;
        }
    }
}

static int parse(const struct manifest_source *source, const struct manifest_file *file,
                 const struct buffer *content, struct pod_list *ret, struct diag_list *diags)
{
    struct podspec_node node = {.name = source->node_name,
                                .source = file->remote ? "http" : "file"};
    struct pod_list pods = {0};
    int code = podspec_parse(file->path, buffer_str(content), content->len, &pods, diags);
    if (code < 0)
        return code;
    for (size_t i = 0; i < pods.n; i++) {
        if (podspec_make_static(pods.items[i], &node, diags) < 0)
            code = -EINVAL;
    }
    if (code == 0)
        refuse_same_names(&pods, diags);
    if (code < 0 || diags->errors > 0) {
        pod_list_free(&pods);
        return -EINVAL;
    }
    *ret = pods;
    return 0;
}

static void set_good(struct manifest_source *source, struct manifest_file *file,
                     struct pod_list *pods)
{
    pod_list_free(&file->good);
    file->good = *pods;
    *pods = (struct pod_list){0};
    file->has_good = true;
    size_t room = MAX(file->good.n, (size_t)1);
    file->pod_hashes = xreallocarray(file->pod_hashes, room, sizeof(file->pod_hashes[0]));
    file->in_force = xreallocarray(file->in_force, room, sizeof(void *));
    file->n_in_force = 0;
    for (size_t i = 0; i < file->good.n; i++) {
        pod_hash(file->good.items[i], file->pod_hashes[i]);
        pod_drop_places(file->good.items[i]);
    }
    source->changed = true;
}

// Fetches what was accepted before the agent was restarted, once for each file.
static void ask_store(struct manifest_source *source, struct manifest_file *file, bool use)
{
    if (file->store_known)
        return;
    file->store_known = true;
    _cleanup_buffer_ struct buffer content = BUFFER_EMPTY;
    int code = source_store_load(source, file->path, &content);
    if (code == -ENOENT)
        return;
    if (code < 0) {
        log_warning("%s: the stored last good version cannot be used: %s", file->path,
                    code == -EBADMSG ? "it is damaged" : strerror(-code));
        return;
    }
    digest_sha256_hex(buffer_str(&content), content.len, file->stored_hash);
    if (!use)
        return;
    struct pod_list pods = {0};
    _cleanup_diag_list_ struct diag_list diags = {0};
    if (parse(source, file, &content, &pods, &diags) == 0)
        set_good(source, file, &pods);
    else
        log_warning("%s: the stored last good version is refused by this release", file->path);
}

static void accept_content(struct manifest_source *source, struct manifest_file *file,
                           const char *hash, struct buffer *content, struct pod_list *pods,
                           struct diag_list *diags)
{
    ask_store(source, file, false);
    set_good(source, file, pods);
    note_judgement(source, file, false, hash, diags);
    buffer_free(&file->unsaved);
    file->unsaved = (struct buffer)BUFFER_EMPTY;
    if (source->state_dir && strcmp(file->stored_hash, hash) != 0) {
        file->unsaved = *content;
        *content = (struct buffer)BUFFER_EMPTY;
    }
}

static void judge_content(struct manifest_source *source, struct manifest_file *file,
                          const struct stat *st, struct buffer *content)
{
    char hash[DIGEST_HEX_SIZE];
    digest_sha256_hex(buffer_str(content), content->len, hash);
    file->signature = signature_of(st);
    file->steady = age_usec(st->st_ctim) > CLOCK_GRAIN_USEC;
    if (file->judged && strcmp(hash, file->hash) == 0) {
        end_deferral(file);
        return;
    }
    struct pod_list pods = {0};
    _cleanup_diag_list_ struct diag_list diags = {0};
    if (parse(source, file, content, &pods, &diags) == 0) {
        accept_content(source, file, hash, content, &pods, &diags);
        return;
    }
    if (modified_recently(source, st) && defer(source, file))
        return;
    note_judgement(source, file, true, hash, &diags);
}

// ---- what was fetched

void source_add_remote(struct manifest_source *source, struct manifest_file *file)
{
    file->remote = true;
    ask_store(source, file, true);
}

// K/config/http.go: an empty answer, or an empty list, takes all pods of this source away.
static void accept_nothing(struct manifest_source *source, struct manifest_file *file,
                           const char *hash)
{
    struct pod_list none = {0};
    struct diag_list diags = {0};
    set_good(source, file, &none);
    note_judgement(source, file, false, hash, &diags);
    buffer_truncate(&file->unsaved, 0);
    *file->stored_hash = '\0';
    source_store_remove(source, file->path);
}

void source_judge_remote(struct manifest_source *source, struct manifest_file *file,
                         struct buffer *content)
{
    char hash[DIGEST_HEX_SIZE];
    digest_sha256_hex(buffer_str(content), content->len, hash);
    if (file->judged && strcmp(hash, file->hash) == 0)
        return;
    struct pod_list pods = {0};
    _cleanup_diag_list_ struct diag_list diags = {0};
    int code = content->len ? parse(source, file, content, &pods, &diags) : -ENODATA;
    if (code == 0)
        accept_content(source, file, hash, content, &pods, &diags);
    else if (code == -ENODATA)
        accept_nothing(source, file, hash);
    else
        note_judgement(source, file, true, hash, &diags);
}

// ---- reading

enum writer { WRITER_NONE, WRITER_THERE, WRITER_UNKNOWN };

// A read lease is given only where nobody has the file open for writing. It is handed back at once;
// a writer that comes in between waits for microseconds, and the signal that the kernel sends then
// is turned into one that is ignored.
static enum writer look_for_writer(int fd)
{
    if (fcntl(fd, F_SETSIG, SIGURG) < 0)
        return WRITER_UNKNOWN;
    if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
        return errno == EAGAIN ? WRITER_THERE : WRITER_UNKNOWN;
    fcntl(fd, F_SETLEASE, F_UNLCK);
    return WRITER_NONE;
}

static bool being_written(const struct manifest_source *source, const struct manifest_file *file,
                          int fd, const struct stat *st, enum look_trust trust)
{
    if (!modified_recently(source, st))
        return false; // left alone for long enough
    switch (look_for_writer(fd)) {
    case WRITER_NONE:
        return false;
    case WRITER_THERE:
        return true;
    default:
        return trust != LOOK_CLOSED && !patience_is_over(source, file);
    }
}

// 0 and the content, a negative errno, or 1 where the file is being written.
static int read_whole(const struct manifest_source *source, const struct manifest_file *file,
                      enum look_trust trust, struct stat *ret_st, struct buffer *out)
{
    _cleanup_close_ int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    for (unsigned i = 0; i < READS_MOST; i++) {
        struct stat before, after;
        if (fstat(fd, &before) < 0)
            return -errno;
        if (!S_ISREG(before.st_mode))
            return 1; // replaced just now: there is more news to come
        if (before.st_size > PODSPEC_SIZE_MAX)
            return -EFBIG;
        if (being_written(source, file, fd, &before, trust))
            return 1;
        buffer_truncate(out, 0);
        if (lseek(fd, 0, SEEK_SET) < 0)
            return -errno;
        int code = fs_read_fd(fd, PODSPEC_SIZE_MAX, out);
        if (code < 0)
            return code;
        if (fstat(fd, &after) < 0)
            return -errno;
        struct file_signature a = signature_of(&before), b = signature_of(&after);
        if (signature_equal(&a, &b) && !being_written(source, file, fd, &after, trust)) {
            *ret_st = after;
            return 0;
        }
    }
    return 1;
}

static void look_at_content(struct manifest_source *source, struct manifest_file *file,
                            enum look_trust trust)
{
    _cleanup_buffer_ struct buffer content = BUFFER_EMPTY;
    struct stat st = {0};
    int code = read_whole(source, file, trust, &st, &content);
    if (code > 0 && defer(source, file))
        return;
    if (code > 0)
        judge_unreadable(source, file, xstrdup("is being written all the time"));
    else if (code < 0)
        judge_unreadable(source, file, source_explain_unreadable(code));
    else
        judge_content(source, file, &st, &content);
}

static const char *type_name(mode_t mode)
{
    return S_ISFIFO(mode)   ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISCHR(mode)  ? "a character device"
           : S_ISBLK(mode)  ? "a block device"
                            : "a special file";
}

static void look_at_target(struct manifest_source *source, struct manifest_file *file,
                           enum look_trust trust)
{
    struct stat st;
    if (stat(file->path, &st) < 0) {
        judge_unreadable(source, file, source_explain_unreadable(-errno));
        return;
    }
    if (!S_ISREG(st.st_mode)) {
        char *why = S_ISDIR(st.st_mode)
                        ? source_explain_unreadable(-EISDIR)
                        : xasprintf("is %s, not a regular file", type_name(st.st_mode));
        judge_unreadable(source, file, why);
        return;
    }
    struct file_signature signature = signature_of(&st);
    bool waits = !monotime_is_never(file->deferred_since);
    if (trust == LOOK_RESCAN && file->steady && !waits &&
        signature_equal(&signature, &file->signature))
        return;
    look_at_content(source, file, trust);
}

static void note_gone(struct manifest_source *source, struct manifest_file *file)
{
    end_deferral(file);
    file->steady = false;
    if (file->gone)
        return;
    file->gone = true;
    source->changed = true;
    // What was never seen by anybody need not wait.
    bool shown = file->has_good || file->reported;
    file->remove_at = monotime_add_usec(source_now(source), shown ? source->settle_usec : 0);
}

void source_look(struct manifest_source *source, struct manifest_file *file, enum look_trust trust)
{
    WORK_SCOPE("source", "file", NULL, file->path);
    struct stat st;
    if (file->remote)
        return;
    int code = lstat(file->path, &st) < 0 ? -errno : 0;
    if (code == -ENOENT || code == -ENOTDIR) {
        note_gone(source, file);
        return;
    }
    if (file->gone) {
        file->gone = false;
        file->remove_at = MONOTIME_NEVER;
        source->changed = true;
    }
    if (code < 0) {
        judge_unreadable(source, file, source_explain_unreadable(code));
        return;
    }
    if (file->misnamed) {
        if (!file->judged)
            source_refuse(
                source, file,
                xstrdup("is not read, because its name ends in none of .yaml, .yml and "
                        ".json. Rename it if its pods shall run, else move it elsewhere"));
        return;
    }
    if (S_ISLNK(st.st_mode)) // before it is read, so that no change is missed
        watch_set_follow(&source->watches, file->path, false, NULL);
    look_at_target(source, file, trust);
    if (!file->has_good)
        ask_store(source, file, true);
}
