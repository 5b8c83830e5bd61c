// The manifests whose flags name a CA's file where a file with one certificate is wanted: another
// file takes its place before the CA becomes a bundle. See pki-rotation.h.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/check.h"
#include "cli/manifest-put.h"
#include "cli/pki-rotation.h"

#define PROGRAM "kube-controller-manager"

// pkg/controller/certificates/signer/ca_provider.go: "expected 1 certificate".
static const char *const flags[] = {
    "cluster-signing-cert-file",
    "cluster-signing-kubelet-serving-cert-file",
    "cluster-signing-kubelet-client-cert-file",
    "cluster-signing-kube-apiserver-client-cert-file",
    "cluster-signing-legacy-unknown-cert-file",
};

struct naming {
    const char *ca_path;
    const char *signer_path;
    const char *flag; // the first that names the CA's file; NULL: none
    char *value;      // of it, as the container sees it
};

static bool is_same_path(const char *a, const char *b)
{
    _cleanup_free_ char *x = realpath(a, NULL), *y = realpath(b, NULL);
    return x && y && str_equal(x, y);
}

static void look_for(void *userdata, const struct pod *pod, const struct container *container)
{
    struct naming *naming = userdata;
    for (size_t i = 0; i < ARRAY_SIZE(flags) && !naming->flag; i++) {
        const char *value = container_flag(container, flags[i]);
        if (!container_runs(container, PROGRAM) || !value || *value != '/')
            continue;
        _cleanup_free_ char *path = container_host_path(pod, container, value);
        if (!is_same_path(path, naming->ca_path))
            continue;
        naming->flag = flags[i];
        naming->value = xstrdup(value);
    }
}

// True where a flag of the draft's pods names `path`.
static bool draft_names(const struct draft *draft, const char *path, struct naming *ret)
{
    const struct node_manifests one = {.drafts = {.items = (struct draft *)draft, .n = 1}};
    *ret = (struct naming){.ca_path = path};
    node_manifests_each(&one, look_for, ret);
    return ret->flag != NULL;
}

// ---- the text ----

static bool ends_a_word(char c)
{
    return c == '\0' || strchr(" \t\r\n\"',]}", c) != NULL;
}

// "--flag=VALUE" everywhere with another value.
static void replace_value(const char *text, const struct naming *naming, const char *instead,
                          struct buffer *out)
{
    _cleanup_free_ char *word = xasprintf("--%s=%s", naming->flag, naming->value);
    size_t flag = strlen(word) - strlen(naming->value);
    for (const char *at = text, *found; *at; at = found + strlen(word)) {
        found = strstr(at, word);
        if (!found) {
            buffer_add_str(out, at);
            return;
        }
        bool whole = ends_a_word(found[strlen(word)]);
        buffer_add(out, at, (size_t)(found - at));
        buffer_add(out, word, flag);
        buffer_add_str(out, whole ? instead : naming->value);
    }
}

static int cannot_change(const struct draft *draft, const struct naming *naming,
                         const char *signer_path, struct error *err)
{
    return error_set(err, EBUSY,
                     "%s: " PROGRAM " takes a file with one certificate only for --%s, and %s is "
                     "going to hold two. Let that flag name %s (which is written now and will "
                     "always hold the one that signs), and call this again",
                     draft->file, naming->flag, naming->ca_path, signer_path);
}

// One flag of one manifest; the next call finds the next.
static int change(const struct draft *draft, const struct naming *naming, const char *signer_path,
                  struct draft *next, struct error *err)
{
    _cleanup_free_ char *instead = rotation_signer_path(naming->value);
    _cleanup_free_ char *host = draft_host_name();
    struct naming now = {0}, still = {0};
    next->file = xstrdup(draft->file);
    replace_value(buffer_str(&draft->content), naming, instead, &next->content);
    draft_judge(next, host);
    bool good =
        next->valid && draft_names(next, signer_path, &now) &&
        !(draft_names(next, naming->ca_path, &still) && str_equal(still.flag, naming->flag));
    free(now.value);
    free(still.value);
    return good ? 0 : cannot_change(draft, naming, signer_path, err);
}

static int put(const struct draft *draft, const char *signer_path, struct error *err)
{
    const char *verb;
    size_t dir = (size_t)(path_base(draft->file) - draft->file);
    _cleanup_free_ char *place = dir > 0 ? xstrndup(draft->file, dir) : xstrdup(".");
    replace_tidy(place);
    int code = manifest_put(draft->file, &draft->content, &verb, err);
    if (code == 0)
        printf("written  %s: it names %s now, as " PROGRAM " signs by a file with one certificate "
               "only; it restarts\n",
               draft->file, signer_path);
    return code;
}

static int change_manifest(const struct draft *draft, const char *ca_path, const char *signer_path,
                           struct error *err)
{
    struct draft now = {0};
    struct naming naming;
    int code = 0;
    bool changed = false;
    while (code == 0 && draft_names(changed ? &now : draft, ca_path, &naming)) {
        struct draft next = {0};
        code = change(changed ? &now : draft, &naming, signer_path, &next, err);
        free(naming.value);
        draft_free(&now);
        now = next;
        changed = true;
    }
    if (code == 0 && changed)
        code = put(&now, signer_path, err);
    draft_free(&now);
    return code;
}

// ---- the file ----

static int write_signer(const char *path, X509 *signer, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    _cleanup_x509_ X509 *there = NULL;
    if (certificate_load(path, &there, NULL) == 0 && X509_cmp(there, signer) == 0)
        return 0;
    int code = certificate_to_pem(signer, &text, err);
    return code < 0 ? code : replace_file(path, &text, false, err);
}

int pki_signer_prepare(const struct pki_options *options, const char *ca_path, X509 *signer,
                       struct error *err)
{
    struct check_options places = {.common = options->common, .manifests = options->manifests};
    _cleanup_node_manifests_ struct node_manifests manifests = {0};
    _cleanup_free_ char *path = check_manifest_path(&places);
    _cleanup_free_ char *signer_path = rotation_signer_path(ca_path);
    int code = 0;
    if (node_manifests_load(path, NULL, &manifests, NULL) < 0)
        return 0;
    LIST_EACH (draft, &manifests.drafts) {
        struct naming naming;
        if (code < 0 || !draft_names(draft, ca_path, &naming))
            continue;
        free(naming.value);
        code = write_signer(signer_path, signer, err);
        if (code == 0)
            code = change_manifest(draft, ca_path, signer_path, err);
    }
    return code;
}
