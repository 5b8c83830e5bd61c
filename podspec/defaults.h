// Defaults that depend on other fields; those that do not are columns of the table.
#pragma once

#include "podspec/pod.h"

// Completes a decoded pod whose rows have their defaults already: imagePullPolicy by the image's
// tag, requests from limits, hostPort under hostNetwork, … (pkg/apis/core/v1/defaults.go).
// podspec_parse() calls it for every pod that decoded without an error.
void pod_set_defaults(struct pod *pod);
