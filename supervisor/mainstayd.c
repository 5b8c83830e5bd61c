// mainstayd, the node agent: reads its configuration and runs until a signal ends it. It stays in
// the foreground; systemd, monit or a terminal keeps it.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "supervisor/agent.h"
#include "supervisor/init.h"

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

// Under --init this is the child of process 1, or nothing that --init could mean.
static int check_process_1(const struct config *config)
{
    if (config->init && !init_is_parent()) {
        log_error("--init is for process 1 of a container or a machine, this is process %d: leave "
                  "it out where something else is process 1",
                  (int)getpid());
        return -EINVAL;
    }
    if (getpid() == 1)
        log_warning("runs as process 1 without --init: nobody reaps orphans, and nobody starts the "
                    "agent anew when it dies; use `mainstayd --init`");
    return 0;
}

// A configuration may be right and yet not come into force (its port is taken): the one of the last
// start is better than no agent.
static int run_kept(int argc, char *const *argv, const struct config *failed,
                    struct handover *handover, struct error *err)
{
    _cleanup_config_ struct config kept = {0};
    bool started;
    if (config_parse_kept(argc, argv, failed, &kept, NULL) < 0)
        return err->code;
    kept.refused = xstrdup(error_message(err));
    error_clear(err);
    return agent_run(&kept, argv, handover, &started, err);
}

static int run(const struct config *config, int argc, char *const *argv)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_(cleanup_handover_free) struct handover *handover = handover_receive();
    bool started = false;
    log_set_level(level_of(config->verbosity));
    if (check_process_1(config) < 0)
        return EXIT_USAGE;
    raise_descriptor_limit();
    int r = agent_run(config, argv, handover, &started, &err);
    if (r < 0 && !started)
        r = run_kept(argc, argv, config, handover, &err);
    if (r >= 0)
        return EXIT_SUCCESS;
    log_error("%s", error_message(&err));
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_config_ struct config config = {0};
    _cleanup_buffer_ struct buffer usage = BUFFER_EMPTY;
    struct init_options init;
    if (getpid() == 1 && init_options_read(argc, argv, &init))
        return init_run(&init, argv);
    log_open("mainstayd", LOG_LEVEL_INFO);
    int r = config_parse_for_start(argc, argv, &config, &err);
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
        return run(&config, argc, argv);
    }
}
