// The tree of a JSONPath template, between its parser (jsonpath-parse.c) and what walks it
// (jsonpath.c).
#pragma once

#include "cli/jsonpath.h"

enum step_kind {
    STEP_ROOT,     // $
    STEP_CURRENT,  // @
    STEP_FIELD,    // .name
    STEP_WILDCARD, // .* and [*]
    STEP_RECURSE,  // ..: the value and everything below it
    STEP_SLICE,    // [from:to:by]
    STEP_INDEX,    // [from]; outside the list is an error, as in kubectl
    STEP_UNION,    // ['a','b.c'], [0,2]: `alternatives`
    STEP_FILTER,   // [?(left op right)]
};

enum filter_op { FILTER_EXISTS, FILTER_EQ, FILTER_NE, FILTER_LT, FILTER_LE, FILTER_GT, FILTER_GE };

struct steps {
    struct step *items;
    size_t n;
};

struct operand {
    json_t *literal; // NULL: `steps`
    struct steps steps;
};

struct step {
    enum step_kind kind;
    char *name; // STEP_FIELD
    LIST_OF(struct steps) alternatives;
    long long from, to, by;
    bool has_from, has_to;
    enum filter_op op;
    struct operand left, right;
};

enum part_kind { PART_TEXT, PART_PATH, PART_RANGE };

struct parts {
    struct part *items;
    size_t n;
};

struct part {
    enum part_kind kind;
    char *text;         // PART_TEXT
    struct steps steps; // PART_PATH, PART_RANGE
    struct parts body;  // PART_RANGE
};

struct jsonpath {
    struct parts parts;
};
