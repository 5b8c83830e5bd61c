// What is executed: argv, the environment with the image's directories in PATH, and the search for
// the file. See container-internal.h.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "supervisor/shim/container-internal.h"
#include "supervisor/shim/credentials.h"

static char *prepend_path(const struct shim_spec *spec, const char *path)
{
    _cleanup_buffer_ struct buffer out = BUFFER_EMPTY;
    buffer_add_str(&out, "PATH=");
    for (size_t i = 0; i < spec->path_prepend.n; i++)
        buffer_printf(&out, "%s%s", i ? ":" : "", spec->path_prepend.items[i]);
    if (path)
        buffer_printf(&out, "%s%s", spec->path_prepend.n ? ":" : "", path);
    return buffer_take(&out);
}

void command_prepare(const struct shim_spec *spec, char *const *argv, struct command *ret)
{
    size_t n = 0, argc = 0;
    while (argv[argc])
        argc++;
    *ret = (struct command){.spec = spec, .argv = xcalloc(argc + 1, sizeof(char *))};
    memcpy(ret->argv, argv, argc * sizeof(char *));
    ret->environment = xcalloc(spec->environment.n + 2, sizeof(char *));
    for (size_t i = 0; i < spec->environment.n; i++) {
        const char *item = spec->environment.items[i];
        bool is_path = str_starts_with(item, "PATH=");
        ret->environment[n] = is_path ? prepend_path(spec, item + 5) : xstrdup(item);
        if (is_path)
            ret->path = ret->environment[n] + 5;
        n++;
    }
    if (!ret->path && spec->path_prepend.n > 0) {
        ret->environment[n] = prepend_path(spec, NULL);
        ret->path = ret->environment[n] + 5;
    }
}

void command_free(struct command *command)
{
    free(command->argv);
    for (char **p = command->environment; p && *p; p++)
        free(*p);
    free(command->environment);
}

static int check_executable(const char *file)
{
    struct stat st;
    if (stat(file, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EACCES;
    return faccessat(AT_FDCWD, file, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

char *command_next(const struct command *command, const char **position, int *ret_code)
{
    const char *name = command->argv[0];
    if (strchr(name, '/')) {
        *ret_code = *position ? -ENOENT : check_executable(name);
        *position = name;
        return *ret_code == 0 ? xstrdup(name) : NULL;
    }
    *ret_code = -ENOENT;
    const char *p = *position ? *position : command->path ? command->path : "";
    while (*p) {
        size_t length = strcspn(p, ":");
        // An empty entry means the working directory: not searched, as no runtime does today.
        _cleanup_free_ char *file =
            length ? xasprintf("%.*s/%s", (int)length, p, name) : xstrdup("");
        p += length + (p[length] == ':');
        int code = length ? check_executable(file) : -ENOENT;
        if (code == 0) {
            *position = p;
            *ret_code = 0;
            return TAKE_PTR(file);
        }
        if (code == -EACCES)
            *ret_code = -EACCES;
    }
    *position = p;
    return NULL;
}

static int not_found(const struct command *command, int code, struct error *err)
{
    const char *name = command->argv[0];
    if (strchr(name, '/'))
        return error_errno(err, code, "cannot execute %s", name);
    if (code == -EACCES)
        return error_set(err, code,
                         "%s was found in PATH (%s), but may not be executed by this "
                         "container's user",
                         name, command->path ? command->path : "");
    return error_set(err, code, "executable %s not found in PATH (%s)", name,
                     command->path ? command->path : "");
}

int command_execute(const struct command *command, int report, struct error *err)
{
    const char *position = NULL;
    bool filtered = false;
    for (;;) {
        int code;
        _cleanup_free_ char *file = command_next(command, &position, &code);
        if (!file)
            return not_found(command, code, err);
        if (report >= 0)
            start_report_command(report, file);
        if (!filtered && (code = credentials_install_filter(command->spec, err)) < 0)
            return code;
        filtered = true;
        execve(file, command->argv, command->environment);
        if (errno == EACCES || errno == ENOENT || errno == ENOTDIR)
            if (!strchr(command->argv[0], '/'))
                continue;
        if (errno == ENOENT)
            return error_set(err, ENOENT, "cannot execute %s: its interpreter or loader is missing",
                             file);
        return error_errno(err, errno, "cannot execute %s", file);
    }
}
