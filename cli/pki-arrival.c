// Where what `pki export` has sealed goes: what is there stays, is joined by what is missing, or is
// followed by the next state of a CA that is being rotated elsewhere. See pki-sealed.h.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/pki-rotation.h"
#include "cli/pki-sealed.h"

enum { FILES_MAX = TRANSFER_FILES_MAX + 3 };

static const char *const authorities[] = {"ca", "front-proxy-ca", "etcd/ca"};
static const char *const directories[] = {"etcd/", ""};

// ---- a CA here, and as it arrives ----

struct authority {
    struct certificate_bundle bundle;
    EVP_PKEY *key;
};

static void authority_free(struct authority *ca)
{
    certificate_bundle_free(&ca->bundle);
    EVP_PKEY_free(ca->key);
}
#define _cleanup_authority_ _cleanup_(authority_free)

// The one that signs: of the key where it is there, else the first.
static X509 *signer_of(const struct authority *ca)
{
    X509 *signer = certificate_bundle_of_key(&ca->bundle, ca->key);
    return signer ? signer : ca->bundle.items[0];
}

static bool load_here(const char *dir, const char *name, struct authority *ret)
{
    _cleanup_free_ char *certificate = xasprintf("%s/%s.crt", dir, name);
    _cleanup_free_ char *key = xasprintf("%s/%s.key", dir, name);
    key_load(key, &ret->key, NULL, NULL);
    return certificate_bundle_load(certificate, &ret->bundle, NULL) == 0;
}

static bool load_sealed(const struct transfer *transfer, const char *name, struct authority *ret)
{
    _cleanup_free_ char *certificate_name = xasprintf("%s.crt", name);
    _cleanup_free_ char *key_name = xasprintf("%s.key", name);
    const struct transfer_file *certificate = sealed_find(transfer, certificate_name);
    const struct transfer_file *key = sealed_find(transfer, key_name);
    if (key)
        key_from_pem(buffer_str(&key->data), key->data.len, &ret->key, NULL);
    return certificate &&
           certificate_bundle_from_pem(buffer_str(&certificate->data), certificate->data.len,
                                       &ret->bundle, NULL) == 0;
}

// ---- what may take the place of what ----

// The CA of this name goes on here; 0 also where it is not here, or not in it.
static int check_authority(const char *dir, const struct transfer *transfer, const char *name,
                           bool *ret_goes_on, struct error *err)
{
    _cleanup_authority_ struct authority here = {0}, sealed = {0};
    *ret_goes_on = false;
    if (!load_here(dir, name, &here) || !load_sealed(transfer, name, &sealed))
        return 0;
    switch (rotation_compare(&here.bundle, signer_of(&here), &sealed.bundle, signer_of(&sealed))) {
    case ROTATION_NEXT:
        *ret_goes_on = true;
        return 0;
    case ROTATION_BEHIND:
        return error_set(err, ESTALE,
                         "%s/%s.crt is further in the rotation of this CA than what is sealed: "
                         "nothing was written. Export it again, where the rotation was begun",
                         dir, name);
    case ROTATION_SKIPS:
        return error_set(err, ESTALE,
                         "%s/%s.crt: its second step was left out on this node, and what is sealed "
                         "trusts nothing any more that the old CA has signed: nothing was written. "
                         "Import what was exported after the second step first; or --force, and "
                         "then `mainstay pki renew all`",
                         dir, name);
    case ROTATION_SAME:
    case ROTATION_ANOTHER:
        break;
    }
    return 0;
}

static bool is_of(const char *file, const char *authority)
{
    size_t n = strlen(authority);
    return strncmp(file, authority, n) == 0 &&
           (str_equal(file + n, ".crt") || str_equal(file + n, ".key"));
}

