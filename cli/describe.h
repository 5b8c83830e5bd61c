// Between the files of `mainstay describe`: lines of "Label:   value", as kubectl writes them.
#pragma once

#include <jansson.h>

#include "base/buffer.h"
#include "base/macro.h"

// "<indent>Label:       value\n"; a NULL or empty text is "<none>". What comes from elsewhere loses
// its control characters.
void describe_line(struct buffer *out, int indent, const char *label, const char *text);
void describe_linef(struct buffer *out, int indent, const char *label, const char *format, ...)
    _printf_(4, 5);
// The label alone, for lists below it.
void describe_heading(struct buffer *out, int indent, const char *label);

// "Labels:  a=b" and the following lines below it.
void describe_map(struct buffer *out, const char *label, const json_t *map);

// Everything about one container: its spec, its status, and what the agent adds.
void describe_container(struct buffer *out, const json_t *spec, const json_t *status,
                        const json_t *extension);
// The volumes of a pod.
void describe_volumes(struct buffer *out, const json_t *volumes);
