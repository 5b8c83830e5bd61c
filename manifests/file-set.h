// Files that are rendered together: what one node gets, before anything is written.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

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

// True where the set has a file of this path.
bool file_set_has(const struct file_set *set, const char *path);

enum file_set_outcome { FILE_SET_MADE, FILE_SET_KEPT, FILE_SET_CHANGED, FILE_SET_REMOVED };
typedef void (*file_set_said)(void *userdata, enum file_set_outcome outcome, const char *path);

// Writes the files below `dir`, each atomically and with its mode, missing directories with 0755.
// What is there with the same bytes and mode is left alone, anything else is replaced. `said` is
// called with the whole path of each. A symlink below `dir` is not followed. 0, or a negative
// errno.
int file_set_write(const struct file_set *set, const char *dir, file_set_said said, void *userdata,
                   struct error *err);
void file_set_free(struct file_set *set);
#define _cleanup_file_set_ _cleanup_(file_set_free)
