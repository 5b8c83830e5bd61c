// The rules of a pod as a whole: metadata, network, names, namespaces. Which rules there are comes
// from pkg/apis/core/validation/validation.go; what this release does not honour is reported here
// where it depends on more than one field.
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "podspec/annotations.h"
#include "podspec/checks.h"
#include "podspec/places.h"
#include "podspec/podspec.h"
#include "podspec/validation.h"

enum {
    ANNOTATIONS_SIZE_MAX = 256 << 10,
    DNS_NAMESERVERS_MAX = 3,
    DNS_SEARCHES_MAX = 6,
    DNS_SEARCHES_LENGTH_MAX = 256,
};

size_t validation_enter(struct validation *v, const char *format, ...)
{
    size_t mark = v->path.len;
    va_list args;

    va_start(args, format);
    buffer_vprintf(&v->path, format, args);
    va_end(args);
    return mark;
}

void validation_leave(struct validation *v, size_t mark)
{
    buffer_truncate(&v->path, mark);
}

static void add_finding(struct validation *v, enum diag_severity severity, const char *field,
                        const char *format, va_list args) _printf_(4, 0);

static void add_finding(struct validation *v, enum diag_severity severity, const char *field,
                        const char *format, va_list args)
{
    _cleanup_free_ char *message = xvasprintf(format, args);
    size_t mark = validation_enter(v, "%s", field);

    diag_add(v->diags, severity, places_find(v->pod->places, buffer_str(&v->path)), "%s", message);
    validation_leave(v, mark);
}

void validation_error(struct validation *v, const char *field, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_finding(v, DIAG_ERROR, field, format, args);
    va_end(args);
}

void validation_warning(struct validation *v, const char *field, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_finding(v, DIAG_WARNING, field, format, args);
    va_end(args);
}

char *validation_quote(const char *text)
{
    struct buffer out = BUFFER_EMPTY;

    diag_quote(text, &out);
    return buffer_take(&out);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

bool name_set_add(struct name_set *set, const char *name)
{
    char *copy = xstrdup(name);
    char *const *found = tsearch(copy, &set->root, compare_names);

    if (!found)
        abort(); // out of memory, as in base/alloc.h
    if (*found == copy)
        return true;
    free(copy);
    return false;
}

bool name_set_has(const struct name_set *set, const char *name)
{
    return tfind(name, &set->root, compare_names) != NULL;
}

void name_set_free(struct name_set *set)
{
    tdestroy(set->root, free);
    set->root = NULL;
}

bool validation_has_container(const struct validation *v, const char *name)
{
    return name_set_has(&v->containers, name) || name_set_has(&v->inits, name);
}

void validate_labels(struct validation *v, const char *field, const struct string_map *labels)
{
    LIST_EACH (label, labels) {
        size_t mark = validation_enter(v, "%s[%s]", field, label->key);
        const char *wrong = check_qualified_name(label->key);
        if (wrong)
            validation_error(v, "", "the label's name: %s", wrong);
        wrong = check_label_value(label->value);
        if (wrong)
            validation_error(v, "", "the label's value: %s", wrong);
        validation_leave(v, mark);
    }
}

// The annotations by which seccomp and AppArmor profiles were named before they became fields.
static void validate_profile_annotation(struct validation *v, const char *key, const char *value)
{
    static const char app_armor[] = "container.apparmor.security.beta.kubernetes.io/";
    const char *container = key + strlen(app_armor);

    if (str_equal(key, "seccomp.security.alpha.kubernetes.io/pod") ||
        str_starts_with(key, "container.seccomp.security.alpha.kubernetes.io/")) {
        bool known = str_equal(value, "runtime/default") || str_equal(value, "docker/default") ||
                     str_equal(value, "unconfined") ||
                     (str_starts_with(value, "localhost/") &&
                      !check_relative_path(value + strlen("localhost/")));
        if (!known)
            validation_error(v, "", "must be runtime/default, unconfined or localhost/FILE");
    } else if (str_starts_with(key, app_armor)) {
        _cleanup_free_ char *quoted = validation_quote(container);
        if (!validation_has_container(v, container))
            validation_error(v, "", "there is no container %s", quoted);
        if (*value && !str_equal(value, "runtime/default") && !str_equal(value, "unconfined") &&
            !str_starts_with(value, "localhost/"))
            validation_error(v, "", "must be runtime/default, unconfined or localhost/PROFILE");
    }
}

static void validate_own_annotation(struct validation *v, const char *key, const char *value)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    int code = pod_annotation_check(v->pod, key, value, &err);
    if (code == -EINVAL)
        validation_error(v, "", "%s", error_message(&err));
    else if (code == -ESRCH)
        validation_warning(v, "", "%s", error_message(&err));
}

static void validate_annotations(struct validation *v, const struct string_map *annotations)
{
    size_t size = 0;

    LIST_EACH (annotation, annotations) {
        size_t mark = validation_enter(v, ".annotations[%s]", annotation->key);
        const char *wrong = check_annotation_key(annotation->key);
        if (wrong)
            validation_error(v, "", "the annotation's name: %s", wrong);
        validate_profile_annotation(v, annotation->key, annotation->value);
        validate_own_annotation(v, annotation->key, annotation->value);
        validation_leave(v, mark);
        size += strlen(annotation->key) + strlen(annotation->value);
    }
    if (size > ANNOTATIONS_SIZE_MAX)
        validation_error(v, ".annotations", "must not have more than %d bytes together",
                         ANNOTATIONS_SIZE_MAX);
}

