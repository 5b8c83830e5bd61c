// Files that are rendered together: what one node gets, before anything is written.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/buffer.h"

// `path` is the node's own, without the slash it begins with: "etc/haproxy/haproxy.cfg".
struct file_set_file {
    char *path;
    mode_t mode;
    struct buffer text;
};

struct file_set {
    struct file_set_file *items;
    size_t n;
};

// Takes the text (and leaves the buffer empty).
void file_set_add(struct file_set *set, const char *path, mode_t mode, struct buffer *text);
void file_set_free(struct file_set *set);
#define _cleanup_file_set_ _cleanup_(file_set_free)
