// Cross-field validation of a pod in which single fields were wrong already, so that whoever mends
// a manifest sees everything at once. podspec_validate() (podspec.h) is for pods that decoded well.
#pragma once

#include <stddef.h>

#include "podspec/diag.h"
#include "podspec/pod.h"

// Adds the errors (no warnings) that do not follow from those which `diags` has of this pod, which
// start at index `from`: a finding about a field above, below or at one with an error is left out.
void podspec_validate_rest(const struct pod *pod, struct diag_list *diags, size_t from);
