// From libyaml's events to the nodes of a tree: nesting, keys, anchors, merge keys and the budgets.
// For yaml.c only.
#pragma once

#include <yaml.h>

#include "podspec/arena.h"
#include "podspec/yaml.h"

struct yaml_document {
    const struct yaml_value *root;
};

struct yaml_tree {
    struct arena arena;
    LIST_OF(struct yaml_document) documents;
    size_t max_documents;
};

struct yaml_builder;

struct yaml_builder *yaml_builder_new(const char *file, struct yaml_tree *tree,
                                      struct diag_list *diags);
void yaml_builder_free(struct yaml_builder *b);
DEFINE_CLEANUP(struct yaml_builder *, yaml_builder_free)

// Takes one event in: 0, or -EINVAL with a finding when the file cannot be read any further.
int yaml_builder_add(struct yaml_builder *b, const yaml_event_t *event);

// Where the builder stands, as a field path ("spec.containers[0]"). The caller frees.
char *yaml_builder_path(const struct yaml_builder *b);
