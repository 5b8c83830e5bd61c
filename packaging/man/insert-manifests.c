// The fields of a manifest, from the table that decodes them.
#include <string.h>

#include "base/alloc.h"
#include "packaging/man/inserts.h"
#include "packaging/man/roff.h"
#include "podspec/schema.h"

// What has a list of its fields already is told about once (a container's probes have one type).
struct told {
    LIST_OF(struct told_type {
        const struct type_schema *type;
        char *path;
    })
    types;
};

static const char *told_at(const struct told *told, const struct type_schema *type)
{
    LIST_EACH (other, &told->types)
        if (other->type == type)
            return other->path;
    return NULL;
}

static void remember(struct told *told, const struct type_schema *type, const char *path)
{
    struct told_type *added = LIST_APPEND(&told->types);
    added->type = type;
    added->path = xstrdup(path);
}

static void told_clear(struct told *told)
{
    LIST_EACH (one, &told->types)
        free(one->path);
    free(told->types.items);
}

// A struct that is refused or means nothing needs no list of what is in it.
static bool is_worth_telling(const struct field_schema *field)
{
    return field->support == SUPPORT_FULL || field->support == SUPPORT_REPORTED;
}

static void add_field(struct buffer *out, const struct field_schema *field)
{
    _cleanup_buffer_ struct buffer facts = BUFFER_EMPTY;
    roff_item(out);
    roff_bold(out, field->name);
    buffer_add_str(out, " <");
    roff_text(out, podspec_type_name(field->type), strlen(podspec_type_name(field->type)));
    buffer_add_str(out, field->required ? ">, required\n" : ">\n");
    podspec_field_facts(field, &facts);
    if (field->doc)
        roff_words(out, field->doc);
    roff_words(out, buffer_str(&facts));
    buffer_add_str(out, "\n");
}

static void add_type(struct buffer *out, const struct type_schema *type, const char *path,
                     struct told *told);

static void add_types_below(struct buffer *out, const struct type_schema *type, const char *path,
                            bool required, struct told *told)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct field_schema *field = &type->fields[i];
        if (!field->sub || field->required != required || !is_worth_telling(field))
            continue;
        _cleanup_free_ char *below = xasprintf("%s.%s", path, field->name);
        add_type(out, field->sub, below, told);
    }
}

static void add_type(struct buffer *out, const struct type_schema *type, const char *path,
                     struct told *told)
{
    const char *before = told_at(told, type);
    buffer_add_str(out, ".SS ");
    roff_text(out, path, strlen(path));
    buffer_add_char(out, '\n');
    if (before) {
        buffer_add_str(out, "As\n");
        roff_bold(out, before);
        buffer_add_str(out, "\\&.\n");
        return;
    }
    remember(told, type, path);
    if (type->doc) {
        roff_words(out, type->doc);
        buffer_add_char(out, '\n');
    }
    for (size_t i = 0; i < type->n_fields; i++)
        add_field(out, &type->fields[i]);
    // What must be there is told in full (containers), and the rest refers to it (initContainers).
    add_types_below(out, type, path, true, told);
    add_types_below(out, type, path, false, told);
}

void insert_manifest_fields(struct buffer *out, const char *templates)
{
    struct told told = {0};
    add_type(out, &pod_schema, "pod", &told);
    told_clear(&told);
}
