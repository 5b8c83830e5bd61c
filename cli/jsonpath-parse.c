// See jsonpath.h: from a template to its tree.
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/jsonpath-internal.h"

struct parser {
    const char *text; // the whole template, for messages
    const char *at;
    unsigned depth;
    struct error *err;
};

static int parse_steps(struct parser *p, struct steps *steps);

static int fail(const struct parser *p, const char *what)
{
    return error_set(p->err, EINVAL, "JSONPath \"%s\": %s at \"%s\"", p->text, what,
                     *p->at ? p->at : "the end");
}

static void skip_space(struct parser *p)
{
    while (isspace((unsigned char)*p->at))
        p->at++;
}

static bool accept(struct parser *p, const char *token)
{
    if (!str_starts_with(p->at, token))
        return false;
    p->at += strlen(token);
    return true;
}

// "\n" and the like in a quoted text; any other character after a backslash stands for itself.
static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    default:
        return c;
    }
}

// A text in single or double quotes; `p->at` is at the quote. `raw` keeps backslashes.
static int parse_quoted(struct parser *p, bool raw, char **ret)
{
    _cleanup_buffer_ struct buffer b = BUFFER_EMPTY;
    char quote = *p->at++;
    for (; *p->at != quote; p->at++) {
        if (*p->at == '\0')
            return fail(p, "a quote is not closed");
        if (*p->at == '\\' && p->at[1] && !raw)
            buffer_add_char(&b, unescape(*++p->at));
        else
            buffer_add_char(&b, *p->at);
    }
    p->at++;
    *ret = buffer_take(&b);
    return 0;
}

static bool ends_name(char c)
{
    return c == '\0' || isspace((unsigned char)c) || strchr(".[]{}()=!<>,'\"", c);
}

static int parse_field(struct parser *p, struct steps *steps)
{
    _cleanup_buffer_ struct buffer b = BUFFER_EMPTY;
    for (; !ends_name(*p->at); p->at++) {
        if (*p->at == '\\' && p->at[1])
            p->at++;
        buffer_add_char(&b, *p->at);
    }
    if (b.len == 0)
        return fail(p, "a name is missing");
    struct step *step = LIST_APPEND(steps);
    step->kind = str_equal(b.data, "*") ? STEP_WILDCARD : STEP_FIELD;
    step->name = buffer_take(&b);
    return 0;
}

static bool parse_number(struct parser *p, long long *ret)
{
    char *end;
    errno = 0;
    long long number = strtoll(p->at, &end, 10);
    if (end == p->at || isspace((unsigned char)*p->at) || errno != 0)
        return false;
    p->at = end;
    *ret = number;
    return true;
}

// "3", "1:3", ":2", "-1:", "::2"
static int parse_slice(struct parser *p, struct steps *steps)
{
    struct step *step = LIST_APPEND(steps);
    step->kind = STEP_SLICE;
    step->by = 1;
    step->has_from = parse_number(p, &step->from);
    if (!accept(p, ":")) {
        step->kind = STEP_INDEX;
        return step->has_from ? 0 : fail(p, "a number, a quoted name, * or ?( is missing");
    }
    step->has_to = parse_number(p, &step->to);
    if (accept(p, ":") && (!parse_number(p, &step->by) || step->by < 1))
        return fail(p, "the step of a slice must be a number above 0");
    return 0;
}

// 'metadata.name' inside brackets is a path of its own, in which "\." is a dot of a name.
static int parse_quoted_path(struct parser *p, struct steps *steps)
{
    char *name;
    int r = parse_quoted(p, true, &name);
    if (r < 0)
        return r;
    _cleanup_free_ char *path = xasprintf("%s%s", *name == '.' ? "" : ".", name);
    free(name);
    struct parser inner = {.text = p->text, .at = path, .depth = p->depth, .err = p->err};
    r = parse_steps(&inner, steps);
    if (r == 0 && *inner.at)
        return fail(&inner, "unexpected text");
    return r;
}

