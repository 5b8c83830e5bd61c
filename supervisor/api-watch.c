// Watches and long lists. A watch of pods or manifests keeps a queue of keys (UIDs, files) that
// have news, not of texts: an object is described when its turn to be sent comes, so a slow reader
// sees fewer states in between, never an old one, and what waits for him is bounded by the number
// of objects. Only what is deleted has to be kept as text. The list of all pods is a watch that
// ends where the news would begin, so that a thousand pods are described in slices as well. A watch
// of events is a place in the event log.
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/string-list.h"
#include "supervisor/api-internal.h"
#include "supervisor/json-text.h"

enum {
    QUEUE_MOST = 16384,           // entries
    DELETED_BYTES_MOST = 4 << 20, // of texts in a queue
};

enum entry_kind { ENTRY_NEWS, ENTRY_DELETED, ENTRY_BOOKMARK, ENTRY_NOTHING };

struct entry {
    enum entry_kind kind;
    char *key;
    char *line; // ENTRY_DELETED: what is sent
};

// An object that the reader has been told about, and what it was told last.
struct known {
    char *key;
    char digest[DIGEST_HEX_SIZE];
};

struct watch_kind {
    // The object as it is now; NULL where it is gone.
    json_t *(*object)(struct api *api, const struct status_context *context, const char *key);
};

struct watch {
    struct api *api;
    struct stream *stream;
    const struct watch_kind *kind;
    LIST_OF(struct entry) queue;
    size_t head; // of the queue: what is before was sent
    size_t deleted_bytes;
    LIST_OF(struct known) known;
    bool too_slow;
    bool list_begun; // of a PodList
    size_t listed;
};

// ---- lines ----

static void add_line(struct buffer *out, json_t *value)
{
    _cleanup_free_ char *text = json_dumps(value, JSON_COMPACT);
    if (text)
        buffer_add_str(out, text);
    buffer_add_char(out, '\n');
}

static json_t *wrap(const char *type, json_t *object)
{
    json_t *o = json_object();
    json_set_text(o, "type", type);
    if (object)
        json_object_set_new(o, "object", object);
    return o;
}

static void add_wrapped(struct buffer *out, const char *type, json_t *object)
{
    json_t *line = wrap(type, object);
    add_line(out, line);
    json_decref(line);
}

static void add_too_slow(struct buffer *out)
{
    add_wrapped(out, "ERROR",
                status_object(MHD_HTTP_GONE, "this watch was read too slowly and has missed news; "
                                             "begin a new one"));
}

// ---- the queue ----

static void entry_clear(struct watch *w, struct entry *e)
{
    w->deleted_bytes -= e->line ? strlen(e->line) : 0;
    free(e->key);
    free(e->line);
    *e = (struct entry){.kind = ENTRY_NOTHING};
}

static void queue_clear(struct watch *w)
{
    for (; w->head < w->queue.n; w->head++)
        entry_clear(w, &w->queue.items[w->head]);
    w->head = w->queue.n = 0;
}

static struct entry *queue_next(struct watch *w)
{
    size_t left = w->queue.n - w->head;
    if (w->head > left) { // what was sent is more than what waits: make room
        memmove(w->queue.items, w->queue.items + w->head, left * sizeof(w->queue.items[0]));
        w->queue.n = left;
        w->head = 0;
    }
    return left > 0 ? &w->queue.items[w->head] : NULL;
}

// Takes `line`. A queue that is full is given up: the reader is told so in its last line.
static void enqueue(struct watch *w, enum entry_kind kind, const char *key, char *line)
{
    struct entry *e = LIST_APPEND(&w->queue);
    *e = (struct entry){.kind = kind, .key = xstrdup(key), .line = line};
    w->deleted_bytes += line ? strlen(line) : 0;
    w->too_slow |= w->queue.n - w->head > QUEUE_MOST || w->deleted_bytes > DELETED_BYTES_MOST;
    if (w->too_slow)
        queue_clear(w);
}

static struct entry *find_news(struct watch *w, const char *key)
{
    for (size_t i = w->head; i < w->queue.n; i++)
        if (w->queue.items[i].kind == ENTRY_NEWS && strcmp(w->queue.items[i].key, key) == 0)
            return &w->queue.items[i];
    return NULL;
}

static struct known *find_known(struct watch *w, const char *key)
{
    LIST_EACH (k, &w->known)
        if (strcmp(k->key, key) == 0)
            return k;
    return NULL;
}

static void forget_known(struct watch *w, struct known *k)
{
    free(k->key);
    *k = w->known.items[--w->known.n];
}

static void note_changed(struct watch *w, const char *key)
{
    if (!find_news(w, key))
        enqueue(w, ENTRY_NEWS, key, NULL);
    stream_wake(w->stream);
}

