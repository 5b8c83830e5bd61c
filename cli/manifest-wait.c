// See manifest-wait.h.
#include "cli/manifest-wait.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "cli/field.h"
#include "cli/term.h"

enum { ACCEPTED = 1 }; // what the line callback returns

struct manifest_wait {
    const char *file, *sha256;
    struct error *err;
};

static int refused(const struct manifest_wait *w, const json_t *item)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    const json_t *findings = field_at(item, "findings");
    for (size_t i = 0; i < json_array_size(findings); i++)
        buffer_printf(&text, "\n  %s", field_text_or_empty(json_array_get(findings, i), "text"));
    if (field_text(item, "conflictWith"))
        buffer_printf(&text, "\n  its pod is already provided by %s; remove one of the two",
                      field_text(item, "conflictWith"));
    _cleanup_free_ char *safe = term_safe(buffer_str(&text));
    return error_set(w->err, EINVAL, "the agent refused %s%s:%s", w->file,
                     field_true(item, "lastGood") ? " (the last good one runs on)" : "", safe);
}

static int take_line(void *userdata, const char *line, size_t len)
{
    const struct manifest_wait *w = userdata;
    json_t *message = json_loadb(line, len, 0, NULL);
    const json_t *item = field_at(message, "object");
    int r = 0;
    if (str_equal(field_text(message, "type"), "ERROR"))
        r = error_set(w->err, EREMOTEIO, "%s", field_text_or_empty(item, "message"));
    else if (str_equal(path_base(field_text_or_empty(item, "file")), path_base(w->file)) &&
             str_equal(field_text(item, "sha256"), w->sha256))
        r = str_equal(field_text(item, "state"), "Accepted") ? ACCEPTED : refused(w, item);
    json_decref(message);
    return r;
}

int manifest_wait(struct client *client, const char *file, const char *sha256, monotime deadline,
                  struct error *err)
{
    struct manifest_wait w = {file, sha256, err};
    client_add_lines(client, "/mainstay/v1/manifests?watch=true", take_line, &w);
    int r = client_run(client, deadline, err);
    client_drop_streams(client);
    if (r == ACCEPTED)
        return 0;
    if (r == -ETIMEDOUT)
        return error_set(err, ETIMEDOUT,
                         "timed out: the agent has not read %s yet; see `mainstay status`", file);
    if (r == 0)
        return error_set(err, ENOTCONN,
                         "the agent ended the watch; did it stop? See `systemctl status "
                         "mainstayd`.");
    return r;
}
