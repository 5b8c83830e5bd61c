// See yaml-build.h. What the tree would be if it were walked with every alias expanded is counted
// as it grows, so a bomb is refused while it is still small. Order and precedence of merge keys are
// those of gopkg.in/yaml.v2: a merge overrides the keys before it and gives way to those behind it.
#include "podspec/yaml-build.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/buffer.h"
#include "base/string-list.h"

enum {
    PATH_KEY_MAX = 100, // bytes of a key that a path shows
    PENDING_FIRST = 64, // room for children at first
};

struct frame { // a sequence or mapping that is not closed yet
    struct yaml_value *value;
    size_t first;          // of its children in `pending`
    size_t anchor;         // its index + 1, or 0
    bool has_key, merge;   // mapping: a key was read; it is "<<"
    const char *key;       // where has_key
    unsigned line, column; // of the key
};

struct anchor {
    uint64_t hash;
    const char *name;
    const struct yaml_value *value; // NULL while its node is open
};

struct yaml_builder {
    const char *file;
    struct yaml_tree *tree;
    struct diag_list *diags;
    struct frame frames[YAML_DEPTH_MAX];
    size_t depth;
    struct yaml_pair *pending; // children of the open frames; a merge has no key, an item neither
    size_t n_pending, max_pending;
    LIST_OF(struct anchor) anchors;
    uint64_t nodes, bytes; // of all documents so far, aliases expanded
    struct buffer scratch;
};

struct yaml_builder *yaml_builder_new(const char *file, struct yaml_tree *tree,
                                      struct diag_list *diags)
{
    struct yaml_builder *b = xcalloc(1, sizeof(*b));
    b->file = file;
    b->tree = tree;
    b->diags = diags;
    b->max_pending = PENDING_FIRST;
    b->pending = xcalloc(b->max_pending, sizeof(b->pending[0]));
    return b;
}

void yaml_builder_free(struct yaml_builder *b)
{
    if (!b)
        return;
    free(b->pending);
    free(b->anchors.items);
    buffer_free(&b->scratch);
    free(b);
}

static void add_path_key(struct buffer *path, const char *key)
{
    size_t n = strlen(key), shown = MIN(n, (size_t)PATH_KEY_MAX);
    while (shown < n && shown > 0 && ((unsigned char)key[shown] & 0xc0) == 0x80)
        shown--;
    if (path->len > 0)
        buffer_add_char(path, '.');
    buffer_add(path, key, shown);
    if (shown < n)
        buffer_add_str(path, "…");
}

char *yaml_builder_path(const struct yaml_builder *b)
{
    struct buffer path = BUFFER_EMPTY;
    for (size_t i = 0; i < b->depth; i++) {
        const struct frame *frame = &b->frames[i];
        size_t next = i + 1 < b->depth ? b->frames[i + 1].first : b->n_pending;
        if (frame->value->kind == YAML_KIND_SEQUENCE)
            buffer_printf(&path, "[%zu]", next - frame->first);
        else if (frame->has_key)
            add_path_key(&path, frame->merge ? "<<" : frame->key);
    }
    return buffer_take(&path);
}

static void report(const struct yaml_builder *b, unsigned line, unsigned column,
                   const char *message)
{
    _cleanup_free_ char *path = yaml_builder_path(b);
    struct diag_place place = {.file = b->file, .line = line, .column = column, .path = path};
    diag_add(b->diags, DIAG_ERROR, place, "%s", message);
}

static int fail(const struct yaml_builder *b, const struct yaml_value *at, const char *message)
{
    report(b, at->line, at->column, message);
    return -EINVAL;
}

static int spend(struct yaml_builder *b, const struct yaml_value *at, uint64_t nodes,
                 uint64_t bytes)
{
    b->nodes += nodes;
    b->bytes += bytes;
    if (b->nodes > YAML_NODES_MAX)
        return fail(b, at, "the file is too large: more than 200000 values, aliases expanded");
    if (b->bytes > YAML_TEXT_MAX)
        return fail(b, at, "the file is too large: more than 20 MiB of text, aliases expanded");
    return 0;
}

static struct yaml_value *new_value(struct yaml_builder *b, enum yaml_kind kind,
                                    const yaml_event_t *event)
{
    struct yaml_value *value = arena_alloc(&b->tree->arena, sizeof(*value));
    value->kind = kind;
    value->line = (unsigned)event->start_mark.line + 1;
    value->column = (unsigned)event->start_mark.column + 1;
    value->nodes = 1;
    return value;
}

