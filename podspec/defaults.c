// The defaults that depend on other fields.
#include "podspec/defaults.h"

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

static bool has_amount(const struct resource_list *list, const char *name)
{
    LIST_EACH (amount, list)
        if (str_equal(amount->name, name))
            return true;
    return false;
}

static int compare_amounts(const void *a, const void *b)
{
    return strcmp(((const struct resource_quantity *)a)->name,
                  ((const struct resource_quantity *)b)->name);
}

// A limit without a request is asked for in full.
static void set_requests(struct resource_requirements *resources)
{
    struct resource_list *requests = &resources->requests;

    LIST_EACH (limit, &resources->limits) {
        if (has_amount(requests, limit->name))
            continue;
        struct resource_quantity *request = LIST_APPEND(requests);
        request->name = xstrdup(limit->name);
        request->value.nanos = limit->value.nanos;
        request->value.text = xstrdup_or_null(limit->value.text);
    }
    if (requests->n)
        qsort(requests->items, requests->n, sizeof(requests->items[0]), compare_amounts);
}

// Whether the last part of the repository is one: lower case letters and digits, between them a
// dot, one or two underscores, or dashes. What is no image reference gets no tag in the kubelet
// (pkg/util/parsers).
static bool repository_is_valid(const char *s, size_t n)
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

// Whether the image means the newest of its name: tag "latest", or neither tag nor digest.
static bool image_is_latest(const char *image)
{
    size_t end = strcspn(image, "@"); // of the tag
    const char *name = image;

    for (size_t i = 0; i < end; i++)
        if (image[i] == '/')
            name = image + i + 1; // a colon before this was that of a registry's port
    const char *colon = memchr(name, ':', (size_t)(image + end - name));
    const char *name_end = colon ? colon : image + end;
    bool too_long = name_end - image > REPOSITORY_MAX - (name == image ? IMPLIED_PREFIX : 0);
    if (too_long || !repository_is_valid(name, (size_t)(name_end - name)))
        return false;
    if (!colon)
        return !image[end];
    size_t n = (size_t)(image + end - colon - 1);
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
