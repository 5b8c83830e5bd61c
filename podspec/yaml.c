// The files' side of the YAML reader: what is refused before libyaml sees it, libyaml's own errors
// in words that help, and the look-ups in a finished tree. See yaml.h; the tree itself is made in
// yaml-build.c.
#include "podspec/yaml.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "podspec/podspec.h"
#include "podspec/yaml-build.h"

struct input {
    const char *file;
    const char *data;
    size_t size;
    struct diag_list *diags;
};

// Line and column (in characters, as libyaml counts) of a byte.
static struct diag_place place_of_offset(const struct input *in, size_t offset)
{
    struct diag_place place = {.file = in->file, .line = 1, .column = 1};
    for (size_t i = 0; i < offset && i < in->size; i++) {
        bool breaks = in->data[i] == '\n' ||
                      (in->data[i] == '\r' && (i + 1 == in->size || in->data[i + 1] != '\n'));
        if (breaks) {
            place.line++;
            place.column = 1;
        } else if (((unsigned char)in->data[i] & 0xc0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

// libyaml's cost per %TAG line grows with their number.
static bool has_too_many_directives(const struct input *in)
{
    size_t n = 0;
    const char *end = in->data + in->size;
    for (const char *line = in->data; line && line < end;) {
        if (*line == '%' && ++n > YAML_DIRECTIVES_MAX)
            return true;
        line = memchr(line, '\n', (size_t)(end - line));
        if (line)
            line++;
    }
    return false;
}

// The code unit of a "\uXXXX" at p, or 0.
static uint32_t read_escape(const char *p, const char *end)
{
    uint32_t unit = 0;
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return 0;
    for (int i = 2; i < 6; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *digit = p[i] ? strchr(digits, p[i] | ('A' ^ 'a')) : NULL;
        if (!digit)
            return 0;
        unit = unit << 4 | (uint32_t)(digit - digits);
    }
    return unit;
}

// A character beyond U+FFFF in UTF-8.
static void add_character(struct buffer *out, uint32_t c)
{
    char bytes[] = {(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3f)),
                    (char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f))};
    buffer_add(out, bytes, sizeof(bytes));
}

// Copies the two escapes that make one character, or half such a pair (for which Go, too, has
// U+FFFD). Returns how much was read, 0 where there is none.
static size_t join_pair(const char *p, const char *end, struct buffer *out)
{
    uint32_t high = read_escape(p, end);
    uint32_t low = high >> 10 == 0xd800 >> 10 ? read_escape(p + 6, end) : 0;
    if (low >> 10 == 0xdc00 >> 10) {
        add_character(out, 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff)));
        return 12;
    }
    if (high >> 11 != 0xd800 >> 11)
        return 0;
    buffer_add_str(out, "\xef\xbf\xbd");
    return 6;
}

// JSON writes characters beyond U+FFFF as two escapes, which libyaml does not know. Each pair
// becomes the character; what stands behind it on its line is found in another column then. False
// where there is none, or the text is not JSON.
static bool join_surrogates(const struct input *in, struct buffer *out)
{
    const char *p = in->data, *end = p + in->size;
    bool quoted = false, found = false;
    while (p < end && strchr(" \t\r\n", *p))
        p++;
    if (p == end || *p != '{' || !memmem(p, (size_t)(end - p), "\\u", 2))
        return false;
    for (p = in->data; p < end;) {
        size_t length = quoted ? join_pair(p, end, out) : 0;
        if (length > 0) {
            found = true;
        } else {
            length = quoted && *p == '\\' && p + 1 < end ? 2 : 1;
            quoted ^= *p == '"';
            buffer_add(out, p, length);
        }
        p += length;
    }
    return found;
}

static int check_input(const struct input *in)
{
    struct diag_place place = {.file = in->file};
    if (in->size > PODSPEC_SIZE_MAX) {
        diag_add(in->diags, DIAG_ERROR, place, "is larger than %d MiB", PODSPEC_SIZE_MAX >> 20);
        return -EINVAL;
    }
    size_t offset = 0;
    if (!str_is_utf8(in->data, in->size, &offset)) {
        diag_add(in->diags, DIAG_ERROR, place_of_offset(in, offset), "%s",
                 in->data[offset] == '\0' ? "a NUL byte: this is no text file"
                                          : "is not valid UTF-8 text");
        return -EINVAL;
    }
    if (has_too_many_directives(in)) {
        diag_add(in->diags, DIAG_ERROR, place, "has more than %d directives", YAML_DIRECTIVES_MAX);
        return -EINVAL;
    }
    return 0;
}

// The text of a line (from 0) without its break; NULL where there is no such line.
static const char *find_line(const struct input *in, size_t line, size_t *ret_length)
{
    const char *p = in->data, *end = in->data + in->size;
    for (; line > 0 && p < end; line--) {
        while (p < end && *p != '\n' && *p != '\r')
            p++;
        if (p < end)
            p += *p == '\r' && p + 1 < end && p[1] == '\n' ? 2 : 1;
    }
    if (p >= end)
        return NULL;
    const char *stop = p;
    while (stop < end && *stop != '\n' && *stop != '\r')
        stop++;
    *ret_length = (size_t)(stop - p);
    return p;
}

static bool is_indented_by_tab(const char *line, size_t length)
{
    size_t i = 0;
    while (i < length && line[i] == ' ')
        i++;
    return i < length && line[i] == '\t';
}

