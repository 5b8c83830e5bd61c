// podmaster's command line.
#pragma once

#include "base/string-list.h"

struct podmaster_options {
    struct string_list endpoints;
    const char *cacert, *cert, *key;
    char *name;
    const char *key_name, *source, *destination, *state_dir;
    long long lease_ttl, stop_time; // seconds
};

// Fills in *options, which is empty, defaults included. -1: go on; else the exit status of --help,
// --version or wrong usage, which has been said.
int podmaster_options_parse(struct podmaster_options *options, int argc, char **argv);

void podmaster_options_free(struct podmaster_options *options);
#define _cleanup_podmaster_options_ _cleanup_(podmaster_options_free)
