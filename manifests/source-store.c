// The last good content of every manifest file, so that a file that is broken when the agent starts
// still runs what was accepted from it before. One file each in the state directory, replaced
// atomically: a line that names the format, the path and the SHA-256 of what follows.
//
// Nothing is flushed to the disk: that would hold up the loop, and the memory is a second line of
// defence. What a power failure damages is found by its checksum and not used.
#include "manifests/source-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"

#define STORE_MAGIC   "mainstay-manifest-1"
#define CONTESTS_NAME ".contests"

enum { NAME_MOST = 180, HEADER_MOST = 16384 };

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

static void escape(const char *text, struct buffer *out)
{
    for (const char *p = text; *p; p++) {
        if (is_plain(*p) && (p > text || *p != '.'))
            buffer_add_char(out, *p);
        else
            buffer_printf(out, "%%%02X", (unsigned char)*p);
    }
}

// "etcd.yaml", with what could mean something to a path or a shell as %XX; long names end in a
// digest instead.
static char *store_path(const struct manifest_source *source, const char *path)
{
    _cleanup_buffer_ struct buffer name = BUFFER_EMPTY;
    char digest[DIGEST_HEX_SIZE];
    if (*path != '/') { // a URL: "%" and two letters that no name of a file begins with
        digest_sha256_hex(path, strlen(path), digest);
        buffer_printf(&name, "%%url-%s", digest);
        return path_join(source->state_dir, buffer_str(&name));
    }
    escape(path_base(path), &name);
    if (name.len > NAME_MOST) {
        digest_sha256_hex(path_base(path), strlen(path_base(path)), digest);
        buffer_truncate(&name, NAME_MOST - 64);
        buffer_printf(&name, "%%%s", digest);
    }
    return path_join(source->state_dir, buffer_str(&name));
}

static void write_header(const char *path, const void *data, size_t len, struct buffer *out)
{
    char digest[DIGEST_HEX_SIZE];
    buffer_printf(out, "%s %s ", STORE_MAGIC, digest_sha256_hex(data, len, digest));
    escape(path, out);
    buffer_add_char(out, '\n');
}

static int save(struct manifest_source *source, const char *target, const char *path,
                const void *data, size_t len)
{
    _cleanup_buffer_ struct buffer all = BUFFER_EMPTY;
    write_header(path, data, len, &all);
    buffer_add(&all, data, len);
    int code = fs_write_atomic(AT_FDCWD, target, all.data, all.len, 0600, 0);
    if (code == -ENOENT && fs_mkdir_parents(AT_FDCWD, source->state_dir, 0700) == 0)
        code = fs_write_atomic(AT_FDCWD, target, all.data, all.len, 0600, 0);
    if (code < 0 && !source->store_damped)
        log_warning("%s: what was accepted cannot be stored: %s. It runs; but should the manifest "
                    "be broken when the agent is restarted, its pods would not start",
                    path, strerror(-code));
    source->store_damped = code < 0;
    return code;
}

static int load(const char *target, const char *path, struct buffer *out)
{
    _cleanup_buffer_ struct buffer all = BUFFER_EMPTY, header = BUFFER_EMPTY;
    int code = fs_read_file(AT_FDCWD, target, PODSPEC_SIZE_MAX + HEADER_MOST, &all);
    if (code < 0)
        return code;
    const char *end = memchr(buffer_str(&all), '\n', all.len);
    if (!end)
        return -EBADMSG;
    const char *content = end + 1;
    size_t len = all.len - (size_t)(content - all.data);
    write_header(path, content, len, &header);
    if (header.len != all.len - len || memcmp(header.data, all.data, header.len) != 0)
        return -EBADMSG;
    buffer_add(out, content, len);
    return 0;
}

int source_store_load(const struct manifest_source *source, const char *path, struct buffer *out)
{
    if (!source->state_dir)
        return -ENOENT;
    _cleanup_free_ char *target = store_path(source, path);
    return load(target, path, out);
}

void source_store_remove(const struct manifest_source *source, const char *path)
{
    if (!source->state_dir)
        return;
    _cleanup_free_ char *target = store_path(source, path);
    if (unlink(target) < 0 && errno != ENOENT)
        log_warning("%s: cannot be removed: %s", target, strerror(errno));
}

void source_store_flush(struct manifest_source *source)
{
    if (!source->state_dir)
        return;
    for (size_t i = 0; i < source->files.n; i++) {
        struct manifest_file *file = source->files.items[i];
        if (!file->unsaved.len)
            continue;
        _cleanup_free_ char *target = store_path(source, file->path);
        // What cannot be written is kept and tried again in the next turn.
        if (save(source, target, file->path, file->unsaved.data, file->unsaved.len) < 0)
            continue;
        digest_sha256_hex(file->unsaved.data, file->unsaved.len, file->stored_hash);
        buffer_free(&file->unsaved);
        file->unsaved = (struct buffer)BUFFER_EMPTY;
    }
}

void source_store_sweep(const struct manifest_source *source)
{
    DIR *dir = source->state_dir ? opendir(source->state_dir) : NULL;
    if (!dir)
        return;
    _cleanup_string_list_ struct string_list known = {0};
    for (size_t i = 0; i < source->files.n; i++) {
        _cleanup_free_ char *target = store_path(source, source->files.items[i]->path);
        string_list_add(&known, path_base(target));
    }
    for (const struct dirent *entry; (entry = readdir(dir));) {
        bool temporary = entry->d_name[0] == '.' && strstr(entry->d_name, ".tmp-");
        bool stored = entry->d_name[0] != '.' && !string_list_contains(&known, entry->d_name);
        if (temporary || stored)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
}

void source_store_load_contests(struct manifest_source *source)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (source->state_dir) {
        _cleanup_free_ char *target = path_join(source->state_dir, CONTESTS_NAME);
        load(target, CONTESTS_NAME, &text);
    }
    source->contests = buffer_take(&text);
}

void source_store_save_contests(struct manifest_source *source, const char *text)
{
    if (strcmp(source->contests, text) == 0)
        return;
    free(source->contests);
    source->contests = xstrdup(text);
    if (!source->state_dir)
        return;
    _cleanup_free_ char *target = path_join(source->state_dir, CONTESTS_NAME);
    if (*text)
        save(source, target, CONTESTS_NAME, text, strlen(text));
    else
        unlink(target);
}