// The line, without its indentation, cut where it is long (never within a character).
static void quote_line(const char *line, size_t length, struct buffer *out)
{
    while (length > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        length--;
    }
    size_t shown = MIN(length, (size_t)YAML_SYNTAX_QUOTE_MAX);
    while (shown < length && shown > 0 && ((unsigned char)line[shown] & 0xc0) == 0x80)
        shown--;
    for (size_t i = 0; i < shown; i++)
        buffer_add(out, (unsigned char)line[i] < ' ' || line[i] == 0x7f ? "?" : &line[i], 1);
    if (shown < length)
        buffer_add_str(out, "…");
}

static void report_reader_error(const struct input *in, const yaml_parser_t *parser)
{
    struct diag_place place = place_of_offset(in, parser->problem_offset);
    if (parser->problem_value >= 0)
        diag_add(in->diags, DIAG_ERROR, place, "%s (#x%X)", parser->problem, parser->problem_value);
    else
        diag_add(in->diags, DIAG_ERROR, place, "%s", parser->problem);
}

static void report_syntax_error(const struct input *in, const yaml_parser_t *parser, char *path)
{
    struct diag_place place = {.file = in->file,
                               .line = (unsigned)parser->problem_mark.line + 1,
                               .column = (unsigned)parser->problem_mark.column + 1,
                               .path = path};
    size_t length = 0;
    const char *line = find_line(in, parser->problem_mark.line, &length);
    if (line && is_indented_by_tab(line, length)) {
        diag_add(in->diags, DIAG_ERROR, place,
                 "the line is indented with a tab; YAML takes only spaces for indentation");
        return;
    }
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    buffer_add_str(&text, parser->problem ? parser->problem : "is not YAML");
    if (parser->context)
        buffer_printf(&text, ", %s that starts in line %zu", parser->context,
                      parser->context_mark.line + 1);
    if (line && length > 0) {
        buffer_add_str(&text, ", near \"");
        quote_line(line, length, &text);
        buffer_add_char(&text, '"');
    }
    if (!line || strstr(buffer_str(&text), "end of stream"))
        buffer_add_str(&text, "; is the file cut off?");
    diag_add(in->diags, DIAG_ERROR, place, "%s", buffer_str(&text));
}

static int read_events(const struct input *in, yaml_parser_t *parser, struct yaml_builder *builder)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            _cleanup_free_ char *path = yaml_builder_path(builder);
            if (parser->error == YAML_READER_ERROR)
                report_reader_error(in, parser);
            else
                report_syntax_error(in, parser, path);
            return -EINVAL;
        }
        bool done = event.type == YAML_STREAM_END_EVENT;
        int r = yaml_builder_add(builder, &event);
        yaml_event_delete(&event);
        if (r < 0 || done)
            return r;
    }
}

static int read_file(const struct input *in, struct yaml_tree *tree)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        abort(); // out of memory, as in base/alloc.h
    _cleanup_(cleanup_yaml_builder_free) struct yaml_builder *builder =
        yaml_builder_new(in->file, tree, in->diags);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)in->data, in->size);
    int r = read_events(in, &parser, builder);
    yaml_parser_delete(&parser);
    return r;
}

int yaml_tree_parse(const char *file, const void *data, size_t size, struct yaml_tree **ret,
                    struct diag_list *diags)
{
    struct input in = {.file = file, .data = data ? data : "", .size = size, .diags = diags};
    size_t errors_before = diags->errors;
    int r = check_input(&in);
    if (r < 0)
        return r;
    if (size >= 3 && memcmp(in.data, "\xef\xbb\xbf", 3) == 0) { // a byte order mark is no column
        in.data += 3;
        in.size -= 3;
    }
    _cleanup_buffer_ struct buffer joined = BUFFER_EMPTY;
    if (join_surrogates(&in, &joined)) {
        in.data = buffer_str(&joined);
        in.size = joined.len;
    }
    _cleanup_yaml_tree_ struct yaml_tree *tree = xcalloc(1, sizeof(*tree));
    r = read_file(&in, tree);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(tree);
    return diags->errors > errors_before ? -EINVAL : 0;
}

void yaml_tree_free(struct yaml_tree *tree)
{
    if (!tree)
        return;
    free(tree->documents.items);
    arena_free(&tree->arena);
    free(tree);
}

size_t yaml_tree_documents(const struct yaml_tree *tree)
{
    return tree->documents.n;
}

const struct yaml_value *yaml_tree_document(const struct yaml_tree *tree, size_t index)
{
    return tree->documents.items[index].root;
}

const struct yaml_value *yaml_lookup(const struct yaml_value *value, const char *key)
{
    if (!value || value->kind != YAML_KIND_MAPPING)
        return NULL;
    for (size_t i = 0; i < value->n_pairs; i++)
        if (strcmp(value->pairs[i].key, key) == 0)
            return value->pairs[i].value;
    return NULL;
}

bool yaml_is_null(const struct yaml_value *value)
{
    return !value || (value->kind == YAML_KIND_SCALAR && value->scalar.kind == SCALAR_NULL);
}

const char *yaml_kind_name(const struct yaml_value *value)
{
    if (yaml_is_null(value))
        return "null";
    if (value->kind != YAML_KIND_SCALAR)
        return value->kind == YAML_KIND_SEQUENCE ? "a list" : "a mapping";
    switch (value->scalar.kind) {
    case SCALAR_BOOL:
        return "a boolean";
    case SCALAR_INT:
    case SCALAR_UINT:
    case SCALAR_FLOAT:
        return "a number";
    case SCALAR_NULL:
    case SCALAR_STRING:
        break;
    }
    return "a string";
}
