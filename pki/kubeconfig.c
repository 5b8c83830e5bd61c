// See kubeconfig.h. Written with a format string and read line by line: the room stands below the
// YAML reader, and the layout is fixed by kubectl and kubeadm.
#include "pki/kubeconfig.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "pki/certificate.h"
#include "pki/key.h"

enum { KUBECONFIG_MAX = 1 << 20, KUBECONFIG_USUAL = 32 << 10 };

// Plain scalars of YAML only: nothing that would need quoting there.
static int check_plain(const char *what, const char *value, struct error *err)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:/[]@";
    size_t len = strspn(value, allowed);
    if (len == 0 || value[len] || strchr("-:[]@", value[0]) || value[strlen(value) - 1] == ':')
        return error_set(err, EINVAL, "the %s \"%s\" cannot stand in a kubeconfig", what, value);
    return 0;
}

static int certificate_base64(X509 *certificate, struct buffer *out, struct error *err)
{
    _cleanup_buffer_ struct buffer pem = BUFFER_EMPTY;
    int code = certificate_to_pem(certificate, &pem, err);
    if (code == 0)
        base64_encode(pem.data, pem.len, out);
    return code;
}

static int key_base64(EVP_PKEY *key, struct buffer *out, struct error *err)
{
    _cleanup_secret_ struct buffer pem = BUFFER_EMPTY;
    int code = key_to_pem(key, &pem, err);
    if (code == 0)
        base64_encode(pem.data, pem.len, out);
    return code;
}

int kubeconfig_render(const struct kubeconfig *config, struct buffer *out, struct error *err)
{
    const char *cluster = config->cluster_name, *user = config->user;
    if (check_plain("server", config->server, err) < 0 ||
        check_plain("cluster name", cluster, err) < 0 || check_plain("user name", user, err) < 0)
        return -EINVAL;
    buffer_reserve(out, KUBECONFIG_USUAL); // so that growing leaves no copies of the key behind
    buffer_add_str(out, "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: ");
    int code = certificate_base64(config->ca, out, err);
    if (code < 0)
        return code;
    buffer_printf(out, "\n    server: %s\n  name: %s\n", config->server, cluster);
    buffer_printf(out, "contexts:\n- context:\n    cluster: %s\n    user: %s\n", cluster, user);
    buffer_printf(out, "  name: %s@%s\ncurrent-context: %s@%s\n", user, cluster, user, cluster);
    buffer_printf(out, "kind: Config\npreferences: {}\nusers:\n- name: %s\n  user:\n", user);
    buffer_add_str(out, "    client-certificate-data: ");
    code = certificate_base64(config->certificate, out, err);
    if (code < 0)
        return code;
    buffer_add_str(out, "\n    client-key-data: ");
    code = key_base64(config->key, out, err);
    buffer_add_char(out, '\n');
    return code;
}

int kubeconfig_write(const char *path, const struct kubeconfig *config, struct error *err)
{
    _cleanup_secret_ struct buffer text = BUFFER_EMPTY;
    int code = kubeconfig_render(config, &text, err);
    if (code < 0)
        return error_prefix(err, code, "%s", path);
    code = fs_write_atomic(AT_FDCWD, path, text.data, text.len, 0600,
                           FS_WRITE_SYNC | FS_WRITE_EXCLUSIVE);
    return code < 0 ? error_errno(err, code, "cannot write %s", path) : 0;
}

// The value of the first line "key: value" at any indentation; *ret_len without quotes and blanks.
static const char *find_value(const char *text, const char *key, size_t *ret_len)
{
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *p = line + strspn(line, " -");
        if (!str_starts_with(p, key) || p[strlen(key)] != ':')
            continue;
        p += strlen(key) + 1;
        p += strspn(p, " \"'");
        *ret_len = strcspn(p, " \"'\r\n");
        return *ret_len > 0 ? p : NULL;
    }
    return NULL;
}

// What a value stands for, decoded; empty where there is none. A key may be in it.
static void find_decoded(const char *text, const char *key, struct buffer *ret)
{
    size_t len = 0;
    const char *value = find_value(text, key, &len);
    buffer_reserve(ret, KUBECONFIG_USUAL); // so that growing leaves no copies of a key behind
    if (value)
        base64_decode(value, len, ret);
}

