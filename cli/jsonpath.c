// See jsonpath.h: walking a value by a template's tree.
#include "cli/jsonpath.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/jsonpath-internal.h"

struct values { // borrowed
    const json_t **items;
    size_t n, cap;
};

struct walk {
    const json_t *root;
    struct error *err;
    size_t *left; // values that may still be come by: each ".." multiplies them
};

static int walk_steps(const struct walk *walk, const struct steps *steps, const json_t *from,
                      struct values *ret);

static void add(struct values *values, const json_t *value)
{
    if (!value)
        return;
    if (values->n == values->cap) {
        values->cap = values->cap ? 2 * values->cap : 8;
        values->items = xreallocarray(values->items, values->cap, sizeof(void *));
    }
    values->items[values->n++] = value;
}

static void values_free(struct values *values)
{
    free(values->items);
}

static void add_children(const json_t *value, struct values *ret)
{
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            add(ret, json_array_get(value, i));
        return;
    }
    // Iterating does not change an object, but jansson's iterator is not const.
    json_t *object = (json_t *)value;
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at))
        add(ret, json_object_iter_value(at));
}

static void add_recursively(const json_t *value, struct values *ret, unsigned depth)
{
    if (depth > JSONPATH_DEPTH_MAX || !(json_is_array(value) || json_is_object(value)))
        return;
    struct values children = {0};
    add(ret, value);
    add_children(value, &children);
    for (size_t i = 0; i < children.n; i++)
        add_recursively(children.items[i], ret, depth + 1);
    values_free(&children);
}

static void add_slice(const struct step *step, const json_t *value, struct values *ret)
{
    long long size = (long long)json_array_size(value);
    long long from = step->has_from ? step->from : 0, to = step->has_to ? step->to : size;
    from = MAX(from < 0 ? from + size : from, 0);
    to = MIN(to < 0 ? to + size : to, size);
    for (long long i = from; i < to; i += MIN(step->by, size))
        add(ret, json_array_get(value, (size_t)i));
}

static int add_index(const struct walk *walk, const struct step *step, const json_t *value,
                     struct values *ret)
{
    long long size = (long long)json_array_size(value);
    long long index = step->from < 0 ? step->from + size : step->from;
    if (!json_is_array(value))
        return 0;
    if (index < 0 || index >= size)
        return error_set(walk->err, EINVAL, "array index out of bounds: index %lld, length %lld",
                         step->from, size);
    add(ret, json_array_get(value, (size_t)index));
    return 0;
}

static int compare_numbers(double a, double b)
{
    return a < b ? -1 : a > b;
}

// -1, 0, 1; 2 where the two cannot be ordered (then they are just not equal).
static int compare(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return compare_numbers(json_number_value(a), json_number_value(b));
    if (json_is_string(a) && json_is_string(b)) {
        int order = strcmp(json_string_value(a), json_string_value(b));
        return order < 0 ? -1 : order > 0;
    }
    return json_equal(a, b) ? 0 : 2;
}

static bool holds(enum filter_op op, int order)
{
    switch (op) {
    case FILTER_EQ:
        return order == 0;
    case FILTER_NE:
        return order != 0;
    case FILTER_LT:
        return order == -1;
    case FILTER_LE:
        return order == -1 || order == 0;
    case FILTER_GT:
        return order == 1;
    case FILTER_GE:
        return order == 0 || order == 1;
    case FILTER_EXISTS:
        break;
    }
    return true;
}

// The operand's value for one item; NULL where the path leads nowhere.
static const json_t *operand_value(const struct walk *walk, const struct operand *operand,
                                   const json_t *item)
{
    struct values found = {0};
    if (operand->literal)
        return operand->literal;
    struct walk quiet = {walk->root, NULL, walk->left};
    const json_t *value = walk_steps(&quiet, &operand->steps, item, &found) == 0 && found.n > 0
                              ? found.items[0]
                              : NULL;
    values_free(&found);
    return value;
}

static void add_filtered(const struct walk *walk, const struct step *step, const json_t *value,
                         struct values *ret)
{
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        const json_t *left = operand_value(walk, &step->left, item);
        bool exists = step->op == FILTER_EXISTS;
        const json_t *right = exists ? NULL : operand_value(walk, &step->right, item);
        if (left && (exists || (right && holds(step->op, compare(left, right)))))
            add(ret, item);
    }
}

