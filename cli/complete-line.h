// A command line as far as it has been typed: which command, which of its flags, and what the word
// under the cursor is.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/commands.h"

struct complete_line {             // all borrowed from the words
    const struct command *command; // NULL: not typed yet
    bool unknown;                  // the command's name is none
    const char **arguments;        // of the command, before the cursor; the vector is owned
    size_t n_arguments;
    const struct option **flags; // that were given; the vector is owned
    size_t n_flags;
    const char *socket, *namespace_; // --socket and --namespace, or NULL
    bool after_dashes;               // behind "--"
    const struct option *value_of;   // the cursor is in this flag's value, or NULL
    const char *current;             // the unfinished word, or as much of it as is a value
};

// `words`: those behind the program's name up to the cursor, the last of them unfinished. bash
// makes three words of "--for=ready", zsh leaves it as it is; both are understood.
void complete_line_parse(const char *const *words, size_t n, struct complete_line *ret);
void complete_line_free(struct complete_line *line);
#define _cleanup_complete_line_ _cleanup_(complete_line_free)
