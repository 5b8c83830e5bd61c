// What the files of the validation share. For validate*.c only; the face is podspec_validate().
//
// The rows of the table check each field by itself, at decoding. Here stand the rules that look at
// more than one field; what a row says is not said again.
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "podspec/diag.h"
#include "podspec/pod.h"

// Names seen so far; looked up in logarithmic time, as manifests may be hostile.
struct name_set {
    void *root; // of tsearch(3)
};

bool name_set_add(struct name_set *set, const char *name); // copies; false where it was there
bool name_set_has(const struct name_set *set, const char *name);
void name_set_free(struct name_set *set);

struct validation {
    const struct pod *pod;
    struct diag_list *diags;
    struct buffer path;                // of what is being looked at: "spec.containers[0]"
    struct name_set volumes;           // of the pod
    struct name_set containers, inits; // spec.containers, spec.initContainers
};

// Appends to the path and returns what validation_leave() needs to take it off again.
size_t validation_enter(struct validation *v, const char *format, ...) _printf_(2, 3);
void validation_leave(struct validation *v, size_t mark);

// A finding about `field` of what is being looked at (".name", "[cpu]", "" for itself).
void validation_error(struct validation *v, const char *field, const char *format, ...)
    _printf_(3, 4);
void validation_warning(struct validation *v, const char *field, const char *format, ...)
    _printf_(3, 4);

// A value of the manifest for a message: within quotes, cut where it is long. The caller frees.
char *validation_quote(const char *text);

// True for the name of one of the pod's containers (init containers, too).
bool validation_has_container(const struct validation *v, const char *name);

// Each looks at the part that its name says; `v->path` leads to the parent of that part.
void validate_metadata(struct validation *v);
void validate_labels(struct validation *v, const char *field, const struct string_map *labels);
void validate_volumes(struct validation *v);
void validate_containers(struct validation *v);
void validate_probes(struct validation *v, const struct container *container);
void validate_lifecycle(struct validation *v, const struct container *container);
void validate_resources(struct validation *v, const struct resource_requirements *resources);
void validate_pod_resources(struct validation *v);
void validate_priority(struct validation *v);
void validate_overhead(struct validation *v, const struct resource_list *overhead);
void validate_security_context(struct validation *v, const struct container *container);
void validate_pod_security(struct validation *v);
void validate_affinity(struct validation *v);
void validate_tolerations(struct validation *v);
void validate_spread(struct validation *v);

// Of a fieldRef or resourceFieldRef, whose field the path leads to. `in_volume`: of a file of a
// downwardAPI volume, else of a variable.
void validate_field_ref(struct validation *v, const struct object_field_selector *ref,
                        bool in_volume);
void validate_resource_field_ref(struct validation *v, const struct resource_field_selector *ref,
                                 bool in_volume);
