// Label selectors as kubectl's -l takes them: a=b, a==b, a!=b, a, !a, a in (x,y), a notin (x,y),
// joined by commas.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/macro.h"

struct selector;

// NULL or "" selects everything (*ret is NULL). 0, or -EINVAL.
int selector_parse(const char *text, struct selector **ret, struct error *err);
void selector_free(struct selector *selector);
DEFINE_CLEANUP(struct selector *, selector_free)
#define _cleanup_selector_ _cleanup_(cleanup_selector_free)

// True where metadata.labels of the object fit. A NULL selector fits everything.
bool selector_matches(const struct selector *selector, const json_t *object);
