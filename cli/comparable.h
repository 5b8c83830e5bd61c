// Pods as text that is fit for a diff.
#pragma once

#include <jansson.h>

// The pod as YAML with sorted keys, without status and what the agent adds itself, which is no
// difference that anybody made. The caller frees.
char *comparable_yaml(const json_t *pod);
