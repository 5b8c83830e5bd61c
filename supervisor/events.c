// The events in memory: a list in order of id, with a hash table beside it that finds the event
// that a new one repeats.
#include "supervisor/events.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/string-list.h"
#include "supervisor/event-ids.h"
#include "supervisor/events-internal.h"

enum { BUCKETS = 1024 };

struct event_node {
    struct event event; // its strings stand behind the struct, in the same allocation
    uint64_t hash;
    struct event_node *older, *newer;
    struct event_node *next; // of the same bucket
};

struct event_log {
    char *node_name;
    uint64_t newest, forgotten;
    size_t n;
    struct event_node *oldest, *youngest; // in order of id
    struct event_node *buckets[BUCKETS];
    struct event_file *file;
    struct event_counts counts;
    void (*added)(void *userdata, const struct event *event);
    void *userdata;
};

// ---- keys ----

static uint64_t hash_text(uint64_t hash, const char *s)
{
    for (s = s ? s : ""; *s; s++)
        hash = (hash ^ (unsigned char)*s) * 0x100000001b3u;
    return (hash ^ 0xff) * 0x100000001b3u;
}

uint64_t event_key_hash(const struct event *e)
{
    const char *const parts[] = {e->namespace_, e->pod,    e->uid,    e->container,
                                 e->file,       e->reason, e->message};
    uint64_t hash = 0xcbf29ce484222325u + (uint64_t)e->type;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        hash = hash_text(hash, parts[i]);
    return hash;
}

bool event_same_key(const struct event *a, const struct event *b)
{
    return a->type == b->type && str_equal(a->reason, b->reason) &&
           str_equal(a->message, b->message) && str_equal(a->namespace_, b->namespace_) &&
           str_equal(a->pod, b->pod) && str_equal(a->uid, b->uid) &&
           str_equal(a->container, b->container) && str_equal(a->file, b->file);
}

static struct event_node *find(const struct event_log *log, const struct event *like, uint64_t hash)
{
    struct event_node *node = log->buckets[hash % BUCKETS];
    while (node && (node->hash != hash || !event_same_key(&node->event, like)))
        node = node->next;
    return node;
}

// ---- the list ----

static char *place_text(char **end, const char *s)
{
    if (!s)
        return NULL;
    char *place = *end;
    *end = stpcpy(place, s) + 1;
    return place;
}

static size_t text_size(const char *s)
{
    return s ? strlen(s) + 1 : 0;
}

static struct event_node *node_new(const struct event *e, uint64_t hash)
{
    size_t size = text_size(e->reason) + text_size(e->message) + text_size(e->namespace_) +
                  text_size(e->pod) + text_size(e->uid) + text_size(e->container) +
                  text_size(e->file);
    struct event_node *node = xcalloc(1, sizeof(*node) + size);
    char *end = (char *)(node + 1);
    node->event = *e;
    node->hash = hash;
    node->event.reason = place_text(&end, e->reason);
    node->event.message = place_text(&end, e->message);
    node->event.namespace_ = place_text(&end, e->namespace_);
    node->event.pod = place_text(&end, e->pod);
    node->event.uid = place_text(&end, e->uid);
    node->event.container = place_text(&end, e->container);
    node->event.file = place_text(&end, e->file);
    return node;
}

static void link_youngest(struct event_log *log, struct event_node *node)
{
    node->older = log->youngest;
    node->newer = NULL;
    *(log->youngest ? &log->youngest->newer : &log->oldest) = node;
    log->youngest = node;
}

static void unlink_node(struct event_log *log, struct event_node *node)
{
    *(node->older ? &node->older->newer : &log->oldest) = node->newer;
    *(node->newer ? &node->newer->older : &log->youngest) = node->older;
}

static void drop(struct event_log *log, struct event_node *node)
{
    struct event_node **at = &log->buckets[node->hash % BUCKETS];
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    unlink_node(log, node);
    log->n--;
    free(node);
}

static struct event_node *insert(struct event_log *log, const struct event *e, uint64_t hash)
{
    if (log->n == EVENTS_MOST) {
        log->forgotten = log->oldest->event.id;
        drop(log, log->oldest);
    }
    struct event_node *node = node_new(e, hash);
    link_youngest(log, node);
    node->next = log->buckets[hash % BUCKETS];
    log->buckets[hash % BUCKETS] = node;
    log->n++;
    return node;
}

// A line of the file: the newest state of its event.
static void loaded(void *userdata, const struct event *e)
{
    struct event_log *log = userdata;
    uint64_t hash = event_key_hash(e);
    struct event_node *before = find(log, e, hash);
    if (e->id <= log->newest)
        return; // out of order: a damaged or foreign line
    if (before)
        drop(log, before);
    insert(log, e, hash);
    log->newest = e->id;
}

// ---- the journal ----

static void add_field(char **fields, size_t *n, const char *name, const char *value)
{
    if (!str_empty(value))
        fields[(*n)++] = xasprintf("%s=%s", name, value);
}

