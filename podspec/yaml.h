// YAML (and JSON, which is YAML) as one tree per document, every node with its line and column.
// Aliases share the nodes of their anchor and merge keys are resolved, so whoever walks the tree
// sees neither; how large the tree is when walked is bounded before anybody walks it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podspec/diag.h"
#include "podspec/scalar.h"

enum {
    YAML_DEPTH_MAX = 100,        // nested sequences and mappings
    YAML_NODES_MAX = 200000,     // nodes and keys of a file, aliases expanded
    YAML_TEXT_MAX = 20 << 20,    // bytes of scalars of a file, aliases expanded
    YAML_ANCHORS_MAX = 1000,     // anchors of a document
    YAML_DIRECTIVES_MAX = 100,   // lines that may be %TAG directives (libyaml's cost is quadratic)
    YAML_SYNTAX_QUOTE_MAX = 100, // characters of the input that a finding quotes
};

enum yaml_kind {
    YAML_KIND_SCALAR,
    YAML_KIND_SEQUENCE,
    YAML_KIND_MAPPING,
};

struct yaml_value;

struct yaml_pair {
    const char *key;       // as the kubelet's parser names it: `on:` is "true", `0x10:` is "16"
    unsigned line, column; // of the key, from 1
    const struct yaml_value *value;
};

// A node. Everything belongs to the tree that it came from.
struct yaml_value {
    enum yaml_kind kind;
    unsigned line, column; // from 1; a node behind an alias has the place of the anchor's node
    union {
        struct {
            const char *text;     // as written, quotes and escapes resolved; NUL-terminated
            struct scalar scalar; // what it means; `scalar.kind` says whether it is a string
        };
        struct {
            const struct yaml_value *const *items; // YAML_KIND_SEQUENCE
            size_t n_items;
        };
        struct {
            const struct yaml_pair *pairs; // YAML_KIND_MAPPING, in the order of the file
            size_t n_pairs;
        };
    };
    uint32_t nodes;  // of this subtree, itself and keys included, aliases expanded
    uint32_t bytes;  // of scalar text and keys in this subtree, aliases expanded
    uint32_t height; // nested sequences and mappings in this subtree, aliases expanded
};

// The documents of one file, in order. A document that is empty or `null` is there as a scalar of
// kind SCALAR_NULL.
struct yaml_tree;

// Parses a whole file. `file` names it in findings. Returns 0, or -EINVAL with findings: the first
// error of the syntax (what follows it would be noise), and every duplicate key. *ret is filled in
// both cases where the syntax is right, so that a caller can look for what else is wrong (the last
// of two duplicates counts then, as in the kubelet).
int yaml_tree_parse(const char *file, const void *data, size_t size, struct yaml_tree **ret,
                    struct diag_list *diags);
void yaml_tree_free(struct yaml_tree *tree);
DEFINE_CLEANUP(struct yaml_tree *, yaml_tree_free)
#define _cleanup_yaml_tree_ _cleanup_(cleanup_yaml_tree_free)

size_t yaml_tree_documents(const struct yaml_tree *tree);
const struct yaml_value *yaml_tree_document(const struct yaml_tree *tree, size_t index);

// The value of a key of a mapping, or NULL (also where `value` is no mapping).
const struct yaml_value *yaml_lookup(const struct yaml_value *value, const char *key);

bool yaml_is_null(const struct yaml_value *value); // also true for NULL

// "a list", "a mapping", "a number", "a string", "a boolean", "null": for findings.
const char *yaml_kind_name(const struct yaml_value *value);
