// The configuration that was in force when the agent was ready last: it is kept on disk, so that a
// bad edit of the file is no reason for the pods to be without an agent, as a bad edit of a
// manifest is none for a pod to end.
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/string-list.h"
#include "supervisor/config-internal.h"

enum { KEPT_MAX = 2 << 20 };

// A first line "# PATH", then the text of the file.
static char *kept_path(const struct config *config)
{
    return path_join(config->root_dir, "state/configuration");
}

static void kept_free(struct config_kept *kept)
{
    free(kept->path);
    free(kept->text);
}

static int read_kept(const struct config *config, struct config_kept *ret, struct error *err)
{
    _cleanup_free_ char *path = kept_path(config);
    _cleanup_buffer_ struct buffer content = BUFFER_EMPTY;
    int code = fs_read_file(AT_FDCWD, path, KEPT_MAX, &content);
    if (code < 0)
        return error_errno(err, code, "%s cannot be read", path);
    const char *text = buffer_str(&content), *newline = strchr(text, '\n');
    if (!str_starts_with(text, "# ") || !newline)
        return error_set(err, EBADMSG, "%s does not name its file", path);
    ret->path = xstrndup(text + 2, (size_t)(newline - text) - 2);
    ret->text = xstrdup(newline + 1);
    return 0;
}

// Where the state is does not depend on the file, only on flags.
static int find_kept(const struct config_host *host, int argc, char *const *argv,
                     struct config_kept *ret, struct error *err)
{
    static const struct config_kept no_file = {0};
    _cleanup_config_ struct config flags = {0};
    int code = config_parse_with(host, argc, argv, &no_file, &flags, err);
    return code < 0 ? code : read_kept(&flags, ret, err);
}

int config_parse_for_start_of(const struct config_host *host, int argc, char *const *argv,
                              struct config *ret, struct error *err)
{
    _cleanup_error_ struct error wrong = ERROR_NONE;
    _cleanup_(kept_free) struct config_kept kept = {0};
    int code = config_parse_for(host, argc, argv, ret, &wrong);
    if (code >= 0)
        return code;
    if (ret->config_file && find_kept(host, argc, argv, &kept, NULL) == 0) {
        config_free(ret);
        if (config_parse_with(host, argc, argv, &kept, ret, NULL) == 0) {
            ret->refused = xstrdup(error_message(&wrong));
            return 0;
        }
    }
    return error_set(err, code, "%s", error_message(&wrong));
}

int config_parse_for_start(int argc, char *const *argv, struct config *ret, struct error *err)
{
    struct config_here here;
    config_look_around(&here);
    return config_parse_for_start_of(&here.host, argc, argv, ret, err);
}

int config_parse_kept(int argc, char *const *argv, const struct config *failed, struct config *ret,
                      struct error *err)
{
    struct config_here here;
    _cleanup_(kept_free) struct config_kept kept = {0};
    config_look_around(&here);
    if (!failed->config_file)
        return error_set(err, ENOENT, "there is no --config");
    int code = find_kept(&here.host, argc, argv, &kept, err);
    if (code < 0)
        return code;
    if (str_equal(kept.text, failed->file_text) && str_equal(kept.path, failed->file_path))
        return error_set(err, ENOENT, "the configuration is that of the last start");
    return config_parse_with(&here.host, argc, argv, &kept, ret, err);
}

int config_keep(const struct config *config, struct error *err)
{
    if (!config->file_text || config->refused)
        return 0;
    _cleanup_free_ char *path = kept_path(config);
    _cleanup_(kept_free) struct config_kept kept = {0};
    if (read_kept(config, &kept, NULL) == 0 && str_equal(kept.text, config->file_text) &&
        str_equal(kept.path, config->file_path))
        return 0; // nothing is written at each start
    _cleanup_free_ char *text = xasprintf("# %s\n%s", config->file_path, config->file_text);
    int code = fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0600, FS_WRITE_SYNC);
    return code < 0 ? error_errno(err, code, "%s cannot be written", path) : 0;
}

// ---- what differs ----

static bool is_shown_already(const struct setting *row)
{
    for (const struct setting *earlier = config_settings; earlier < row; earlier++)
        if (earlier->effect == SETTING_HONOURED && earlier->offset == row->offset)
            return true;
    return false;
}

// What it is called in the file, where it stands there.
static void add_name(struct buffer *out, const struct setting *row)
{
    for (size_t i = 0; i < config_n_settings; i++) {
        const struct setting *other = &config_settings[i];
        bool same = other->effect == SETTING_HONOURED && other->offset == row->offset;
        if (same && other->field) {
            buffer_add_str(out, other->field);
            return;
        }
    }
    buffer_printf(out, "--%s", row->flag);
}

static void add_value(struct buffer *out, const char *value)
{
    buffer_add_str(out, *value ? value : "(none)");
}

size_t config_differences(const struct config *before, const struct config *after,
                          struct buffer *out)
{
    size_t n = 0;
    for (size_t i = 0; i < config_n_settings; i++) {
        const struct setting *row = &config_settings[i];
        if (row->effect != SETTING_HONOURED || is_shown_already(row))
            continue;
        _cleanup_free_ char *old = setting_show(row, before), *new = setting_show(row, after);
        if (strcmp(old, new) == 0)
            continue;
        buffer_add_str(out, n++ > 0 ? ", " : "");
        add_name(out, row);
        if (setting_is_secret(row)) {
            buffer_add_str(out, ": changed");
            continue;
        }
        buffer_add_str(out, ": ");
        add_value(out, old);
        buffer_add_str(out, " → ");
        add_value(out, new);
    }
    return n;
}
