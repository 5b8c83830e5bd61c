// What the files of the daemon's configuration share; the manual pages are made from the same
// table.
//
//   config.c        defaults, the order of things (flags over file over defaults)
//   config-flags.c  the command line
//   config-file.c   the KubeletConfiguration file
//   config-set.c    from the text of a value to the member of struct config
//   config-show.c   --help and the configuration in force
//   config-keep.c   the configuration that was in force last, and what differs from it
//   config-table.c  every name that this program or the kubelet knows
#pragma once

#include <stddef.h>

#include "podspec/diag.h"
#include "supervisor/config.h"

enum setting_kind {
    SETTING_STRING,
    SETTING_BOOL,
    SETTING_INT,
    SETTING_DURATION,
    SETTING_LIST, // of strings; on the command line joined by commas
    SETTING_MAP,  // on the command line key=value joined by commas
};

enum setting_effect {
    SETTING_HONOURED,
    SETTING_NOTED,   // without effect, which is said once
    SETTING_REFUSED, // leaving it out would not be what was asked for
};

struct setting;

// A value on its way.
struct setting_value {
    // Booleans "true" or "false", integers in decimal, lists and mappings for setting_items(), else
    // as written.
    const char *text;
    const char *base; // the directory that relative paths start from
};

struct setting {
    const char *flag;  // without the dashes; NULL where there is none
    const char *field; // "authentication.webhook.enabled"; NULL where there is none
    enum setting_kind kind;
    enum setting_effect effect;
    const char *harmless; // values, joined by '|', that ask for nothing that is not so anyway
    const char *why;      // NOTED and REFUSED: the reason; HONOURED: the text of --help
    const char *metavar;  // of --help
    // HONOURED: 0, or -EINVAL with *err (what is wrong with the value only).
    int (*set)(const struct setting *row, struct config *config, const struct setting_value *value,
               struct error *err);
    size_t offset; // of the member, for `set`
};

// ---- config-table.c

extern const struct setting config_settings[];
extern const size_t config_n_settings;

const struct setting *setting_by_flag(const char *name);  // '_' and '-' are the same
const struct setting *setting_by_field(const char *path); // the row of exactly this field
bool setting_field_has_children(const char *path);
// The nearest known name, or NULL.
const char *setting_nearest_flag(const char *name);
const char *setting_nearest_field(const char *path);

// ---- config-set.c

#define SETTER(name)                                                                               \
    int name(const struct setting *row, struct config *config, const struct setting_value *value,  \
             struct error *err)
SETTER(setting_set_string);
SETTER(setting_set_path);
SETTER(setting_set_path_or_none);
SETTER(setting_set_bool);
SETTER(setting_set_positive_duration);
SETTER(setting_set_port);
SETTER(setting_set_ip);
SETTER(setting_set_node_ip);
SETTER(setting_set_node_name);
SETTER(setting_set_log_size);
SETTER(setting_set_log_files);
SETTER(setting_set_cgroup);
SETTER(setting_set_max_restart_period);
SETTER(setting_set_verbosity);
SETTER(setting_set_init_as);
SETTER(setting_set_url);
SETTER(setting_set_headers);
SETTER(setting_set_domain);
SETTER(setting_set_ip_list);
SETTER(setting_set_sysctls);

// The items of a list or mapping ("key: value"), added to *ret: lines where they come from the
// file, else what is joined by commas on the command line.
void setting_items(const struct setting_value *value, struct string_list *ret);
SETTER(setting_set_cpu_period);
SETTER(setting_set_pids_limit);
SETTER(setting_set_disk_limits);
SETTER(setting_set_weight_formula);

// Puts the value in force, notes that it has no effect, or refuses it. `shown` is how the setting
// is named in messages. 0, or -EINVAL with *err.
int setting_apply(const struct setting *row, const char *shown, const struct setting_value *value,
                  struct config *config, struct error *err);

void config_replace(char **member, char *value); // takes `value`

// ---- config-flags.c

struct given_flag {
    const struct setting *row;
    char *text;
};

struct given_flags {
    enum config_action action;
    char *config_file; // as given, or NULL
    LIST_OF(struct given_flag) flags;
};

int flags_read(int argc, char *const *argv, struct given_flags *ret, struct error *err);
int flags_apply(const struct given_flags *flags, struct config *config, struct error *err);
void flags_free(struct given_flags *flags);
#define _cleanup_flags_ _cleanup_(flags_free)

// ---- config-file.c

// Reads the file and applies it. All that is wrong with it is in the message, one finding a line.
int config_file_apply(const char *path, struct config *config, struct error *err);
// The same for its content; `path` names it and its directory.
int config_text_apply(const char *path, const void *data, size_t size, struct config *config,
                      struct error *err);

// ---- config-show.c

// The value of the member that an honoured row is for, as it would be given. The caller frees.
char *setting_show(const struct setting *row, const struct config *config);
bool setting_is_secret(const struct setting *row); // its value is shown to nobody
// The defaults as --help shows them: with the names that otherwise are made from others.
void config_shown_defaults(const struct config_host *host, struct config *config);

// ---- config.c

void config_set_defaults(const struct config_host *host, struct config *config);

struct config_kept {
    char *path; // NULL: no file at all
    char *text;
};

// config_parse_for() with this text in place of what --config names (NULL: with the file itself).
int config_parse_with(const struct config_host *host, int argc, char *const *argv,
                      const struct config_kept *instead, struct config *ret, struct error *err);
