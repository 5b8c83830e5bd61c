// See made-files.h.
#include "cli/made-files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"

enum { MADE_MAX = 1 << 20 };

static const char *const kind_names[MADE_KINDS] = {
    [MADE_MANIFEST] = "manifest",   [MADE_KUBECONFIG] = "kubeconfig", [MADE_PKI] = "pki",
    [MADE_ETCD_DATA] = "etcd-data", [MADE_BALANCER] = "balancer",     [MADE_CLUSTER] = "cluster",
};
static const char *const pki_names[] = {
    "ca.crt",
    "ca.key",
    "apiserver.crt",
    "apiserver.key",
    "apiserver-kubelet-client.crt",
    "apiserver-kubelet-client.key",
    "apiserver-etcd-client.crt",
    "apiserver-etcd-client.key",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "front-proxy-client.crt",
    "front-proxy-client.key",
    "sa.key",
    "sa.pub",
    "etcd/ca.crt",
    "etcd/ca.key",
    "etcd/server.crt",
    "etcd/server.key",
    "etcd/peer.crt",
    "etcd/peer.key",
    "etcd/healthcheck-client.crt",
    "etcd/healthcheck-client.key",
};
static const char *const kubeconfig_names[] = {"admin.conf", "super-admin.conf", "kubelet.conf",
                                               "controller-manager.conf", "scheduler.conf"};
static const char *const manifest_names[] = {"kube-apiserver.yaml",  "kube-controller-manager.yaml",
                                             "kube-scheduler.yaml",  "haproxy.yaml",
                                             "balancer-follow.yaml", "nginx.yaml",
                                             "keepalived.yaml",      "etcd.yaml"};

static const char *const balancer_names[] = {
    "etc/haproxy/haproxy.cfg", "etc/nginx/kube-apiserver.conf", "etc/keepalived/keepalived.conf",
    "etc/keepalived/check-apiserver", "etc/keepalived/check-balancer"};

// ---- lists ----

static void add(struct made_list *list, enum made_kind kind, char *path)
{
    *LIST_APPEND(&list->items) = (struct made_item){.kind = kind, .path = path};
}

void made_list_free(struct made_list *list)
{
    LIST_EACH (item, &list->items)
        free(item->path);
    free(list->items.items);
    *list = (struct made_list){0};
}

static bool contains(const struct made_list *list, const char *path)
{
    LIST_EACH (item, &list->items)
        if (str_equal(item->path, path))
            return true;
    return false;
}

static void add_names(struct made_list *list, enum made_kind kind, const char *dir,
                      const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add(list, kind, path_join(dir, names[i]));
}

// Every path that init or join may make there, whether it is there or not.
static void list_candidates(const struct node_places *places, struct made_list *ret)
{
    add_names(ret, MADE_MANIFEST, places->manifests, manifest_names, ARRAY_SIZE(manifest_names));
    add_names(ret, MADE_KUBECONFIG, places->kubeconfig_dir, kubeconfig_names,
              ARRAY_SIZE(kubeconfig_names));
    add_names(ret, MADE_PKI, places->pki_dir, pki_names, ARRAY_SIZE(pki_names));
    for (size_t i = 0; i < ARRAY_SIZE(places->external); i++)
        if (places->external[i])
            add(ret, MADE_PKI, xstrdup(places->external[i]));
    for (size_t i = 0; i < ARRAY_SIZE(balancer_names); i++)
        add(ret, MADE_BALANCER, xasprintf("%s/%s", places->root, balancer_names[i]));
    add(ret, MADE_ETCD_DATA, xstrdup(places->etcd_data_dir));
    add(ret, MADE_CLUSTER, xstrdup(places->cluster_file));
}

// ---- what is there ----

static bool has_contents(const char *path)
{
    bool found = false;
    DIR *dir = opendir(path);
    for (const struct dirent *entry; dir && !found && (entry = readdir(dir));)
        found = !str_equal(entry->d_name, ".") && !str_equal(entry->d_name, "..") &&
                !str_equal(entry->d_name, "lost+found");
    if (dir)
        closedir(dir);
    return found;
}

