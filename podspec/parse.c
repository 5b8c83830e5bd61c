// From the text of a manifest to the pods in it: documents, kinds, lists. What a pod is made of is
// decoded by the table (decode.c).
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "podspec/decode.h"
#include "podspec/defaults.h"
#include "podspec/podspec.h"
#include "podspec/validate.h"

enum { PODS_MAX = 1000 }; // of one file

struct parser {
    const char *file;
    struct diag_list *diags;
    struct pod_list pods;
    size_t seen; // pods, with those that are not kept because something is wrong in them
    bool empty_list;
};

static void report(struct parser *p, const struct yaml_value *at, const char *path,
                   const char *message)
{
    struct diag_place place = {
        .file = p->file, .line = at->line, .column = at->column, .path = path};
    diag_add(p->diags, DIAG_ERROR, place, "%s", message);
}

static const char *text_of(const struct yaml_value *value)
{
    bool is_text = value && value->kind == YAML_KIND_SCALAR && value->scalar.kind == SCALAR_STRING;
    return is_text ? value->text : NULL;
}

// `prefix` is "items[3]" for an element of a list, else "". The caller frees.
static char *join_path(const char *prefix, const char *name)
{
    return xasprintf("%s%s%s", prefix, *prefix && *name ? "." : "", name);
}

static void parse_pod(struct parser *p, const struct yaml_value *value, const char *prefix)
{
    if (p->seen++ == PODS_MAX)
        report(p, value, NULL, "more than 1000 pods in one file");
    if (p->seen > PODS_MAX)
        return;
    _cleanup_pod_ struct pod *pod = xcalloc(1, sizeof(*pod));
    pod->places = places_new(p->file);
    if (*prefix)
        places_set_prefix(pod->places, prefix);
    size_t from = p->diags->n;
    if (decode_object(&pod_schema, value, pod, "", pod->places, p->diags) < 0) {
        podspec_set_defaults(pod);
        podspec_validate_rest(pod, p->diags, from);
        return;
    }
    free(pod->kind);
    free(pod->apiVersion);
    pod->kind = xstrdup("Pod");
    pod->apiVersion = xstrdup("v1");
    podspec_set_defaults(pod);
    p->pods.items = xreallocarray(p->pods.items, p->pods.n + 1, sizeof(void *));
    p->pods.items[p->pods.n++] = TAKE_PTR(pod);
}

// "cannot be run here" and the like, with the value and the nearest of what would be right.
static void report_text(struct parser *p, const struct diag_place *place, const char *before,
                        const char *text, const char *after, const char *nearest)
{
    _cleanup_buffer_ struct buffer message = BUFFER_EMPTY;
    buffer_add_str(&message, before);
    diag_quote(text, &message);
    buffer_add_str(&message, after);
    if (nearest)
        buffer_printf(&message, "; did you mean \"%s\"?", nearest);
    diag_add(p->diags, DIAG_ERROR, *place, "%s", buffer_str(&message));
}

static void report_kind(struct parser *p, const struct yaml_value *at, const char *path,
                        const char *kind)
{
    static const char *const kinds[] = {"Pod", "PodList", "List"};
    struct diag_place place = {p->file, at->line, at->column, path};
    report_text(p, &place, "", kind, " cannot be run here, only Pod (and List or PodList of pods)",
                str_nearest(kind, kinds, ARRAY_SIZE(kinds)));
}

// What is not a string at all is found when the pod is decoded.
static void check_version(struct parser *p, const struct yaml_value *value, const char *prefix,
                          bool required)
{
    const struct yaml_value *version = yaml_lookup(value, "apiVersion");
    const char *text = text_of(version);
    _cleanup_free_ char *path = join_path(prefix, "apiVersion");
    if (yaml_is_null(version) || (text && !*text)) {
        if (required)
            report(p, value, path, "is required (v1 for a Pod)");
    } else if (text && strcmp(text, "v1") != 0) {
        struct diag_place place = {p->file, version->line, version->column, path};
        report_text(p, &place, "must be v1, not ", text, "", NULL);
    }
}

// 0 and the kind of a mapping, "" where it has none; -EINVAL with a finding for anything else.
static int read_kind(struct parser *p, const struct yaml_value *value, const char *prefix,
                     const char **ret)
{
    _cleanup_free_ char *path = join_path(prefix, "kind");
    if (value->kind != YAML_KIND_MAPPING) {
        _cleanup_free_ char *message =
            xasprintf("expected a Pod, which is a mapping, found %s", yaml_kind_name(value));
        report(p, value, *prefix ? prefix : NULL, message);
        return -EINVAL;
    }
    const struct yaml_value *kind = yaml_lookup(value, "kind");
    if (!yaml_is_null(kind) && !text_of(kind)) {
        report(p, kind, path, "expected a string: Pod");
        return -EINVAL;
    }
    *ret = yaml_is_null(kind) ? "" : text_of(kind);
    return 0;
}