// apimachinery/pkg/api/validation/objectmeta.go
static void validate_owners(struct validation *v, const struct object_meta *meta)
{
    bool controlled = false;

    LIST_EACH (owner, &meta->ownerReferences) {
        if (str_equal(owner->apiVersion, "v1") && str_equal(owner->kind, "Event"))
            validation_error(v, ".ownerReferences", "an Event cannot own anything");
        if (controlled && owner->controller && *owner->controller)
            validation_error(v, ".ownerReferences", "only one owner can be the controller");
        controlled |= owner->controller && *owner->controller;
    }
}

void validate_metadata(struct validation *v)
{
    const struct object_meta *meta = &v->pod->metadata;
    const char *wrong = str_empty(meta->name) ? NULL : check_dns_subdomain(meta->name);
    _cleanup_free_ char *quoted = validation_quote(meta->name ? meta->name : "");

    if (wrong)
        validation_error(v, ".name", "%s %s", quoted, wrong);
    validate_labels(v, ".labels", &meta->labels);
    validate_annotations(v, &meta->annotations);
    validate_owners(v, meta);
    if (string_list_contains(&meta->finalizers, "orphan") &&
        string_list_contains(&meta->finalizers, "foregroundDeletion"))
        validation_error(v, ".finalizers", "orphan and foregroundDeletion exclude each other");
}

static void validate_dns_lists(struct validation *v, const struct pod_dns_config *dns)
{
    size_t length = dns->searches.n ? dns->searches.n - 1 : 0;

    LIST_EACH (search, &dns->searches)
        length += strlen(*search);
    if (dns->nameservers.n > DNS_NAMESERVERS_MAX)
        validation_error(v, ".nameservers", "must not have more than %d", DNS_NAMESERVERS_MAX);
    if (dns->searches.n > DNS_SEARCHES_MAX)
        validation_error(v, ".searches", "must not have more than %d", DNS_SEARCHES_MAX);
    if (length > DNS_SEARCHES_LENGTH_MAX)
        validation_error(v, ".searches", "must not have more than %d characters together",
                         DNS_SEARCHES_LENGTH_MAX);
}

static void validate_dns(struct validation *v)
{
    const struct pod_spec *spec = &v->pod->spec;
    bool none = str_equal(spec->dnsPolicy, "None");

    if (none && !spec->dnsConfig)
        validation_error(v, ".dnsConfig", "is required: dnsPolicy None needs its nameservers");
    else if (none && !spec->dnsConfig->nameservers.n)
        validation_error(v, ".dnsConfig.nameservers", "dnsPolicy None needs at least one");
    if (spec->dnsConfig) {
        size_t mark = validation_enter(v, ".dnsConfig");
        validate_dns_lists(v, spec->dnsConfig);
        validation_leave(v, mark);
    }
}

static void validate_namespaces(struct validation *v)
{
    const struct pod_spec *spec = &v->pod->spec;

    if (spec->hostPID && spec->shareProcessNamespace && *spec->shareProcessNamespace)
        validation_error(v, ".shareProcessNamespace",
                         "cannot be true together with hostPID, which shares more");
    if (spec->hostNetwork && spec->hostUsers && !*spec->hostUsers)
        validation_error(v, ".hostUsers", "cannot be false together with hostNetwork");
    if (spec->os && str_equal(spec->os->name, "windows"))
        validation_error(v, ".os.name", "is windows, and this is a node of Linux");
}

static void validate_spec(struct validation *v)
{
    const struct pod_spec *spec = &v->pod->spec;

    validate_volumes(v);
    validate_containers(v);
    validate_namespaces(v);
    validate_dns(v);
    validate_pod_security(v);
    validate_labels(v, ".nodeSelector", &spec->nodeSelector);
    validate_affinity(v);
    validate_tolerations(v);
    validate_spread(v);
    validate_overhead(v, &spec->overhead);
    validate_pod_resources(v);
    validate_priority(v);
}

static void gather_names(struct validation *v)
{
    const struct pod_spec *spec = &v->pod->spec;

    LIST_EACH (volume, &spec->volumes)
        name_set_add(&v->volumes, volume->name ? volume->name : "");
    LIST_EACH (container, &spec->containers)
        name_set_add(&v->containers, container->name ? container->name : "");
    LIST_EACH (container, &spec->initContainers)
        name_set_add(&v->inits, container->name ? container->name : "");
}

int podspec_validate(const struct pod *pod, struct diag_list *diags)
{
    struct validation v = {.pod = pod, .diags = diags};
    size_t errors = diags->errors;

    gather_names(&v);
    size_t mark = validation_enter(&v, "metadata");
    validate_metadata(&v);
    validation_leave(&v, mark);
    validation_enter(&v, "spec");
    validate_spec(&v);
    buffer_free(&v.path);
    name_set_free(&v.volumes);
    name_set_free(&v.containers);
    name_set_free(&v.inits);
    return diags->errors > errors ? -EINVAL : 0;
}
