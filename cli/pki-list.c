// `mainstay pki list`: every certificate of this node, how much of its life is left, and who uses
// it.
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/time-format.h"
#include "cli/certificate-files.h"
#include "cli/commands.h"
#include "cli/pki.h"
#include "cli/table.h"
#include "pki/cfssl.h"
#include "podspec/podspec.h"

enum { BAR_WIDTH = 10, FILE_MAX_BYTES = 1 << 20 };

struct listed { // one certificate of a file
    const struct certificate_file *file;
    char *name; // the file's, short
    bool is_ca; // of a kubeconfig: the CA in it
    X509 *certificate;
};

struct listing {
    const struct pki_options *options;
    const char *dir;
    struct certificate_files files;
    LIST_OF(struct listed) rows;
    size_t n_bad; // files that cannot be read
    walltime now;
};

static void find_files(struct listing *l, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        certificate_files_get(&l->files, words[i]);
    if (n == 0)
        pki_find_files(l->options, l->dir, &l->files);
}

// ---- what is in them ----

static char *short_name(const struct listing *l, const char *path)
{
    size_t n = strlen(l->dir);
    const char *name = strncmp(path, l->dir, n) == 0 && path[n] == '/' ? path + n + 1 : path;
    if (*name == '/' && str_ends_with(name, ".conf"))
        name = path_base(name);
    return xstrdup(name);
}

static void add_row(struct listing *l, const struct certificate_file *file, X509 *certificate,
                    bool is_ca)
{
    *LIST_APPEND(&l->rows) = (struct listed){.file = file,
                                             .name = short_name(l, file->path),
                                             .is_ca = is_ca,
                                             .certificate = certificate};
}

static void complain(struct listing *l, const struct certificate_file *file, const char *why)
{
    fprintf(stderr, "warning: %s: %s%s%s\n", file->path, why, file->users.n ? "; used by " : "",
            file->users.n ? file->users.items[0] : "");
    l->n_bad++;
}

static void read_pem(struct listing *l, const struct certificate_file *file, const char *text)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    for (text = strstr(text, begin); text; text = strstr(text + strlen(begin), begin)) {
        _cleanup_error_ struct error err = ERROR_NONE;
        X509 *certificate = NULL;
        if (certificate_from_pem(text, strlen(text), &certificate, &err) < 0)
            complain(l, file, error_message(&err));
        else
            add_row(l, file, certificate, X509_check_ca(certificate) == 1);
    }
}

static void read_kubeconfig(struct listing *l, const struct certificate_file *file)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_kubeconfig_content_ struct kubeconfig_content content = {0};
    if (kubeconfig_load(file->path, &content, &err) < 0)
        complain(l, file, error_message(&err));
    else if (!content.certificate)
        complain(l, file, "holds no certificate");
    else
        add_row(l, file, TAKE_PTR(content.certificate), false);
}

static void read_file(struct listing *l, const struct certificate_file *file)
{
    _cleanup_secret_ struct buffer text = BUFFER_EMPTY; // a kubeconfig holds a key
    int code = fs_read_file(AT_FDCWD, file->path, FILE_MAX_BYTES, &text);
    if (code < 0)
        complain(l, file, strerror(-code));
    else if (strstr(buffer_str(&text), "-----BEGIN CERTIFICATE-----"))
        read_pem(l, file, buffer_str(&text));
    else
        read_kubeconfig(l, file);
}

// ---- showing them ----

static int64_t seconds_left(const struct listing *l, X509 *certificate)
{
    return (certificate_not_after(certificate).nsec - l->now.nsec) / NSEC_PER_SEC;
}

// "[#######   ] 255d": how much of its life is left.
static char *age_bar(const struct listing *l, X509 *certificate)
{
    char left[DURATION_SIZE], bar[BAR_WIDTH + 1];
    int64_t from = certificate_time(X509_get0_notBefore(certificate)).nsec;
    int64_t life = MAX((certificate_not_after(certificate).nsec - from) / NSEC_PER_SEC, (int64_t)1);
    int64_t rest = MAX(seconds_left(l, certificate), (int64_t)0);
    int full = (int)MIN(rest * BAR_WIDTH / life + (rest > 0), (int64_t)BAR_WIDTH);
    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '#', (size_t)full);
    bar[BAR_WIDTH] = '\0';
    return rest > 0 ? xasprintf("[%s] %s", bar, duration_format_human(rest, left))
                    : xasprintf("[%s] expired", bar);
}

static enum term_style style_of(const struct listing *l, X509 *certificate)
{
    int64_t left = seconds_left(l, certificate);
    return left <= 0                                       ? TERM_RED
           : left < l->options->days * CERTIFICATE_DAY_SEC ? TERM_YELLOW
                                                           : TERM_PLAIN;
}

// "O=system:masters,CN=admin"
static char *name_text(X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    X509_NAME_print_ex(bio, name, 0, XN_FLAG_SEP_COMMA_PLUS | ASN1_STRFLGS_UTF8_CONVERT);
    long n = BIO_get_mem_data(bio, &data);
    _cleanup_free_ char *text = xstrndup(n > 0 ? data : "", n > 0 ? (size_t)n : 0);
    BIO_free(bio);
    return term_safe(text);
}