static void find_certificates(const char *text, const char *key, struct certificate_bundle *ret)
{
    _cleanup_buffer_ struct buffer pem = BUFFER_EMPTY;
    find_decoded(text, key, &pem);
    certificate_bundle_from_pem(buffer_str(&pem), pem.len, ret, NULL);
}

static X509 *first_of(const struct certificate_bundle *bundle)
{
    if (bundle->n > 0)
        X509_up_ref(bundle->items[0]);
    return bundle->n > 0 ? bundle->items[0] : NULL;
}

static EVP_PKEY *find_key(const char *text)
{
    _cleanup_secret_ struct buffer pem = BUFFER_EMPTY;
    EVP_PKEY *key = NULL;
    find_decoded(text, "client-key-data", &pem);
    key_from_pem(pem.data, pem.len, &key, NULL);
    return key;
}

int kubeconfig_load(const char *path, struct kubeconfig_content *ret, struct error *err)
{
    _cleanup_secret_ struct buffer text = BUFFER_EMPTY;
    _cleanup_certificate_bundle_ struct certificate_bundle clients = {0};
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(err, errno, "%s", path);
    buffer_reserve(&text, (size_t)MIN(st.st_size, (off_t)KUBECONFIG_MAX) + 8192);
    int code = fs_read_file(AT_FDCWD, path, KUBECONFIG_MAX, &text);
    if (code < 0)
        return error_errno(err, code, "%s", path);
    size_t len = 0;
    const char *server = find_value(buffer_str(&text), "server", &len);
    *ret = (struct kubeconfig_content){
        .server = server ? xstrndup(server, len) : NULL,
        .key = find_key(buffer_str(&text)),
        .mode = st.st_mode & 07777,
    };
    find_certificates(buffer_str(&text), "certificate-authority-data", &ret->cas);
    find_certificates(buffer_str(&text), "client-certificate-data", &clients);
    ret->ca = first_of(&ret->cas);
    ret->certificate = first_of(&clients);
    return 0;
}

// Puts `value` in the place of the one that `key` has in `text`.
static int replace_value(const struct buffer *text, const char *key, const struct buffer *value,
                         struct buffer *out, struct error *err)
{
    size_t len = 0;
    const char *old = find_value(buffer_str(text), key, &len);
    if (!old)
        return error_set(err, EINVAL, "has no %s: it names files, which are renewed themselves",
                         key);
    buffer_reserve(out, text->len + value->len + KUBECONFIG_USUAL);
    buffer_add(out, text->data, (size_t)(old - text->data));
    buffer_add(out, value->data, value->len);
    buffer_add_str(out, old + len);
    return 0;
}

static int bundle_base64(const struct certificate_bundle *bundle, struct buffer *out,
                         struct error *err)
{
    _cleanup_buffer_ struct buffer pem = BUFFER_EMPTY;
    int code = certificate_bundle_to_pem(bundle, &pem, err);
    if (code == 0)
        base64_encode(pem.data, pem.len, out);
    return code;
}

int kubeconfig_replace(const char *text, const struct kubeconfig_change *change, struct buffer *out,
                       struct error *err)
{
    static const char *const keys[] = {"certificate-authority-data", "client-certificate-data",
                                       "client-key-data"};
    const bool wanted[] = {change->cas, change->certificate, change->key};
    struct buffer now = BUFFER_EMPTY;
    int code = 0;
    buffer_reserve(&now, strlen(text) + KUBECONFIG_USUAL);
    buffer_add_str(&now, text);
    for (size_t i = 0; i < ARRAY_SIZE(keys) && code == 0; i++) {
        _cleanup_secret_ struct buffer value = BUFFER_EMPTY;
        struct buffer next = BUFFER_EMPTY;
        if (!wanted[i])
            continue;
        buffer_reserve(&value, KUBECONFIG_USUAL);
        code = i == 0   ? bundle_base64(change->cas, &value, err)
               : i == 1 ? certificate_base64(change->certificate, &value, err)
                        : key_base64(change->key, &value, err);
        if (code == 0)
            code = replace_value(&now, keys[i], &value, &next, err);
        secret_free(&now);
        now = next;
    }
    if (code == 0)
        buffer_add(out, now.data, now.len);
    secret_free(&now);
    return code;
}

void kubeconfig_content_free(struct kubeconfig_content *content)
{
    free(content->server);
    X509_free(content->ca);
    X509_free(content->certificate);
    certificate_bundle_free(&content->cas);
    EVP_PKEY_free(content->key);
    *content = (struct kubeconfig_content){0};
}
