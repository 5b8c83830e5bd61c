// What a YAML scalar means to the kubelet: the rules of gopkg.in/yaml.v2 (resolve.go), which
// sigs.k8s.io/yaml and so the kubelet's file source stand on. They are those of YAML 1.1 in parts
// only: yes, no, on, off, y and n are booleans, 0644 is octal, 1:30 is a string.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum scalar_kind {
    SCALAR_NULL,
    SCALAR_BOOL,
    SCALAR_INT,   // fits int64_t
    SCALAR_UINT,  // fits uint64_t only
    SCALAR_FLOAT, // also an integer in decimal that fits neither
    SCALAR_STRING,
};

struct scalar {
    enum scalar_kind kind;
    union {
        bool boolean;
        int64_t integer;
        uint64_t natural;
        double number;
    };
};

enum scalar_style {
    SCALAR_PLAIN,
    SCALAR_QUOTED, // also the block styles | and >
};

// `tag` is the explicit tag in its long form ("tag:yaml.org,2002:int"), or NULL. Returns 0 and
// fills *ret, or -EINVAL where the tag and the text do not agree (`!!int abc`). !!binary is
// SCALAR_STRING; its text is still encoded then (scalar_is_binary()).
int scalar_resolve(const char *text, enum scalar_style style, const char *tag, struct scalar *ret);

bool scalar_tag_is_binary(const char *tag);

// True where the text, written plain, would be read as something other than a string, by this or by
// another reader of YAML 1.1 (dates, numbers in base 60).
bool scalar_needs_quotes(const char *text);

// A number as Go's encoding/json writes it, which is how it reaches quantities ("0.1", "1e+21").
// Also null, true and false. Not for SCALAR_STRING, .inf and .nan.
void scalar_to_json(const struct scalar *scalar, struct buffer *out);

// A whole number that fits int64_t (1e3 and 1.0 are whole): true, and *ret is filled.
bool scalar_to_int(const struct scalar *scalar, int64_t *ret);

// The name of a mapping's key, appended to `out`, as sigs.k8s.io/yaml makes a string of it: `on`
// is "true", 0x10 is "16". Returns false (and appends nothing) for what cannot be a key there: null
// and numbers beyond int64. `text` is the scalar as written.
bool scalar_to_key(const struct scalar *scalar, const char *text, struct buffer *out);
