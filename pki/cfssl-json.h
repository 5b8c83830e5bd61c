// What cfssl-request.c and cfssl-config.c share: JSON objects read field by field, every error with
// its file and path.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/string-list.h"

struct cfssl_reader {
    const char *file;
    struct string_list *warnings; // may be NULL
    struct error *err;
};

// The top object of a file. -EINVAL with line and column where it is no JSON object.
int cfssl_json_load(const struct cfssl_reader *reader, const void *data, size_t size, json_t **ret);

// "file: path.key: message". Returns -EINVAL.
int cfssl_json_error(const struct cfssl_reader *reader, const char *path, const char *key,
                     const char *format, ...) _printf_(4, 5);

// Warns of fields that are in none of the lists (NULL-terminated), with the nearest known name.
void cfssl_json_check_names(const struct cfssl_reader *reader, const json_t *object,
                            const char *path, const char *const *known);

// Each: 0 and *ret, which stays as it is where the field is missing or null; -EINVAL.
int cfssl_json_text(const struct cfssl_reader *reader, const json_t *object, const char *path,
                    const char *key, char **ret);
int cfssl_json_bool(const struct cfssl_reader *reader, const json_t *object, const char *path,
                    const char *key, bool *ret);
int cfssl_json_number(const struct cfssl_reader *reader, const json_t *object, const char *path,
                      const char *key, int64_t min, int64_t max, int64_t *ret);
int cfssl_json_texts(const struct cfssl_reader *reader, const json_t *object, const char *path,
                     const char *key, struct string_list *ret);
// A Go duration of at least a second ("8760h"), in seconds.
int cfssl_json_duration(const struct cfssl_reader *reader, const json_t *object, const char *path,
                        const char *key, int64_t *ret);
// An object, borrowed; NULL where it is missing.
int cfssl_json_object(const struct cfssl_reader *reader, const json_t *object, const char *path,
                      const char *key, const json_t **ret);