static int parse_operand(struct parser *p, struct operand *operand)
{
    skip_space(p);
    if (*p->at == '"' || *p->at == '\'') {
        char *text;
        int r = parse_quoted(p, false, &text);
        if (r < 0)
            return r;
        operand->literal = json_string(text);
        free(text);
        return operand->literal ? 0 : fail(p, "text that is not UTF-8");
    }
    if (*p->at == '@' || *p->at == '$' || *p->at == '.')
        return parse_steps(p, &operand->steps);
    size_t len = strcspn(p->at, " \t=!<>)");
    operand->literal = json_loadb(p->at, len, JSON_DECODE_ANY, NULL);
    if (!operand->literal)
        return fail(p, "@.path, a quoted text, a number, true or false is missing");
    p->at += len;
    return 0;
}

static enum filter_op parse_operator(struct parser *p)
{
    static const struct {
        const char *token;
        enum filter_op op;
    } operators[] = {
        {"==", FILTER_EQ}, {"!=", FILTER_NE}, {"<=", FILTER_LE},
        {">=", FILTER_GE}, {"<", FILTER_LT},  {">", FILTER_GT},
    };
    skip_space(p);
    for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
        if (accept(p, operators[i].token))
            return operators[i].op;
    return FILTER_EXISTS;
}

// What follows "?("
static int parse_filter(struct parser *p, struct steps *steps)
{
    struct step *step = LIST_APPEND(steps);
    step->kind = STEP_FILTER;
    int r = parse_operand(p, &step->left);
    if (r < 0)
        return r;
    step->op = parse_operator(p);
    if (step->op != FILTER_EXISTS)
        r = parse_operand(p, &step->right);
    if (r < 0)
        return r;
    skip_space(p);
    return accept(p, ")") ? 0 : fail(p, "\")\" or a comparison is missing");
}

static int parse_alternative(struct parser *p, struct steps *steps)
{
    skip_space(p);
    if (*p->at == '\'' || *p->at == '"')
        return parse_quoted_path(p, steps);
    if (accept(p, "?("))
        return parse_filter(p, steps);
    if (accept(p, "*")) {
        LIST_APPEND(steps)->kind = STEP_WILDCARD;
        return 0;
    }
    return parse_slice(p, steps);
}

// What follows "["
static int parse_brackets(struct parser *p, struct steps *steps)
{
    // Filled on the side, because the list may move while what hangs on it is parsed.
    struct step step = {.kind = STEP_UNION};
    int r;
    do {
        struct steps *alternative = LIST_APPEND(&step.alternatives);
        r = parse_alternative(p, alternative);
        skip_space(p);
    } while (r == 0 && accept(p, ","));
    *LIST_APPEND(steps) = step;
    if (r < 0)
        return r;
    return accept(p, "]") ? 0 : fail(p, "\"]\" is missing");
}

static int parse_steps(struct parser *p, struct steps *steps)
{
    int r = 0;
    if (++p->depth > JSONPATH_DEPTH_MAX)
        return fail(p, "nested too deeply");
    if (accept(p, "$"))
        LIST_APPEND(steps)->kind = STEP_ROOT;
    else if (accept(p, "@"))
        LIST_APPEND(steps)->kind = STEP_CURRENT;
    while (r == 0) {
        if (accept(p, "["))
            r = parse_brackets(p, steps);
        else if (accept(p, "..")) {
            LIST_APPEND(steps)->kind = STEP_RECURSE;
            r = ends_name(*p->at) ? 0 : parse_field(p, steps);
        } else if (accept(p, "."))
            r = ends_name(*p->at) && steps->n == 0 ? 0 : parse_field(p, steps);
        else
            break;
    }
    p->depth--;
    return r;
}

static int parse_parts(struct parser *p, struct parts *parts, bool in_range);

// {range PATH} … {end}
static int parse_range(struct parser *p, struct parts *parts)
{
    struct part part = {.kind = PART_RANGE};
    skip_space(p);
    int r = parse_steps(p, &part.steps);
    skip_space(p);
    if (r == 0 && !accept(p, "}"))
        r = fail(p, "\"}\" is missing");
    if (r == 0)
        r = parse_parts(p, &part.body, true);
    *LIST_APPEND(parts) = part;
    return r;
}