// 1: it is there already, and the same; 0: it is not there; -EEXIST: and another.
int sealed_look_at(const char *path, const struct transfer_file *file, struct error *err)
{
    _cleanup_secret_ struct buffer old = BUFFER_EMPTY;
    buffer_reserve(&old, TRANSFER_FILE_MAX + 8192);
    int code = fs_read_file(AT_FDCWD, path, TRANSFER_FILE_MAX, &old);
    if (code == -ENOENT)
        return 0;
    if (code < 0)
        return error_errno(err, code, "%s", path);
    if (old.len == file->data.len &&
        memcmp(buffer_str(&old), buffer_str(&file->data), old.len) == 0)
        return 1;
    return error_set(err, EEXIST,
                     "%s is there already, and is another: nothing was written. With --force it is "
                     "kept under its name and the date",
                     path);
}

static int check_file(const char *dir, const struct transfer_file *file, const bool *goes_on,
                      struct error *err)
{
    _cleanup_free_ char *path = path_join(dir, file->name);
    for (size_t i = 0; i < ARRAY_SIZE(authorities); i++)
        if (goes_on[i] && is_of(file->name, authorities[i]))
            return 0;
    bool elsewhere =
        str_equal(file->name, SEALED_CLUSTER) || str_starts_with(file->name, SEALED_EXTERNAL);
    return elsewhere ? 0 : sealed_look_at(path, file, err);
}

static int check(const char *dir, const struct transfer *transfer, bool *goes_on, struct error *err)
{
    int code = 0;
    for (size_t i = 0; i < ARRAY_SIZE(authorities) && code >= 0; i++)
        code = check_authority(dir, transfer, authorities[i], &goes_on[i], err);
    LIST_EACH (file, &transfer->files)
        if (code >= 0)
            code = check_file(dir, file, goes_on, err);
    return code < 0 ? code : sealed_externals_check(transfer, err);
}

int sealed_check(const char *dir, const struct transfer *transfer, struct error *err)
{
    bool goes_on[ARRAY_SIZE(authorities)] = {0};
    return check(dir, transfer, goes_on, err);
}

// ---- putting it there ----

struct arrival {
    struct replacement files[FILES_MAX];
    size_t n;
    struct string_list paths;
    struct buffer signers[ARRAY_SIZE(authorities)];
};

static void arrival_free(struct arrival *arrival)
{
    string_list_free(&arrival->paths);
    for (size_t i = 0; i < ARRAY_SIZE(authorities); i++)
        buffer_free(&arrival->signers[i]);
}
#define _cleanup_arrival_ _cleanup_(arrival_free)

static void add(struct arrival *arrival, char *path, const struct buffer *text)
{
    string_list_add_owned(&arrival->paths, path);
    arrival->files[arrival->n++] = (struct replacement){path, text, str_ends_with(path, ".key")};
}

static bool is_in(const char *name, const char *directory)
{
    return str_starts_with(name, directory) && !strchr(name + strlen(directory), '/');
}

// CA-signer.crt, which `pki rotate-ca` has put beside a CA for who takes no bundle, stays the one
// that signs.
static int add_signers(struct arrival *arrival, const char *dir, const char *directory,
                       const struct transfer *transfer, struct error *err)
{
    int code = 0;
    for (size_t i = 0; i < ARRAY_SIZE(authorities) && code == 0; i++) {
        _cleanup_authority_ struct authority sealed = {0};
        char *path = xasprintf("%s/%s-signer.crt", dir, authorities[i]);
        if (!is_in(authorities[i], directory) || access(path, F_OK) < 0 ||
            !load_sealed(transfer, authorities[i], &sealed)) {
            free(path);
            continue;
        }
        code = certificate_to_pem(signer_of(&sealed), &arrival->signers[i], err);
        add(arrival, path, &arrival->signers[i]);
    }
    return code;
}

static bool has_files_of(const struct transfer *transfer, const char *directory)
{
    LIST_EACH (file, &transfer->files)
        if (is_in(file->name, directory))
            return true;
    return false;
}