static void parse_item(struct parser *p, const struct yaml_value *item, size_t index,
                       bool typed_list)
{
    _cleanup_free_ char *prefix = xasprintf("items[%zu]", index);
    const char *kind = NULL;
    if (read_kind(p, item, prefix, &kind) < 0)
        return;
    _cleanup_free_ char *path = join_path(prefix, "kind");
    const struct yaml_value *at = yaml_lookup(item, "kind");
    if (strcmp(kind, "List") == 0 || strcmp(kind, "PodList") == 0) {
        report(p, at, path, "a list within a list is not read");
        return;
    }
    if (*kind && strcmp(kind, "Pod") != 0) {
        report_kind(p, at, path, kind);
        return;
    }
    if (!*kind && !typed_list)
        report(p, item, path, "is required (Pod)");
    check_version(p, item, prefix, !typed_list);
    parse_pod(p, item, prefix);
}

static void check_list_fields(struct parser *p, const struct yaml_value *list)
{
    static const char *const known[] = {"apiVersion", "kind", "metadata", "items"};
    for (size_t i = 0; i < list->n_pairs; i++) {
        const struct yaml_pair *pair = &list->pairs[i];
        bool is_known = false;
        for (size_t k = 0; k < ARRAY_SIZE(known); k++)
            is_known = is_known || strcmp(pair->key, known[k]) == 0;
        if (is_known || p->diags->dropped > 0)
            continue;
        struct diag_place place = {p->file, pair->line, pair->column, pair->key};
        report_text(p, &place, "unknown field ", pair->key, "",
                    str_nearest(pair->key, known, ARRAY_SIZE(known)));
    }
}

static void parse_list(struct parser *p, const struct yaml_value *list, bool typed)
{
    const struct yaml_value *version = yaml_lookup(list, "apiVersion");
    check_version(p, list, "", true);
    if (!yaml_is_null(version) && !text_of(version))
        report(p, version, "apiVersion", "expected a string: v1");
    check_list_fields(p, list);
    const struct yaml_value *items = yaml_lookup(list, "items");
    if (yaml_is_null(items))
        return;
    if (items->kind != YAML_KIND_SEQUENCE) {
        _cleanup_free_ char *message =
            xasprintf("expected a list, found %s", yaml_kind_name(items));
        report(p, items, "items", message);
        return;
    }
    p->empty_list |= items->n_items == 0;
    for (size_t i = 0; i < items->n_items && p->diags->dropped == 0; i++)
        parse_item(p, items->items[i], i, typed);
}

static void parse_document(struct parser *p, const struct yaml_value *value)
{
    const char *kind = NULL;
    if (read_kind(p, value, "", &kind) < 0)
        return;
    if (strcmp(kind, "List") == 0 || strcmp(kind, "PodList") == 0) {
        parse_list(p, value, strcmp(kind, "PodList") == 0);
        return;
    }
    if (*kind && strcmp(kind, "Pod") != 0) {
        report_kind(p, yaml_lookup(value, "kind"), "kind", kind);
        return;
    }
    if (!*kind)
        report(p, value, "kind", "is required (Pod)");
    check_version(p, value, "", true);
    parse_pod(p, value, "");
}

int podspec_parse(const char *file, const void *data, size_t size, struct pod_list *ret,
                  struct diag_list *diags)
{
    struct parser p = {.file = file, .diags = diags};
    size_t errors = diags->errors, found = diags->n;
    _cleanup_yaml_tree_ struct yaml_tree *tree = NULL;
    (void)yaml_tree_parse(file, data, size, &tree, diags); // its errors are among the findings
    for (size_t i = 0; tree && i < yaml_tree_documents(tree) && diags->dropped == 0; i++)
        if (!yaml_is_null(yaml_tree_document(tree, i)))
            parse_document(&p, yaml_tree_document(tree, i));
    bool nothing = diags->errors == errors && p.pods.n == 0;
    if (nothing)
        diag_add(diags, DIAG_ERROR, (struct diag_place){.file = file}, "no pod in it");
    diag_list_sort(diags, found);
    if (diags->errors > errors) {
        pod_list_free(&p.pods);
        return nothing && p.empty_list ? -ENODATA : -EINVAL;
    }
    *ret = p.pods;
    return 0;
}
