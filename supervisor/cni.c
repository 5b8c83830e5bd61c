// See cni.h: a chain of plugins, one after the other, without waiting for any.
#include "supervisor/cni.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/fs.h"
#include "supervisor/program.h"

struct cni_call {
    const struct cni_options *options;
    const struct cni_attachment *attachment;
    bool add;
    json_t *list, *result;
    size_t done_count; // plugins that have been run
    struct program *plugin;
    sd_event_source *soon;
    int failed; // the first failure of a DEL
    char *message;
    void (*done)(void *userdata, int code, const char *message, json_t *result);
    void *userdata;
};

static void call_free(struct cni_call *call)
{
    sd_event_source_disable_unref(call->soon);
    json_decref(call->list);
    json_decref(call->result);
    free(call->message);
    free(call);
}

void cni_call_cancel(struct cni_call *call)
{
    if (!call)
        return;
    program_cancel(call->plugin);
    call_free(call);
}

static size_t n_plugins(const struct cni_call *call)
{
    return json_array_size(json_object_get(call->list, "plugins"));
}

static size_t current(const struct cni_call *call)
{
    return call->add ? call->done_count : n_plugins(call) - 1 - call->done_count;
}

static const char *plugin_type(const struct cni_call *call)
{
    const json_t *plugin = json_array_get(json_object_get(call->list, "plugins"), current(call));
    return json_string_value(json_object_get(plugin, "type"));
}

static char *find_plugin(const struct cni_call *call, struct error *err)
{
    _cleanup_buffer_ struct buffer dirs = BUFFER_EMPTY;
    LIST_EACH (dir, call->options->bin_dirs) {
        char *path = path_join(*dir, plugin_type(call));
        if (access(path, X_OK) == 0)
            return path;
        free(path);
        buffer_printf(&dirs, "%s%s", dirs.len ? " or " : "", *dir);
    }
    error_set(err, ENOENT, "there is no plugin %s in %s", plugin_type(call), buffer_str(&dirs));
    return NULL;
}

static void add_environment(const struct cni_call *call, struct string_list *env)
{
    const struct cni_attachment *at = call->attachment;
    _cleanup_buffer_ struct buffer path = BUFFER_EMPTY;
    const char *search = getenv("PATH");
    LIST_EACH (dir, call->options->bin_dirs)
        buffer_printf(&path, "%s%s", path.len ? ":" : "", *dir);
    string_list_add_owned(env, xasprintf("CNI_COMMAND=%s", call->add ? "ADD" : "DEL"));
    string_list_add_owned(env, xasprintf("CNI_CONTAINERID=%s", at->container_id));
    string_list_add_owned(env, xasprintf("CNI_NETNS=%s", at->netns));
    string_list_add_owned(env, xasprintf("CNI_IFNAME=%s", at->ifname));
    string_list_add_owned(env, xasprintf("CNI_PATH=%s", buffer_str(&path)));
    // The names that Kubernetes' runtimes give, which plugins such as Calico's look for.
    string_list_add_owned(env,
                          xasprintf("CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;"
                                    "K8S_POD_INFRA_CONTAINER_ID=%s;K8S_POD_UID=%s",
                                    at->namespace_, at->pod, at->container_id, at->uid));
    string_list_add_owned(env, xasprintf("PATH=%s", search ? search
                                                           : "/usr/sbin:/usr/bin:/sbin:"
                                                             "/bin"));
}

static void on_ended(void *userdata, const struct program_end *end);

static int run_plugin(struct cni_call *call, struct error *err)
{
    _cleanup_string_list_ struct string_list env = {0};
    _cleanup_free_ char *path = find_plugin(call, err);
    if (!path)
        return err->code;
    add_environment(call, &env);
    json_auto_t *config = cni_config_for_plugin(call->list, current(call),
                                                call->attachment->capabilities, call->result);
    _cleanup_free_ char *input = json_dumps(config, JSON_COMPACT);
    _cleanup_free_ char **environment = string_list_argv(&env);
    if (!input)
        return error_set(err, EINVAL, "the configuration cannot be written as JSON");
    struct program_options options = {
        .event = call->options->event,
        .path = path,
        .argv = (char *[]){path, NULL},
        .environment = environment,
        .input = input,
        .input_size = strlen(input),
        .timeout_usec = call->options->timeout_usec,
    };
    return program_start(&options, on_ended, call, &call->plugin, err);
}

static void finish(struct cni_call *call)
{
    call->done(call->userdata, call->failed, call->message, call->add ? call->result : NULL);
    call_free(call);
}

static void note_failure(struct cni_call *call, int code, const char *text)
{
    if (call->failed)
        return;
    call->failed = code;
    call->message = xasprintf("plugin %s: %s", plugin_type(call), text);
}

// Runs what is left, as far as it can be run.
static void go_on(struct cni_call *call)
{
    while (call->done_count < n_plugins(call) && !(call->add && call->failed)) {
        _cleanup_error_ struct error err = ERROR_NONE;
        int code = run_plugin(call, &err);
        if (code == 0)
            return;
        note_failure(call, code, error_message(&err));
        call->done_count++;
    }
    finish(call);
}

static void take_result(struct cni_call *call, const struct program_end *end)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    json_t *result = NULL;
    int code = cni_result_parse(end->output, end->output_size, &result, &err);
    if (code < 0) {
        note_failure(call, code, error_message(&err));
        return;
    }
    json_decref(call->result);
    call->result = result;
}

static void on_ended(void *userdata, const struct program_end *end)
{
    struct cni_call *call = userdata;
    call->plugin = NULL;
    if (end->code < 0) {
        _cleanup_free_ char *text =
            cni_error_text(end->output, end->output_size, end->errors, end->why);
        note_failure(call, end->code, text);
    } else if (call->add) {
        take_result(call, end);
    }
    call->done_count++;
    go_on(call);
}

static int on_soon(sd_event_source *source, void *userdata)
{
    go_on(userdata);
    return 0;
}

int cni_call_start(const struct cni_options *options, bool add, const json_t *list,
                   const struct cni_attachment *attachment, const json_t *result,
                   void (*done)(void *userdata, int code, const char *message, json_t *result),
                   void *userdata, struct cni_call **ret, struct error *err)
{
    struct cni_call *call = xcalloc(1, sizeof(*call));
    *call = (struct cni_call){
        .options = options,
        .attachment = attachment,
        .add = add,
        .list = json_deep_copy(list),
        .result = add || !result ? NULL : json_deep_copy(result),
        .done = done,
        .userdata = userdata,
    };
    int r = sd_event_add_defer(options->event, &call->soon, on_soon, call);
    if (r < 0) {
        call_free(call);
        return error_errno(err, r, "event loop");
    }
    *ret = call;
    return 0;
}
