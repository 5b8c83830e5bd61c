// The order in which all pods stop, written down for whoever has to stop them without an agent.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/pods-internal.h"

enum { ORDER_PRIORITY = SD_EVENT_PRIORITY_NORMAL + 60 }; // after everything that somebody waits for

static void describe(struct pods *pods, struct buffer *out)
{
    _cleanup_free_ int64_t *priorities = xcalloc(pods->n + 1, sizeof(*priorities));
    _cleanup_free_ size_t *steps = xcalloc(pods->n + 1, sizeof(*steps));
    const struct depend_graph *graph = depends_graph(pods);
    for (size_t i = 0; i < pods->n; i++)
        priorities[i] = pods->slots[i]->priority;
    depend_graph_raise(graph, priorities);
    depend_graph_steps(graph, priorities, steps);
    for (size_t i = 0; i < pods->n; i++)
        if (steps[i] > 0 && pods->slots[i]->worker)
            buffer_printf(out, "%zu %s\n", steps[i], pods->slots[i]->worker->pod->metadata.uid);
}

static int write_down(const struct pods *pods, const struct buffer *text)
{
    const char *run_dir = pods->options.runtime.containers.run_dir;
    _cleanup_free_ char *path = path_join(run_dir, "stop-order");
    if (text->len == 0)
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
    return fs_write_atomic(AT_FDCWD, path, text->data, text->len, 0644, 0);
}

static int on_order(sd_event_source *source, void *userdata)
{
    struct pods *pods = userdata;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (pods->n_depending > 0 || pods->n_ranked > 0)
        describe(pods, &text);
    if (str_equal(buffer_str(&text), pods->order_text))
        return 0;
    if (write_down(pods, &text) < 0)
        return 0; // a full disk: all would stop together
    free(pods->order_text);
    pods->order_text = xstrdup(buffer_str(&text));
    return 0;
}

void pods_order_stale(struct pods *pods)
{
    if (pods->order)
        sd_event_source_set_enabled(pods->order, SD_EVENT_ONESHOT);
}

int pods_order_init(struct pods *pods)
{
    int r = sd_event_add_defer(pods->options.runtime.event, &pods->order, on_order, pods);
    return r < 0 ? r : sd_event_source_set_priority(pods->order, ORDER_PRIORITY);
}

void pods_order_free(struct pods *pods)
{
    sd_event_source_disable_unref(pods->order);
    free(pods->order_text);
}