static int put_directory(const char *dir, const char *directory, const struct transfer *transfer,
                         struct error *err)
{
    _cleanup_arrival_ struct arrival arrival = {0};
    _cleanup_free_ char *place = xasprintf("%s/%s", dir, directory);
    _cleanup_close_ int lock = -1;
    int code = *directory ? fs_mkdir_parents(AT_FDCWD, place, 0755) : 0;
    if (code < 0)
        return error_errno(err, code, "cannot make %s", place);
    code = *directory ? replace_lock(place, &lock, err) : 0;
    if (code < 0)
        return code;
    LIST_EACH (file, &transfer->files) {
        char *path = path_join(dir, file->name);
        bool is_here = is_in(file->name, directory) && !str_equal(file->name, SEALED_CLUSTER);
        bool same = is_here && sealed_look_at(path, file, NULL) == 1;
        if (same)
            printf("kept     %s\n", path);
        if (is_here && !same)
            add(&arrival, path, &file->data);
        else
            free(path);
    }
    if (arrival.n == 0)
        return 0;
    code = add_signers(&arrival, dir, directory, transfer, err);
    if (code == 0)
        code = replace_files(arrival.files, arrival.n, 0, err);
    for (size_t i = 0; i < arrival.n && code == 0; i++)
        printf("written  %s\n", arrival.files[i].path);
    return code;
}

// A step of a rotation that was begun elsewhere; not a CA that was only renewed. Before the files:
// whoever finds these finds that, too.
static int note_step(const char *dir, const struct transfer *transfer, const char *name,
                     struct error *err)
{
    _cleanup_authority_ struct authority here = {0}, sealed = {0};
    _cleanup_free_ char *path = xasprintf("%s/%s.crt", dir, name);
    if (!load_here(dir, name, &here) || !load_sealed(transfer, name, &sealed) ||
        (here.bundle.n < 2 && sealed.bundle.n < 2))
        return 0;
    return rotation_led_set(path, ROTATION_TODO, err);
}

int sealed_put(const char *dir, const struct transfer *transfer, bool force, struct error *err)
{
    bool goes_on[ARRAY_SIZE(authorities)] = {0};
    _cleanup_close_ int lock = -1;
    int code = fs_mkdir_parents(AT_FDCWD, dir, 0755);
    if (code < 0)
        return error_errno(err, code, "cannot make %s", dir);
    code = replace_lock(dir, &lock, err);
    if (code == 0)
        code = check(dir, transfer, goes_on, force ? NULL : err);
    if (force)
        code = lock >= 0 ? 0 : code;
    for (size_t i = 0; i < ARRAY_SIZE(authorities) && code == 0; i++)
        if (goes_on[i])
            code = note_step(dir, transfer, authorities[i], err);
    for (size_t i = 0; i < ARRAY_SIZE(directories) && code == 0; i++)
        if (has_files_of(transfer, directories[i]))
            code = put_directory(dir, directories[i], transfer, err);
    if (code == 0)
        code = sealed_externals_put(dir, transfer, err);
    for (size_t i = 0; i < ARRAY_SIZE(authorities) && code == 0; i++)
        if (goes_on[i])
            printf("goes on  %s/%s.crt: its rotation; `mainstay pki rotate-ca %s` does the rest of "
                   "this step on this node\n",
                   dir, authorities[i], authorities[i]);
    return code;
}

int sealed_prepare_signer(const struct pki_options *options, const char *dir,
                          const struct transfer *transfer, struct error *err)
{
    int code = 0;
    for (size_t i = 0; i < ARRAY_SIZE(authorities) && code == 0; i++) {
        _cleanup_authority_ struct authority here = {0}, sealed = {0};
        _cleanup_free_ char *path = xasprintf("%s/%s.crt", dir, authorities[i]);
        if (load_here(dir, authorities[i], &here) &&
            load_sealed(transfer, authorities[i], &sealed) && sealed.bundle.n > 1)
            code = pki_signer_prepare(options, path, signer_of(&here), err);
    }
    return code;
}
