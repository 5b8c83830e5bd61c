// `mainstay pki export` and `import`: the keys that every node of a control plane shares, from the
// first one to a further one.
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/fs.h"
#include "cli/commands.h"
#include "cli/draft.h"
#include "cli/pki-report.h"
#include "cli/pki-sealed.h"
#include "cli/pki.h"
#include "manifests/cluster.h"
#include "pki/transfer.h"

// What kubeadm's upload-certs carries, too (phases/copycerts); nothing else is taken in.
static const struct shared {
    const char *name;
    const char *key_of; // of a CA's key: its certificate
    bool is_secret, is_needed;
} shared[] = {
    {"ca.key", "ca.crt", true, false},
    {"ca.crt", NULL, false, true},
    {"front-proxy-ca.key", "front-proxy-ca.crt", true, false},
    {"front-proxy-ca.crt", NULL, false, false},
    {"etcd/ca.key", "etcd/ca.crt", true, false},
    {"etcd/ca.crt", NULL, false, false},
    {"sa.key", NULL, true, true},
    {"sa.pub", NULL, false, true},
};
// Beside them, where etcd is external.
static const struct shared externals[] = {
    {SEALED_EXTERNAL "ca.crt", NULL, false, false},
    {SEALED_EXTERNAL "client.crt", NULL, false, false},
    {SEALED_EXTERNAL "client.key", SEALED_EXTERNAL "client.crt", true, false},
};

enum { KEY_TEXT_MAX = 128 };

// Where the shared files lie, and the cluster's. The caller frees.
static char *directory(const struct pki_options *options)
{
    const char *root = options->init.root;
    return options->dir ? xstrdup(options->dir) : xasprintf("%s" PKI_DIR, root ? root : "");
}

static char *cluster_file(const struct pki_options *options)
{
    const char *root = options->init.root;
    return xasprintf("%s" CLUSTER_FILE, root ? root : "");
}

// ---- export ----

int sealed_add_file(struct transfer *transfer, const char *name, const char *path, bool is_needed,
                    struct error *err)
{
    struct transfer_file file = {.name = xstrdup(name)};
    buffer_reserve(&file.data, TRANSFER_FILE_MAX + 8192);
    int code = fs_read_file(AT_FDCWD, path, TRANSFER_FILE_MAX, &file.data);
    if (code == 0) {
        *LIST_APPEND(&transfer->files) = file;
        return 0;
    }
    free(file.name);
    secret_free(&file.data);
    if (code == -ENOENT && !is_needed) {
        fprintf(stderr, "warning: %s is not here and does not travel\n", path);
        return 0;
    }
    return error_errno(err, code, "%s", path);
}

// A node that runs etcd alone gets no other keys.
static int add_shared(struct transfer *transfer, const char *dir, const char *cluster_path,
                      struct error *err)
{
    _cleanup_cluster_ struct cluster cluster = {0};
    bool known = cluster_load(cluster_path, &cluster, NULL, NULL) == 0;
    const struct cluster_node *node = known ? cluster_find_node(&cluster, transfer->node) : NULL;
    bool etcd_alone = node && node->roles == NODE_ETCD;
    bool external = known && cluster.file.has_external_etcd;
    int code = 0;
    for (size_t i = 0; i < ARRAY_SIZE(shared) && code == 0; i++) {
        bool of_etcd = str_starts_with(shared[i].name, "etcd/");
        _cleanup_free_ char *path = path_join(dir, shared[i].name);
        if ((etcd_alone && !of_etcd) || (external && of_etcd && access(path, F_OK) < 0))
            continue;
        code = sealed_add_file(transfer, shared[i].name, path, shared[i].is_needed, err);
    }
    return code == 0 && external ? sealed_add_external(transfer, dir, &cluster.file, err) : code;
}