static void push_pending(struct yaml_builder *b, struct yaml_pair pair)
{
    if (b->n_pending == b->max_pending) {
        b->max_pending *= 2;
        b->pending = xreallocarray(b->pending, b->max_pending, sizeof(b->pending[0]));
    }
    b->pending[b->n_pending++] = pair;
}

static int take_key(struct yaml_builder *b, struct frame *frame, const struct yaml_value *value,
                    bool merge)
{
    if (value->kind != YAML_KIND_SCALAR)
        return fail(b, value, "a key must be a string, not a list or a mapping");
    buffer_truncate(&b->scratch, 0);
    if (!scalar_to_key(&value->scalar, value->text, &b->scratch))
        return fail(b, value,
                    value->scalar.kind == SCALAR_NULL ? "a key must be a string, not null"
                                                      : "a key must be a string, put it in quotes");
    frame->key = value->scalar.kind == SCALAR_STRING
                     ? value->text
                     : arena_strndup(&b->tree->arena, buffer_str(&b->scratch), b->scratch.len);
    frame->line = value->line;
    frame->column = value->column;
    frame->has_key = true;
    frame->merge = merge;
    return 0;
}

// Doubling: a hostile file may have as many documents as nodes.
static void add_document(struct yaml_tree *tree, const struct yaml_value *root)
{
    if (tree->documents.n == tree->max_documents) {
        tree->max_documents = MAX(2 * tree->max_documents, (size_t)8);
        tree->documents.items = xreallocarray(tree->documents.items, tree->max_documents,
                                              sizeof(tree->documents.items[0]));
    }
    tree->documents.items[tree->documents.n++] = (struct yaml_document){.root = root};
}

// A finished node goes to where it belongs: the document, the list, the key or its value.
static int place_value(struct yaml_builder *b, const struct yaml_value *value, bool merge)
{
    if (b->depth == 0) {
        add_document(b->tree, value);
        return 0;
    }
    struct frame *frame = &b->frames[b->depth - 1];
    if (b->depth + value->height > YAML_DEPTH_MAX)
        return fail(b, value, "is nested too deeply: more than 100 levels, aliases expanded");
    if (frame->value->kind == YAML_KIND_MAPPING && !frame->has_key)
        return take_key(b, frame, value, merge);
    struct yaml_pair pair = {.value = value};
    if (frame->value->kind == YAML_KIND_MAPPING && !frame->merge)
        pair.key = frame->key;
    pair.line = frame->line;
    pair.column = frame->column;
    push_pending(b, pair);
    frame->has_key = false;
    return 0;
}

static uint64_t hash_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u; // FNV-1a
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash;
}

// Remembers the name of a node; *ret_index is its index + 1, or 0 where it has none.
static int add_anchor(struct yaml_builder *b, const yaml_char_t *name,
                      const struct yaml_value *value, size_t *ret_index)
{
    *ret_index = 0;
    if (!name)
        return 0;
    if (b->anchors.n >= YAML_ANCHORS_MAX)
        return fail(b, value, "the document has more than 1000 anchors");
    const char *text = (const char *)name;
    struct anchor *anchor = LIST_APPEND(&b->anchors);
    anchor->hash = hash_name(text);
    anchor->name = arena_strndup(&b->tree->arena, text, strlen(text));
    *ret_index = b->anchors.n;
    return 0;
}

static int add_alias(struct yaml_builder *b, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    uint64_t hash = hash_name(name);
    struct yaml_value at = {.line = (unsigned)event->start_mark.line + 1,
                            .column = (unsigned)event->start_mark.column + 1};
    for (size_t i = b->anchors.n; i-- > 0;) {
        const struct anchor *anchor = &b->anchors.items[i];
        if (anchor->hash != hash || strcmp(anchor->name, name) != 0)
            continue;
        if (!anchor->value)
            return fail(b, &at, "the alias stands within the value that it stands for");
        int r = spend(b, &at, anchor->value->nodes, anchor->value->bytes);
        return r < 0 ? r : place_value(b, anchor->value, false);
    }
    return fail(b, &at, "the alias has no anchor before it in this document");
}

// !!binary: what the text encodes counts, and must be text itself here.
static int decode_binary(struct yaml_builder *b, struct yaml_value *value)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY, plain = BUFFER_EMPTY;
    for (const char *p = value->text; *p; p++)
        if (*p != '\n' && *p != '\r')
            buffer_add_char(&text, *p);
    if (base64_decode(buffer_str(&text), text.len, &plain) < 0)
        return fail(b, value, "the !!binary value is not base64");
    if (!str_is_utf8(buffer_str(&plain), plain.len, NULL))
        return fail(b, value, "the !!binary value does not hold text");
    value->text = arena_strndup(&b->tree->arena, buffer_str(&plain), plain.len);
    value->bytes = (uint32_t)plain.len;
    return 0;
}

