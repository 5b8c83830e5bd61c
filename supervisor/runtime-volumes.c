// What the runtime does about volumes beside the pods' own starts and ends.
#include "base/alloc.h"
#include "supervisor/runtime-internal.h"
#include "supervisor/termination-files.h"

struct volumes_options runtime_volumes(const struct runtime *rt)
{
    const struct container_spec_options *containers = &rt->options.containers;
    return (struct volumes_options){.root_dir = containers->root_dir,
                                    .run_dir = containers->run_dir,
                                    .unprivileged = containers->unprivileged,
                                    .memory_capacity_bytes = containers->memory_capacity_bytes};
}

static bool has_runs(const struct runtime *rt, const char *uid)
{
    LIST_EACH (run, &rt->unclaimed)
        if (str_equal((*run)->spec.pod_uid, uid))
            return true;
    return false;
}

void runtime_remove_strays(struct runtime *rt, runtime_knows *knows, void *userdata)
{
    _cleanup_string_list_ struct string_list uids = {0};
    _cleanup_error_ struct error err = ERROR_NONE;
    struct volumes_options options = runtime_volumes(rt);
    int listed = volumes_list_pods(&options, &uids, &err);
    if (termination_files_list(options.root_dir, &uids, listed < 0 ? NULL : &err) < 0 || listed < 0)
        event_add(rt->options.events, (struct event_object){0}, EVENT_WARNING, "FailedCleanup",
                  "%s", error_message(&err));
    LIST_EACH (uid, &uids) {
        _cleanup_error_ struct error why = ERROR_NONE;
        if (has_runs(rt, *uid) || knows(userdata, *uid))
            continue;
        int code = volumes_remove(&options, *uid, &why);
        if (code == 0)
            code = termination_files_remove(options.root_dir, *uid, &why);
        event_add(rt->options.events, (struct event_object){.uid = *uid},
                  code < 0 ? EVENT_WARNING : EVENT_NORMAL,
                  code < 0 ? "FailedCleanup" : "LeftoversRemoved",
                  code < 0 ? "%s"
                           : "the volumes of uid %s, of which no manifest and no record tells",
                  code < 0 ? error_message(&why) : *uid);
    }
    volumes_sweeper_kick(rt->sweeper);
    sandboxes_tidy(rt->sandboxes);
}
