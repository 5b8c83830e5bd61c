// See past.h.
#include "cli/past.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "cli/field.h"
#include "supervisor/history.h"

static int fetch_from_disk(const char *root_dir, const char *namespace_, const char *name,
                           json_t **ret, struct error *err)
{
    _cleanup_history_ struct history history = {0};
    _cleanup_free_ char *dir = path_join(root_dir, "state/history");
    int r = history_look_up(dir, NULL, namespace_, name, &history, err);
    if (r == 0)
        *ret = history_to_json(&history);
    return r;
}

int past_fetch(struct client *client, const char *root_dir, const char *namespace_,
               const char *name, json_t **ret, struct error *err)
{
    if (str_starts_with(name, "pod/"))
        name += strlen("pod/");
    if (root_dir)
        return fetch_from_disk(root_dir, namespace_, name, ret, err);
    _cleanup_free_ char *ns = client_escape(namespace_ ? namespace_ : "-");
    _cleanup_free_ char *escaped = client_escape(name);
    _cleanup_free_ char *path = xasprintf("/mainstay/v1/history/%s/%s", ns, escaped);
    return client_get(client, path, ret, err);
}

const json_t *past_revision(const json_t *past, long long number, struct error *err)
{
    _cleanup_buffer_ struct buffer known = BUFFER_EMPTY;
    const json_t *items = field_at(past, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        if (field_int(item, "revision") == number)
            return item;
        buffer_printf(&known, "%s%lld", i > 0 ? ", " : "", field_int(item, "revision"));
    }
    error_set(err, ENOENT, "pod %s has no revision %lld (any more); there are %s",
              field_text_or_empty(past, "name"), number, buffer_str(&known));
    return NULL;
}

const json_t *past_current(const json_t *past)
{
    long long current = field_int(past, "current");
    return current ? past_revision(past, current, NULL) : NULL;
}

const char *past_manifest(const json_t *revision)
{
    return field_text(revision, "manifest");
}

// A pod whose manifest was not at hand is kept as it ran: nothing is to be added.
static json_t *complete_pod(const json_t *revision, const char *file, struct error *err)
{
    _cleanup_pod_list_ struct pod_list pods = {0};
    _cleanup_diag_list_ struct diag_list diags = {0};
    const char *text = field_text_or_empty(revision, "pod");
    if (podspec_parse(file, text, strlen(text), &pods, &diags) == 0 && pods.n == 1)
        return pod_to_json(pods.items[0]);
    error_set(err, EINVAL, "revision %lld cannot be read any more",
              field_int(revision, "revision"));
    return NULL;
}

// What follows the name in the manifest.
static char *node_of(const json_t *past, const struct draft *plain)
{
    const char *full = field_text_or_empty(past, "name");
    for (size_t i = 0; i < plain->pods.n; i++) {
        const char *name = plain->pods.items[i]->metadata.name;
        size_t len = strlen(name);
        if (str_starts_with(full, name) && full[len] == '-')
            return xstrdup(full + len + 1);
    }
    return NULL;
}

// The node is that of the agent, which need not be this host: the pod's full name tells it.
static char *find_node(const json_t *past, const char *file, const char *text)
{
    struct draft plain = {.file = xstrdup(file)};
    podspec_parse(file, text, strlen(text), &plain.pods, &plain.diags);
    char *node = node_of(past, &plain);
    draft_free(&plain);
    return node;
}

json_t *past_pod(const json_t *past, const json_t *revision, struct error *err)
{
    const char *file = field_text(revision, "file"), *text = past_manifest(revision);
    file = file ? file : "manifest";
    if (!text)
        return complete_pod(revision, file, err);
    _cleanup_free_ char *node = find_node(past, file, text);
    _cleanup_draft_ struct draft draft = {.file = xstrdup(file)};
    buffer_add_str(&draft.content, text);
    draft_judge(&draft, node ? node : "");
    for (size_t i = 0; draft.valid && i < draft.pods.n; i++) {
        const struct object_meta *meta = &draft.pods.items[i]->metadata;
        if (str_equal(meta->name, field_text(past, "name")) &&
            str_equal(meta->namespace, field_text(past, "namespace")))
            return pod_to_json(draft.pods.items[i]);
    }
    error_set(err, EINVAL, "revision %lld is refused by this release: %s",
              field_int(revision, "revision"),
              draft.diags.n ? draft.diags.items[0].message : "the pod is not in its manifest");
    return NULL;
}
