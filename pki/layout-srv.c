// The layout that guides put under /srv/kubernetes, from before kubeadm: a CA, the API server's
// certificate, one for kubectl, and the two files of passwords and tokens that kube-apiserver's
// --basic-auth-file (until 1.18) and --token-auth-file read.
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "pki/layout-internal.h"

enum { SECRET_BYTES = 16, CSV_MAX = 1 << 20 };

// ---- secrets ----

// SECRET,USER,UID[,GROUP]: who gets one of its own.
struct account {
    const char *user, *uid, *group;
};

// The administrator, and the components as cluster/kube-up of that time named them.
static const struct account token_accounts[] = {
    {"admin", "admin", "system:masters"},
    {"kubelet", "kubelet", "system:nodes"},
    {"kube_proxy", "kube_proxy", NULL},
    {"system:scheduler", "system:scheduler", NULL},
    {"system:controller_manager", "system:controller_manager", NULL},
    {"system:logging", "system:logging", NULL},
    {"system:monitoring", "system:monitoring", NULL},
    {"system:dns", "system:dns", NULL},
};
static const struct account password_accounts[] = {{"admin", "admin", "system:masters"}};

static int add_account(struct buffer *out, const struct account *account, struct error *err)
{
    unsigned char bytes[SECRET_BYTES];
    if (RAND_priv_bytes(bytes, sizeof(bytes)) != 1)
        return openssl_error(err, EIO, "no randomness");
    for (size_t i = 0; i < sizeof(bytes); i++)
        buffer_printf(out, "%02x", bytes[i]);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    buffer_printf(out, ",%s,%s%s%s\n", account->user, account->uid, account->group ? "," : "",
                  account->group ? account->group : "");
    return 0;
}

static int write_accounts(const char *path, const struct account *accounts, size_t n,
                          struct error *err)
{
    _cleanup_secret_ struct buffer text = BUFFER_EMPTY;
    int code = 0;
    buffer_reserve(&text, 4096); // so that growing leaves no copies behind
    for (size_t i = 0; i < n && code == 0; i++)
        code = add_account(&text, &accounts[i], err);
    if (code == 0)
        code = fs_mkdir_parents_of(AT_FDCWD, path);
    if (code == 0)
        code = fs_write_atomic(AT_FDCWD, path, text.data, text.len, 0600,
                               FS_WRITE_SYNC | FS_WRITE_EXCLUSIVE);
    return code < 0 && (!err || err->code == 0) ? error_errno(err, code, "cannot write %s", path)
                                                : code;
}

int pki_check_accounts(const char *text, struct error *err)
{
    size_t number = 0, lines = 0;
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t len = strcspn(line, "\n"), commas = 0;
        number++;
        if (len == 0 || line[0] == '#')
            continue;
        for (size_t i = 0; i < len; i++)
            commas += line[i] == ',';
        if (commas < 2 || line[0] == ',')
            return error_set(err, EINVAL, "line %zu is not SECRET,USER,UID[,GROUPS]", number);
        lines++;
    }
    return lines > 0 ? 0
                     : error_set(err, EINVAL, "names nobody; move it away to have it made anew");
}

static void make_accounts(struct pki_maker *maker, const char *name, const struct account *accounts,
                          size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_secret_ struct buffer text = BUFFER_EMPTY;
    _cleanup_free_ char *path = path_join(maker->layout->pki_dir, name);
    struct stat st = {0};
    buffer_reserve(&text, CSV_MAX + 4096);
    int code = fs_read_file(AT_FDCWD, path, CSV_MAX, &text);
    bool keep = code != -ENOENT;
    if (!keep)
        code = write_accounts(path, accounts, n, &err);
    else if (code < 0)
        code = error_errno(&err, code, "%s", path);
    else
        code = pki_check_accounts(buffer_str(&text), &err);
    if (code == 0 && keep && stat(path, &st) == 0 && (st.st_mode & 0077))
        code = error_set(&err, EACCES, "others may read it (mode %04o): chmod 600 %s",
                         (unsigned)(st.st_mode & 07777), path);
    if (code < 0)
        pki_maker_report_wrong(maker, path, &err);
    else
        pki_maker_report(maker, keep ? PKI_KEPT : PKI_MADE, path, NULL);
}

// ---- the set ----

void pki_make_srv(struct pki_maker *maker, const struct string_list *api_names)
{
    struct pki_signer signer = {.base = "ca", .witness = "server.cert"};
    const struct pki_leaf leaves[] = {
        {.base = "server",
         .suffix = ".cert",
         .spec = {.common_name = "kube-apiserver",
                  .usages = CERTIFICATE_SERVER,
                  .alt_names = api_names,
                  .lifetime_sec = CERTIFICATE_LEAF_LIFETIME_SEC}},
        {.base = "kubecfg",
         .suffix = ".crt",
         .spec = {.common_name = "kubecfg",
                  .organization = "system:masters",
                  .usages = CERTIFICATE_CLIENT,
                  .lifetime_sec = CERTIFICATE_LEAF_LIFETIME_SEC},
         .fixed_subject = true},
    };
    pki_make_authority(maker, &signer, "kubernetes");
    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
        pki_make_leaf(maker, &signer, &leaves[i]);
    pki_signer_free(&signer);
    make_accounts(maker, "basic_auth.csv", password_accounts, ARRAY_SIZE(password_accounts));
    make_accounts(maker, "known_tokens.csv", token_accounts, ARRAY_SIZE(token_accounts));
}
