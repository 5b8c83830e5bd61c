// Defaults that a row of the table cannot express because they depend on other fields
// (pkg/apis/core/v1/defaults.go). decode_object() has filled in the rows' own defaults before.
#pragma once

#include "podspec/pod.h"

// Requests from limits, amounts rounded up to thousandths, host ports under hostNetwork,
// imagePullPolicy by the image's tag, the volume without a source, the empty security context.
// Applying it twice changes nothing.
void podspec_set_defaults(struct pod *pod);
