// The configuration file: one KubeletConfiguration of kubelet.config.k8s.io/v1beta1 in YAML or
// JSON. Read strictly: unknown and repeated fields are errors, as in the kubelet, and all findings
// are given at once, each with its place.
#include "supervisor/config-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/time-format.h"
#include "podspec/yaml.h"

enum { FILE_MOST = 1 << 20, DEPTH_MOST = 8 };

struct file_walk {
    const char *path; // as given, for findings
    const char *base; // its directory
    struct config *config;
    struct diag_list diags;
};

static struct diag_place place_of(const struct file_walk *walk, const struct yaml_value *value,
                                  const char *field)
{
    return (struct diag_place){walk->path, value->line, value->column, field};
}

static void found(struct file_walk *walk, const struct yaml_value *value, const char *field,
                  const char *message)
{
    diag_add(&walk->diags, DIAG_ERROR, place_of(walk, value, field), "%s", message);
}

// "item\n" or "key: value\n" for each; a list as a mapping's value gives a line for each item.
static bool add_items(struct buffer *out, const char *key, const struct yaml_value *value)
{
    if (value->kind == YAML_KIND_SCALAR && value->scalar.kind == SCALAR_STRING) {
        buffer_printf(out, "%s%s%s\n", key, *key ? ": " : "", value->text);
        return !strchr(value->text, '\n');
    }
    bool good = value->kind == YAML_KIND_SEQUENCE;
    for (size_t i = 0; good && i < value->n_items; i++)
        good = value->items[i]->kind == YAML_KIND_SCALAR && add_items(out, key, value->items[i]);
    return good;
}

// What setting_items() takes apart again, or NULL with a finding. The caller frees.
static char *items_text(struct file_walk *walk, const struct setting *row,
                        const struct yaml_value *value)
{
    struct buffer out = BUFFER_EMPTY;
    bool good = value->kind == YAML_KIND_MAPPING || add_items(&out, "", value);
    for (size_t i = 0; good && value->kind == YAML_KIND_MAPPING && i < value->n_pairs; i++)
        good = add_items(&out, value->pairs[i].key, value->pairs[i].value);
    if (good)
        return buffer_take(&out);
    buffer_free(&out);
    found(walk, value, row->field,
          "must hold strings of one line each (in quotes, where they look like something else)");
    return NULL;
}

// The text of a value of the row's kind, or NULL with a finding. The caller frees.
static char *value_text(struct file_walk *walk, const struct setting *row,
                        const struct yaml_value *value)
{
    static const char *const wanted[] = {
        [SETTING_STRING] = "must be a string (in quotes, where it looks like something else)",
        [SETTING_BOOL] = "must be true or false",
        [SETTING_INT] = "must be a whole number",
        [SETTING_DURATION] = "must be a duration in a string, such as 20s or 1m30s",
        [SETTING_LIST] = "must be a list",
        [SETTING_MAP] = "must be a mapping",
    };
    int64_t number;
    bool scalar = value->kind == YAML_KIND_SCALAR;
    enum scalar_kind kind = scalar ? value->scalar.kind : SCALAR_NULL;
    if (row->kind == SETTING_BOOL && kind == SCALAR_BOOL)
        return xstrdup(value->scalar.boolean ? "true" : "false");
    if (row->kind == SETTING_INT && scalar && kind != SCALAR_STRING && kind != SCALAR_BOOL &&
        scalar_to_int(&value->scalar, &number))
        return xasprintf("%lld", (long long)number);
    if (row->kind == SETTING_STRING && kind == SCALAR_STRING)
        return xstrdup(value->text);
    if (row->kind == SETTING_DURATION && kind == SCALAR_STRING &&
        duration_parse(value->text, &number) == 0)
        return xstrdup(value->text);
    bool list = row->kind == SETTING_LIST && value->kind == YAML_KIND_SEQUENCE;
    bool map = row->kind == SETTING_MAP && value->kind == YAML_KIND_MAPPING;
    if (list || map)
        return row->effect == SETTING_HONOURED ? items_text(walk, row, value)
                                               : xstrdup(list ? "(list)" : "(mapping)");
    found(walk, value, row->field, wanted[row->kind]);
    return NULL;
}

// What Go cannot tell from a field that is not there.
static bool means_default(const struct setting *row, const char *text)
{
    int64_t nsec;
    if (row->effect != SETTING_HONOURED)
        return false;
    if (row->kind == SETTING_DURATION)
        return duration_parse(text, &nsec) == 0 && nsec == 0;
    return !*text;
}

static void apply_field(struct file_walk *walk, const struct setting *row,
                        const struct yaml_value *value)
{
    _cleanup_free_ char *text = value_text(walk, row, value);
    if (!text || means_default(row, text))
        return;
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_free_ char *noted =
        xasprintf("%s:%u:%u: %s", walk->path, value->line, value->column, row->field);
    struct setting_value given = {.text = text, .base = walk->base};
    const char *shown = row->effect == SETTING_NOTED ? noted : row->field;
    if (setting_apply(row, shown, &given, walk->config, &err) == 0)
        return;
    const char *message = error_message(&err);
    if (str_starts_with(message, row->field)) // the place names it
        message += strlen(row->field) + strlen(": ");
    found(walk, value, row->field, message);
}

