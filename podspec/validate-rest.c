// Validation of pods that are wrong already. What follows from the mistakes that decoding found is
// noise: a probe whose only action is misspelt has no action, but that is not a second mistake.
#include "podspec/validate.h"

#include <string.h>

#include "podspec/podspec.h"

static bool is_at_or_below(const char *path, const char *above)
{
    size_t n = strlen(above);

    return strncmp(path, above, n) == 0 && (!path[n] || path[n] == '.' || path[n] == '[');
}

static bool are_related(const char *a, const char *b)
{
    return is_at_or_below(a, b) || is_at_or_below(b, a);
}

// A mount that finds no volume and a reference that finds no container, while volumes or containers
// are not all known.
static bool may_look_for_something_lost(const struct diag *finding, const struct diag *known)
{
    bool no_volume = strstr(finding->message, "there is no volume") != NULL;
    bool no_container = strstr(finding->message, "there is no container") != NULL;

    return (no_volume && strstr(known->path, "spec.volume")) ||
           (no_container &&
            (strstr(known->path, "spec.containers") || strstr(known->path, "spec.initContainers")));
}

static bool follows_from(const struct diag *finding, const struct diag_list *diags, size_t from,
                         size_t to)
{
    for (size_t i = from; i < to; i++) {
        const struct diag *known = &diags->items[i];
        if (known->severity == DIAG_ERROR && known->path &&
            (are_related(finding->path, known->path) ||
             may_look_for_something_lost(finding, known)))
            return true;
    }
    return false;
}

void podspec_validate_rest(const struct pod *pod, struct diag_list *diags, size_t from)
{
    _cleanup_diag_list_ struct diag_list found = {0};
    size_t known = diags->n;

    if (diags->dropped)
        return;
    podspec_validate(pod, &found);
    for (size_t i = 0; i < found.n; i++) {
        const struct diag *d = &found.items[i];
        struct diag_place place = {
            .file = d->file, .line = d->line, .column = d->column, .path = d->path};
        if (d->severity == DIAG_ERROR && !follows_from(d, diags, from, known))
            diag_add(diags, d->severity, place, "%s", d->message);
    }
}