static int resolve_scalar(struct yaml_builder *b, const yaml_event_t *event,
                          struct yaml_value *value)
{
    const char *tag = (const char *)event->data.scalar.tag;
    enum scalar_style style = event->data.scalar.plain_implicit ? SCALAR_PLAIN : SCALAR_QUOTED;
    if (memchr(event->data.scalar.value, '\0', event->data.scalar.length))
        return fail(b, value, "holds a NUL byte");
    if (scalar_resolve(value->text, style, tag, &value->scalar) < 0)
        return fail(b, value, "the value does not agree with its tag");
    return scalar_tag_is_binary(tag) ? decode_binary(b, value) : 0;
}

static int add_scalar(struct yaml_builder *b, const yaml_event_t *event)
{
    struct yaml_value *value = new_value(b, YAML_KIND_SCALAR, event);
    size_t length = event->data.scalar.length, anchor = 0;
    value->text = arena_strndup(&b->tree->arena, (const char *)event->data.scalar.value, length);
    value->bytes = (uint32_t)length;
    int r = spend(b, value, 1, length);
    if (r == 0)
        r = resolve_scalar(b, event, value);
    if (r == 0)
        r = add_anchor(b, event->data.scalar.anchor, value, &anchor);
    if (r < 0)
        return r;
    if (anchor > 0)
        b->anchors.items[anchor - 1].value = value;
    bool merge = event->data.scalar.plain_implicit && str_equal(value->text, "<<");
    return place_value(
        b, value,
        merge || str_equal((const char *)event->data.scalar.tag, "tag:yaml.org,2002:merge"));
}

static int open_collection(struct yaml_builder *b, const yaml_event_t *event, enum yaml_kind kind,
                           const yaml_char_t *name)
{
    struct yaml_value *value = new_value(b, kind, event);
    int r = spend(b, value, 1, 0);
    if (r < 0)
        return r;
    if (b->depth >= YAML_DEPTH_MAX)
        return fail(b, value, "is nested too deeply: more than 100 levels");
    const struct frame *parent = b->depth > 0 ? &b->frames[b->depth - 1] : NULL;
    if (parent && parent->value->kind == YAML_KIND_MAPPING && !parent->has_key)
        return fail(b, value, "a key must be a string, not a list or a mapping");
    size_t anchor = 0;
    r = add_anchor(b, name, value, &anchor);
    if (r < 0)
        return r;
    b->frames[b->depth++] = (struct frame){.value = value, .first = b->n_pending, .anchor = anchor};
    return 0;
}

static void count_child(struct yaml_value *value, const struct yaml_pair *pair)
{
    value->nodes += pair->value->nodes + (pair->key ? 1 : 0);
    value->bytes += pair->value->bytes + (pair->key ? (uint32_t)strlen(pair->key) : 0);
    value->height = MAX(value->height, pair->value->height);
}

static void close_sequence(struct yaml_builder *b, struct yaml_value *value,
                           const struct yaml_pair *pairs, size_t n)
{
    const struct yaml_value **items = arena_alloc(&b->tree->arena, n * sizeof(void *));
    for (size_t i = 0; i < n; i++) {
        items[i] = pairs[i].value;
        count_child(value, &pairs[i]);
    }
    value->items = items;
    value->n_items = n;
}

// What a pair is while the keys of a mapping are compared.
struct entry {
    struct yaml_pair pair;
    size_t order;
    bool merged; // came by a merge key
};
typedef LIST_OF(struct entry) entry_list;

static void add_entry(entry_list *list, const struct yaml_pair *pair, bool merged)
{
    size_t order = list->n;
    *LIST_APPEND(list) = (struct entry){.pair = *pair, .order = order, .merged = merged};
}

static int merge_mapping(struct yaml_builder *b, const struct yaml_value *from, entry_list *to)
{
    if (from->kind != YAML_KIND_MAPPING)
        return fail(b, from, "a merge key takes a mapping, or a list of mappings");
    int r = spend(b, from, from->nodes, from->bytes);
    for (size_t i = 0; r == 0 && i < from->n_pairs; i++)
        add_entry(to, &from->pairs[i], true);
    return r;
}

