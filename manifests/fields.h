// The fields of a YAML document, declared in a table: of each field its path, what kind of value it
// has and where that goes. One walk over the document reads them all; what the table does not know
// is a warning with the nearest name that it does know.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/string-list.h"
#include "podspec/yaml.h"

enum field_kind {
    FIELD_PASSED, // known, and of no use here
    FIELD_NOTED,  // the same, where it is worth a warning; `note` says why
    FIELD_GROUP,  // a mapping whose fields have rows of their own
    FIELD_TEXT,   // const char *, borrowed from the tree; "" is as good as nothing
    FIELD_PORT,   // int64_t
    FIELD_TEXTS,  // struct string_list
    FIELD_CUSTOM, // `read` does it
};

struct fields_reader;

struct field {
    const char *path; // "apiServer.certSANs"
    enum field_kind kind;
    size_t offset; // of the member in what is read into
    int (*read)(const struct fields_reader *reader, const struct field *field,
                const struct yaml_value *value, void *to);
    const char *note;
};

#define FIELD_ROW_TEXT(path, type, member)                                                         \
    {                                                                                              \
        path, FIELD_TEXT, offsetof(type, member)                                                   \
    }
#define FIELD_ROW_TEXTS(path, type, member)                                                        \
    {                                                                                              \
        path, FIELD_TEXTS, offsetof(type, member)                                                  \
    }
#define FIELD_ROW_PORT(path, type, member)                                                         \
    {                                                                                              \
        path, FIELD_PORT, offsetof(type, member)                                                   \
    }
#define FIELD_ROW_CUSTOM(path, type, member, function)                                             \
    {                                                                                              \
        path, FIELD_CUSTOM, offsetof(type, member), function                                       \
    }
#define FIELD_ROW_PASSED(path)                                                                     \
    {                                                                                              \
        path, FIELD_PASSED, 0                                                                      \
    }
#define FIELD_ROW_NOTED(path, why)                                                                 \
    {                                                                                              \
        path, FIELD_NOTED, 0, NULL, why                                                            \
    }
#define FIELD_ROW_GROUP(path)                                                                      \
    {                                                                                              \
        path, FIELD_GROUP, 0                                                                       \
    }

struct fields_reader {
    const char *file; // for messages
    const char *who;  // "kubeadm": who knows no such field
    const struct field *fields;
    size_t n;
    void *to;                     // what the offsets count from
    struct string_list *warnings; // may be NULL
    struct error *err;
};

// Reads a document, which must be a mapping. `null` values are as good as none. 0, or -EINVAL with
// "FILE:LINE:COL: field: what is wrong".
int fields_read(const struct fields_reader *reader, const struct yaml_value *document);

// -EINVAL with that message about a value, for `read` functions.
int fields_wrong(const struct fields_reader *reader, const struct yaml_value *value,
                 const char *path, const char *format, ...) _printf_(4, 5);
void fields_warn(const struct fields_reader *reader, unsigned line, unsigned column,
                 const char *path, const char *format, ...) _printf_(5, 6);

// The warning that the table knows no such field, with the nearest of these names.
void fields_unknown(const struct fields_reader *reader, const struct yaml_pair *pair,
                    const char *path, const char *const *names, size_t n);

int fields_text(const struct fields_reader *reader, const char *path,
                const struct yaml_value *value, const char **ret);
int fields_texts(const struct fields_reader *reader, const char *path,
                 const struct yaml_value *value, struct string_list *ret);
int fields_port(const struct fields_reader *reader, const char *path,
                const struct yaml_value *value, int64_t *ret);
int fields_bool(const struct fields_reader *reader, const char *path,
                const struct yaml_value *value, bool *ret);
