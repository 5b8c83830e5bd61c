// See file-set.h.
#include "manifests/file-set.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void file_set_add(struct file_set *set, const char *path, mode_t mode, struct buffer *text)
{
    *LIST_APPEND(set) = (struct file_set_file){.path = xstrdup(path), .mode = mode, .text = *text};
    *text = (struct buffer)BUFFER_EMPTY;
}

void file_set_free(struct file_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        free(set->items[i].path);
        buffer_free(&set->items[i].text);
    }
    free(set->items);
    *set = (struct file_set){0};
}
