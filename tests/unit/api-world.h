// A small agent for the tests of the API: real sockets, pods made by hand, and a client in the same
// event loop, so that every step is awaited and nothing sleeps. What the API asks of the rest of
// the agent (pods.h, source.h, …) is played here. Included once per program.
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/string-list.h"
#include "podspec/podspec.h"
#include "supervisor/agent.h"
#include "supervisor/api-internal.h"
#include "supervisor/container-spec.h"
#include "supervisor/runtime.h"
#include "supervisor/stats.h"

// ---- the rest of the agent ----

struct pods {
    struct pod_worker *workers[64];
    size_t n;
};

struct manifest_source {
    struct manifest_status files[8];
    size_t n;
    int rescans;
};

static struct {
    char dir[40];
    struct agent agent;
    struct config config;
    struct pods pods;
    struct manifest_source source;
    int stopped, stopped_exit, reload;
    const struct stats *stats; // of every container
} world;

size_t pods_list(const struct pods *pods, struct pod_worker ***ret)
{
    *ret = xcalloc(pods->n + 1, sizeof(**ret));
    for (size_t i = 0; i < pods->n; i++)
        (*ret)[i] = pods->workers[i];
    return pods->n;
}

int pods_find(const struct pods *pods, const char *namespace_, const char *name,
              struct pod_worker **ret, struct error *err)
{
    _cleanup_free_ char *suffixed = xasprintf("%s-n1", name);
    for (size_t i = 0; i < pods->n; i++) {
        const struct object_meta *meta = &pods->workers[i]->pod->metadata;
        if (namespace_ && strcmp(namespace_, meta->namespace) != 0)
            continue;
        if (strcmp(name, meta->name) == 0 || strcmp(suffixed, meta->name) == 0) {
            *ret = pods->workers[i];
            return 0;
        }
    }
    return error_set(err, ENOENT, "there is no pod \"%s\"", name);
}

const struct pod *pods_successor(const struct pods *pods, const struct pod_worker *w)
{
    return NULL;
}

size_t manifest_source_list(const struct manifest_source *source, struct manifest_status **ret)
{
    *ret = xcalloc(source->n + 1, sizeof(**ret));
    memcpy(*ret, source->files, source->n * sizeof(**ret));
    return source->n;
}

void manifest_source_rescan(struct manifest_source *source)
{
    source->rescans++;
}

void agent_stop_all(struct agent *agent, bool exit_after)
{
    world.stopped++;
    world.stopped_exit += exit_after;
}

int agent_reload(struct agent *agent, struct buffer *ret_changes, struct error *err)
{
    buffer_add_str(ret_changes, "healthzPort: 1 → 2");
    if (world.reload < 0)
        return error_set(err, EINVAL, "c.yaml:3:5: healthzPort: must be a whole number");
    return world.reload;
}

const char *cgroup_tree_describe(const struct cgroup_tree *tree)
{
    return "v2 at /sys/fs/cgroup";
}

void config_describe(const struct config *config, struct buffer *out)
{
    buffer_add_str(out, "staticPodPath: /m\nhealthzPort: 10248\nx: [1, 2]\n");
}

const char *runtime_run_id(const struct container_worker *c)
{
    return NULL;
}

const struct shim_spec *runtime_run_spec(const struct container_worker *c)
{
    return NULL;
}

bool runtime_run_stats(struct container_worker *c, struct stats *ret)
{
    if (world.stats)
        *ret = *world.stats;
    return world.stats != NULL;
}

bool runtime_pod_stats(const struct pod_worker *w, struct stats *ret)
{
    return false;
}

const char *runtime_run_cgroup(const struct container_worker *c)
{
    return NULL;
}

char *container_spec_log_path(const struct container_spec_options *options, const struct pod *pod,
                              const char *container, uint64_t restart_count)
{
    return xasprintf("%s/%s/%llu.log", options->log_dir, container,
                     (unsigned long long)restart_count);
}

_unused_ static int fake_start(void *runtime, struct container_worker *c, const char **ret_reason,
                               struct error *err)
{
    return 0;
}

_unused_ static void fake_nothing(void *runtime, struct container_worker *c)
{
}

_unused_ static void fake_kill(void *runtime, struct container_worker *c, bool shim_too)
{
}

_unused_ static void fake_bury(void *runtime, struct pod_worker *w)
{
}

_unused_ static void fake_save(void *runtime, struct pod_worker *w)
{
    api_pod_changed(world.agent.api, w, false);
}

_unused_ static void fake_arm(void *runtime, struct pod_worker *w, monotime deadline)
{
}

