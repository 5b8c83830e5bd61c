// The defaults that depend on other fields.
#include "podspec/defaults.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "podspec/table.h"

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

// Whether the image means the newest of its name: tag "latest", or neither tag nor digest.
static bool image_is_latest(const char *image)
{
    size_t name = strcspn(image, "@");
    const char *tag = NULL;

    for (size_t i = 0; i < name; i++) {
        if (image[i] == '/')
            tag = NULL; // the colon was that of a registry's port
        if (image[i] == ':')
            tag = image + i + 1;
    }
    if (!tag)
        return !image[name];
    size_t n = (size_t)(image + name - tag);
    return n == strlen("latest") && !strncmp(tag, "latest", n);
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
