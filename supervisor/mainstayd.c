// mainstayd, the node agent: reads its configuration and runs until a signal ends it. It stays in
// the foreground; systemd, monit or a terminal keeps it.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/log.h"
#include "supervisor/agent.h"

enum { EXIT_USAGE = 2 };

// Each container costs the agent a few descriptors, and the usual soft limit is 1024 for the sake
// of select(2) only.
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static enum log_level level_of(int verbosity)
{
    return verbosity >= 4 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
}

static int run(const struct config *config, char *const *argv)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    log_set_level(level_of(config->verbosity));
    raise_descriptor_limit();
    if (agent_run(config, argv, &err) >= 0)
        return EXIT_SUCCESS;
    log_error("%s", error_message(&err));
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_config_ struct config config = {0};
    _cleanup_buffer_ struct buffer usage = BUFFER_EMPTY;
    log_open("mainstayd", LOG_LEVEL_INFO);
    int r = config_parse(argc, argv, &config, &err);
    if (r < 0) {
        fprintf(stderr, "mainstayd: %s\nTry `mainstayd --help`.\n", error_message(&err));
        return r == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
    }
    switch (config.action) {
    case CONFIG_SHOW_HELP:
        config_usage_here(&usage);
        fputs(buffer_str(&usage), stdout);
        return EXIT_SUCCESS;
    case CONFIG_SHOW_VERSION:
        puts("mainstayd " MAINSTAY_VERSION);
        return EXIT_SUCCESS;
    default:
        return run(&config, argv);
    }
}