static const struct pod_runtime_ops fake_ops = {
    .start = fake_start,
    .signal = fake_nothing,
    .kill = fake_kill,
    .cancel_hook = fake_nothing,
    .prove = fake_nothing,
    .forget = fake_nothing,
    .bury = fake_bury,
    .save = fake_save,
    .arm = fake_arm,
    .gone = fake_bury,
};

_unused_ static struct pod_worker *add_pod(const char *name)
{
    struct pod *pod = xcalloc(1, sizeof(*pod));
    pod->apiVersion = xstrdup("v1");
    pod->kind = xstrdup("Pod");
    pod->metadata.name = xasprintf("%s-n1", name);
    pod->metadata.namespace = xstrdup("kube-system");
    pod->metadata.uid = xasprintf("uid-of-%s", name);
    pod->spec.hostNetwork = true;
    struct container *c = LIST_APPEND(&pod->spec.containers);
    c->name = xstrdup(name);
    c->image = xasprintf("registry.k8s.io/%s:1", name);
    _cleanup_free_ char *file = xasprintf("/m/%s.yaml", name);
    struct pod_worker *w =
        pod_worker_new(pod, file, BACKOFF_KUBELET, &fake_ops, NULL, world.agent.events);
    world.pods.workers[world.pods.n++] = w;
    return w;
}

_unused_ static void start_pod(struct pod_worker *w)
{
    struct shim_state started = {.phase = SHIM_PHASE_RUNNING,
                                 .pid = 4711,
                                 .started_at = walltime_now(),
                                 .command = (char *)"/usr/bin/etcd"};
    pod_worker_admit(w, monotime_now());
    pod_worker_container_started(&w->containers[0], &started, monotime_now());
}

_unused_ static void remove_pod(struct pod_worker *w)
{
    for (size_t i = 0; i < world.pods.n; i++)
        if (world.pods.workers[i] == w)
            world.pods.workers[i] = world.pods.workers[--world.pods.n];
    api_pod_changed(world.agent.api, w, true);
    pod_worker_free(w);
}

// ---- fixture ----

_unused_ static int setup(void **state)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    memset(&world, 0, sizeof(world));
    strcpy(world.dir, "/tmp/test-api.XXXXXX");
    assert_non_null(mkdtemp(world.dir));
    world.config = (struct config){
        .node_name = (char *)"n1",
        .node_ip = (char *)"10.0.0.1",
        .manifest_path = (char *)"/m",
        .root_dir = (char *)"/r",
        .run_dir = (char *)"/run/m",
        .pod_log_dir = world.dir,
        .socket_path = xasprintf("%s/run/api.sock", world.dir),
        .healthz_bind_address = (char *)"127.0.0.1",
    };
    world.agent = (struct agent){
        .config = &world.config,
        .health = health_new(USEC_PER_SEC, monotime_now()),
        .events = event_log_open(NULL, "n1"),
        .source = &world.source,
        .pods = &world.pods,
        .started_at = walltime_now(),
        .synced = true,
    };
    assert_int_equal(sd_event_new(&world.agent.loop), 0);
    assert_int_equal(api_start(&world.agent, &world.agent.api, &err), 0);
    return 0;
}

_unused_ static int teardown(void **state)
{
    api_free(world.agent.api);
    while (world.pods.n > 0)
        pod_worker_free(world.pods.workers[--world.pods.n]);
    event_log_free(world.agent.events);
    health_free(world.agent.health);
    sd_event_unref(world.agent.loop);
    fs_remove_tree(AT_FDCWD, world.dir);
    free(world.config.socket_path);
    return 0;
}

// ---- a client ----

struct client {
    int fd;
    bool closed;
    sd_event_source *source;
    struct buffer raw;
    size_t parsed; // of raw, behind the header and whole chunks
    struct buffer body;
};

_unused_ static int on_client(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct client *c = userdata;
    ssize_t n = recv(fd, buffer_reserve(&c->raw, 1 << 16), 1 << 16, MSG_DONTWAIT);
    if (n > 0)
        c->raw.len += (size_t)n;
    else if (n == 0 || errno != EAGAIN)
        c->closed = true;
    if (c->raw.data)
        c->raw.data[c->raw.len] = '\0';
    if (c->closed)
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return 0;
}