// What `mainstay join` has to know besides. Nodes that neither init nor join has made have none.
static int add_cluster(struct transfer *transfer, const char *path, struct error *err)
{
    struct transfer_file file = {.name = xstrdup(SEALED_CLUSTER)};
    int code = fs_read_file(AT_FDCWD, path, TRANSFER_FILE_MAX, &file.data);
    if (code == 0) {
        *LIST_APPEND(&transfer->files) = file;
        return 0;
    }
    free(file.name);
    buffer_free(&file.data);
    return code == -ENOENT ? 0 : error_errno(err, code, "%s", path);
}

// The key is told first: a file that is there can be opened then, whatever ends this.
static int say_key(const unsigned char *key, struct error *err)
{
    _cleanup_secret_ struct buffer text = BUFFER_EMPTY;
    buffer_reserve(&text, KEY_TEXT_MAX);
    base64_encode(key, TRANSFER_KEY_SIZE, &text);
    bool failed = printf("%s\n", buffer_str(&text)) < 0 || fflush(stdout) == EOF;
    return failed ? error_errno(err, EIO, "standard output") : 0;
}

static int write_sealed(const struct transfer *transfer, const char *file, struct error *err)
{
    unsigned char key[TRANSFER_KEY_SIZE];
    _cleanup_buffer_ struct buffer sealed = BUFFER_EMPTY;
    if (access(file, F_OK) == 0)
        return error_errno(err, EEXIST, "cannot write %s", file);
    if (RAND_bytes(key, sizeof(key)) != 1)
        return openssl_error(err, EIO, "no random numbers");
    int code = transfer_seal(transfer, key, &sealed, err);
    if (code == 0)
        code = say_key(key, err);
    OPENSSL_cleanse(key, sizeof(key));
    if (code < 0)
        return code;
    code = fs_write_atomic(AT_FDCWD, file, sealed.data, sealed.len, 0600,
                           FS_WRITE_SYNC | FS_WRITE_EXCLUSIVE);
    if (code < 0)
        return error_errno(err, code, "cannot write %s", file);
    fprintf(stderr,
            "%zu files for %s are sealed in %s. The line above is the key, which is nowhere else; "
            "let it travel another way.\n",
            transfer->files.n, transfer->node, file);
    return 0;
}

int pki_export(const struct pki_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_transfer_ struct transfer transfer = {0};
    if (!options->for_node || n != 1)
        return pki_usage("export takes the node and the file to write: export --for NODE FILE");
    if (!certificate_name_is_valid(options->for_node))
        return pki_usage("--for: \"%s\" cannot be the name of a node", options->for_node);
    transfer.node = xstrdup(options->for_node);
    _cleanup_free_ char *dir = directory(options), *cluster = cluster_file(options);
    int code = add_shared(&transfer, dir, cluster, &err);
    if (code == 0)
        code = add_cluster(&transfer, cluster, &err);
    if (code == 0)
        code = write_sealed(&transfer, words[0], &err);
    return code < 0 ? pki_failed(&err) : CLI_DONE;
}

// ---- import ----

static int read_key(const char *word, unsigned char *key, struct error *err)
{
    _cleanup_secret_ struct buffer text = BUFFER_EMPTY, bytes = BUFFER_EMPTY;
    int code = 0;
    buffer_reserve(&text, KEY_TEXT_MAX);
    if (str_equal(word, "-"))
        code = pki_read("-", &text, err);
    else
        buffer_add_str(&text, word);
    if (code < 0)
        return code;
    size_t n = strcspn(buffer_str(&text), " \r\n");
    if (base64_decode(buffer_str(&text), n, &bytes) < 0 || bytes.len != TRANSFER_KEY_SIZE)
        return error_set(err, EINVAL, "--key is none that `mainstay pki export` has printed");
    memcpy(key, bytes.data, TRANSFER_KEY_SIZE);
    return 0;
}

const struct transfer_file *sealed_find(const struct transfer *transfer, const char *name)
{
    LIST_EACH (file, &transfer->files)
        if (str_equal(file->name, name))
            return file;
    return NULL;
}

static const struct shared *find_shared(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
        if (str_equal(name, shared[i].name))
            return &shared[i];
    for (size_t i = 0; i < ARRAY_SIZE(externals); i++)
        if (str_equal(name, externals[i].name))
            return &externals[i];
    return NULL;
}

