// See volumes-sweeper.h.
#include "supervisor/volumes-sweeper.h"

#include <dirent.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/helper.h"
#include "supervisor/volumes-internal.h"

struct volumes_sweeper {
    sd_event *event;
    const char *program;
    struct event_log *events;
    char *dirs[2];
    struct helper *helper; // NULL while nothing runs
    bool again;
};

static bool has_entries(const char *path)
{
    DIR *dir = opendir(path);
    bool found = false;
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));)
        found = path_is_name(entry->d_name);
    if (dir)
        closedir(dir);
    return found;
}

static void complain(struct volumes_sweeper *s, const char *text)
{
    event_add(s->events, (struct event_object){0}, EVENT_WARNING, "FailedCleanup",
              "what was put aside in %s could not all be removed: %s", s->dirs[0], text);
}

static void on_done(void *userdata, int status, const char *output)
{
    struct volumes_sweeper *s = userdata;
    s->helper = NULL;
    bool again = s->again;
    s->again = false;
    if (again)
        volumes_sweeper_kick(s);
    else if (status != 0)
        complain(s, status > 0 ? strerror(status) : "its helper was killed");
}

void volumes_sweeper_kick(struct volumes_sweeper *s)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    char name[] = "mainstay-shim", role[] = "--remove";
    char *argv[] = {name, role, s->dirs[0], s->dirs[1], NULL};
    if (s->helper) {
        s->again = true;
        return;
    }
    if (!has_entries(s->dirs[0]) && !has_entries(s->dirs[1]))
        return;
    if (helper_start(s->event, s->program, argv, on_done, s, &s->helper, &err) < 0)
        complain(s, error_message(&err));
}

struct volumes_sweeper *volumes_sweeper_new(sd_event *event, const char *program,
                                            const struct volumes_options *options,
                                            struct event_log *events)
{
    struct volumes_sweeper *s = xcalloc(1, sizeof(*s));
    _cleanup_free_ char *pods = path_join(options->root_dir, "pods");
    _cleanup_free_ char *memories = path_join(options->run_dir, "memory");
    s->event = event;
    s->program = program;
    s->events = events;
    s->dirs[0] = volumes_removed_dir(pods);
    s->dirs[1] = volumes_removed_dir(memories);
    volumes_sweeper_kick(s);
    return s;
}

void volumes_sweeper_free(struct volumes_sweeper *s)
{
    if (!s)
        return;
    helper_free(s->helper);
    free(s->dirs[0]);
    free(s->dirs[1]);
    free(s);
}