static char *object_text(const struct event *e)
{
    if (e->pod)
        return xasprintf("pod %s/%s", e->namespace_ ? e->namespace_ : "default", e->pod);
    return e->file ? xasprintf("manifest %s", e->file) : xstrdup("node");
}

static void write_journal(const struct event *e)
{
    char *fields[12] = {0};
    size_t n = 0;
    _cleanup_free_ char *id = xasprintf("%" PRIu64, e->id);
    _cleanup_free_ char *count = xasprintf("%" PRIu32, e->count);
    _cleanup_free_ char *object = object_text(e);
    _cleanup_free_ char *message = xasprintf("%s: %s: %s", object, e->reason, e->message);
    add_field(fields, &n, "MESSAGE_ID", event_message_id(e->reason));
    add_field(fields, &n, "MAINSTAY_EVENT", e->reason);
    add_field(fields, &n, "MAINSTAY_EVENT_ID", id);
    add_field(fields, &n, "MAINSTAY_EVENT_COUNT", count);
    add_field(fields, &n, "MAINSTAY_POD", e->pod);
    add_field(fields, &n, "MAINSTAY_NAMESPACE", e->namespace_);
    add_field(fields, &n, "MAINSTAY_POD_UID", e->uid);
    add_field(fields, &n, "MAINSTAY_CONTAINER", e->container);
    add_field(fields, &n, "MAINSTAY_MANIFEST", e->file);
    log_write_fields(e->type == EVENT_WARNING ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, message,
                     (const char *const *)fields);
    for (size_t i = 0; i < n; i++)
        free(fields[i]);
}

// ---- public ----

struct event_log *event_log_open(const char *path, const char *node_name)
{
    struct event_log *log = xcalloc(1, sizeof(*log));
    log->node_name = xstrdup(node_name);
    if (path)
        log->file = event_file_open(path, loaded, log);
    return log;
}

void event_log_free(struct event_log *log)
{
    if (!log)
        return;
    for (struct event_node *node = log->oldest, *newer; node; node = newer) {
        newer = node->newer;
        free(node);
    }
    event_file_free(log->file);
    event_counts_free(&log->counts);
    free(log->node_name);
    free(log);
}

// Cut between two characters, with an ellipsis that says so.
static void bound_message(char *message)
{
    static const char ellipsis[] = "…";
    size_t end = EVENT_MESSAGE_MAX - sizeof(ellipsis);
    if (strlen(message) <= EVENT_MESSAGE_MAX)
        return;
    while (end > 0 && ((unsigned char)message[end] & 0xc0) == 0x80)
        end--;
    memcpy(message + end, ellipsis, sizeof(ellipsis));
}

static const struct event *record(struct event_log *log, struct event *e)
{
    uint64_t hash = event_key_hash(e);
    struct event_node *before = find(log, e, hash);
    e->id = ++log->newest;
    e->first = e->last = walltime_now();
    e->count = 1;
    if (!before)
        return &insert(log, e, hash)->event;
    before->event.id = e->id;
    before->event.last = e->last;
    if (before->event.count < UINT32_MAX)
        before->event.count++;
    unlink_node(log, before);
    link_youngest(log, before);
    return &before->event;
}

void event_add(struct event_log *log, struct event_object about, enum event_type type,
               const char *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    bound_message(message);
    struct event like = {
        .type = type,
        .reason = (char *)reason,
        .message = message,
        .namespace_ = (char *)about.namespace_,
        .pod = (char *)about.pod,
        .uid = (char *)about.uid,
        .container = (char *)about.container,
        .file = (char *)about.file,
    };
    event_counts_add(&log->counts, reason, type);
    const struct event *e = record(log, &like);
    write_journal(e);
    if (log->file)
        event_file_append(log->file, e);
    if (log->added)
        log->added(log->userdata, e);
}

size_t event_log_since(const struct event_log *log, uint64_t after, const struct event ***ret)
{
    const struct event_node *first = log->youngest;
    size_t n = 0, i = 0;
    if (first && first->event.id > after)
        for (n = 1; first->older && first->older->event.id > after; n++)
            first = first->older;
    const struct event **events = xcalloc(n + 1, sizeof(struct event *));
    for (const struct event_node *node = first; i < n; node = node->newer)
        events[i++] = &node->event;
    *ret = events;
    return n;
}

void event_log_each_count(struct event_log *log, event_count_fn each, void *userdata)
{
    event_counts_each(&log->counts, each, userdata);
}

size_t event_log_count(const struct event_log *log)
{
    return log->n;
}

uint64_t event_log_newest(const struct event_log *log)
{
    return log->newest;
}

uint64_t event_log_forgotten(const struct event_log *log)
{
    return log->forgotten;
}

void event_log_set_listener(struct event_log *log,
                            void (*added)(void *userdata, const struct event *event),
                            void *userdata)
{
    log->added = added;
    log->userdata = userdata;
}
