// From the tree of a document to the C structs of a type, by the table. Everything that is wrong is
// found, not the first only.
#pragma once

#include "podspec/diag.h"
#include "podspec/places.h"
#include "podspec/schema.h"
#include "podspec/yaml.h"

// Decodes `value` into *object (zeroed by the caller, who frees it with schema_clear() in any
// case), records the place of every field below `path` ("" for the root), checks each field by its
// row, and then fills in the defaults of the rows. A null is a field that is not set, as in the
// kubelet; inside lists and maps of strings it is the empty string. Lists of structs have at most
// 1000 items. Returns 0, or -EINVAL with findings.
int decode_object(const struct type_schema *type, const struct yaml_value *value, void *object,
                  const char *path, struct podspec_places *places, struct diag_list *diags);
