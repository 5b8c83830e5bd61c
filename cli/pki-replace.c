// How `mainstay pki` replaces what is there: one at a time in a directory, the old one kept, each
// file by one rename, and of a pair nothing that the next run could not complete.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/lock.h"
#include "cli/pki.h"

enum { MODE_PUBLIC = 0644, MODE_SECRET = 0600, BACKUPS_OF_A_SECOND = 100 };

static char *directory_of(const char *path)
{
    const char *base = path_base(path);
    return base == path ? xstrdup(".") : xstrndup(path, (size_t)(base - path));
}

// Two at once in one directory would mix their pieces.
int pki_lock_directory_of(const char *path, int *ret, struct error *err)
{
    _cleanup_free_ char *dir = directory_of(path);
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "%s", dir);
    int code = lock_take(fd);
    if (code == -EWOULDBLOCK)
        return error_set(err, EBUSY, "another `mainstay pki` writes into %s; try again", dir);
    if (code < 0)
        return error_errno(err, code, "%s", dir);
    *ret = TAKE_FD(fd);
    return 0;
}

int pki_keep_old(const char *path, struct error *err)
{
    char date[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(date, sizeof(date), "%Y%m%d-%H%M%S", gmtime_r(&now, &tm));
    for (int i = 0; i < BACKUPS_OF_A_SECOND; i++) {
        _cleanup_free_ char *backup =
            i == 0 ? xasprintf("%s.%s", path, date) : xasprintf("%s.%s.%d", path, date, i);
        if (link(path, backup) == 0 || errno == ENOENT)
            return 0;
        if (errno != EEXIST)
            return error_errno(err, errno, "%s cannot be kept as %s", path, backup);
    }
    return error_set(err, EEXIST, "%s: too many backups within a second", path);
}

// Beside the old one, ready to be renamed over it: the same owner, and for a key no more than that
// its group may read it, where the old one let it.
static int write_new(const char *path, const char *new, const struct buffer *text, bool is_secret,
                     struct error *err)
{
    struct stat old;
    mode_t mode = is_secret ? MODE_SECRET : MODE_PUBLIC;
    bool there = stat(path, &old) == 0;
    if (there && is_secret && old.st_gid != 0)
        mode |= old.st_mode & S_IRGRP;
    int code = fs_write_atomic(AT_FDCWD, new, text->data, text->len, MODE_SECRET, FS_WRITE_SYNC);
    if (code < 0)
        return error_errno(err, code, "cannot write %s", new);
    if (there && (old.st_uid != geteuid() || old.st_gid != getegid()) &&
        chown(new, old.st_uid, old.st_gid) < 0)
        return error_errno(err, errno, "cannot give %s to the owner of %s", new, path);
    if (chmod(new, mode) < 0)
        return error_errno(err, errno, "%s", new);
    return 0;
}

static int sync_directory_of(const char *path, struct error *err)
{
    _cleanup_free_ char *dir = directory_of(path);
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return error_errno(err, errno, "%s", dir);
    return 0;
}

static int rename_new(const char *new, const char *path, struct error *err)
{
    if (rename(new, path) < 0)
        return error_errno(err, errno, "%s cannot become %s", new, path);
    return sync_directory_of(path, err);
}

int pki_replace(const char *path, const struct buffer *text, bool is_secret, struct error *err)
{
    _cleanup_free_ char *new = xasprintf("%s.new", path);
    int code = write_new(path, new, text, is_secret, err);
    if (code == 0)
        code = pki_keep_old(path, err);
    if (code == 0)
        code = rename_new(new, path, err);
    if (code < 0)
        unlink(new);
    return code;
}

// The key first. From its rename on only the certificate's is missing, and FILE.new says so.
static int take_over(const char *certificate_path, const char *new_certificate,
                     const char *key_path, const char *new_key, struct error *err)
{
    int code = pki_keep_old(key_path, err);
    if (code == 0)
        code = pki_keep_old(certificate_path, err);
    if (code == 0)
        code = rename_new(new_key, key_path, err);
    return code < 0 ? code : rename_new(new_certificate, certificate_path, err);
}

int pki_replace_pair(const char *certificate_path, const struct buffer *certificate,
                     const char *key_path, const struct buffer *key, struct error *err)
{
    _cleanup_free_ char *new_certificate = xasprintf("%s.new", certificate_path);
    _cleanup_free_ char *new_key = xasprintf("%s.new", key_path);
    int code = write_new(key_path, new_key, key, true, err);
    if (code == 0)
        code = write_new(certificate_path, new_certificate, certificate, false, err);
    if (code < 0) {
        unlink(new_certificate);
        unlink(new_key);
        return code;
    }
    return take_over(certificate_path, new_certificate, key_path, new_key, err);
}

static bool belong_together(const char *certificate_path, const char *key_path)
{
    _cleanup_x509_ X509 *certificate = NULL;
    _cleanup_key_ EVP_PKEY *key = NULL;
    return certificate_load(certificate_path, &certificate, NULL) == 0 &&
           key_load(key_path, &key, NULL, NULL) == 0 &&
           EVP_PKEY_eq(X509_get0_pubkey(certificate), key) == 1;
}

int pki_pair_finish(const char *certificate_path, const char *key_path, bool *ret_finished,
                    struct error *err)
{
    _cleanup_free_ char *new_certificate = xasprintf("%s.new", certificate_path);
    _cleanup_free_ char *new_key = xasprintf("%s.new", key_path);
    int code = 0;
    *ret_finished = false;
    if (access(new_certificate, F_OK) == 0 && belong_together(new_certificate, key_path)) {
        *ret_finished = !belong_together(certificate_path, key_path);
        code = *ret_finished ? rename_new(new_certificate, certificate_path, err) : 0;
    }
    if (code < 0)
        return code;
    unlink(new_certificate);
    unlink(new_key);
    return 0;
}
