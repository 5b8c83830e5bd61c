// The file that tells monit and init scripts the agent's PID (--pid-file). Written as soon as the
// run directory is locked, so that it names the one agent that there is, long before it is ready;
// taken away at an orderly end. Executing the program anew keeps process and file. After kill -9 it
// is left behind, as every PID file is, until the next agent replaces it.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/string-list.h"
#include "supervisor/agent.h"

enum { PID_FILE_MAX = 64 };

// The pods need the agent more than anybody needs this file: it may fail.
void agent_pidfile_write(const struct agent *agent)
{
    const char *path = agent->config->pid_file;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (!*path)
        return;
    buffer_printf(&text, "%d\n", (int)getpid());
    int r = fs_mkdir_parents_of(AT_FDCWD, path);
    if (r >= 0)
        r = fs_write_atomic(AT_FDCWD, path, text.data, text.len, 0644, 0);
    if (r < 0)
        log_warning("%s cannot be written, so whoever watches this agent by its PID file does not "
                    "find it: %s",
                    path, strerror(-r));
}

// Only where it names this process: another agent may have been given the same file.
void agent_pidfile_remove(const struct agent *agent)
{
    const char *path = agent->config->pid_file;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (!*path || fs_read_file(AT_FDCWD, path, PID_FILE_MAX, &text) < 0)
        return;
    if (strtol(buffer_str(&text), NULL, 10) == getpid())
        unlink(path);
}
