// What makes a pod from a file a static pod of this node, and the life of a pod in memory.
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "podspec/places.h"
#include "podspec/podspec.h"
#include "podspec/schema.h"

enum { POD_HASH_SIZE = 33 };

static const char annotation_hash[] = "kubernetes.io/config.hash";
static const char annotation_source[] = "kubernetes.io/config.source";
static const char annotation_mirror[] = "kubernetes.io/config.mirror";
static const char annotation_seen[] = "kubernetes.io/config.seen";

struct pod *pod_copy(const struct pod *pod)
{
    struct pod *copy = xcalloc(1, sizeof(*copy));

    schema_copy(&pod_schema, copy, pod);
    copy->places = places_copy(pod->places);
    return copy;
}

void pod_free(struct pod *pod)
{
    if (!pod)
        return;
    pod_drop_places(pod);
    schema_clear(&pod_schema, pod);
    free(pod);
}

void pod_drop_places(struct pod *pod)
{
    places_free(pod->places);
    pod->places = NULL;
}

void pod_list_free(struct pod_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->n; i++)
        pod_free(list->items[i]);
    free(list->items);
    *list = (struct pod_list){0};
}

static void set_string(char **member, char *value)
{
    free(*member);
    *member = value;
}

static char *lower_case(const char *s)
{
    char *lower = xstrdup(s);

    for (char *c = lower; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return lower;
}

static void remove_annotation(struct pod *pod, const char *key)
{
    struct string_map *map = &pod->metadata.annotations;

    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->items[i].key, key) != 0)
            continue;
        free(map->items[i].key);
        free(map->items[i].value);
        memmove(&map->items[i], &map->items[i + 1], (map->n - i - 1) * sizeof(map->items[0]));
        map->n--;
        return;
    }
}

// Who saves what `kubectl get pod -o yaml` prints of a static pod gets the marks of its mirror.
static void drop_mirror_marks(struct pod *pod, struct diag_list *diags)
{
    if (string_map_get(&pod->metadata.annotations, annotation_mirror))
        diag_add(diags, DIAG_WARNING,
                 places_find(pod->places, "metadata.annotations[kubernetes.io/config.mirror]"),
                 "this manifest was exported from the API server: the annotation marks the mirror "
                 "of a static pod and is left out");
    remove_annotation(pod, annotation_mirror);
    remove_annotation(pod, annotation_seen);
}

static bool is_no_execute(const struct toleration *toleration)
{
    return str_empty(toleration->key) && str_empty(toleration->value) &&
           str_equal(toleration->operator, "Exists") && str_equal(toleration->effect, "NoExecute");
}

// A static pod stays when its node is in trouble, for however long (K/config/common.go).
static void tolerate_no_execute(struct pod *pod)
{
    bool found = false;

    LIST_EACH (toleration, &pod->spec.tolerations) {
        if (!is_no_execute(toleration))
            continue;
        free(toleration->tolerationSeconds);
        toleration->tolerationSeconds = NULL;
        found = true;
    }
    if (found)
        return;
    struct toleration *added = LIST_APPEND(&pod->spec.tolerations);
    added->operator= xstrdup("Exists");
    added->effect = xstrdup("NoExecute");
}

int podspec_make_static(struct pod *pod, const struct podspec_node *node, struct diag_list *diags)
{
    struct object_meta *meta = &pod->metadata;
    char hash[POD_HASH_SIZE];

    set_string(&pod->spec.nodeName, lower_case(node->name));
    set_string(&meta->name, xasprintf("%s-%s", meta->name ? meta->name : "", pod->spec.nodeName));
    if (str_empty(meta->namespace))
        set_string(&meta->namespace, xstrdup("default"));
    drop_mirror_marks(pod, diags);
    if (str_equal(node->source, "file"))
        tolerate_no_execute(pod);
    // Everything that the hash covers is in place: name, node, spec.
    if (str_empty(meta->uid))
        set_string(&meta->uid, xstrdup(pod_hash(pod, hash)));
    string_map_set(&meta->annotations, annotation_hash, meta->uid);
    string_map_set(&meta->annotations, annotation_source, node->source);
    return podspec_validate(pod, diags);
}
