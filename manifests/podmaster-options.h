// podmaster's command line.
#pragma once

#include "base/string-list.h"

// A flag as --help and the manual page show it.
struct podmaster_flag {
    int id;
    const char *name;     // without the dashes
    const char *argument; // NULL: it takes none
    const char *help;
};
extern const struct podmaster_flag podmaster_flags[];
extern const size_t podmaster_n_flags;

struct podmaster_options {
    struct string_list endpoints;
    const char *cacert, *cert, *cert_key;
    char *name;
    struct string_list keys, sources, destinations; // as many of each: one pair has one of each
    const char *state_dir;
    long long lease_ttl, stop_time; // seconds
};

// Fills in *options, which is empty, defaults included. -1: go on; else the exit status of --help,
// --version or wrong usage, which has been said.
int podmaster_options_parse(struct podmaster_options *options, int argc, char **argv);

void podmaster_options_free(struct podmaster_options *options);
#define _cleanup_podmaster_options_ _cleanup_(podmaster_options_free)
