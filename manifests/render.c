// See render.h.
#include "manifests/render.h"

#include <errno.h>
#include <string.h>

#include "base/string-list.h"

// One line of a template, and what it is filled in with.
struct line {
    const char *name; // of the template
    unsigned number;
    const char *text;
    size_t len;
    const struct render_parameter *parameters;
    size_t n;
    bool plain; // no YAML
};

int render_quoted(const char *value, struct buffer *out)
{
    if (!str_is_utf8(value, strlen(value), NULL))
        return -EINVAL;
    for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
        if (*p == '"' || *p == '\\')
            buffer_printf(out, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7f)
            buffer_printf(out, "\\x%02x", *p);
        else
            buffer_add_char(out, (char)*p);
    }
    return 0;
}

static const struct render_parameter *find_parameter(const struct line *line, const char *name,
                                                     size_t len)
{
    for (size_t i = 0; i < line->n; i++) {
        const struct render_parameter *parameter = &line->parameters[i];
        if (strlen(parameter->name) == len && strncmp(parameter->name, name, len) == 0)
            return parameter;
    }
    return NULL;
}

// The parameter of the placeholder that starts at *at, which is moved behind its "}". NULL with
// *err set where there is none.
static const struct render_parameter *placeholder(const struct line *line, size_t *at,
                                                  struct error *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    const char *name = line->text + *at + 2;
    size_t len = strspn(name, allowed);
    if (len == 0 || *at + 2 + len >= line->len || name[len] != '}') {
        error_set(err, EINVAL, "%s line %u: \"${\" that is no ${NAME}", line->name, line->number);
        return NULL;
    }
    const struct render_parameter *parameter = find_parameter(line, name, len);
    if (!parameter)
        error_set(err, EINVAL, "%s line %u: there is no parameter ${%.*s}", line->name,
                  line->number, (int)len, name);
    *at += 2 + len + 1;
    return parameter;
}

static bool starts_placeholder(const struct line *line, size_t at)
{
    return at + 1 < line->len && line->text[at] == '$' && line->text[at + 1] == '{';
}

// True where the value is words that mean themselves in every file that is no YAML.
static bool is_words(const char *value)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "._:/[]-+@,= ";
    size_t len = strlen(value);
    return len > 0 && strspn(value, allowed) == len && value[0] != ' ' && value[len - 1] != ' ' &&
           !strstr(value, "  ");
}

static int add_words(const struct line *line, const char *name, const char *value,
                     struct buffer *out, struct error *err)
{
    if (!is_words(value))
        return error_set(
            err, EINVAL,
            "%s line %u: ${%s} cannot be \"%s\": only letters, digits and \"._:/[]-+@,=\" "
            "may stand there",
            line->name, line->number, name, value);
    buffer_add_str(out, value);
    return 0;
}

static int add_value(const struct line *line, const char *name, const char *value, bool quoted,
                     struct buffer *out, struct error *err)
{
    if (line->plain)
        return add_words(line, name, value, out, err);
    if (quoted && render_quoted(value, out) < 0)
        return error_set(err, EINVAL, "%s line %u: the value of ${%s} is no UTF-8", line->name,
                         line->number, name);
    if (quoted)
        return 0;
    if (!*value || strspn(value, "0123456789") != strlen(value))
        return error_set(err, EINVAL,
                         "%s line %u: ${%s} stands outside quotes, and \"%s\" is no whole number",
                         line->name, line->number, name, value);
    buffer_add_str(out, value);
    return 0;
}

// One copy of the line. `item` is what the list in it stands for this time.
static int add_line(const struct line *line, const char *item, struct buffer *out,
                    struct error *err)
{
    bool quoted = false;
    for (size_t at = 0; at < line->len;) {
        if (!starts_placeholder(line, at)) {
            if (line->text[at] == '"' && !line->plain)
                quoted = !quoted;
            buffer_add_char(out, line->text[at++]);
            continue;
        }
        const struct render_parameter *parameter = placeholder(line, &at, err);
        if (!parameter)
            return -EINVAL;
        if (parameter->block)
            return error_set(err, EINVAL, "%s line %u: ${%s} must stand alone in its line",
                             line->name, line->number, parameter->name);
        const char *value = parameter->list ? item : parameter->value;
        if (add_value(line, parameter->name, value ? value : "", quoted, out, err) < 0)
            return -EINVAL;
    }
    if (quoted)
        return error_set(err, EINVAL, "%s line %u: a quote is not closed", line->name,
                         line->number);
    buffer_add_char(out, '\n');
    return 0;
}

// The list that the line names, NULL for none.
static int find_list(const struct line *line, const struct string_list **ret, struct error *err)
{
    const struct string_list *found = NULL;
    for (size_t at = 0; at < line->len;) {
        if (!starts_placeholder(line, at)) {
            at++;
            continue;
        }
        const struct render_parameter *parameter = placeholder(line, &at, err);
        if (!parameter)
            return -EINVAL;
        if (parameter->list && found)
            return error_set(err, EINVAL, "%s line %u: two lists in one line", line->name,
                             line->number);
        if (parameter->list)
            found = parameter->list;
    }
    *ret = found;
    return 0;
}

// The block that the line is nothing but the name of; NULL for none.
static const char *find_block(const struct line *line)
{
    size_t at = strspn(line->text, " ");
    if (at >= line->len || !starts_placeholder(line, at))
        return NULL;
    const struct render_parameter *parameter = placeholder(line, &at, NULL);
    return parameter && at == line->len ? parameter->block : NULL;
}

static void add_block(const struct line *line, const char *block, struct buffer *out)
{
    while (*block) {
        size_t len = strcspn(block, "\n");
        buffer_add(out, line->text, strspn(line->text, " "));
        buffer_add(out, block, len);
        buffer_add_char(out, '\n');
        block += len + (block[len] == '\n');
    }
}

static int render_line(const struct line *line, struct buffer *out, struct error *err)
{
    const struct string_list *list = NULL;
    const char *block = find_block(line);
    if (block) {
        add_block(line, block, out);
        return 0;
    }
    int code = find_list(line, &list, err);
    if (code < 0 || !list)
        return code < 0 ? code : add_line(line, NULL, out, err);
    for (size_t i = 0; i < list->n && code == 0; i++)
        code = add_line(line, list->items[i], out, err);
    return code;
}

static int render_lines(struct line *line, struct buffer *out, struct error *err)
{
    const char *comment = line->plain ? "##" : "#";
    while (*line->text) {
        line->len = strcspn(line->text, "\n");
        line->number++;
        int code = str_starts_with(line->text, comment) ? 0 : render_line(line, out, err);
        if (code < 0)
            return code;
        line->text += line->len + (line->text[line->len] == '\n');
    }
    return 0;
}

int render_template(const char *name, const char *text, const struct render_parameter *parameters,
                    size_t n, struct buffer *out, struct error *err)
{
    struct line line = {.name = name, .text = text, .parameters = parameters, .n = n};
    return render_lines(&line, out, err);
}

int render_text_template(const char *name, const char *text,
                         const struct render_parameter *parameters, size_t n, struct buffer *out,
                         struct error *err)
{
    struct line line = {
        .name = name, .text = text, .parameters = parameters, .n = n, .plain = true};
    return render_lines(&line, out, err);
}
