// Orders that wait for a guard's word (quorum-guard.h): the pod runs on as it is until it comes.
#include <string.h>

#include "base/alloc.h"
#include "supervisor/pod-worker-internal.h"

bool pod_worker_may_stop(struct pod_worker *w, enum pod_order order)
{
    bool runs = w->state == POD_RUNNING || w->state == POD_INITIALIZING;
    if (!w->guard || !runs || pod_worker_is_stopping(w) || !pod_worker_is_alive(w) ||
        w->guard->ask(w, order))
        return true;
    if (!w->asked)
        w->asked_since = pod_worker_wall(w);
    w->asked |= (int)order;
    return false;
}

// A removal is not among them: the manifests tell it again.
void pod_worker_ask_again(struct pod_worker *w, monotime now)
{
    int orders = w->asked_before;
    w->asked_before = 0;
    if (orders & POD_ORDER_HOLD)
        pod_worker_hold(w, now);
    for (size_t i = 0; i < w->n_containers && !w->held; i++) {
        struct container_worker *c = &w->containers[i];
        bool wanted = c->restart_asked && (orders & POD_ORDER_RESTART);
        c->restart_asked = wanted && !pod_worker_may_stop(w, POD_ORDER_RESTART);
        if (wanted && !c->restart_asked)
            container_do_restart(c, now);
        for (enum probe_kind kind = 0; kind < PROBE_KINDS; kind++)
            if (orders & POD_ORDER_PROBE && c->probes[kind] == PROBE_FAILURE)
                pod_worker_probed(c, kind, PROBE_FAILURE, now);
    }
}

static void forget_marks(struct pod_worker *w)
{
    for (size_t i = 0; i < w->n_containers; i++) {
        struct container_worker *c = &w->containers[i];
        if (!(w->asked & POD_ORDER_RESTART))
            c->restart_asked = false;
        if (!(w->asked & POD_ORDER_PROBE))
            memset(c->probe_asked, 0, sizeof(c->probe_asked));
    }
}

void pod_worker_forget_orders(struct pod_worker *w, int orders)
{
    if (!w->asked)
        return;
    w->asked &= ~orders;
    forget_marks(w);
    if (w->asked)
        return;
    free(TAKE_PTR(w->asked_why));
    w->guard->forget(w);
}

void pod_worker_guard_waits(struct pod_worker *w, enum event_type type, const char *why,
                            monotime now)
{
    if (!w->asked || str_equal(why, w->asked_why))
        return;
    free(w->asked_why);
    w->asked_why = xstrdup(why);
    pod_worker_event(w, NULL, type, "QuorumGuard", "not stopped yet: %s", why);
    pod_worker_settle(w, now);
}

static void let_containers_go(struct pod_worker *w, monotime now)
{
    for (size_t i = 0; i < w->n_containers; i++) {
        struct container_worker *c = &w->containers[i];
        if (c->restart_asked) {
            container_do_restart(c, now);
            continue;
        }
        for (enum probe_kind kind = 0; kind < PROBE_KINDS; kind++)
            if (c->probe_asked[kind])
                container_stop_unhealthy(c, kind, now);
    }
}

void pod_worker_let_go(struct pod_worker *w, monotime now)
{
    int orders = w->asked;
    w->asked = 0;
    free(TAKE_PTR(w->asked_why));
    if (orders & POD_ORDER_HOLD)
        pod_worker_do_hold(w, now);
    if (orders & POD_ORDER_REMOVE)
        pod_worker_do_remove(w, now);
    if (!pod_worker_is_stopping(w))
        let_containers_go(w, now);
    forget_marks(w);
    pod_worker_settle(w, now);
}

void pod_worker_keep(struct pod_worker *w, monotime now)
{
    if (!(w->asked & POD_ORDER_REMOVE))
        return;
    pod_worker_forget_orders(w, POD_ORDER_REMOVE);
    pod_worker_settle(w, now);
}

void container_ask_probe(struct container_worker *c, enum probe_kind kind, bool waits)
{
    struct pod_worker *w = c->pod;
    bool any = false;
    if (waits == c->probe_asked[kind] && !waits)
        return;
    c->probe_asked[kind] = waits;
    if (waits && w->ops->probe_on)
        w->ops->probe_on(w->runtime, c, kind);
    for (size_t i = 0; i < w->n_containers; i++)
        for (size_t k = 0; k < PROBE_KINDS; k++)
            any = any || w->containers[i].probe_asked[k];
    if (!any)
        pod_worker_forget_orders(w, POD_ORDER_PROBE);
}
