// CNI: configuration files of the node's administrator, and what plugins answer. Whatever comes,
// what is taken from it is addresses, names of programs within a directory, and text that a
// terminal can take.
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "supervisor/cni.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_config(const char *text, size_t size, bool is_list)
{
    json_t *list = NULL, *plugin;
    size_t i;
    if (cni_config_parse(text, size, is_list, &list, NULL) < 0)
        return;
    json_auto_t *ports = json_pack("{s:[{s:i}]}", "portMappings", "hostPort", 80);
    json_t *plugins = json_object_get(list, "plugins");
    if (json_array_size(plugins) == 0 || json_array_size(plugins) > CNI_PLUGINS_MAX)
        abort();
    json_array_foreach (plugins, i, plugin) {
        if (!path_is_name(json_string_value(json_object_get(plugin, "type"))))
            abort();
        json_auto_t *given = cni_config_for_plugin(list, i, ports, ports);
        const json_t *runtime = json_object_get(given, "runtimeConfig");
        if (!json_string_value(json_object_get(given, "name")))
            abort();
        if (json_object_get(runtime, "portMappings") && !cni_config_takes(list, "portMappings"))
            abort();
    }
    json_decref(list);
}

static void check_result(const char *text, size_t size)
{
    unsigned char binary[16];
    json_t *json = NULL;
    struct cni_result result;
    if (cni_result_parse(text, size, &json, NULL) < 0)
        return;
    cni_result_read(json, &result);
    if (result.ips.n > CNI_IPS_MAX)
        abort();
    LIST_EACH (ip, &result.ips)
        if (inet_pton(AF_INET, *ip, binary) != 1 && inet_pton(AF_INET6, *ip, binary) != 1)
            abort();
    cni_result_free(&result);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 << 16)
        return 0;
    char *text = xstrndup((const char *)data, size);
    check_config((const char *)data, size, true);
    check_config((const char *)data, size, false);
    check_result((const char *)data, size);
    char *error = cni_error_text(text, strlen(text), text, "exited with status 1");
    for (const char *p = error; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            abort();
    free(error);
    free(text);
    return 0;
}
