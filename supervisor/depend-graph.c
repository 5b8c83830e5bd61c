// See depend-graph.h. A node has few edges in either direction; the graph has as many nodes as
// there are pods.
#include "supervisor/depend-graph.h"

#include <string.h>

#include "base/alloc.h"

struct node {
    LIST_OF(size_t) on;     // what it depends on
    LIST_OF(size_t) needed; // what depends on it
};

struct depend_graph {
    struct node *nodes;
    size_t n;
};

struct depend_graph *depend_graph_new(size_t n)
{
    struct depend_graph *g = xcalloc(1, sizeof(*g));
    g->nodes = xcalloc(n + 1, sizeof(*g->nodes));
    g->n = n;
    return g;
}

void depend_graph_free(struct depend_graph *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->n; i++) {
        free(g->nodes[i].on.items);
        free(g->nodes[i].needed.items);
    }
    free(g->nodes);
    free(g);
}

bool depend_graph_depends(const struct depend_graph *g, size_t node, size_t on)
{
    LIST_EACH (known, &g->nodes[node].on)
        if (*known == on)
            return true;
    return false;
}

void depend_graph_add(struct depend_graph *g, size_t node, size_t on)
{
    if (depend_graph_depends(g, node, on))
        return;
    *LIST_APPEND(&g->nodes[node].on) = on;
    *LIST_APPEND(&g->nodes[on].needed) = node;
}

// ---- cycles ----

// Takes away what nothing (that is left) depends on, until that is all or nothing.
bool depend_graph_has_cycle(const struct depend_graph *g)
{
    _cleanup_free_ size_t *users = xcalloc(g->n + 1, sizeof(*users));
    _cleanup_free_ size_t *queue = xcalloc(g->n + 1, sizeof(*queue));
    size_t head = 0, tail = 0;
    for (size_t i = 0; i < g->n; i++) {
        users[i] = g->nodes[i].needed.n;
        if (users[i] == 0)
            queue[tail++] = i;
    }
    while (head < tail) {
        const struct node *node = &g->nodes[queue[head++]];
        LIST_EACH (on, &node->on)
            if (--users[*on] == 0)
                queue[tail++] = *on;
    }
    return tail < g->n;
}

// From the last node of a cycle back to the first, by who found whom.
static size_t take_cycle(const size_t *found_by, size_t first, size_t last, size_t **ret)
{
    size_t n = 1;
    for (size_t at = last; at != first; at = found_by[at])
        n++;
    size_t *cycle = xcalloc(n, sizeof(*cycle));
    size_t i = n;
    for (size_t at = last; at != first; at = found_by[at])
        cycle[--i] = at;
    cycle[0] = first;
    *ret = cycle;
    return n;
}

size_t depend_graph_cycle(const struct depend_graph *g, size_t node, size_t **ret)
{
    _cleanup_free_ size_t *queue = xcalloc(g->n, sizeof(*queue));
    _cleanup_free_ size_t *found_by = xcalloc(g->n, sizeof(*found_by));
    _cleanup_free_ bool *found = xcalloc(g->n, sizeof(*found));
    size_t head = 0, tail = 0;
    queue[tail++] = node;
    while (head < tail) {
        size_t at = queue[head++];
        LIST_EACH (on, &g->nodes[at].on) {
            if (*on == node)
                return take_cycle(found_by, node, at, ret);
            if (found[*on])
                continue;
            found[*on] = true;
            found_by[*on] = at;
            queue[tail++] = *on;
        }
    }
    return 0;
}

// ---- the order of a stop ----

void depend_graph_raise(const struct depend_graph *g, int64_t *priorities)
{
    _cleanup_free_ size_t *queue = xcalloc(g->n + 1, sizeof(*queue));
    _cleanup_free_ bool *queued = xcalloc(g->n + 1, sizeof(*queued));
    size_t head = 0, length = g->n;
    for (size_t i = 0; i < g->n; i++) {
        queue[i] = i;
        queued[i] = true;
    }
    while (length > 0) {
        size_t at = queue[head];
        head = (head + 1) % g->n;
        length--;
        queued[at] = false;
        LIST_EACH (on, &g->nodes[at].on) {
            if (priorities[*on] >= priorities[at])
                continue;
            priorities[*on] = priorities[at];
            if (queued[*on])
                continue;
            queued[*on] = true;
            queue[(head + length++) % g->n] = *on;
        }
    }
}

// The search for the longest chain of nodes of one priority, in either direction.
struct chains {
    const struct depend_graph *graph;
    const int64_t *priorities;
    bool users;      // along those that depend on a node, not those that it depends on
    size_t *answers; // by node
    bool *seen;      // on the way here (a cycle adds nothing) or, with its answer, done
};

static void chains_open(const struct depend_graph *g, const int64_t *priorities, bool users,
                        struct chains *ret)
{
    *ret = (struct chains){
        .graph = g,
        .priorities = priorities,
        .users = users,
        .answers = xcalloc(g->n + 1, sizeof(*ret->answers)),
        .seen = xcalloc(g->n + 1, sizeof(*ret->seen)),
    };
}

static void chains_close(struct chains *chains)
{
    free(chains->answers);
    free(chains->seen);
}

static size_t longest(struct chains *c, size_t node)
{
    if (c->seen[node])
        return c->answers[node];
    c->seen[node] = true;
    const struct node *n = &c->graph->nodes[node];
    const size_t *next = c->users ? n->needed.items : n->on.items;
    size_t count = c->users ? n->needed.n : n->on.n, most = 0;
    for (size_t i = 0; i < count; i++)
        if (c->priorities[next[i]] == c->priorities[node] && next[i] != node)
            most = MAX(most, 1 + longest(c, next[i]));
    c->answers[node] = most;
    return most;
}

size_t depend_graph_behind(const struct depend_graph *g, const int64_t *priorities, size_t node)
{
    struct chains chains;
    chains_open(g, priorities, false, &chains);
    size_t most = longest(&chains, node);
    chains_close(&chains);
    return most;
}

struct ranked {
    size_t node;
    int64_t priority;
};

static int compare_ranked(const void *a, const void *b)
{
    int64_t left = ((const struct ranked *)a)->priority;
    int64_t right = ((const struct ranked *)b)->priority;
    return left < right ? -1 : left > right;
}

void depend_graph_steps(const struct depend_graph *g, const int64_t *priorities, size_t *ret)
{
    _cleanup_free_ struct ranked *order = xcalloc(g->n + 1, sizeof(*order));
    struct chains chains;
    size_t first = 0, next = 0; // the first step of this priority, and of the one above
    chains_open(g, priorities, true, &chains);
    for (size_t i = 0; i < g->n; i++)
        order[i] = (struct ranked){i, priorities[i]};
    qsort(order, g->n, sizeof(*order), compare_ranked);
    for (size_t i = 0; i < g->n; i++) {
        if (i > 0 && order[i].priority != order[i - 1].priority)
            first = next;
        ret[order[i].node] = first + longest(&chains, order[i].node);
        next = MAX(next, ret[order[i].node] + 1);
    }
    chains_close(&chains);
}

bool depend_graph_may_stop(const struct depend_graph *g, const int64_t *priorities,
                           const bool *gone, size_t node)
{
    for (size_t i = 0; i < g->n; i++)
        if (!gone[i] && priorities[i] < priorities[node])
            return false;
    LIST_EACH (user, &g->nodes[node].needed)
        if (!gone[*user] && *user != node)
            return false;
    return true;
}