static bool is_there(const struct made_item *item)
{
    return item->kind == MADE_ETCD_DATA
               ? has_contents(item->path)
               : faccessat(AT_FDCWD, item->path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

// "20261122-031415", or one more of the same second: "20261122-031415.1" (pki/replace.h).
static bool is_date(const char *text)
{
    static const char form[] = "dddddddd-dddddd";
    size_t i = 0;
    for (; form[i]; i++)
        if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    return !text[i] || (text[i] == '.' && text[i + 1] &&
                        strspn(text + i + 1, "0123456789") == strlen(text + i + 1));
}

// What `mainstay pki` leaves beside a file that was made: an earlier one by its date, and what a
// rotation of a CA needs from one step to the next.
static bool goes_with(const char *name, const char *made)
{
    static const char *const of_ca[] = {".led", "-signer.crt"};
    size_t len = strlen(made), stem = len - strlen(".crt");
    if (strncmp(name, made, len) == 0 && name[len] == '.' &&
        (strcmp(name + len + 1, "next") == 0 || is_date(name + len + 1)))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(of_ca) && str_ends_with(made, ".crt"); i++)
        if (strncmp(name, made, stem) == 0 && strcmp(name + stem, of_ca[i]) == 0)
            return true;
    return false;
}

static void add_what_goes_with(const struct made_item *item, struct made_list *ret)
{
    const char *base = path_base(item->path);
    _cleanup_free_ char *path = xstrndup(item->path, (size_t)(base - item->path));
    DIR *dir = opendir(path);
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        _cleanup_free_ char *found = path_join(path, entry->d_name);
        if (goes_with(entry->d_name, base) && !contains(ret, found))
            add(ret, item->kind, TAKE_PTR(found));
    }
    if (dir)
        closedir(dir);
}

// ---- the file ----

static void read_line(const char *line, struct made_list *ret)
{
    for (int i = 0; i < MADE_KINDS; i++) {
        size_t len = strlen(kind_names[i]);
        if (strncmp(line, kind_names[i], len) == 0 && line[len] == ' ' &&
            path_is_clean_absolute(line + len + 1) && !contains(ret, line + len + 1))
            add(ret, (enum made_kind)i, xstrdup(line + len + 1));
    }
}

static int read_list(const char *file, struct made_list *ret, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int r = fs_read_file(AT_FDCWD, file, MADE_MAX, &text);
    ret->listed = r == 0;
    if (r < 0 && r != -ENOENT)
        return error_errno(err, r, "%s", file);
    for (const char *p = buffer_str(&text); *p; p += *p == '\n') {
        size_t len = strcspn(p, "\n");
        _cleanup_free_ char *line = xstrndup(p, len);
        read_line(line, ret);
        p += len;
    }
    return 0;
}

static int write_list(const char *file, const struct made_list *list, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    buffer_add_str(&text, "# Made by `mainstay init` or `join`; `mainstay reset` takes it away.\n");
    LIST_EACH (item, &list->items)
        buffer_printf(&text, "%s %s\n", kind_names[item->kind], item->path);
    int r = fs_mkdir_parents_of(AT_FDCWD, file);
    if (r >= 0)
        r = fs_write_atomic(AT_FDCWD, file, text.data, text.len, 0600, FS_WRITE_SYNC);
    return r < 0 ? error_errno(err, r, "cannot write %s", file) : 0;
}

int made_note(const struct node_places *places, struct error *err)
{
    _cleanup_made_list_ struct made_list candidates = {0}, noted = {0};
    int r = read_list(places->made_file, &noted, err);
    if (r < 0)
        return r;
    size_t before = noted.items.n;
    list_candidates(places, &candidates);
    LIST_EACH (item, &candidates.items)
        if (!is_there(item) && !contains(&noted, item->path))
            add(&noted, item->kind, xstrdup(item->path));
    return noted.listed && noted.items.n == before ? 0 : write_list(places->made_file, &noted, err);
}

int made_load(const struct node_places *places, struct made_list *ret, struct made_list *ret_kept,
              struct error *err)
{
    _cleanup_made_list_ struct made_list candidates = {0}, noted = {0};
    int r = read_list(places->made_file, &noted, err);
    if (r < 0)
        return r;
    list_candidates(places, &candidates);
    const struct made_list *made = noted.listed ? &noted : &candidates;
    ret->listed = noted.listed;
    LIST_EACH (item, &made->items) {
        if (is_there(item))
            add(ret, item->kind, xstrdup(item->path));
        if (item->kind == MADE_PKI || item->kind == MADE_KUBECONFIG)
            add_what_goes_with(item, ret);
    }
    LIST_EACH (item, &candidates.items)
        if (is_there(item) && !contains(made, item->path))
            add(ret_kept, item->kind, xstrdup(item->path));
    return 0;
}
