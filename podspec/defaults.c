// The defaults that depend on other fields.
#include "podspec/defaults.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "podspec/table.h"

enum {
    REPOSITORY_MAX = 255,
    IMPLIED_PREFIX = sizeof("docker.io/library/") - 1, // of a name without a slash
};

static void round_amounts(struct resource_list *list)
{
    LIST_EACH (amount, list)
        quantity_round_to_milli(&amount->value);
}

static int compare_amounts(const void *a, const void *b)
{
    return strcmp(((const struct resource_quantity *)a)->name,
                  ((const struct resource_quantity *)b)->name);
}

// A limit without a request is asked for in full. Both lists are sorted by name.
static void set_requests(struct resource_requirements *resources)
{
    struct resource_list *requests = &resources->requests;
    size_t n = requests->n;

    LIST_EACH (limit, &resources->limits) {
        if (n && bsearch(limit, requests->items, n, sizeof(*limit), compare_amounts))
            continue;
        struct resource_quantity *request = LIST_APPEND(requests);
        request->name = xstrdup(limit->name);
        request->value.nanos = limit->value.nanos;
        request->value.text = xstrdup_or_null(limit->value.text);
    }
    if (requests->n > n)
        qsort(requests->items, requests->n, sizeof(requests->items[0]), compare_amounts);
}

// One part of an image's path: lower case letters and digits, between them a dot, one or two
// underscores, or dashes.
static bool is_path_part(const char *s, size_t n)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t i = 0;

    for (;;) {
        size_t word = strspn(s + i, letters);
        i += word;
        if (!word || i >= n)
            return word && i == n;
        size_t underscores = strspn(s + i, "_"), dashes = strspn(s + i, "-");
        if (s[i] != '.' && underscores != 1 && underscores != 2 && !dashes)
            return false;
        i += s[i] == '.' ? 1 : underscores + dashes;
    }
}

// The registry before the first slash: it has a dot or a port, or is localhost.
static bool is_registry(const char *s, size_t n)
{
    return memchr(s, '.', n) || memchr(s, ':', n) ||
           (n == strlen("localhost") && !strncmp(s, "localhost", n));
}

// Labels of letters, digits and inner dashes, joined by dots; then, perhaps, a port.
static bool is_registry_name(const char *s, size_t n)
{
    static const char digits[] = "0123456789";
    const char *colon = memchr(s, ':', n);
    size_t host = colon ? (size_t)(colon - s) : n;

    if (colon && (host + 1 == n || strspn(colon + 1, digits) < n - host - 1))
        return false;
    for (size_t i = 0; i < host; i++) {
        bool at_edge = i == 0 || i + 1 == host || s[i - 1] == '.' || s[i + 1] == '.';
        if (!isalnum((unsigned char)s[i]) && (at_edge || (s[i] != '.' && s[i] != '-')))
            return false;
    }
    return host > 0;
}

// Such a name would be taken for an image's id.
static bool is_id(const char *s, size_t n)
{
    return n == 64 && strspn(s, "0123456789abcdef") >= n;
}

// Whether [image, end) is the name of an image. What is none gets no tag in the kubelet
// (pkg/util/parsers, docker/distribution/reference).
static bool is_image_name(const char *image, const char *end)
{
    const char *part = image;

    for (;;) {
        const char *slash = memchr(part, '/', (size_t)(end - part));
        const char *part_end = slash ? slash : end;
        size_t n = (size_t)(part_end - part);
        bool registry = slash && part == image && is_registry(part, n);
        if (registry ? !is_registry_name(part, n) : !is_path_part(part, n))
            return false;
        if (!slash && part == image && is_id(part, n))
            return false;
        if (!slash)
            return end - image <= REPOSITORY_MAX - (part == image ? IMPLIED_PREFIX : 0);
        part = slash + 1;
    }
}

// Whether the image means the newest of its name: tag "latest", or neither tag nor digest.
static bool image_is_latest(const char *image)
{
    const char *end = image + strcspn(image, "@"); // of the tag
    const char *slash = memrchr(image, '/', (size_t)(end - image));
    const char *part = slash ? slash + 1 : image; // a colon before it is that of a registry's port
    const char *colon = memchr(part, ':', (size_t)(end - part));

    if (!is_image_name(image, colon ? colon : end))
        return false;
    if (!colon)
        return !*end;
    size_t n = (size_t)(end - colon - 1);
    return n == strlen("latest") && !strncmp(colon + 1, "latest", n);
}

static void set_container_defaults(struct container *container, bool host_network)
{
    round_amounts(&container->resources.limits);
    round_amounts(&container->resources.requests);
    set_requests(&container->resources);
    if (str_empty(container->imagePullPolicy) && !str_empty(container->image)) {
        free(container->imagePullPolicy);
        container->imagePullPolicy =
            xstrdup(image_is_latest(container->image) ? "Always" : "IfNotPresent");
    }
    if (!host_network)
        return;
    LIST_EACH (port, &container->ports)
        if (!port->hostPort)
            port->hostPort = port->containerPort;
}

static bool has_source(const struct volume *volume)
{
    for (size_t i = 0; i < volume_schema.n_fields; i++) {
        const struct field_schema *field = &volume_schema.fields[i];
        if (field->type == FIELD_STRUCT_PTR && !schema_field_is_zero(field, volume))
            return true;
    }
    return false;
}

void podspec_set_defaults(struct pod *pod)
{
    struct pod_spec *spec = &pod->spec;

    LIST_EACH (container, &spec->initContainers)
        set_container_defaults(container, spec->hostNetwork);
    LIST_EACH (container, &spec->containers)
        set_container_defaults(container, spec->hostNetwork);
    LIST_EACH (volume, &spec->volumes)
        if (!has_source(volume))
            volume->emptyDir = xcalloc(1, sizeof(*volume->emptyDir));
    round_amounts(&spec->overhead);
    if (!spec->securityContext)
        spec->securityContext = xcalloc(1, sizeof(*spec->securityContext));
}
