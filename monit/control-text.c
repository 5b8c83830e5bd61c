// See control-text.h.
#include "monit/control-text.h"

#include <errno.h>
#include <string.h>

enum {
    COMMENT_WIDTH = 100,
    WORDS_MOST = 63,   // of a command, its program included
    STRING_MOST = 8192 // monit's scanner gives up at 16 KiB
};

static int refuse_length(size_t len, struct error *err)
{
    return len > STRING_MOST
               ? error_set(err, EINVAL, "monit takes no string of %zu characters", len)
               : 0;
}

// What no string of monit's can hold.
static int refuse_controls(const char *text, struct error *err)
{
    for (const char *c = text; *c; c++)
        if (*c == '"' || (unsigned char)*c < 0x20 || *c == 0x7f)
            return error_set(err, EINVAL, "monit's language has no way to write a %s, as in: %s",
                             *c == '"' ? "double quote" : "control character", text);
    return 0;
}

int monit_text_string(const char *text, struct buffer *out, struct error *err)
{
    int r = refuse_length(strlen(text), err);
    if (r == 0)
        r = refuse_controls(text, err);
    if (r == 0)
        buffer_printf(out, "\"%s\"", text);
    return r;
}

static int add_word(const char *word, struct buffer *out, struct error *err)
{
    int r = refuse_controls(word, err);
    if (r < 0)
        return r;
    bool plain = *word != '\0' && *word != '\'' && !strchr(word, ' ');
    if (!plain && (*word == '\0' || strchr(word, '\'')))
        return error_set(
            err, EINVAL, "monit's language has no way to write %s in a command, as in: '%s'",
            *word ? "a single quote beside a blank or in front" : "an empty word", word);
    buffer_printf(out, plain ? "%s" : "'%s'", word);
    return 0;
}

int monit_text_command(const struct string_list *argv, struct buffer *out, struct error *err)
{
    size_t start = out->len;
    if (argv->n > WORDS_MOST)
        return error_set(err, EINVAL,
                         "monit runs no command of %zu words, %d are the most: put the agent's "
                         "flags into its configuration file or into a script",
                         argv->n, WORDS_MOST);
    buffer_add_char(out, '"');
    for (size_t i = 0; i < argv->n; i++) {
        if (i > 0)
            buffer_add_char(out, ' ');
        int r = add_word(argv->items[i], out, err);
        if (r < 0)
            return r;
    }
    buffer_add_char(out, '"');
    return refuse_length(out->len - start, err);
}

void monit_text_comment(const char *indent, const char *text, struct buffer *out)
{
    size_t room = COMMENT_WIDTH - strlen(indent) - strlen("# ");
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (len > room) {
            len = room;
            while (len > 0 && text[len] != ' ')
                len--;
            if (len == 0)
                len = strcspn(text, " \n"); // one long word
        }
        buffer_printf(out, "%s#%s%.*s\n", indent, len > 0 ? " " : "", (int)len, text);
        text += len;
        text += *text == ' ' || *text == '\n';
    }
}
