// What the terminal can do, and colours that appear only there (never with NO_COLOR or TERM=dumb).
#pragma once

#include <stdbool.h>
#include <stdio.h>

enum term_style {
    TERM_PLAIN,
    TERM_BOLD,
    TERM_DIM,
    TERM_RED,
    TERM_GREEN,
    TERM_YELLOW,
    TERM_CYAN,
};

// True where escape sequences for colour make sense on this stream.
bool term_has_color(FILE *stream);

// True where the stream is a terminal on which lines can be overwritten.
bool term_is_live(FILE *stream);

// The escape sequence that begins a style, and the one that ends it; "" where `color` is false.
const char *term_begin(enum term_style style, bool color);
const char *term_end(enum term_style style, bool color);

// Rows and columns of the terminal; 24×80 where nobody knows.
void term_size(int fd, int *ret_rows, int *ret_columns);

// Text from elsewhere (a container's message, a file's name) with control characters shown as
// "\x1b" and the like, so that nothing can drive the operator's terminal. The caller frees.
char *term_safe(const char *text);

// How many columns the UTF-8 text takes.
size_t term_width(const char *text);
