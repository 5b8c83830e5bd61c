// kubectl's JSONPath templates (client-go/util/jsonpath): text with expressions in braces.
//
//   {.metadata.name}  {.items[*].spec.containers[0].image}  {['metadata']['name','uid']}  {..name}
//   {.items[-1:]}  {.items[?(@.status.phase=="Running")].metadata.name}  {$}  {@}  {"\n"}
//   {range .items[*]}{.metadata.name}{"\t"}{end}
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/macro.h"

struct jsonpath;

enum {
    JSONPATH_DEPTH_MAX = 50,       // nested ranges; depth of ".."
    JSONPATH_VALUES_MAX = 1 << 21, // that one template comes by on its way; then it is refused
};

// 0, or -EINVAL with a message that quotes the place.
int jsonpath_parse(const char *template_, struct jsonpath **ret, struct error *err);
// What kubectl accepts in custom columns: also without braces and without the leading dot
// ("metadata.name", ".metadata.name").
int jsonpath_parse_relaxed(const char *template_, struct jsonpath **ret, struct error *err);
void jsonpath_free(struct jsonpath *path);
DEFINE_CLEANUP(struct jsonpath *, jsonpath_free)
#define _cleanup_jsonpath_ _cleanup_(cleanup_jsonpath_free)

// Appends what the template makes of `root`. Several results of one expression are joined by a
// space; objects and lists are JSON; what is not there is nothing. 0, or -EINVAL.
int jsonpath_print(const struct jsonpath *path, const json_t *root, struct buffer *out,
                   struct error *err);

// All results of the template's expressions as an array of borrowed values in order; the caller
// frees the array (free()).
size_t jsonpath_find(const struct jsonpath *path, const json_t *root, const json_t ***ret);