// What may follow "{" besides range and end: paths and quoted texts, one after the other.
static int parse_action(struct parser *p, struct parts *parts)
{
    for (;;) {
        skip_space(p);
        if (accept(p, "}"))
            return 0;
        struct part *part = LIST_APPEND(parts);
        int r;
        if (*p->at == '"' || *p->at == '\'') {
            r = parse_quoted(p, false, &part->text);
        } else {
            const char *before = p->at;
            part->kind = PART_PATH;
            r = parse_steps(p, &part->steps);
            if (r == 0 && p->at == before)
                r = fail(p, "a path is missing (they begin with a dot)");
        }
        if (r < 0)
            return r;
    }
}

static bool accept_word(struct parser *p, const char *word)
{
    skip_space(p);
    size_t len = strlen(word);
    if (!str_starts_with(p->at, word) || !strchr(" \t\n}", p->at[len]))
        return false;
    p->at += len;
    return true;
}

static void add_text(struct parser *p, struct parts *parts)
{
    size_t len = strcspn(p->at, "{");
    if (len > 0)
        LIST_APPEND(parts)->text = xstrndup(p->at, len);
    p->at += len;
}

static int parse_parts(struct parser *p, struct parts *parts, bool in_range)
{
    if (++p->depth > JSONPATH_DEPTH_MAX)
        return fail(p, "nested too deeply");
    for (;;) {
        int r;
        add_text(p, parts);
        if (!accept(p, "{"))
            break;
        if (accept_word(p, "end")) {
            skip_space(p);
            p->depth--;
            if (!in_range)
                return fail(p, "{end} without {range}");
            return accept(p, "}") ? 0 : fail(p, "\"}\" is missing");
        }
        r = accept_word(p, "range") ? parse_range(p, parts) : parse_action(p, parts);
        if (r < 0)
            return r;
    }
    p->depth--;
    return in_range ? fail(p, "{range} without {end}") : 0;
}

int jsonpath_parse(const char *template_, struct jsonpath **ret, struct error *err)
{
    struct jsonpath *path = xcalloc(1, sizeof(*path));
    struct parser p = {.text = template_, .at = template_, .err = err};
    int r = parse_parts(&p, &path->parts, false);
    if (r < 0) {
        jsonpath_free(path);
        return r;
    }
    *ret = path;
    return 0;
}

int jsonpath_parse_relaxed(const char *template_, struct jsonpath **ret, struct error *err)
{
    if (strchr(template_, '{'))
        return jsonpath_parse(template_, ret, err);
    bool has_start =
        *template_ == '.' || *template_ == '[' || *template_ == '$' || *template_ == '@';
    _cleanup_free_ char *wrapped = xasprintf("{%s%s}", has_start ? "" : ".", template_);
    return jsonpath_parse(wrapped, ret, err);
}

static void steps_free(struct steps *steps);

static void operand_free(struct operand *operand)
{
    json_decref(operand->literal);
    steps_free(&operand->steps);
}

// As deep as the parser let it become (JSONPATH_DEPTH_MAX).
static void steps_free(struct steps *steps)
{
    for (size_t i = 0; i < steps->n; i++) {
        struct step *step = &steps->items[i];
        free(step->name);
        for (size_t j = 0; j < step->alternatives.n; j++)
            steps_free(&step->alternatives.items[j]);
        free(step->alternatives.items);
        operand_free(&step->left);
        operand_free(&step->right);
    }
    free(steps->items);
}

static void parts_free(struct parts *parts)
{
    for (size_t i = 0; i < parts->n; i++) {
        free(parts->items[i].text);
        steps_free(&parts->items[i].steps);
        parts_free(&parts->items[i].body);
    }
    free(parts->items);
}

void jsonpath_free(struct jsonpath *path)
{
    if (!path)
        return;
    parts_free(&path->parts);
    free(path);
}
