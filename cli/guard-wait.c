// See guard-wait.h.
#include "cli/guard-wait.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/field.h"
#include "cli/pod-view.h"
#include "cli/term.h"

enum { GOES_ON = 1 }; // what the line callback returns

struct guard_watch {
    const char *namespace_, *name;
    bool asked; // the pod waits for the guard
    char *told;
};

void guard_tell(const json_t *pod, char **told)
{
    const char *why = field_text(pod, "mainstay.guard");
    if (!why || str_equal(why, *told))
        return;
    free(*told);
    *told = xstrdup(why);
    _cleanup_free_ char *safe = term_safe(why);
    fprintf(stderr, "%s%s waits: QuorumGuard: %s\n", term_is_live(stderr) ? "\r\033[K" : "",
            field_text_or_empty(pod, "metadata.name"), safe);
}

static int take_line(void *userdata, const char *line, size_t len)
{
    struct guard_watch *w = userdata;
    json_t *message = json_loadb(line, len, 0, NULL);
    const char *type = field_text_or_empty(message, "type");
    const json_t *pod = field_at(message, "object");
    bool over = str_equal(type, "BOOKMARK") && !w->asked;
    if (pod && !str_equal(type, "ERROR") && pod_is_named(pod, w->namespace_, w->name)) {
        bool before = w->asked;
        w->asked = !str_equal(type, "DELETED") && field_true(pod, "mainstay.guardAsked");
        over = before && !w->asked;
        guard_tell(pod, &w->told);
    }
    json_decref(message);
    return over ? GOES_ON : 0;
}

int guard_wait(struct client *client, const char *namespace_, const char *name, struct error *err)
{
    struct guard_watch w = {.namespace_ = namespace_, .name = name};
    client_add_lines(client, "/mainstay/v1/pods?watch=true", take_line, &w);
    int r = client_run(client, MONOTIME_NEVER, err);
    client_drop_streams(client);
    free(w.told);
    if (r == 0)
        return error_set(err, ENOTCONN,
                         "the agent ended the watch; the order stands, and the next "
                         "agent goes on with it");
    return r == GOES_ON ? 0 : r;
}

int guard_force(struct client *client, const char *namespace_, const char *name, bool coming,
                struct error *err)
{
    _cleanup_error_ struct error why = ERROR_NONE;
    _cleanup_free_ char *path =
        client_pod_path(namespace_, name, coming ? "/force?coming=true" : "/force");
    int r = client_post(client, path, NULL, &why);
    return r == -ENOENT || r >= 0 ? 0 : error_set(err, r, "%s", error_message(&why));
}
