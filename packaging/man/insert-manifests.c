// The fields of a manifest, from the table that decodes them.
#include <string.h>

#include "base/alloc.h"
#include "packaging/man/inserts.h"
#include "packaging/man/roff.h"
#include "podspec/schema.h"

// A struct that is refused or means nothing needs no list of what is in it; one that was told about
// already (a container's probes, say) is not told about again.
struct told {
    LIST_OF(const struct type_schema *) types;
};

static bool is_told(struct told *told, const struct type_schema *type)
{
    LIST_EACH (other, &told->types)
        if (*other == type)
            return true;
    *LIST_APPEND(&told->types) = type;
    return false;
}

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
                     struct told *told)
{
    if (is_told(told, type))
        return;
    buffer_add_str(out, ".SS ");
    roff_text(out, path, strlen(path));
    buffer_add_char(out, '\n');
    if (type->doc) {
        roff_words(out, type->doc);
        buffer_add_char(out, '\n');
    }
    for (size_t i = 0; i < type->n_fields; i++)
        add_field(out, &type->fields[i]);
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct field_schema *field = &type->fields[i];
        if (!field->sub || !is_worth_telling(field))
            continue;
        _cleanup_free_ char *below = xasprintf("%s.%s", path, field->name);
        add_type(out, field->sub, below, told);
    }
}

void insert_manifest_fields(struct buffer *out, const char *templates)
{
    struct told told = {0};
    add_type(out, &pod_schema, "pod", &told);
    free(told.types.items);
}
