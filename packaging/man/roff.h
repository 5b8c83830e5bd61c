// Roff for man(7): text that is safe in it, and the few shapes that the generated parts of the
// manual pages have. What stands in `backticks` and flags among words come out bold.
#pragma once

#include <stddef.h>

#include "base/buffer.h"

// Text as it is: every character comes out as typed, also where it is copied from a terminal.
void roff_text(struct buffer *out, const char *text, size_t len);
// The same in bold: \fB…\fR.
void roff_bold(struct buffer *out, const char *text);
void roff_italic(struct buffer *out, const char *text);

// Words of prose within a line.
void roff_words(struct buffer *out, const char *text);
// The same with a full stop, and as a sentence: with a capital as well, where it begins with a
// word.
void roff_clause(struct buffer *out, const char *text);
void roff_sentence(struct buffer *out, const char *text);
// Paragraphs: a blank line parts two of them; one with columns or an indented beginning stays in
// its shape.
void roff_prose(struct buffer *out, const char *text);
// "NAME [-c CONTAINER] -- COMMAND": what is typed is bold, what stands for something is italic.
void roff_usage(struct buffer *out, const char *usage);
// Lines in a fixed shape, indented.
void roff_example(struct buffer *out, const char *text);

// ".TH", with the name in upper case.
void roff_title(struct buffer *out, const char *name, int section);
void roff_section(struct buffer *out, const char *heading);
// ".TP": what follows (up to the next newline) is the term, the lines after it its description.
void roff_item(struct buffer *out);
