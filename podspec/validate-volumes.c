// The rules of volumes: one source each, and what files of the downward API may show.
#include <string.h>

#include "base/alloc.h"
#include "podspec/checks.h"
#include "podspec/table.h"
#include "podspec/validation.h"

static void validate_sources(struct validation *v, const struct volume *volume)
{
    const char *first = NULL;

    for (size_t i = 0; i < volume_schema.n_fields; i++) {
        const struct field_schema *field = &volume_schema.fields[i];
        if (field->type != FIELD_STRUCT_PTR || schema_field_is_zero(field, volume))
            continue;
        if (first) {
            size_t mark = validation_enter(v, ".%s", field->name);
            validation_error(v, "", "a volume has one source, and this one has %s already", first);
            validation_leave(v, mark);
        } else {
            first = field->name;
        }
    }
}

static void validate_empty_dir(struct validation *v, const struct empty_dir_volume_source *dir)
{
    if (dir->sizeLimit && dir->sizeLimit->nanos < 0)
        validation_error(v, ".sizeLimit", "must not be negative");
    else if (dir->sizeLimit && !str_equal(dir->medium, "Memory"))
        validation_warning(v, ".sizeLimit",
                           "on the node's disk it is watched, not enforced: the event "
                           "EmptyDirOverLimit tells when it is exceeded");
    if (str_starts_with(dir->medium ? dir->medium : "", "HugePages"))
        validation_error(
            v, ".medium",
            "volumes of huge pages are not supported by this release; mount a hugetlbfs on the "
            "host and use hostPath");
}

static void validate_file(struct validation *v, const struct downward_api_volume_file *file)
{
    if (file->fieldRef && file->resourceFieldRef)
        validation_error(v, "", "fieldRef and resourceFieldRef cannot be used together");
    if (!file->fieldRef && !file->resourceFieldRef)
        validation_error(v, "", "must have fieldRef or resourceFieldRef");
    if (file->fieldRef) {
        size_t mark = validation_enter(v, ".fieldRef");
        validate_field_ref(v, file->fieldRef, true);
        validation_leave(v, mark);
    }
    if (file->resourceFieldRef) {
        size_t mark = validation_enter(v, ".resourceFieldRef");
        validate_resource_field_ref(v, file->resourceFieldRef, true);
        validation_leave(v, mark);
    }
}

// `paths` gathers the files of a volume (NULL: two of one name are not looked for).
static void validate_files(struct validation *v, const struct downward_api_volume_file *files,
                           size_t n, struct name_set *paths)
{
    for (size_t i = 0; i < n; i++) {
        size_t mark = validation_enter(v, ".items[%zu]", i);
        validate_file(v, &files[i]);
        if (paths && !str_empty(files[i].path) && !name_set_add(paths, files[i].path))
            validation_error(v, ".path", "is another file of this volume, too");
        validation_leave(v, mark);
    }
}

static void validate_projected(struct validation *v,
                               const struct projected_volume_source *projected)
{
    struct name_set paths = {0};

    for (size_t i = 0; i < projected->sources.n; i++) {
        const struct volume_projection *source = &projected->sources.items[i];
        size_t mark = validation_enter(v, ".sources[%zu]", i);
        if (!!source->secret + !!source->downwardAPI + !!source->configMap +
                !!source->serviceAccountToken + !!source->clusterTrustBundle >
            1)
            validation_error(v, "", "must be of one kind only; make each a list item of its own");
        if (source->downwardAPI) {
            size_t inner = validation_enter(v, ".downwardAPI");
            validate_files(v, source->downwardAPI->items.items, source->downwardAPI->items.n,
                           &paths);
            validation_leave(v, inner);
        }
        validation_leave(v, mark);
    }
    name_set_free(&paths);
}

static void validate_volume(struct validation *v, const struct volume *volume)
{
    validate_sources(v, volume);
    if (volume->emptyDir) {
        size_t mark = validation_enter(v, ".emptyDir");
        validate_empty_dir(v, volume->emptyDir);
        validation_leave(v, mark);
    }
    if (volume->downwardAPI) {
        size_t mark = validation_enter(v, ".downwardAPI");
        validate_files(v, volume->downwardAPI->items.items, volume->downwardAPI->items.n, NULL);
        validation_leave(v, mark);
    }
    if (volume->projected) {
        size_t mark = validation_enter(v, ".projected");
        validate_projected(v, volume->projected);
        validation_leave(v, mark);
    }
}

void validate_volumes(struct validation *v)
{
    for (size_t i = 0; i < v->pod->spec.volumes.n; i++) {
        size_t mark = validation_enter(v, ".volumes[%zu]", i);
        validate_volume(v, &v->pod->spec.volumes.items[i]);
        validation_leave(v, mark);
    }
}
