// The canonical hashes: SHA-256 over compact JSON with sorted keys, without what is unset or has
// its default. A field that a later release learns of is unset in every older manifest, so no hash
// changes when the agent is upgraded.
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/string-list.h"
#include "podspec/encode.h"
#include "podspec/podspec.h"
#include "podspec/table.h"

enum { POD_HASH_DIGITS = 32, CONTAINER_HASH_DIGITS = 16 };

// What the agent writes into a pod itself (and the kubelet, where its export is used as a
// manifest).
#define OWN_ANNOTATIONS "kubernetes.io/config."

static void hash_json(json_t *json, char *hex, size_t digits)
{
    char digest[DIGEST_HEX_SIZE];
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text)
        abort(); // out of memory, as in base/alloc.h: the value is a tree of valid UTF-8
    digest_sha256_hex(text, strlen(text), digest);
    free(text);
    memcpy(hex, digest, digits);
    hex[digits] = '\0';
}

static json_t *map_to_json(const struct string_map *map, const char *without)
{
    json_t *object = json_object();
    for (size_t i = 0; i < map->n; i++)
        if (!without || !str_starts_with(map->items[i].key, without))
            json_object_set_new(object, map->items[i].key,
                                json_string(map->items[i].value ? map->items[i].value : ""));
    return object;
}

char *pod_hash(const struct pod *pod, char *hex)
{
    const struct object_meta *meta = &pod->metadata;
    const struct field_schema *spec = schema_field(&pod_schema, "spec");
    json_t *json = json_object();
    json_object_set_new(json, "name", json_string(meta->name ? meta->name : ""));
    json_object_set_new(json, "namespace", json_string(meta->namespace ? meta->namespace : ""));
    json_object_set_new(json, "labels", map_to_json(&meta->labels, NULL));
    json_object_set_new(json, "annotations", map_to_json(&meta->annotations, OWN_ANNOTATIONS));
    json_object_set_new(json, "spec", encode_object(spec->sub, &pod->spec, true));
    hash_json(json, hex, POD_HASH_DIGITS);
    json_decref(json);
    return hex;
}

char *container_hash(const struct container *container, char *hex)
{
    json_t *json = encode_object(&container_schema, container, true);
    hash_json(json, hex, CONTAINER_HASH_DIGITS);
    json_decref(json);
    return hex;
}
