// See term.h.
#include "cli/term.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/string-list.h"

bool term_is_live(FILE *stream)
{
    return isatty(fileno(stream)) && !str_equal(getenv("TERM"), "dumb");
}

bool term_has_color(FILE *stream)
{
    // https://no-color.org: any value that is not empty switches colour off.
    return str_empty(getenv("NO_COLOR")) && term_is_live(stream);
}

const char *term_begin(enum term_style style, bool color)
{
    static const char *const codes[] = {
        [TERM_PLAIN] = "",        [TERM_BOLD] = "\033[1m",   [TERM_DIM] = "\033[2m",
        [TERM_RED] = "\033[31m",  [TERM_GREEN] = "\033[32m", [TERM_YELLOW] = "\033[33m",
        [TERM_CYAN] = "\033[36m",
    };
    return color ? codes[style] : "";
}

const char *term_end(enum term_style style, bool color)
{
    return color && style != TERM_PLAIN ? "\033[0m" : "";
}

void term_size(int fd, int *ret_rows, int *ret_columns)
{
    struct winsize size = {0};
    bool known = ioctl(fd, TIOCGWINSZ, &size) == 0;
    *ret_rows = known && size.ws_row ? size.ws_row : 24;
    *ret_columns = known && size.ws_col ? size.ws_col : 80;
}

char *term_safe(const char *text)
{
    struct buffer b = BUFFER_EMPTY;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        // U+0080…U+009F are control characters too: C2 80 … C2 9F in UTF-8.
        if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
            buffer_printf(&b, "\\x%02x", *++c);
        else if ((*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f)
            buffer_printf(&b, "\\x%02x", *c);
        else
            buffer_add_char(&b, (char)*c);
    }
    return buffer_take(&b);
}

size_t term_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}
