// See cni.h: the files that describe a node's network.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/cni.h"

enum { FILES_MAX = 1024 };

static int check_plugin(const json_t *plugin, size_t i, struct error *err)
{
    const char *type = json_string_value(json_object_get(plugin, "type"));
    if (!json_is_object(plugin))
        return error_set(err, EINVAL, "plugins[%zu] is no object", i);
    if (str_empty(type))
        return error_set(err, EINVAL, "plugins[%zu] has no type", i);
    // It is looked up in the plugins' directories and nowhere else.
    if (!path_is_name(type))
        return error_set(err, EINVAL, "plugins[%zu].type: \"%s\" is no name of a program", i, type);
    return 0;
}

static int check_list(const json_t *list, struct error *err)
{
    const json_t *plugins = json_object_get(list, "plugins"), *plugin;
    const json_t *version = json_object_get(list, "cniVersion");
    size_t i;
    if (str_empty(json_string_value(json_object_get(list, "name"))))
        return error_set(err, EINVAL, "it has no name");
    if (version && !json_is_string(version))
        return error_set(err, EINVAL, "cniVersion is no string");
    if (json_array_size(plugins) == 0)
        return error_set(err, EINVAL, "it has no plugins");
    if (json_array_size(plugins) > CNI_PLUGINS_MAX)
        return error_set(err, EINVAL, "it has more than %d plugins", CNI_PLUGINS_MAX);
    json_array_foreach (plugins, i, plugin) {
        int code = check_plugin(plugin, i, err);
        if (code < 0)
            return code;
    }
    return 0;
}

// The one plugin of a .conf file, in a list of its own.
static json_t *wrap(json_t *plugin)
{
    static const char *const shared[] = {"name", "cniVersion"};
    json_t *list = json_object();
    for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
        if (json_object_get(plugin, shared[i]))
            json_object_set(list, shared[i], json_object_get(plugin, shared[i]));
    json_object_set_new(list, "plugins", json_pack("[O]", plugin));
    return list;
}

int cni_config_parse(const char *text, size_t size, bool list, json_t **ret, struct error *err)
{
    json_error_t where;
    json_auto_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!json)
        return error_set(err, EINVAL, "line %d, column %d: %s", where.line, where.column,
                         where.text);
    if (!json_is_object(json))
        return error_set(err, EINVAL, "it is no JSON object");
    json_auto_t *whole = list ? json_incref(json) : wrap(json);
    int code = check_list(whole, err);
    if (code < 0)
        return code;
    *ret = TAKE_PTR(whole);
    return 0;
}

// ---- the directory ----

static bool is_config(const char *name)
{
    return name[0] != '.' && (str_ends_with(name, ".conf") || str_ends_with(name, ".conflist") ||
                              str_ends_with(name, ".json"));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_files(const char *dir, struct string_list *ret)
{
    DIR *entries = opendir(dir);
    if (!entries)
        return -errno;
    for (struct dirent *entry; ret->n < FILES_MAX && (entry = readdir(entries));)
        if (is_config(entry->d_name))
            string_list_add(ret, entry->d_name);
    closedir(entries);
    if (ret->n > 1)
        qsort(ret->items, ret->n, sizeof(*ret->items), by_name);
    return 0;
}

static int load_file(const char *path, json_t **ret, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    int code = fs_read_file(AT_FDCWD, path, CNI_CONFIG_MAX, &text);
    if (code < 0)
        return error_errno(err, code, "%s", path);
    code =
        cni_config_parse(buffer_str(&text), text.len, str_ends_with(path, ".conflist"), ret, err);
    return code < 0 ? error_prefix(err, code, "%s", path) : 0;
}

int cni_config_load(const char *dir, json_t **ret, char **ret_file, struct string_list *skipped,
                    struct error *err)
{
    _cleanup_string_list_ struct string_list names = {0};
    int code = list_files(dir, &names);
    if (code < 0 && code != -ENOENT)
        return error_errno(err, code, "%s", dir);
    LIST_EACH (name, &names) {
        _cleanup_error_ struct error wrong = ERROR_NONE;
        _cleanup_free_ char *path = path_join(dir, *name);
        if (load_file(path, ret, &wrong) == 0) {
            *ret_file = TAKE_PTR(path);
            return 0;
        }
        string_list_add(skipped, error_message(&wrong));
    }
    return error_set(err, ENOENT, "no CNI configuration in %s", dir);
}

// ---- plugins ----

bool cni_config_takes(const json_t *list, const char *capability)
{
    const json_t *plugin;
    size_t i;
    json_array_foreach (json_object_get(list, "plugins"), i, plugin) {
        if (json_is_true(json_object_get(json_object_get(plugin, "capabilities"), capability)))
            return true;
    }
    return false;
}

static json_t *runtime_config(const json_t *plugin, const json_t *capabilities)
{
    json_t *runtime = json_object();
    const char *name;
    json_t *value;
    json_object_foreach (json_object_get(plugin, "capabilities"), name, value) {
        if (json_is_true(value) && json_object_get(capabilities, name))
            json_object_set(runtime, name, json_object_get(capabilities, name));
    }
    return runtime;
}

json_t *cni_config_for_plugin(const json_t *list, size_t i, const json_t *capabilities,
                              const json_t *previous)
{
    const json_t *plugin = json_array_get(json_object_get(list, "plugins"), i);
    static const char *const shared[] = {"name", "cniVersion"};
    json_t *config = json_deep_copy(plugin);
    for (size_t n = 0; n < ARRAY_SIZE(shared); n++)
        if (json_object_get(list, shared[n]))
            json_object_set(config, shared[n], json_object_get(list, shared[n]));
    json_t *runtime = runtime_config(plugin, capabilities);
    if (json_object_size(runtime) > 0)
        json_object_set(config, "runtimeConfig", runtime);
    json_decref(runtime);
    if (previous)
        json_object_set_new(config, "prevResult", json_deep_copy(previous));
    return config;
}