// Takes `object`.
static void note_deleted(struct watch *w, const char *key, json_t *object)
{
    struct entry *news = find_news(w, key);
    struct known *known = find_known(w, key);
    json_t *line = wrap("DELETED", object);
    if (news)
        entry_clear(w, news);
    if (known) {
        _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
        forget_known(w, known);
        add_line(&text, line);
        enqueue(w, ENTRY_DELETED, key, buffer_take(&text));
    }
    json_decref(line);
    stream_wake(w->stream);
}

// ---- what is sent ----

static void send_news(struct watch *w, const struct status_context *context, const char *key,
                      struct buffer *out)
{
    char digest[DIGEST_HEX_SIZE];
    struct known *known = find_known(w, key);
    json_t *object = w->kind->object(w->api, context, key);
    if (!object)
        return; // its deletion is on the way
    _cleanup_free_ char *text = json_dumps(object, JSON_COMPACT);
    digest_sha256_hex(text ? text : "", text ? strlen(text) : 0, digest);
    if (known && strcmp(known->digest, digest) == 0) {
        json_decref(object);
        return; // nothing of it shows
    }
    add_wrapped(out, known ? "MODIFIED" : "ADDED", object);
    if (!known) {
        known = LIST_APPEND(&w->known);
        known->key = xstrdup(key);
    }
    memcpy(known->digest, digest, sizeof(digest));
}

static void send_listed(struct watch *w, const struct status_context *context, const char *key,
                        struct buffer *out)
{
    json_t *object = w->kind->object(w->api, context, key);
    _cleanup_free_ char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!text)
        return;
    buffer_add_str(out, w->listed++ > 0 ? "," : "");
    buffer_add_str(out, text);
}

static void send_entry(struct watch *w, const struct status_context *context, struct entry *e,
                       struct buffer *out)
{
    if (e->kind == ENTRY_NEWS)
        send_news(w, context, e->key, out);
    else if (e->kind == ENTRY_DELETED)
        buffer_add_str(out, e->line);
    else if (e->kind == ENTRY_BOOKMARK)
        add_wrapped(out, "BOOKMARK", NULL);
}

static int watch_fill(void *data, struct buffer *out, size_t most)
{
    struct watch *w = data;
    struct entry *e;
    struct status_context context = api_context_open(w->api);
    while (!w->too_slow && out->len < most && (e = queue_next(w))) {
        send_entry(w, &context, e, out);
        entry_clear(w, e);
        w->head++;
    }
    api_context_close(&context);
    if (w->too_slow)
        add_too_slow(out);
    return w->too_slow ? -1 : queue_next(w) != NULL;
}

