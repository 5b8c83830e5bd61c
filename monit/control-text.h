// monit's way to write words (monit(1), "GENERAL SYNTAX"): strings stand in double quotes and know
// no escapes; the words of a command are divided by blanks, and a word that holds blanks stands in
// single quotes.
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "base/string-list.h"

// Appends "text" in double quotes. -EINVAL where it cannot be written so.
int monit_text_string(const char *text, struct buffer *out, struct error *err);

// Appends a command in double quotes.
int monit_text_command(const struct string_list *argv, struct buffer *out, struct error *err);

// Appends a comment, broken into lines of at most 100 columns, each behind `indent` and "# ".
void monit_text_comment(const char *indent, const char *text, struct buffer *out);
