// Lists and maps, and the single values that they are made of. For decode*.c only.
#pragma once

#include "podspec/decoder.h"

struct quantity;

// FIELD_STRING_LIST, FIELD_INT_LIST, FIELD_STRUCT_LIST.
void decode_list(struct decoder *d, const struct field_schema *field,
                 const struct yaml_value *value, void *member);
// FIELD_STRING_MAP, FIELD_RESOURCES.
void decode_map(struct decoder *d, const struct field_schema *field, const struct yaml_value *value,
                void *member);

// A copy of the string, "" for null; NULL with a finding for anything else.
char *decode_string(struct decoder *d, const struct yaml_value *value);
// The row's check and its allowed values.
void decode_check_string(struct decoder *d, const struct field_schema *field, const char *text);
// True and *ret, or false with a finding.
bool decode_int(struct decoder *d, const struct field_schema *field, const struct yaml_value *value,
                int64_t *ret);
bool decode_quantity(struct decoder *d, const struct yaml_value *value, struct quantity *ret);