static void unknown_field(struct file_walk *walk, const struct yaml_pair *pair, const char *field)
{
    const char *nearest = setting_nearest_field(field);
    struct diag_place place = {walk->path, pair->line, pair->column, field};
    if (nearest)
        diag_add(&walk->diags, DIAG_ERROR, place, "unknown field (did you mean %s?)", nearest);
    else
        diag_add(&walk->diags, DIAG_ERROR, place, "unknown field");
}

static void apply_mapping(struct file_walk *walk, const struct yaml_value *mapping,
                          const char *path, unsigned depth);

static void apply_pair(struct file_walk *walk, const struct yaml_pair *pair, const char *path,
                       unsigned depth)
{
    _cleanup_free_ char *field = *path ? xasprintf("%s.%s", path, pair->key) : xstrdup(pair->key);
    const struct setting *row = setting_by_field(field);
    if (!row && !setting_field_has_children(field))
        unknown_field(walk, pair, field);
    else if (yaml_is_null(pair->value))
        return;
    else if (row)
        apply_field(walk, row, pair->value);
    else if (pair->value->kind != YAML_KIND_MAPPING || depth >= DEPTH_MOST)
        found(walk, pair->value, field, "must be a mapping");
    else
        apply_mapping(walk, pair->value, field, depth + 1);
}

static bool is_type_field(const char *path, const char *key)
{
    return !*path && (strcmp(key, "apiVersion") == 0 || strcmp(key, "kind") == 0);
}

static void apply_mapping(struct file_walk *walk, const struct yaml_value *mapping,
                          const char *path, unsigned depth)
{
    for (size_t i = 0; i < mapping->n_pairs; i++) {
        if (!is_type_field(path, mapping->pairs[i].key))
            apply_pair(walk, &mapping->pairs[i], path, depth);
    }
}

static void check_type(struct file_walk *walk, const struct yaml_value *document, const char *field,
                       const char *expected)
{
    const struct yaml_value *value = yaml_lookup(document, field);
    if (value && value->kind == YAML_KIND_SCALAR && strcmp(value->text, expected) == 0)
        return;
    diag_add(&walk->diags, DIAG_ERROR, place_of(walk, value ? value : document, field),
             value ? "must be %s" : "is missing; it must be %s", expected);
}

static void apply_tree(struct file_walk *walk, const struct yaml_tree *tree)
{
    size_t n = yaml_tree_documents(tree);
    const struct yaml_value *document = n > 0 ? yaml_tree_document(tree, 0) : NULL;
    if (!document || document->kind != YAML_KIND_MAPPING) {
        diag_add(&walk->diags, DIAG_ERROR, (struct diag_place){.file = walk->path},
                 "holds no KubeletConfiguration");
        return;
    }
    if (n > 1)
        found(walk, yaml_tree_document(tree, 1), NULL, "only one document is expected");
    check_type(walk, document, "apiVersion", "kubelet.config.k8s.io/v1beta1");
    check_type(walk, document, "kind", "KubeletConfiguration");
    apply_mapping(walk, document, "", 0);
}

static int tell(const struct diag_list *diags, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < diags->n; i++) {
        if (i > 0)
            buffer_add_char(&text, '\n');
        diag_format(&diags->items[i], &text);
    }
    if (diags->dropped > 0)
        buffer_printf(&text, "\nand %zu more", diags->dropped);
    return error_set(err, EINVAL, "%s", buffer_str(&text));
}

static char *directory_of(const char *path)
{
    _cleanup_free_ char *here = getcwd(NULL, 0);
    _cleanup_free_ char *absolute = path[0] == '/' || !here ? xstrdup(path) : path_join(here, path);
    size_t n = (size_t)(path_base(absolute) - absolute);
    return n > 1 ? xstrndup(absolute, n - 1) : xstrdup("/");
}

int config_text_apply(const char *path, const void *data, size_t size, struct config *config,
                      struct error *err)
{
    _cleanup_free_ char *base = directory_of(path);
    struct file_walk walk = {.path = path, .base = base, .config = config};
    struct yaml_tree *tree = NULL;
    if (yaml_tree_parse(path, data, size, &tree, &walk.diags) == 0)
        apply_tree(&walk, tree);
    int code = walk.diags.errors > 0 ? tell(&walk.diags, err) : 0;
    config_replace(&config->file_path, xstrdup(path));
    config_replace(&config->file_text, xstrndup(data, size));
    yaml_tree_free(tree);
    diag_list_free(&walk.diags);
    return code;
}

int config_file_apply(const char *path, struct config *config, struct error *err)
{
    _cleanup_buffer_ struct buffer content = BUFFER_EMPTY;
    int code = fs_read_file(AT_FDCWD, path, FILE_MOST, &content);
    if (code < 0)
        return error_errno(err, -code, "--config: %s cannot be read", path);
    return config_text_apply(path, buffer_str(&content), content.len, config, err);
}