// Everything at its time of being sent; what is gone by then is left out.
static int list_fill(void *data, struct buffer *out, size_t most)
{
    struct watch *w = data;
    struct entry *e;
    struct status_context context = api_context_open(w->api);
    if (!w->list_begun)
        buffer_add_str(out,
                       "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
    w->list_begun = true;
    while (out->len < most && (e = queue_next(w))) {
        send_listed(w, &context, e->key, out);
        entry_clear(w, e);
        w->head++;
    }
    api_context_close(&context);
    if (queue_next(w))
        return 1;
    buffer_add_str(out, "]}\n");
    return -1;
}

static void watch_free(void *data)
{
    struct watch *w = data;
    POINTER_LIST_REMOVE(&w->api->watches, w);
    queue_clear(w);
    LIST_EACH (k, &w->known)
        free(k->key);
    free(w->known.items);
    free(w->queue.items);
    free(w);
}

static const struct stream_ops watch_ops = {watch_fill, watch_free};
static const struct stream_ops list_ops = {list_fill, watch_free};

static struct watch *watch_new(struct api *api, const struct watch_kind *kind)
{
    struct watch *w = xcalloc(1, sizeof(*w));
    w->api = api;
    w->kind = kind;
    POINTER_LIST_ADD(&api->watches, w);
    return w;
}

static api_result watch_reply(struct watch *w, struct request *r)
{
    api_result refused;
    if (api_streams_are_full(w->api, r, &refused)) {
        watch_free(w);
        return refused;
    }
    enqueue(w, ENTRY_BOOKMARK, "", NULL);
    return reply_stream(w->api, r, "application/json", &watch_ops, w, &w->stream);
}

// ---- pods ----

static json_t *pod_object(struct api *api, const struct status_context *context, const char *uid)
{
    _cleanup_free_ struct pod_worker **workers = NULL;
    size_t n = pods_list(api->agent->pods, &workers);
    for (size_t i = 0; i < n; i++)
        if (str_equal(workers[i]->pod->metadata.uid, uid))
            return status_pod(workers[i], context);
    return NULL;
}

static const struct watch_kind pod_kind = {pod_object};

static struct watch *watch_all_pods(struct api *api)
{
    struct watch *watch = watch_new(api, &pod_kind);
    _cleanup_free_ struct pod_worker **workers = NULL;
    size_t n = pods_list(api->agent->pods, &workers);
    for (size_t i = 0; i < n; i++)
        enqueue(watch, ENTRY_NEWS, workers[i]->pod->metadata.uid, NULL);
    return watch;
}

api_result watch_pods(struct api *api, struct request *r)
{
    return watch_reply(watch_all_pods(api), r);
}

api_result list_pods(struct api *api, struct request *r)
{
    struct watch *list = watch_all_pods(api);
    POINTER_LIST_REMOVE(&api->watches, list); // it hears no news
    return reply_stream(api, r, "application/json", &list_ops, list, &list->stream);
}

void watches_pod_changed(struct api *api, const struct pod_worker *w, bool deleted)
{
    const char *uid = w->pod->metadata.uid;
    LIST_EACH (item, &api->watches) {
        struct watch *watch = *item;
        if (watch->kind != &pod_kind)
            continue;
        if (!deleted) {
            note_changed(watch, uid);
            continue;
        }
        struct status_context context = api_context_open(api);
        note_deleted(watch, uid, status_pod(w, &context));
        api_context_close(&context);
    }
}

// ---- manifests ----

static json_t *manifest_object(struct api *api, const struct status_context *context,
                               const char *file)
{
    for (size_t i = 0; i < context->n_manifests; i++)
        if (str_equal(context->manifests[i].file, file))
            return status_manifest(&context->manifests[i]);
    return NULL;
}

static const struct watch_kind manifest_kind = {manifest_object};

api_result watch_manifests(struct api *api, struct request *r)
{
    struct watch *watch = watch_new(api, &manifest_kind);
    struct status_context context = api_context_open(api);
    for (size_t i = 0; i < context.n_manifests; i++)
        enqueue(watch, ENTRY_NEWS, context.manifests[i].file, NULL);
    api_context_close(&context);
    return watch_reply(watch, r);
}

// The pods of a file carry what is wrong with it, so their watchers are told, too.
static void wake_pods_of(struct api *api, const char *file)
{
    _cleanup_free_ struct pod_worker **workers = NULL;
    size_t n = pods_list(api->agent->pods, &workers);
    for (size_t i = 0; i < n; i++)
        if (str_equal(workers[i]->file, file))
            watches_pod_changed(api, workers[i], false);
}

void watches_manifest_changed(struct api *api, const char *file)
{
    if (api->watches.n == 0)
        return;
    struct status_context context = api_context_open(api);
    json_t *object = manifest_object(api, &context, file);
    api_context_close(&context);
    LIST_EACH (item, &api->watches) {
        struct watch *watch = *item;
        if (watch->kind != &manifest_kind)
            continue;
        if (object)
            note_changed(watch, file);
        else
            note_deleted(watch, file, json_pack("{s:o}", "file", json_text(file)));
    }
    json_decref(object);
    wake_pods_of(api, file);
}

// ---- events ----

struct event_watch {
    struct api *api;
    struct stream *stream;
    uint64_t seen; // the newest id that was sent or passed over
    bool begun;
    char *pod, *namespace_; // NULL: any
};

static int event_watch_fill(void *data, struct buffer *out, size_t most)
{
    struct event_watch *w = data;
    const struct event_log *log = w->api->agent->events;
    const char *node = w->api->agent->config->node_name;
    if (w->begun && event_log_forgotten(log) > w->seen) {
        add_too_slow(out);
        return -1;
    }
    w->begun = true;
    _cleanup_free_ const struct event **events = NULL;
    size_t n = event_log_since(log, w->seen, &events), i = 0;
    for (; i < n && out->len < most; i++) {
        w->seen = events[i]->id;
        if (!event_matches(events[i], node, w->pod, w->namespace_))
            continue;
        json_t *o = event_to_json(events[i], node);
        add_line(out, o);
        json_decref(o);
    }
    return i < n;
}

static void event_watch_free(void *data)
{
    struct event_watch *w = data;
    POINTER_LIST_REMOVE(&w->api->event_watches, w);
    free(w->pod);
    free(w->namespace_);
    free(w);
}

static const struct stream_ops event_watch_ops = {event_watch_fill, event_watch_free};

api_result watch_events(struct api *api, struct request *r, uint64_t after, const char *pod,
                        const char *namespace_)
{
    api_result refused;
    if (api_streams_are_full(api, r, &refused))
        return refused;
    struct event_watch *w = xcalloc(1, sizeof(*w));
    w->api = api;
    // An id from before the log was lost: everything is news.
    w->seen = after > event_log_newest(api->agent->events) ? 0 : after;
    w->pod = xstrdup_or_null(pod);
    w->namespace_ = xstrdup_or_null(namespace_);
    POINTER_LIST_ADD(&api->event_watches, w);
    return reply_stream(api, r, "application/json", &event_watch_ops, w, &w->stream);
}

void watches_event_added(struct api *api)
{
    LIST_EACH (w, &api->event_watches)
        stream_wake((*w)->stream);
}
