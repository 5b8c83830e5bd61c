// The Container Network Interface (specification 1.0.0 and, for older files, 0.3.0 on): how a
// node's network is described in a directory of JSON files, and how its plugins are executed to
// give a pod's network namespace its interfaces, and to take them away again.
//
//   cni-config.c   files, and what one plugin is given
//   cni-result.c   what plugins answer
//   cni.c          a chain of plugins, one after the other
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "base/string-list.h"

enum {
    CNI_CONFIG_MAX = 1 << 20, // bytes of a file
    CNI_PLUGINS_MAX = 64,     // of one list
    CNI_IPS_MAX = 64,         // of one result
};

// ---- configuration ----

// A configuration list from the text of a .conflist file or (list false) of a .conf file with one
// plugin, which becomes a list of one. -EINVAL with a sentence where it is none.
int cni_config_parse(const char *text, size_t size, bool list, json_t **ret, struct error *err);

// The first usable *.conf, *.conflist or *.json of the directory in lexical order, as container
// runtimes choose it. Files before it that are none are named in `skipped` with the reason.
// -ENOENT where there is none; *err names the directory.
int cni_config_load(const char *dir, json_t **ret, char **ret_file, struct string_list *skipped,
                    struct error *err);

// Some plugin of the list takes this runtimeConfig ("portMappings").
bool cni_config_takes(const json_t *list, const char *capability);

// What the plugin number `i` of the list is given on standard input: its own configuration with
// name and cniVersion of the list, runtimeConfig of what it is capable of, and the result of the
// plugin before it (NULL: none). A new reference.
json_t *cni_config_for_plugin(const json_t *list, size_t i, const json_t *capabilities,
                              const json_t *previous);

// ---- results ----

struct cni_result {
    struct string_list ips; // without their prefix length, in the plugins' order
};

// What a plugin has answered to ADD. -EBADMSG with a sentence where it is no result.
int cni_result_parse(const char *text, size_t size, json_t **ret, struct error *err);
// What is of interest in it; strings that are no addresses are passed over.
void cni_result_read(const json_t *json, struct cni_result *ret);
void cni_result_free(struct cni_result *result);

// A failed plugin's sentence: msg and details of the error that it wrote (with its code), else what
// became of it. The caller frees.
char *cni_error_text(const char *output, size_t size, const char *errors, const char *why);

// ---- calls ----

struct cni_options { // borrowed as long as calls are under way
    sd_event *event;
    const struct string_list *bin_dirs;
    int64_t timeout_usec; // of each plugin
};

struct cni_attachment { // borrowed as long as the call is under way
    const char *container_id, *netns, *ifname;
    const char *namespace_, *pod, *uid;
    const json_t *capabilities; // {"portMappings": […]}; NULL: none
};

struct cni_call;

// ADD: each plugin in order; the first that fails ends it. `done` gets the last one's result, or a
// negative errno and a sentence.
// DEL: each in reverse order with the result of ADD (NULL: not known), all of them whatever becomes
// of one; `done` gets the first failure.
// `done` is called once, from the loop, never from inside this call; the call is freed after it.
int cni_call_start(const struct cni_options *options, bool add, const json_t *list,
                   const struct cni_attachment *attachment, const json_t *result,
                   void (*done)(void *userdata, int code, const char *message, json_t *result),
                   void *userdata, struct cni_call **ret, struct error *err);

// Kills the plugin that runs; `done` is not called. NULL is allowed.
void cni_call_cancel(struct cni_call *call);
