// See container-choice.h.
#include "cli/container-choice.h"

#include <errno.h>
#include <stdio.h>

#include "base/buffer.h"
#include "cli/field.h"

static void add_names(const json_t *containers, struct string_list *names)
{
    for (size_t i = 0; i < json_array_size(containers); i++)
        string_list_add(names, field_text_or_empty(json_array_get(containers, i), "name"));
}

void pod_container_names(const json_t *pod, struct string_list *ret)
{
    add_names(field_at(pod, "spec.initContainers"), ret);
    add_names(field_at(pod, "spec.containers"), ret);
}

static const char *default_container(const json_t *pod, const struct string_list *names)
{
    const json_t *annotations = field_at(pod, "metadata.annotations");
    const char *annotated =
        json_string_value(json_object_get(annotations, "kubectl.kubernetes.io/default-container"));
    if (annotated && string_list_contains(names, annotated))
        return annotated;
    return field_text_or_empty(json_array_get(field_at(pod, "spec.containers"), 0), "name");
}

int pod_choose_container(const json_t *pod, const char *wanted, const char **ret, struct error *err)
{
    _cleanup_string_list_ struct string_list names = {0};
    _cleanup_buffer_ struct buffer known = BUFFER_EMPTY;
    pod_container_names(pod, &names);
    for (size_t i = 0; i < names.n; i++)
        buffer_printf(&known, "%s%s", i ? " " : "", names.items[i]);
    if (wanted && !string_list_contains(&names, wanted))
        return error_set(err, ENOENT, "pod %s has no container \"%s\"; it has: %s",
                         field_text_or_empty(pod, "metadata.name"), wanted, buffer_str(&known));
    *ret = wanted ? wanted : default_container(pod, &names);
    if (!wanted && names.n > 1)
        fprintf(stderr, "Defaulted container \"%s\" out of: %s\n", *ret, buffer_str(&known));
    return 0;
}
