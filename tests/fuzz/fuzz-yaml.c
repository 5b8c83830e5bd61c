// Any YAML, as JSON, as YAML again: what the writer writes, the reader reads as the same values.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "podspec/podspec.h"
#include "podspec/yaml.h"

enum { FUZZ_SIZE_MAX = 16 << 10, FUZZ_NODES_MAX = 5000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *to_json(const struct yaml_value *value);

static json_t *scalar_json(const struct yaml_value *value)
{
    switch (value->scalar.kind) {
    case SCALAR_BOOL:
        return json_boolean(value->scalar.boolean);
    case SCALAR_INT:
        return json_integer(value->scalar.integer);
    case SCALAR_STRING:
        return json_string(value->text);
    case SCALAR_FLOAT:
        if (isfinite(value->scalar.number))
            return json_real(value->scalar.number);
        return json_null();
    case SCALAR_UINT: // more than Jansson's integers hold
        return json_real((double)value->scalar.natural);
    case SCALAR_NULL:
        break;
    }
    return json_null();
}

static json_t *mapping_json(const struct yaml_value *value)
{
    json_t *object = json_object();
    for (size_t i = 0; i < value->n_pairs; i++)
        json_object_set_new(object, value->pairs[i].key, to_json(value->pairs[i].value));
    return object;
}

static json_t *to_json(const struct yaml_value *value)
{
    if (value->kind == YAML_KIND_SCALAR)
        return scalar_json(value);
    if (value->kind == YAML_KIND_MAPPING)
        return mapping_json(value);
    json_t *array = json_array();
    for (size_t i = 0; i < value->n_items; i++)
        json_array_append_new(array, to_json(value->items[i]));
    return array;
}

// As json_equal(), but 1 and 1.0 are the same number.
static bool same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    if (json_is_array(a) && json_is_array(b)) {
        bool equal = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; equal && i < json_array_size(a); i++)
            equal = same(json_array_get(a, i), json_array_get(b, i));
        return equal;
    }
    if (!json_is_object(a) || !json_is_object(b))
        return json_equal(a, b);
    bool equal = json_object_size(a) == json_object_size(b);
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach ((json_t *)a, key, value)
        equal = equal && json_object_get(b, key) && same(value, json_object_get(b, key));
    return equal;
}

static void check_document(const struct yaml_value *document)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    struct yaml_tree *again = NULL;
    struct diag_list diags = {0};
    json_t *first = to_json(document);
    json_to_yaml(first, &text);
    if (yaml_tree_parse("again", buffer_str(&text), text.len, &again, &diags) < 0)
        abort();
    if (yaml_tree_documents(again) != 1)
        abort();
    json_t *second = to_json(yaml_tree_document(again, 0));
    if (!same(first, second))
        abort();
    json_decref(first);
    json_decref(second);
    yaml_tree_free(again);
    diag_list_free(&diags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yaml_tree *tree = NULL;
    struct diag_list diags = {0};
    if (size > FUZZ_SIZE_MAX)
        return 0;
    if (yaml_tree_parse("fuzz", data, size, &tree, &diags) == 0)
        for (size_t i = 0; i < yaml_tree_documents(tree); i++)
            if (yaml_tree_document(tree, i)->nodes < FUZZ_NODES_MAX)
                check_document(yaml_tree_document(tree, i));
    yaml_tree_free(tree);
    diag_list_free(&diags);
    return 0;
}