static int walk_step(const struct walk *walk, const struct step *step, const json_t *value,
                     struct values *ret)
{
    switch (step->kind) {
    case STEP_ROOT:
        add(ret, walk->root);
        break;
    case STEP_CURRENT:
        add(ret, value);
        break;
    case STEP_FIELD:
        add(ret, json_object_get(value, step->name));
        break;
    case STEP_WILDCARD:
        add_children(value, ret);
        break;
    case STEP_RECURSE:
        add_recursively(value, ret, 0);
        break;
    case STEP_SLICE:
        add_slice(step, value, ret);
        break;
    case STEP_INDEX:
        return add_index(walk, step, value, ret);
    case STEP_FILTER:
        add_filtered(walk, step, value, ret);
        break;
    case STEP_UNION:
        break; // walk_union()
    }
    return 0;
}

// One alternative after the other, each over all values: as kubectl orders them.
static int walk_union(const struct walk *walk, const struct step *step, const struct values *values,
                      struct values *ret)
{
    int r = 0;
    for (size_t i = 0; i < step->alternatives.n; i++)
        for (size_t j = 0; j < values->n && r == 0; j++)
            r = walk_steps(walk, &step->alternatives.items[i], values->items[j], ret);
    return r;
}

static int walk_counted(const struct walk *walk, const struct step *step, const json_t *value,
                        struct values *ret)
{
    size_t before = ret->n;
    int r = walk_step(walk, step, value, ret);
    if (r < 0)
        return r;
    *walk->left -= MIN(*walk->left, ret->n - before);
    if (*walk->left == 0)
        return error_set(walk->err, EINVAL,
                         "the template comes by more than %d values: name the fields on the way "
                         "instead of \"..\"",
                         JSONPATH_VALUES_MAX);
    return 0;
}

static int walk_steps(const struct walk *walk, const struct steps *steps, const json_t *from,
                      struct values *ret)
{
    struct values now = {0};
    int r = 0;
    add(&now, from);
    for (size_t i = 0; i < steps->n && r == 0; i++) {
        struct values next = {0};
        if (steps->items[i].kind == STEP_UNION)
            r = walk_union(walk, &steps->items[i], &now, &next);
        for (size_t j = 0; j < now.n && r == 0; j++)
            r = walk_counted(walk, &steps->items[i], now.items[j], &next);
        values_free(&now);
        now = next;
    }
    for (size_t i = 0; i < now.n && r == 0; i++)
        add(ret, now.items[i]);
    values_free(&now);
    return r;
}

static void print_value(const json_t *value, struct buffer *out)
{
    if (json_is_string(value)) {
        buffer_add_str(out, json_string_value(value));
        return;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    buffer_add_str(out, text ? text : "");
    free(text);
}

static int print_parts(const struct walk *walk, const struct parts *parts, const json_t *current,
                       struct buffer *out)
{
    int r = 0;
    for (size_t i = 0; i < parts->n && r == 0; i++) {
        const struct part *part = &parts->items[i];
        struct values found = {0};
        if (part->kind == PART_TEXT) {
            buffer_add_str(out, part->text);
            continue;
        }
        r = walk_steps(walk, &part->steps, current, &found);
        for (size_t j = 0; j < found.n && r == 0; j++) {
            if (part->kind == PART_RANGE) {
                r = print_parts(walk, &part->body, found.items[j], out);
                continue;
            }
            if (j > 0)
                buffer_add_char(out, ' ');
            print_value(found.items[j], out);
        }
        values_free(&found);
    }
    return r;
}

int jsonpath_print(const struct jsonpath *path, const json_t *root, struct buffer *out,
                   struct error *err)
{
    size_t left = JSONPATH_VALUES_MAX;
    struct walk walk = {root, err, &left};
    return print_parts(&walk, &path->parts, root, out);
}

size_t jsonpath_find(const struct jsonpath *path, const json_t *root, const json_t ***ret)
{
    struct values found = {0};
    size_t left = JSONPATH_VALUES_MAX;
    struct walk walk = {root, NULL, &left};
    for (size_t i = 0; i < path->parts.n; i++)
        if (path->parts.items[i].kind == PART_PATH)
            walk_steps(&walk, &path->parts.items[i].steps, root, &found);
    *ret = found.items;
    return found.n;
}