static char *join(const struct string_list *list)
{
    struct buffer text = BUFFER_EMPTY;
    LIST_EACH (item, list)
        buffer_printf(&text, "%s%s", text.len > 0 ? ", " : "", *item);
    return buffer_take(&text);
}

// "kube-apiserver, etcd" of users with their flags.
static char *components(const struct string_list *users)
{
    _cleanup_string_list_ struct string_list names = {0};
    LIST_EACH (user, users) {
        _cleanup_free_ char *name = xstrndup(*user, strcspn(*user, " "));
        if (!string_list_contains(&names, name))
            string_list_add(&names, name);
    }
    return join(&names);
}

static void certificate_names(X509 *certificate, struct string_list *ret)
{
    _cleanup_general_names_ GENERAL_NAMES *names =
        X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    alt_names_list(names, ret);
}

static void print_row(const struct listing *l, struct table *table, const struct listed *row,
                      bool wide)
{
    char until[RFC3339_NANO_SIZE];
    _cleanup_string_list_ struct string_list names = {0};
    certificate_names(row->certificate, &names);
    _cleanup_free_ char *subject = name_text(X509_get_subject_name(row->certificate));
    _cleanup_free_ char *issuer = name_text(X509_get_issuer_name(row->certificate));
    _cleanup_free_ char *users = wide ? join(&row->file->users) : components(&row->file->users);
    _cleanup_free_ char *bar = age_bar(l, row->certificate);
    _cleanup_free_ char *joined = join(&names), *hosts = term_safe(joined);
    bool own = X509_NAME_cmp(X509_get_subject_name(row->certificate),
                             X509_get_issuer_name(row->certificate)) == 0;
    table_row(table);
    table_cell(table, row->name);
    table_cell(table, subject);
    table_cell(table, own ? "itself" : issuer);
    table_cellf(table, "%.10s", walltime_format(certificate_not_after(row->certificate), until));
    table_cell_styled(table, bar, style_of(l, row->certificate));
    table_cell(table, users);
    if (wide)
        table_cell(table, hosts);
}

static void print_table(const struct listing *l)
{
    static const char *const headings[] = {
        "NAME", "SUBJECT", "ISSUER", "EXPIRES", "LEFT", "USED BY", "ALTERNATIVE NAMES", NULL};
    static const char *const narrow[] = {"NAME", "SUBJECT", "ISSUER", "EXPIRES",
                                         "LEFT", "USED BY", NULL};
    bool wide = str_equal(l->options->output, "wide");
    _cleanup_table_ struct table *table = table_new(wide ? headings : narrow);
    LIST_EACH (row, &l->rows)
        print_row(l, table, row, wide);
    table_print(table, true);
}

static json_t *texts(const struct string_list *list)
{
    json_t *array = json_array();
    LIST_EACH (item, list) {
        json_t *text = json_string(*item);
        if (text)
            json_array_append_new(array, text);
    }
    return array;
}

static json_t *to_json(const struct listing *l)
{
    json_t *list = json_array();
    LIST_EACH (row, &l->rows) {
        json_t *o = cfssl_certificate_info(row->certificate, NULL);
        if (!o)
            continue;
        json_object_set_new(o, "file", json_string(row->file->path));
        json_object_set_new(o, "ca", json_boolean(row->is_ca));
        json_object_set_new(o, "seconds_left", json_integer(seconds_left(l, row->certificate)));
        json_object_set_new(o, "used_by", texts(&row->file->users));
        json_array_append_new(list, o);
    }
    return list;
}

static void print(const struct listing *l)
{
    if (!l->options->output || str_equal(l->options->output, "wide")) {
        print_table(l);
        return;
    }
    json_t *list = to_json(l);
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (str_equal(l->options->output, "yaml")) {
        json_to_yaml(list, &text);
        fputs(buffer_str(&text), stdout);
    } else {
        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(list);
}

static int by_name_and_end(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    if (order != 0)
        return order;
    int64_t one = certificate_not_after(x->certificate).nsec;
    int64_t other = certificate_not_after(y->certificate).nsec;
    return one < other ? -1 : one > other;
}

int pki_list(const struct pki_options *options, const char *const *words, size_t n)
{
    struct listing l = {
        .options = options, .dir = options->dir ? options->dir : PKI_DIR, .now = walltime_now()};
    find_files(&l, words, n);
    LIST_EACH (file, &l.files)
        read_file(&l, file);
    if (l.rows.n > 1)
        qsort(l.rows.items, l.rows.n, sizeof(l.rows.items[0]), by_name_and_end);
    if (l.rows.n > 0 || options->output)
        print(&l);
    else if (l.n_bad == 0)
        fprintf(stderr,
                "There are no certificates in %s, and no manifest names one; `mainstay init` "
                "makes a control plane's.\n",
                l.dir);
    int status = l.n_bad > 0 ? CLI_NO : CLI_DONE;
    LIST_EACH (row, &l.rows) {
        free(row->name);
        X509_free(row->certificate);
    }
    free(l.rows.items);
    certificate_files_free(&l.files);
    return status;
}
