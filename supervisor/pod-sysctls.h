// The kernel parameters that a pod may set in its namespaces (K/sysctl).
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "base/string-list.h"
#include "podspec/pod.h"

// True where the pod asks for one that it may not have; then why is added. `allowed`: names and
// patterns that end in *, joined by commas, beside the safe ones; NULL for none.
bool pod_sysctls_forbidden(const struct pod *pod, const char *allowed, struct buffer *why);

// Whether a name, or a pattern that ends in *, is of a namespace that a pod can have.
bool pod_sysctls_is_namespaced(const char *name);

// "net/core/somaxconn=1024" of each, as sandbox-make.h takes it, with "sysctl=" in front.
void pod_sysctls_words(const struct pod *pod, struct string_list *ret);
