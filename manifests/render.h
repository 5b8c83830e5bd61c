// Filling in templates: text with ${NAME} in it, where what comes out is YAML whatever the values
// are. Four rules, and anything else is an error:
//
//   "…${NAME}…"   inside double quotes the value is escaped as YAML wants it there
//   ${NAME}       elsewhere it must be a whole number
//   a line that names a list is repeated for each of its items, and left out where it has none
//   a line that is nothing but the ${NAME} of a block is replaced by the block's lines, indented as
//   it is; a block is YAML already
//
// ${NAME} is upper case, digits and underscores. A name that is not among the parameters is an
// error. Lines that start with "#" are the template's own comments and are not copied.
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "base/string-list.h"

// One of value, list and block is set. All borrowed.
struct render_parameter {
    const char *name;
    const char *value;
    const struct string_list *list;
    const char *block;
};

// Appends the filled-in text to `out`. 0, or -EINVAL with the template's line in the message (`out`
// then has no use).
int render_template(const char *name, const char *text, const struct render_parameter *parameters,
                    size_t n, struct buffer *out, struct error *err);

// The same for files that are no YAML (haproxy.cfg, keepalived.conf, a shell script …), whose ways
// of quoting differ: there is no quoting, and a value must be words of letters, digits and
// "._:/[]-" with one space between them, which mean themselves in all of these. Lines that start
// with "##" are the template's own comments; "#" is copied.
int render_text_template(const char *name, const char *text,
                         const struct render_parameter *parameters, size_t n, struct buffer *out,
                         struct error *err);

// Appends `value` as it must stand between the double quotes of a YAML scalar. -EINVAL where it is
// no UTF-8.
int render_quoted(const char *value, struct buffer *out);
