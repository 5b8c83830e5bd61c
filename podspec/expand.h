// $(VAR) expansion of command, args and env values, as Kubernetes defines it
// (third_party/forked/golang/expansion): $$ is a literal $, an undefined reference stays verbatim.
#pragma once

#include "podspec/schema.h"

// `vars` maps names to values (string_map_get order; sorted not required). The caller frees.
char *expand_references(const char *text, const struct string_map *vars);