static int check_pair(const struct transfer *transfer, const struct shared *what,
                      const struct transfer_file *file, struct error *err)
{
    const struct transfer_file *other = sealed_find(transfer, what->key_of);
    _cleanup_certificate_bundle_ struct certificate_bundle bundle = {0};
    _cleanup_key_ EVP_PKEY *key = NULL;
    int code =
        other ? certificate_bundle_from_pem(buffer_str(&other->data), other->data.len, &bundle, err)
              : error_set(err, EINVAL, "%s is not in it", what->key_of);
    if (code == 0)
        code = key_from_pem(file->data.data, file->data.len, &key, err);
    if (code == 0 && !certificate_bundle_of_key(&bundle, key))
        code = error_set(err, EINVAL, "is not the key of %s", what->key_of);
    return code < 0 ? error_prefix(err, code, "%s", file->name) : 0;
}

static int check_contents(const struct transfer *transfer, struct error *err)
{
    int code = 0;
    LIST_EACH (file, &transfer->files) {
        const struct shared *what = find_shared(file->name);
        if (!what && str_equal(file->name, SEALED_CLUSTER))
            continue;
        if (!what)
            return error_set(err, EINVAL, "%s in it is none of the shared files", file->name);
        if (sealed_find(transfer, file->name) != file)
            return error_set(err, EINVAL, "%s is in it twice", file->name);
        if (code == 0 && what->key_of)
            code = check_pair(transfer, what, file, err);
    }
    return code;
}

int sealed_read(const char *file, const char *key_word, struct transfer *ret, struct error *err)
{
    unsigned char key[TRANSFER_KEY_SIZE];
    _cleanup_buffer_ struct buffer sealed = BUFFER_EMPTY;
    int code = fs_read_file(AT_FDCWD, file, TRANSFER_MAX + 4096, &sealed);
    if (code < 0)
        return error_errno(err, code, "%s", file);
    code = read_key(key_word, key, err);
    if (code < 0)
        return code;
    code = transfer_open(sealed.data, sealed.len, key, ret, err);
    OPENSSL_cleanse(key, sizeof(key));
    if (code == 0)
        code = check_contents(ret, err);
    return code < 0 ? error_prefix(err, code, "%s", file) : 0;
}

// A file that was made for another node is the wrong one, or this is the wrong machine.
static int check_node(const struct pki_options *options, const char *file,
                      const struct transfer *transfer, struct error *err)
{
    _cleanup_free_ char *host = draft_host_name();
    const char *own = options->for_node         ? options->for_node
                      : options->init.node_name ? options->init.node_name
                                                : host;
    if (str_equal(own, transfer->node))
        return 0;
    return error_set(err, EINVAL,
                     "%s: is sealed for the node %s, and this one is called %s. Import it there; "
                     "or say --for %s, if this node goes by that name",
                     file, transfer->node, own, transfer->node);
}

static int import(const struct pki_options *options, const char *file, struct error *err)
{
    _cleanup_transfer_ struct transfer transfer = {0};
    _cleanup_free_ char *dir = directory(options);
    int code = sealed_read(file, options->key, &transfer, err);
    if (code == 0)
        code = check_node(options, file, &transfer, err);
    if (code == 0 && !options->force)
        code = sealed_check(dir, &transfer, err);
    if (code == 0)
        code = sealed_prepare_signer(options, dir, &transfer, err);
    if (code == 0)
        code = sealed_put(dir, &transfer, options->force, err);
    if (code == 0)
        printf("Sealed for %s; `mainstay join` or `init` makes what is this node's own.\n",
               transfer.node);
    return code;
}

int pki_import(const struct pki_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (!options->key || n != 1)
        return pki_usage("import takes the file and its key: import FILE --key KEY (-: from "
                         "standard input)");
    return import(options, words[0], &err) < 0 ? pki_failed(&err) : CLI_DONE;
}
