// See node-state.h.
#include "cli/node-state.h"

#include <errno.h>

#include "base/string-list.h"
#include "cli/field.h"

int node_state_fetch(struct client *client, struct node_state *ret, struct error *err)
{
    struct node_state state = {0};
    json_t *list = NULL;
    int r = client_get(client, "/mainstay/v1/status", &state.status, err);
    if (r == 0)
        r = client_get(client, "/mainstay/v1/manifests", &list, err);
    if (r < 0) {
        json_decref(state.status);
        return r;
    }
    state.manifests = json_incref(field_at(list, "items"));
    json_decref(list);
    *ret = state;
    return 0;
}

void node_state_free(struct node_state *state)
{
    json_decref(state->status);
    json_decref(state->manifests);
}

const char *node_state_node(const struct node_state *state)
{
    return field_text_or_empty(state->status, "node");
}

const char *node_state_directory(const struct node_state *state)
{
    return field_text_or_empty(state->status, "directories.manifests");
}

const json_t *node_state_provider(const struct node_state *state, const char *namespace_,
                                  const char *name)
{
    for (size_t i = 0; i < json_array_size(state->manifests); i++) {
        const json_t *item = json_array_get(state->manifests, i);
        const json_t *pods = field_at(item, "pods");
        if (str_equal(field_text(item, "state"), "Conflict"))
            continue;
        for (size_t j = 0; j < json_array_size(pods); j++) {
            const json_t *pod = json_array_get(pods, j);
            if (str_equal(field_text(pod, "namespace"), namespace_) &&
                str_equal(field_text(pod, "name"), name))
                return item;
        }
    }
    return NULL;
}

int node_state_check_file(const char *file, const char *pod, struct error *err)
{
    if (*file == '/')
        return 0;
    return error_set(
        err, EPERM,
        "pod %s comes from %s, which is not this node's to change: change the answer "
        "there (an empty list takes its pods away), or take --manifest-url off the agent",
        pod, file);
}

const json_t *node_state_manifest(const struct node_state *state, const char *file)
{
    for (size_t i = 0; i < json_array_size(state->manifests); i++) {
        const json_t *item = json_array_get(state->manifests, i);
        if (str_equal(field_text(item, "file"), file))
            return item;
    }
    return NULL;
}
