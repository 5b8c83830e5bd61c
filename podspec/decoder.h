// What the files of the decoder share. For decode*.c only; the face is decode.h.
#pragma once

#include "base/buffer.h"
#include "podspec/decode.h"

enum { DECODER_TYPES_MAX = 32 }; // the nesting of the table's types, with room to spare

struct decoder {
    struct podspec_places *places;
    struct diag_list *diags;
    struct buffer path;                                 // of the value that is being decoded
    const struct type_schema *types[DECODER_TYPES_MAX]; // the structs that it stands in
    size_t n_types;
};

// True once findings were dropped: more of them would help nobody, and hostile files have millions.
bool decoder_is_full(const struct decoder *d);

// Steps into a field, an item or a map's entry and records its place; the return value goes to
// decoder_leave().
size_t decoder_enter_field(struct decoder *d, const struct yaml_pair *pair);
size_t decoder_enter_item(struct decoder *d, size_t index, const struct yaml_value *item);
size_t decoder_enter_entry(struct decoder *d, const struct yaml_pair *pair);
void decoder_leave(struct decoder *d, size_t mark);

// A finding about the value that is being decoded.
void decoder_report(struct decoder *d, enum diag_severity severity, const char *format, ...)
    _printf_(3, 4);

// "expected WHAT, found a number (8080)" and a hint ("" for none).
void decoder_report_type(struct decoder *d, const char *what, const struct yaml_value *found,
                         const char *hint);

// ", did you mean "Always"?": the nearest of a list of names, appended where one is near.
void decoder_suggest(const char *name, const char *const *names, size_t n, struct buffer *out);

// The value of a member, by its row: type, range, allowed values, checks of single strings.
void decode_member(struct decoder *d, const struct field_schema *field,
                   const struct yaml_value *value, void *member);

// A struct's members from a mapping.
void decode_struct(struct decoder *d, const struct type_schema *type,
                   const struct yaml_value *value, void *object);
