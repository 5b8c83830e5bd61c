// The pod spec as a table: one row a field. Decoding, defaulting, per-field checks, unknown-field
// suggestions, the canonical hash, JSON and YAML output and `mainstay explain` all read it.
//
// The C types mirror k8s.io/api/core/v1/types.go by one rule, so that whoever knows the Go type
// knows ours:
//   - a struct is named after the Go type in snake case (HTTPGetAction: struct http_get_action,
//     PodSecurityContext: struct pod_security_context, HostPathVolumeSource: struct
//     host_path_volume_source);
//   - a member is named exactly like the JSON field (livenessProbe, terminationGracePeriodSeconds);
//     inlined Go structs (VolumeSource, Handler) are flattened into their parent;
//     a field whose JSON name is a C keyword or macro gets a trailing underscore;
//   - string: char *, NULL when unset or empty; *string likewise;
//   - int32, int64: int64_t; bool: bool; a Go pointer to one: int64_t * or bool *, NULL when unset;
//   - []string: struct string_list; []int64: struct int_list; map[string]string: struct string_map,
//   sorted by key;
//   - []T: LIST_OF(struct t); *T: struct t *; T: struct t, embedded;
//   - ResourceList: struct resource_list; *Quantity: struct quantity *; IntOrString: struct
//   int_or_string;
//   - metav1.Time: char * holding the text.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/macro.h"
#include "base/string-list.h"

enum field_type {
    FIELD_STRING,        // char *
    FIELD_BOOL,          // bool
    FIELD_BOOL_PTR,      // bool *
    FIELD_INT,           // int64_t, within [min, max] of the row (int32 range where max is 0)
    FIELD_INT_PTR,       // int64_t *
    FIELD_QUANTITY_PTR,  // struct quantity *
    FIELD_INT_OR_STRING, // struct int_or_string
    FIELD_STRUCT,        // embedded struct, see `type`
    FIELD_STRUCT_PTR,    // struct *, see `type`
    FIELD_STRING_LIST,   // struct string_list
    FIELD_INT_LIST,      // struct int_list (supplementalGroups)
    FIELD_STRUCT_LIST,   // LIST_OF(struct …), see `type`
    FIELD_STRING_MAP,    // struct string_map
    FIELD_RESOURCES,     // struct resource_list
    FIELD_ANY,           // decoded for syntax only, kept as nothing (managedFields, status)
};

// How far this release honours a field that is set to something other than its zero value.
enum field_support {
    SUPPORT_FULL,
    SUPPORT_REPORTED, // accepted, with a warning that names it: not honoured by this release
    SUPPORT_REFUSED,  // an error: running without it would not be what the manifest asks for
    SUPPORT_IGNORED,  // means nothing on a node without an API (creationTimestamp, status,
                      // managedFields, tolerations, …)
};

struct type_schema;

struct field_schema {
    const char *name; // the JSON name
    enum field_type type;
    size_t offset; // of the member in its struct
    enum field_support support;
    bool required;
    const struct type_schema *sub; // FIELD_STRUCT*: the struct
    const char *const *values;     // FIELD_STRING: the allowed values, NULL-terminated; else NULL
    const char *default_value;     // as text, applied where unset; NULL for none
    // SUPPORT_REPORTED/REFUSED: a value that asks for nothing and is not reported. Where NULL it is
    // the default, and false for FIELD_BOOL_PTR.
    const char *moot;
    int64_t min, max; // FIELD_INT*: both 0 means the int32 range
    // FIELD_STRING and list items: NULL, or a check that returns a message (literal) when it is
    // wrong.
    const char *(*check)(const char *value);
    const char
        *patch_key;   // FIELD_STRUCT_LIST: items must be unique in this field ("name"), or NULL
    const char *doc;  // for `mainstay explain`: our own words, what it means here
    const char *note; // SUPPORT_REPORTED/REFUSED: why, and the way out; else NULL
};

struct type_schema {
    const char *name; // "Container"
    size_t size;      // sizeof the C struct
    const struct field_schema *fields;
    size_t n_fields;
    const char *doc;
};

struct string_pair {
    char *key, *value;
};

struct string_map {
    struct string_pair *items;
    size_t n;
};

struct int_list {
    int64_t *items;
    size_t n;
};

struct int_or_string {
    bool is_set, is_string;
    int64_t number; // where !is_string
    char *string;   // where is_string
};

extern const struct type_schema pod_schema; // the root: struct pod

// The row for "livenessProbe" in a type, or NULL.
const struct field_schema *schema_field(const struct type_schema *type, const char *name);

// For documentation (explain.c): "integer", "[]string"; and what the row knows beside its
// description (what is allowed, the default, how far it is honoured) as sentences, each after a
// blank.
const char *podspec_type_name(enum field_type type);
void podspec_field_facts(const struct field_schema *field, struct buffer *out);

// Frees what a struct of this type owns (not the struct itself) and zeroes it.
void schema_clear(const struct type_schema *type, void *object);

// A deep copy of *from into *to (to is overwritten).
void schema_copy(const struct type_schema *type, void *to, const void *from);

// Fills in the default of every row whose member has its zero value, in this struct and in all that
// hang on it.
void schema_set_defaults(const struct type_schema *type, void *object);

// The member that a row describes.
void *schema_member(const struct field_schema *field, void *object);
const void *schema_member_const(const struct field_schema *field, const void *object);

// True where the member that the row describes has its zero value (a pointer: NULL; a list: empty).
bool schema_field_is_zero(const struct field_schema *field, const void *object);

// True where every member has its zero value.
bool schema_is_zero(const struct type_schema *type, const void *object);

const char *string_map_get(const struct string_map *map, const char *key); // NULL where absent
void string_map_set(struct string_map *map, const char *key, const char *value);
void string_map_free(struct string_map *map);
