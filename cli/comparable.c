// See comparable.h.
#include "cli/comparable.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "cli/field.h"
#include "podspec/podspec.h"

static json_t *sorted(const json_t *value)
{
    char *text = json_dumps(value, JSON_SORT_KEYS);
    json_t *copy = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return copy;
}

char *comparable_yaml(const json_t *pod)
{
    static const char *const ours[] = {"kubernetes.io/config.hash", "kubernetes.io/config.seen",
                                       "kubernetes.io/config.source",
                                       "kubernetes.io/config.mirror"};
    struct buffer out = BUFFER_EMPTY;
    json_t *copy = sorted(pod);
    json_t *metadata = field_at(copy, "metadata");
    json_t *annotations = field_at(metadata, "annotations");
    json_object_del(copy, "status");
    json_object_del(copy, "mainstay");
    json_object_del(metadata, "creationTimestamp");
    json_object_del(metadata, "uid");
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        json_object_del(annotations, ours[i]);
    if (annotations && json_object_size(annotations) == 0)
        json_object_del(metadata, "annotations");
    json_to_yaml(copy, &out);
    json_decref(copy);
    return buffer_take(&out);
}