_unused_ static int connect_local(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

_unused_ static void client_on(struct client *c, int fd)
{
    *c = (struct client){.fd = fd};
    assert_true(fd >= 0);
    assert_true(sd_event_add_io(world.agent.loop, &c->source, fd, EPOLLIN, on_client, c) >= 0);
}

_unused_ static void client_send(struct client *c, const char *text)
{
    assert_int_equal(send(c->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

_unused_ static void client_open(struct client *c, const char *method, const char *address)
{
    _cleanup_free_ char *request = xasprintf("%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, address);
    client_on(c, connect_local(world.config.socket_path));
    client_send(c, request);
}

_unused_ static void client_close(struct client *c)
{
    sd_event_source_disable_unref(c->source);
    close(c->fd);
    buffer_free(&c->raw);
    buffer_free(&c->body);
}

_unused_ static void turn(void)
{
    assert_true(sd_event_run(world.agent.loop, UINT64_MAX) >= 0);
}

_unused_ static const char *header_end(struct client *c)
{
    const char *end = c->raw.data ? strstr(c->raw.data, "\r\n\r\n") : NULL;
    return end ? end + 4 : NULL;
}

// Moves whole chunks to `body`. False once the last one was seen.
_unused_ static bool take_chunks(struct client *c)
{
    if (c->parsed == 0)
        c->parsed = (size_t)(header_end(c) - c->raw.data);
    for (;;) {
        const char *at = c->raw.data + c->parsed, *line = strstr(at, "\r\n");
        if (!line)
            return true;
        size_t size = strtoul(at, NULL, 16);
        if (c->raw.len < (size_t)(line + 2 - c->raw.data) + size + 2)
            return true;
        if (size == 0)
            return false;
        buffer_add(&c->body, line + 2, size);
        c->parsed = (size_t)(line + 2 - c->raw.data) + size + 2;
    }
}

// Waits for the end of the reply; its body is in c->body.
_unused_ static int client_wait(struct client *c, bool head)
{
    while (!header_end(c) && !c->closed)
        turn();
    const char *length = strstr(c->raw.data, "Content-Length: ");
    int code = atoi(strchr(c->raw.data, ' ') + 1);
    if (strstr(c->raw.data, "Transfer-Encoding: chunked")) {
        while (!head && take_chunks(c) && !c->closed)
            turn();
        return code;
    }
    size_t start = (size_t)(header_end(c) - c->raw.data);
    size_t want = head || !length ? 0 : strtoul(length + 16, NULL, 10);
    while (c->raw.len < start + want && !c->closed)
        turn();
    buffer_add(&c->body, c->raw.data + start, want);
    return code;
}

// Waits until the stream has brought a line that holds `text`.
_unused_ static void client_wait_for(struct client *c, const char *text)
{
    while (!header_end(c))
        turn();
    while (take_chunks(c) && !strstr(buffer_str(&c->body), text) && !c->closed)
        turn();
    if (!strstr(buffer_str(&c->body), text))
        fail_msg("no \"%s\" in %s", text, buffer_str(&c->body));
}

_unused_ static int request(const char *method, const char *address, struct buffer *body)
{
    struct client c;
    client_open(&c, method, address);
    int code = client_wait(&c, strcmp(method, "HEAD") == 0);
    if (body) {
        buffer_truncate(body, 0);
        buffer_add_str(body, buffer_str(&c.body));
    }
    client_close(&c);
    return code;
}

_unused_ static json_t *request_json(const char *method, const char *address, int expected)
{
    _cleanup_buffer_ struct buffer body = BUFFER_EMPTY;
    assert_int_equal(request(method, address, &body), expected);
    json_t *o = json_loads(buffer_str(&body), 0, NULL);
    assert_non_null(o);
    return o;
}

// A value by its path: "items.0.metadata.name".
_unused_ static const json_t *at(const json_t *o, const char *path)
{
    char part[64];
    while (*path) {
        size_t len = strcspn(path, ".");
        snprintf(part, sizeof(part), "%.*s", (int)len, path);
        o = json_is_array(o) ? json_array_get(o, (size_t)atoi(part)) : json_object_get(o, part);
        path += len + (path[len] == '.');
    }
    return o;
}

_unused_ static const char *text_at(const json_t *o, const char *path)
{
    const char *text = json_string_value(at(o, path));
    return text ? text : "(none)";
}

_unused_ static void expect_refusal(const char *method, const char *address, int code,
                                    const char *words)
{
    json_t *o = request_json(method, address, code);
    assert_string_equal(text_at(o, "kind"), "Status");
    assert_string_equal(text_at(o, "status"), "Failure");
    assert_int_equal(json_integer_value(at(o, "code")), code);
    if (!strstr(text_at(o, "message"), words))
        fail_msg("no \"%s\" in %s", words, text_at(o, "message"));
    json_decref(o);
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