static int merge_value(struct yaml_builder *b, const struct yaml_value *from, entry_list *to)
{
    if (from->kind != YAML_KIND_SEQUENCE)
        return merge_mapping(b, from, to);
    int r = 0;
    for (size_t i = from->n_items; r == 0 && i-- > 0;) // the first of a list counts most
        r = merge_mapping(b, from->items[i], to);
    return r;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int r = strcmp(x->pair.key, y->pair.key);
    return r ? r : (x->order > y->order) - (x->order < y->order);
}

static int compare_order(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

static void report_duplicate(struct yaml_builder *b, const struct yaml_pair *pair,
                             unsigned first_line)
{
    struct frame *frame = &b->frames[b->depth - 1];
    frame->has_key = true; // so that the path names it
    frame->merge = false;
    frame->key = pair->key;
    _cleanup_free_ char *message =
        xasprintf("duplicate key, it stands in line %u already", first_line);
    report(b, pair->line, pair->column, message);
    frame->has_key = false;
}

// Of entries with one key the last stays; two that were both written here are an error.
static void drop_duplicates(struct yaml_builder *b, entry_list *list)
{
    qsort(list->items, list->n, sizeof(list->items[0]), compare_entries);
    size_t kept = 0;
    unsigned first_line = 0; // where the present key was written first; 0: not yet
    for (size_t i = 0; i < list->n; i++) {
        const struct entry *entry = &list->items[i];
        bool same = kept > 0 && strcmp(list->items[kept - 1].pair.key, entry->pair.key) == 0;
        if (!same)
            first_line = 0;
        if (!entry->merged && first_line > 0)
            report_duplicate(b, &entry->pair, first_line);
        if (!entry->merged && first_line == 0)
            first_line = entry->pair.line;
        list->items[same ? kept - 1 : kept++] = *entry;
    }
    list->n = kept;
    qsort(list->items, list->n, sizeof(list->items[0]), compare_order);
}

// A mapping without a merge key, small, and without a key twice: all that most files have.
static bool is_plain_mapping(const struct yaml_pair *pairs, size_t n)
{
    enum { SMALL = 16 };
    if (n > SMALL)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!pairs[i].key)
            return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(pairs[i].key, pairs[j].key) == 0)
                return false;
    }
    return true;
}

static void set_pairs(struct yaml_builder *b, struct yaml_value *value,
                      const struct yaml_pair *pairs, size_t n)
{
    struct yaml_pair *copy = arena_alloc(&b->tree->arena, n * sizeof(copy[0]));
    for (size_t i = 0; i < n; i++) {
        copy[i] = pairs[i];
        count_child(value, &copy[i]);
    }
    value->pairs = copy;
    value->n_pairs = n;
}

static int close_mapping(struct yaml_builder *b, struct yaml_value *value,
                         const struct yaml_pair *pairs, size_t n)
{
    if (is_plain_mapping(pairs, n)) {
        set_pairs(b, value, pairs, n);
        return 0;
    }
    entry_list list = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (pairs[i].key)
            add_entry(&list, &pairs[i], false);
        else
            r = merge_value(b, pairs[i].value, &list);
    }
    if (r == 0 && list.n > 1)
        drop_duplicates(b, &list);
    struct yaml_pair *final = xcalloc(list.n + 1, sizeof(final[0]));
    for (size_t i = 0; i < list.n; i++)
        final[i] = list.items[i].pair;
    set_pairs(b, value, final, list.n);
    free(final);
    free(list.items);
    return r;
}

static int close_collection(struct yaml_builder *b)
{
    const struct frame *frame = &b->frames[b->depth - 1];
    struct yaml_value *value = frame->value;
    const struct yaml_pair *pairs = b->pending + frame->first;
    size_t n = b->n_pending - frame->first, anchor = frame->anchor;
    int r = 0;
    if (value->kind == YAML_KIND_SEQUENCE)
        close_sequence(b, value, pairs, n);
    else
        r = close_mapping(b, value, pairs, n);
    if (r < 0)
        return r;
    value->height++;
    b->n_pending = frame->first;
    b->depth--;
    if (anchor > 0)
        b->anchors.items[anchor - 1].value = value;
    return place_value(b, value, false);
}

int yaml_builder_add(struct yaml_builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        b->anchors.n = 0;
        return 0;
    case YAML_ALIAS_EVENT:
        return add_alias(b, event);
    case YAML_SCALAR_EVENT:
        return add_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_collection(b, event, YAML_KIND_SEQUENCE, event->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return open_collection(b, event, YAML_KIND_MAPPING, event->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_collection(b);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return 0;
}
