// The files of `mainstay pki`: what is read, and what is written. See pki.h.
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/pki.h"
#include "pki/cfssl.h"
#include "pki/csr.h"

enum { PIECES = 3, MODE_PUBLIC = 0644, MODE_SECRET = 0600 };

// ---- reading ----

static int read_standard_input(struct buffer *ret, struct error *err)
{
    for (;;) {
        char *to = buffer_reserve(ret, 4096);
        ssize_t n = read(STDIN_FILENO, to, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, errno, "standard input");
        if (n == 0)
            return 0;
        ret->len += (size_t)n;
        if (ret->len > CFSSL_FILE_MAX)
            return error_set(err, EFBIG, "standard input: is larger than %d bytes", CFSSL_FILE_MAX);
    }
}

int pki_read(const char *path, struct buffer *ret, struct error *err)
{
    if (str_equal(path, "-"))
        return read_standard_input(ret, err);
    int code = fs_read_file(AT_FDCWD, path, CFSSL_FILE_MAX, ret);
    return code < 0 ? error_errno(err, code, "%s", path) : 0;
}

int pki_load_ca(const char *certificate_path, const char *key_path, X509 **ret_certificate,
                EVP_PKEY **ret_key, struct error *err)
{
    _cleanup_x509_ X509 *certificate = NULL;
    _cleanup_key_ EVP_PKEY *key = NULL;
    mode_t mode = 0;
    int code = certificate_load(certificate_path, &certificate, err);
    if (code == 0)
        code = key_load(key_path, &key, &mode, err);
    if (code < 0)
        return code;
    if (mode & 0007)
        return error_set(err, EACCES,
                         "%s: may be read by everybody on this machine (mode %04o), so it is no "
                         "secret: chmod 600 %s, and think of whom it was shown to",
                         key_path, (unsigned)mode, key_path);
    if (X509_check_private_key(certificate, key) != 1)
        return openssl_error(err, EINVAL, "%s: is not the key of %s", key_path, certificate_path);
    *ret_certificate = TAKE_PTR(certificate);
    *ret_key = TAKE_PTR(key);
    return 0;
}

// ---- writing ----

struct piece {
    const char *json; // cfssl's name for it
    const char *suffix;
    mode_t mode;
    struct buffer text;
    char *path;
};

static int fill_pieces(const struct pki_made *made, struct piece *pieces, struct error *err)
{
    int code = 0;
    if (made->key)
        code = key_to_pem(made->key, &pieces[0].text, err);
    if (code == 0 && made->csr)
        code = csr_to_pem(made->csr, &pieces[1].text, err);
    if (code == 0 && made->certificate)
        code = certificate_to_pem(made->certificate, &pieces[2].text, err);
    return code;
}

static int print_json(const struct piece *pieces, struct error *err)
{
    json_t *answer = json_object();
    for (size_t i = 0; i < PIECES; i++)
        if (pieces[i].text.len > 0)
            json_object_set_new(answer, pieces[i].json,
                                json_stringn(pieces[i].text.data, pieces[i].text.len));
    int code = json_dumpf(answer, stdout, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(answer);
    bool failed = code < 0 || putchar('\n') == EOF || fflush(stdout) == EOF;
    return failed ? error_errno(err, EIO, "standard output") : 0;
}

// All of them at once: a crash leaves none or all.
static int write_pieces(const struct piece *pieces, bool force, struct error *err)
{
    struct replacement files[PIECES];
    size_t n = 0;
    for (size_t i = 0; i < PIECES; i++)
        if (pieces[i].text.len > 0)
            files[n++] = (struct replacement){pieces[i].path, &pieces[i].text,
                                              pieces[i].mode == MODE_SECRET};
    return n > 0 ? replace_files(files, n, force ? 0 : REPLACE_NONE_THERE, err) : 0;
}

static int write_bare(const struct pki_options *options, struct piece *pieces, struct error *err)
{
    _cleanup_close_ int lock = -1;
    int code = replace_lock_directory_of(options->bare, &lock, err);
    for (size_t i = 0; i < PIECES; i++)
        pieces[i].path = xasprintf("%s%s", options->bare, pieces[i].suffix);
    if (code == 0)
        code = write_pieces(pieces, options->force, err);
    for (size_t i = 0; i < PIECES && code == 0; i++)
        if (pieces[i].text.len > 0)
            printf("%s\n", pieces[i].path);
    return code;
}

int pki_put_out(const struct pki_options *options, const struct pki_made *made, struct error *err)
{
    struct piece pieces[PIECES] = {
        {.json = "key", .suffix = "-key.pem", .mode = MODE_SECRET},
        {.json = "csr", .suffix = ".csr", .mode = MODE_PUBLIC},
        {.json = "cert", .suffix = ".pem", .mode = MODE_PUBLIC},
    };
    int code = fill_pieces(made, pieces, err);
    if (code == 0)
        code = options->bare ? write_bare(options, pieces, err) : print_json(pieces, err);
    for (size_t i = 0; i < PIECES; i++) {
        secret_free(&pieces[i].text);
        free(pieces[i].path);
    }
    return code;
}
