// See guard.h. The place is found in the tree that the parser makes, and what came of it is parsed
// again: an insertion that did not do what it should is an error and not a pod without a guard.
#include "manifests/guard.h"

#include <errno.h>
#include <string.h>

#include "podspec/annotations.h"
#include "podspec/yaml.h"

static int parse(const char *file, const struct buffer *text, struct yaml_tree **ret,
                 struct error *err)
{
    _cleanup_diag_list_ struct diag_list diags = {0};
    if (yaml_tree_parse(file, text->data, text->len, ret, &diags) == 0)
        return 0;
    yaml_tree_free(*ret);
    *ret = NULL;
    _cleanup_buffer_ struct buffer what = BUFFER_EMPTY;
    if (diags.n > 0)
        diag_format(&diags.items[0], &what);
    return error_set(err, EINVAL, "%s", diags.n > 0 ? buffer_str(&what) : "no YAML and no JSON");
}

static const struct yaml_value *only_document(const struct yaml_tree *tree)
{
    const struct yaml_value *only = NULL;
    for (size_t i = 0; i < yaml_tree_documents(tree); i++) {
        const struct yaml_value *document = yaml_tree_document(tree, i);
        if (yaml_is_null(document))
            continue;
        if (only)
            return NULL;
        only = document;
    }
    return only;
}

static const char *text_of(const struct yaml_value *value)
{
    return value && value->kind == YAML_KIND_SCALAR ? value->text : NULL;
}

static const struct yaml_value *metadata_of_pod(const struct yaml_tree *tree)
{
    const struct yaml_value *pod = only_document(tree);
    const char *kind = text_of(yaml_lookup(pod, "kind"));
    const struct yaml_value *metadata = yaml_lookup(pod, "metadata");
    bool usable = kind && strcmp(kind, "Pod") == 0 && metadata &&
                  metadata->kind == YAML_KIND_MAPPING && metadata->n_pairs > 0;
    return usable ? metadata : NULL;
}

// The byte at a line and column (characters) of the text; its length where there is none.
static size_t offset_of(const struct buffer *text, unsigned line, unsigned column)
{
    size_t i = 0;
    for (unsigned at = 1; at < line && i < text->len; i++)
        at += text->data[i] == '\n';
    for (unsigned at = 1; at < column && i < text->len; at++)
        do
            i++;
        while (i < text->len && ((unsigned char)text->data[i] & 0xc0) == 0x80);
    return i;
}

// Into `mapping`, in front of its first key, in its own style.
static void insert(const struct buffer *text, const struct yaml_value *mapping, bool with_parent,
                   const char *state_path, struct buffer *out)
{
    const struct yaml_pair *first = &mapping->pairs[0];
    size_t at = offset_of(text, first->line, first->column);
    size_t begin = offset_of(text, mapping->line, mapping->column);
    int indent = (int)first->column - 1;
    buffer_add(out, text->data, at);
    if (begin < text->len && text->data[begin] == '{')
        buffer_printf(out, with_parent ? "\"annotations\": {\"%s\": \"%s\"}, " : "\"%s\": \"%s\", ",
                      ANNOTATION_FENCE, state_path);
    else if (with_parent)
        buffer_printf(out, "annotations:\n%*s%s: \"%s\"\n%*s", indent + 2, "", ANNOTATION_FENCE,
                      state_path, indent, "");
    else
        buffer_printf(out, "%s: \"%s\"\n%*s", ANNOTATION_FENCE, state_path, indent, "");
    buffer_add(out, text->data + at, text->len - at);
}

// NULL: any.
static bool is_guarded(const struct buffer *text, const char *state_path)
{
    struct yaml_tree *tree = NULL;
    int code = parse("", text, &tree, NULL);
    const struct yaml_value *metadata = code == 0 ? metadata_of_pod(tree) : NULL;
    const char *value =
        text_of(yaml_lookup(yaml_lookup(metadata, "annotations"), ANNOTATION_FENCE));
    bool guarded = value && (!state_path || strcmp(value, state_path) == 0);
    yaml_tree_free(tree);
    return guarded;
}

bool guard_is_in(const struct buffer *text)
{
    return is_guarded(text, NULL);
}

static int guard(const char *file, const struct buffer *text, const struct yaml_tree *tree,
                 const char *state_path, struct buffer *out, struct error *err)
{
    const struct yaml_value *metadata = metadata_of_pod(tree);
    if (!metadata)
        return error_set(err, EINVAL, "%s: is not the manifest of one Pod with metadata", file);
    const struct yaml_value *annotations = yaml_lookup(metadata, "annotations");
    if (yaml_lookup(annotations, ANNOTATION_FENCE))
        return error_set(err, EINVAL, "%s: has the annotation %s already: podmaster puts it there",
                         file, ANNOTATION_FENCE);
    bool empty = annotations && (annotations->kind != YAML_KIND_MAPPING || !annotations->n_pairs);
    if (empty)
        return error_set(err, EINVAL, "%s:%u: metadata.annotations is empty: leave it out", file,
                         annotations->line);
    insert(text, annotations ? annotations : metadata, !annotations, state_path, out);
    return is_guarded(out, state_path)
               ? 0
               : error_set(
                     err, EINVAL,
                     "%s: the annotation %s could not be put in: write metadata as plain YAML "
                     "or JSON",
                     file, ANNOTATION_FENCE);
}

int guard_manifest(const char *file, const struct buffer *text, const char *state_path,
                   struct buffer *out, struct error *err)
{
    struct yaml_tree *tree = NULL;
    _cleanup_buffer_ struct buffer guarded = BUFFER_EMPTY;
    int code = parse(file, text, &tree, err);
    if (code == 0)
        code = guard(file, text, tree, state_path, &guarded, err);
    yaml_tree_free(tree);
    if (code == 0)
        buffer_add(out, guarded.data, guarded.len);
    return code;
}
