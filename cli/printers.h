// The -o formats: json, yaml, name, jsonpath=…, custom-columns=… (the tables are columns.h's).
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/macro.h"
#include "cli/jsonpath.h"
#include "cli/table.h"

enum output_format {
    OUTPUT_TABLE,
    OUTPUT_WIDE,
    OUTPUT_JSON,
    OUTPUT_YAML,
    OUTPUT_NAME,
    OUTPUT_JSONPATH,
    OUTPUT_COLUMNS,
};

struct output_column {
    struct jsonpath *path;
};

struct output {
    enum output_format format;
    struct jsonpath *path;                 // OUTPUT_JSONPATH
    LIST_OF(struct output_column) columns; // OUTPUT_COLUMNS
    struct table *table;                   // OUTPUT_COLUMNS
    bool no_headings;
    bool headings_printed;
};

// The value of -o (NULL: the table). 0, or -EINVAL with what is known.
int output_parse(const char *text, struct output *ret, struct error *err);
void output_free(struct output *output);
#define _cleanup_output_ _cleanup_(output_free)

// Prints an object, or a list (an object with "items"), on stdout in any format but the tables.
// `kind` ("pod") stands before the name with -o name. 0, or -EINVAL.
int output_print(struct output *output, const char *kind, const json_t *value, struct error *err);
