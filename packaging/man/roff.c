// See roff.h.
#include "packaging/man/roff.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"

static void add_character(struct buffer *out, char c)
{
    static const char *const escapes[128] = {
        ['\\'] = "\\e",  ['-'] = "\\-",   ['\''] = "\\(aq", ['`'] = "\\(ga",
        ['"'] = "\\(dq", ['^'] = "\\(ha", ['~'] = "\\(ti",
    };
    bool line_start = out->len == 0 || out->data[out->len - 1] == '\n';
    if (c == '.' && line_start)
        buffer_add_str(out, "\\&"); // it would be a request
    if ((unsigned char)c < ARRAY_SIZE(escapes) && escapes[(unsigned char)c])
        buffer_add_str(out, escapes[(unsigned char)c]);
    else
        buffer_add_char(out, c);
}

void roff_text(struct buffer *out, const char *text, size_t len)
{
    static const char ellipsis[] = "…";
    for (size_t i = 0; i < len; i++) {
        if (len - i >= strlen(ellipsis) && memcmp(text + i, ellipsis, strlen(ellipsis)) == 0) {
            buffer_add_str(out, "\\&...");
            i += strlen(ellipsis) - 1;
        } else {
            add_character(out, text[i]);
        }
    }
}

static void add_font(struct buffer *out, char font, const char *text, size_t len)
{
    buffer_printf(out, "\\f%c", font);
    roff_text(out, text, len);
    buffer_add_str(out, "\\fR");
}

void roff_bold(struct buffer *out, const char *text)
{
    add_font(out, 'B', text, strlen(text));
}

void roff_italic(struct buffer *out, const char *text)
{
    add_font(out, 'I', text, strlen(text));
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_';
}

// How long the flag is that begins here ("-f", "--wait"), or 0.
static size_t flag_length(const char *start, const char *p)
{
    size_t n = 0;
    if (*p != '-' || (p > start && (is_word(p[-1]) || p[-1] == '/')))
        return 0;
    while (is_word(p[n]))
        n++;
    return isalpha((unsigned char)p[strspn(p, "-")]) ? n : 0;
}

void roff_words(struct buffer *out, const char *text)
{
    static const char ellipsis[] = "…";
    for (const char *p = text; *p;) {
        const char *end = *p == '`' ? strchr(p + 1, '`') : NULL;
        size_t n = flag_length(text, p);
        if (end) {
            add_font(out, 'B', p + 1, (size_t)(end - p - 1));
            p = end + 1;
        } else if (n > 0) {
            add_font(out, 'B', p, n);
            p += n;
        } else {
            n = str_starts_with(p, ellipsis) ? strlen(ellipsis) : 1;
            roff_text(out, p, n);
            p += n;
        }
    }
}

void roff_clause(struct buffer *out, const char *text)
{
    roff_words(out, text);
    bool ended = str_ends_with(text, ".") || str_ends_with(text, "?") || str_ends_with(text, "…");
    buffer_add_str(out, ended ? "\n" : ".\n");
}

// "directory of" begins a sentence; "cAdvisor", "etcd's" and "memory.high" are names.
static bool begins_sentence(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    return n > 0 && (text[n] == ' ' || text[n] == ',');
}

void roff_sentence(struct buffer *out, const char *text)
{
    if (begins_sentence(text))
        buffer_add_char(out, (char)toupper((unsigned char)*text++));
    roff_clause(out, text);
}

// Whether a paragraph has lines of a shape of its own: indented, or with columns.
static bool is_shaped(const char *paragraph, size_t len)
{
    const char *columns = strstr(paragraph, "  ");
    return paragraph[0] == ' ' || (columns && columns < paragraph + len);
}

static void add_paragraph(struct buffer *out, const char *text, size_t len)
{
    bool shaped = is_shaped(text, len);
    _cleanup_free_ char *words = xstrndup(text, len);
    if (shaped)
        buffer_add_str(out, ".nf\n");
    for (char *rest = words, *line; (line = strsep(&rest, "\n"));) {
        roff_words(out, line);
        buffer_add_char(out, '\n');
    }
    if (shaped)
        buffer_add_str(out, ".fi\n");
}

void roff_prose(struct buffer *out, const char *text)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t n = end ? (size_t)(end - text) : strlen(text);
        add_paragraph(out, text, n);
        text += n + strspn(text + n, "\n");
        if (*text)
            buffer_add_str(out, ".PP\n");
    }
}

// A placeholder is written in capitals: NAME, FIELD, HOST.
static size_t placeholder_length(const char *p)
{
    size_t n = 0;
    while (isupper((unsigned char)p[n]) || p[n] == '_' || (n > 0 && p[n] == '-'))
        n++;
    return n >= 2 && !islower((unsigned char)p[n]) ? n : 0;
}

void roff_usage(struct buffer *out, const char *usage)
{
    for (const char *p = usage; *p;) {
        size_t placeholder = placeholder_length(p), n = strcspn(p, " []|=…");
        if (placeholder > 0) {
            add_font(out, 'I', p, placeholder);
            p += placeholder;
        } else if (n > 0) {
            for (size_t i = 1; i < n; i++) // "pod.spec.FIELD"
                if (placeholder_length(p + i))
                    n = i;
            add_font(out, 'B', p, n);
            p += n;
        } else {
            n = str_starts_with(p, "…") ? strlen("…") : 1;
            roff_text(out, p, n);
            if (*p == '|') // a line may end here
                buffer_add_str(out, "\\:");
            p += n;
        }
    }
}

void roff_example(struct buffer *out, const char *text)
{
    buffer_add_str(out, ".RS 4\n.nf\n");
    for (size_t n; *text; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        size_t blanks = MIN(strspn(text, " "), (size_t)2); // --help indents them
        roff_text(out, text + blanks, n - blanks);
        buffer_add_char(out, '\n');
    }
    buffer_add_str(out, ".fi\n.RE\n");
}

void roff_title(struct buffer *out, const char *name, int section)
{
    buffer_add_str(out, ".TH ");
    for (; *name; name++)
        add_character(out, (char)toupper((unsigned char)*name));
    // Without a date: two builds of one version are the same.
    buffer_printf(out, " %d \"\" \"Mainstay " MAINSTAY_VERSION "\" \"Mainstay\"\n.ad l\n.nh\n",
                  section);
}

void roff_section(struct buffer *out, const char *heading)
{
    buffer_printf(out, ".SH %s\n", heading);
}

void roff_item(struct buffer *out)
{
    buffer_add_str(out, ".TP\n");
}
