// See sandbox.h: the directory of the CNI configuration, watched from the first pod on that wants a
// network. Where it does not exist, the nearest directory above it is watched instead.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "supervisor/sandbox-internal.h"

struct network_watch {
    struct sandboxes *all;
    bool begun;
    sd_event_source *inotify;
    json_t *config;
    char *file, *problem;
    struct string_list skipped; // as it was told last
};

static const uint32_t mask = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                             IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

static void tell_skipped(struct network_watch *watch, const struct string_list *skipped)
{
    LIST_EACH (sentence, skipped)
        if (!string_list_contains(&watch->skipped, *sentence))
            event_add(watch->all->options.events, (struct event_object){0}, EVENT_WARNING,
                      "NetworkConfigInvalid", "%s; it is passed over", *sentence);
    string_list_free(&watch->skipped);
    string_list_copy(&watch->skipped, skipped);
}

static void load(struct network_watch *watch)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_string_list_ struct string_list skipped = {0};
    const char *dir = watch->all->options.cni_conf_dir;
    json_decref(watch->config);
    watch->config = NULL;
    free(TAKE_PTR(watch->file));
    free(TAKE_PTR(watch->problem));
    int code = cni_config_load(dir, &watch->config, &watch->file, &skipped, &err);
    tell_skipped(watch, &skipped);
    if (code == -ENOENT && skipped.n > 0)
        watch->problem = xasprintf("no usable CNI configuration in %s: %s", dir, skipped.items[0]);
    else if (code == -ENOENT)
        watch->problem = xasprintf("the pod wants a network of its own, and there is no CNI "
                                   "configuration in %s: put one there, or set hostNetwork: true",
                                   dir);
    else if (code < 0)
        watch->problem = xstrdup(error_message(&err));
    else
        log_info("the pods' network is described by %s", watch->file);
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata);

// On the directory, or on the nearest one above it.
static void watch_path(struct network_watch *watch)
{
    _cleanup_free_ char *path = xstrdup(watch->all->options.cni_conf_dir);
    watch->inotify = sd_event_source_disable_unref(watch->inotify);
    for (;;) {
        int r = sd_event_add_inotify(watch->all->options.event, &watch->inotify, path, mask,
                                     on_inotify, watch);
        char *slash = strrchr(path, '/');
        if (r >= 0 || !slash || strcmp(path, "/") == 0) {
            if (r < 0)
                log_warning("%s cannot be watched: %s", path, strerror(-r));
            return;
        }
        slash[slash == path] = '\0';
    }
}

// Watched first, then read: what comes in between is seen twice, not missed.
static void look(struct network_watch *watch)
{
    watch_path(watch);
    load(watch);
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    struct network_watch *watch = userdata;
    look(watch);
    if (watch->config)
        sandboxes_try_again(watch->all);
    watch->all->ops->network_changed(watch->all->userdata);
    return 0;
}

int network_watch_new(struct sandboxes *all, struct error *err)
{
    all->network = xcalloc(1, sizeof(*all->network));
    all->network->all = all;
    return 0;
}

void network_watch_free(struct network_watch *watch)
{
    if (!watch)
        return;
    sd_event_source_disable_unref(watch->inotify);
    json_decref(watch->config);
    free(watch->file);
    free(watch->problem);
    string_list_free(&watch->skipped);
    free(watch);
}

const json_t *network_watch_config(struct network_watch *watch, const char **ret_problem)
{
    if (!watch->begun)
        look(watch);
    watch->begun = true;
    *ret_problem = watch->problem;
    return watch->config;
}
