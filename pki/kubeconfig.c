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

static X509 *find_certificate(const char *text, const char *key)
{
    size_t len = 0;
    const char *value = find_value(text, key, &len);
    _cleanup_buffer_ struct buffer pem = BUFFER_EMPTY;
    X509 *certificate = NULL;
    if (value && base64_decode(value, len, &pem) == 0)
        certificate_from_pem(buffer_str(&pem), pem.len, &certificate, NULL);
    return certificate;
}

int kubeconfig_load(const char *path, struct kubeconfig_content *ret, struct error *err)
{
    _cleanup_secret_ struct buffer text = BUFFER_EMPTY;
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
        .ca = find_certificate(buffer_str(&text), "certificate-authority-data"),
        .certificate = find_certificate(buffer_str(&text), "client-certificate-data"),
        .mode = st.st_mode & 07777,
    };
    return 0;
}

void kubeconfig_content_free(struct kubeconfig_content *content)
{
    free(content->server);
    X509_free(content->ca);
    X509_free(content->certificate);
    *content = (struct kubeconfig_content){0};
}
