// See files.h.
#include "supervisor/files.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "supervisor/json-text.h"

enum {
    NAMES_TOLD = 5,
    FILES_MOST = 4096, // that are believed from disk
};

void files_free(struct files *files)
{
    LIST_EACH (entry, &files->items)
        free(entry->name);
    free(files->items.items);
    *files = (struct files){0};
}

void files_copy(struct files *to, const struct files *from)
{
    to->device = from->device;
    to->inode = from->inode;
    LIST_EACH (entry, &from->items) {
        struct file_entry *copy = LIST_APPEND(&to->items);
        *copy = *entry;
        copy->name = xstrdup(entry->name);
    }
}

static size_t find_index(const struct files *files, const char *name)
{
    size_t low = 0, high = files->items.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(files->items.items[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct file_entry *files_find(const struct files *files, const char *name)
{
    size_t i = find_index(files, name);
    bool found = i < files->items.n && strcmp(files->items.items[i].name, name) == 0;
    return found ? &files->items.items[i] : NULL;
}

struct file_entry *files_add(struct files *files, const char *name, const char *digest)
{
    size_t i = find_index(files, name);
    bool found = i < files->items.n && strcmp(files->items.items[i].name, name) == 0;
    if (!found) {
        LIST_APPEND(&files->items);
        struct file_entry *entry = &files->items.items[i];
        memmove(entry + 1, entry, (files->items.n - 1 - i) * sizeof(*entry));
        *entry = (struct file_entry){.name = xstrdup(name)};
    }
    struct file_entry *entry = &files->items.items[i];
    snprintf(entry->digest, sizeof(entry->digest), "%s", digest);
    return entry;
}

void files_compare(const struct files *then, const struct files *now, struct buffer *names,
                   struct files_difference *ret)
{
    *ret = (struct files_difference){.root_replaced =
                                         then->device != now->device || then->inode != now->inode};
    LIST_EACH (entry, &now->items) {
        const struct file_entry *old = files_find(then, entry->name);
        if (old && strcmp(old->digest, entry->digest) == 0)
            continue;
        if (*entry->name && ret->changed < NAMES_TOLD)
            buffer_printf(names, "%s%s", ret->changed ? ", " : "", entry->name);
        ret->changed++;
    }
    if (ret->changed > NAMES_TOLD)
        buffer_printf(names, " and %zu more", ret->changed - NAMES_TOLD);
    LIST_EACH (entry, &then->items)
        ret->missing += !files_find(now, entry->name);
}

void files_apply(struct files *then, const struct files *now)
{
    then->device = now->device;
    then->inode = now->inode;
    LIST_EACH (entry, &now->items)
        files_add(then, entry->name, entry->digest);
}

json_t *files_to_json(const struct files *files)
{
    json_t *o = json_object(), *list = json_array();
    json_object_set_new(o, "device", json_integer((json_int_t)files->device));
    json_object_set_new(o, "inode", json_integer((json_int_t)files->inode));
    // Pairs in a list: a name that is no UTF-8 is written with U+FFFD, and two may then be the
    // same.
    LIST_EACH (entry, &files->items) {
        json_t *pair = json_array();
        json_array_append_new(pair, json_text(entry->name));
        json_array_append_new(pair, json_text(entry->digest));
        json_array_append_new(list, pair);
    }
    json_object_set_new(o, "files", list);
    return o;
}

bool files_from_json(const json_t *json, struct files *ret)
{
    const json_t *list = json_object_get(json, "files");
    if (!json_is_array(list) || json_array_size(list) > FILES_MOST)
        return false;
    ret->device = (unsigned long long)json_integer_value(json_object_get(json, "device"));
    ret->inode = (unsigned long long)json_integer_value(json_object_get(json, "inode"));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *pair = json_array_get(list, i);
        const char *name = json_string_value(json_array_get(pair, 0));
        const char *digest = json_string_value(json_array_get(pair, 1));
        if (!name || !digest || strlen(digest) >= FILE_DIGEST_SIZE)
            return false;
        files_add(ret, name, digest);
    }
    return true;
}
