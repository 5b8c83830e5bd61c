// See node-start.h.
#include "cli/node-start.h"

#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/monotime.h"
#include "cli/client.h"
#include "cli/manifest-wait.h"
#include "cli/pki-report.h"
#include "cli/pod-wait.h"
#include "cli/term.h"

// What each needs, for the order of waiting and for the chain of causes.
static const struct need {
    enum control_plane_component component, needs;
} needs[] = {
    {COMPONENT_KUBE_APISERVER, COMPONENT_ETCD},
    {COMPONENT_KUBE_CONTROLLER_MANAGER, COMPONENT_KUBE_APISERVER},
    {COMPONENT_KUBE_SCHEDULER, COMPONENT_KUBE_APISERVER},
};

static const struct node_file *find_file(const struct node_plan *plan,
                                         enum control_plane_component component)
{
    LIST_EACH (file, &plan->files)
        if (file->component == component)
            return file;
    return NULL;
}

// Who waits for the one that is not ready: "kube-scheduler waits for kube-apiserver, which waits
// for etcd."
static void explain_chain(const struct node_plan *plan, enum control_plane_component stuck,
                          struct buffer *out)
{
    bool waits[COMPONENTS] = {false};
    waits[stuck] = true;
    for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
        if (!waits[needs[i].needs] || !find_file(plan, needs[i].component))
            continue;
        waits[needs[i].component] = true;
        buffer_printf(out, "\n%s waits for %s", control_plane_component_name(needs[i].component),
                      control_plane_component_name(needs[i].needs));
        if (needs[i].needs != stuck)
            buffer_printf(out, ", which waits for %s", control_plane_component_name(stuck));
        buffer_add_char(out, '.');
    }
}

// The pod of a manifest, by its file's name. The caller frees.
static char *pod_of(const struct node_file *file)
{
    const char *base = path_base(file->path);
    return xstrndup(base, strcspn(base, "."));
}

static int see_through(const struct node_file *file, const char *socket, monotime deadline,
                       struct error *err)
{
    _cleanup_client_ struct client *client = client_new(socket);
    _cleanup_free_ char *pod = pod_of(file);
    const struct pod_target target = {.namespace_ = "kube-system", .name = pod};
    char sha256[DIGEST_HEX_SIZE];
    digest_sha256_hex(file->text.data, file->text.len, sha256);
    int code = manifest_wait(client, file->path, sha256, deadline, err);
    return code < 0 ? code : pods_wait(client, &target, 1, POD_GOAL_READY, 0, deadline, err);
}

static int wait_for(const struct node_plan *plan, const struct node_file *file, const char *socket,
                    monotime since, monotime deadline, struct error *err)
{
    int code = see_through(file, socket, deadline, err);
    if (code < 0) {
        _cleanup_buffer_ struct buffer chain = BUFFER_EMPTY;
        if (file->component != COMPONENTS)
            explain_chain(plan, file->component, &chain);
        return error_set(err, code, "%s%s", error_message(err), buffer_str(&chain));
    }
    _cleanup_free_ char *pod = pod_of(file);
    int64_t usec = monotime_since(monotime_now(), since);
    _cleanup_free_ char *what =
        xasprintf("%s (after %.1f s)", pod, (double)usec / (double)USEC_PER_SEC);
    pki_say("ready", TERM_GREEN, what, NULL);
    fflush(stdout);
    return 0;
}

int node_start_wait_for(const struct node_plan *plan, enum control_plane_component component,
                        const char *socket, monotime since, monotime deadline, struct error *err)
{
    int code = 0;
    LIST_EACH (file, &plan->files)
        if (code == 0 && file->is_manifest && file->component == component)
            code = wait_for(plan, file, socket, since, deadline, err);
    return code;
}

int node_start_wait(const struct node_plan *plan, const struct node_start_options *options,
                    const char *socket, struct error *err)
{
    monotime now = monotime_now();
    monotime deadline = monotime_add_usec(now, options->timeout_nsec / NSEC_PER_USEC);
    int code = 0;
    if (!options->wait)
        return 0;
    printf("\n");
    fflush(stdout);
    for (int i = 0; i <= COMPONENTS && code == 0; i++)
        code =
            node_start_wait_for(plan, (enum control_plane_component)i, socket, now, deadline, err);
    return code;
}
