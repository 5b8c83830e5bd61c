// Command-line options as kubectl reads them: flags and arguments in any order, `--name=value` and
// `--name value`, `-nvalue` and `-n value`, `-it`, `--wait=false`, and `--` as the end of flags.
// What a command takes is a table of rows that name members of its own struct.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/macro.h"
#include "base/string-list.h"

enum option_type {
    OPTION_BOOL,     // bool
    OPTION_STRING,   // const char *, borrowed from argv
    OPTION_INT,      // int64_t, not negative unless `min` says so
    OPTION_DURATION, // int64_t nanoseconds, not negative
    OPTION_LIST,     // struct string_list: may be given several times
};

struct option {
    const char *name;     // without "--"
    size_t offset;        // of the member in the command's struct
    const char *argument; // what --help calls the value
    const char *help;
    const char *const *values; // allowed values, NULL-terminated; NULL: any
    const char *const *offers; // for completion, where others are allowed too
    const char *only;          // the command's verbs that take it, joined by commas; NULL: all
    int64_t min;               // OPTION_INT
    enum option_type type;
    char letter; // 0 for none
};

// Rows that check at compile time that the member has the row's type.
#define OPTION_ROW(tag, member, kind, ctype, ...)                                                  \
    {                                                                                              \
        .type = (kind),                                                                            \
        .offset =                                                                                  \
            offsetof(struct tag, member) +                                                         \
            (sizeof(                                                                               \
                 char[__builtin_types_compatible_p(__typeof__(((struct tag *)0)->member), ctype)   \
                          ? 1                                                                      \
                          : -1]) -                                                                 \
             1),                                                                                   \
        __VA_ARGS__                                                                                \
    }
#define OPT_BOOL(tag, member, ...) OPTION_ROW(tag, member, OPTION_BOOL, bool, __VA_ARGS__)
#define OPT_STRING(tag, member, ...)                                                               \
    OPTION_ROW(tag, member, OPTION_STRING, const char *, __VA_ARGS__)
#define OPT_INT(tag, member, ...) OPTION_ROW(tag, member, OPTION_INT, int64_t, __VA_ARGS__)
#define OPT_DURATION(tag, member, ...)                                                             \
    OPTION_ROW(tag, member, OPTION_DURATION, int64_t, __VA_ARGS__)
#define OPT_LIST(tag, member, ...)                                                                 \
    OPTION_ROW(tag, member, OPTION_LIST, struct string_list, __VA_ARGS__)

// What every command takes. A command's struct holds one as its member `common`.
struct common_options {
    bool help;
    const char *socket;
};
#define COMMON_OPTIONS(tag)                                                                        \
    OPT_STRING(tag, common.socket, .name = "socket", .argument = "PATH",                           \
               .help = "The agent's socket (or MAINSTAY_SOCKET)"),                                 \
        OPT_BOOL(tag, common.help, .letter = 'h', .name = "help", .help = "Show this help")

// Which pods, for commands that look at several or at one by name.
struct pod_scope {
    const char *namespace_;
    bool all_namespaces;
};
#define SCOPE_OPTIONS(tag)                                                                         \
    OPT_STRING(tag, scope.namespace_, .letter = 'n', .name = "namespace", .argument = "NAMESPACE", \
               .help = "Only pods of this namespace (default: any)"),                              \
        OPT_BOOL(tag, scope.all_namespaces, .letter = 'A', .name = "all-namespaces",               \
                 .help = "Pods of every namespace, and a column that says which")

// The arguments that are no flags. Borrowed from argv; the vectors are owned.
struct options_rest {
    const char *
        *arguments; // before "--" (and after it, where the command does not tell them apart)
    size_t n;
    const char **after_dashes; // what followed "--"
    size_t n_after;
    bool has_dashes;
    const struct option **given; // the flags that were given, rows of the command's table
    size_t n_given;
};
void options_rest_free(struct options_rest *rest);
// Adds arguments that came as values of a flag (-f FILE); borrowed, so the list outlives `rest`.
void options_rest_add(struct options_rest *rest, const struct string_list *more);
#define _cleanup_options_rest_ _cleanup_(options_rest_free)

// Reads argv[1…] into *opts. 0, or -EINVAL with a message that names the nearest known flag.
int options_parse(const struct option *options, size_t n, int argc, char **argv, void *opts,
                  struct options_rest *rest, struct error *err);

// Frees the OPTION_LIST members.
void options_free(const struct option *options, size_t n, void *opts);

// "  -n, --namespace=NAMESPACE   Only pods …" lines, aligned.
void options_print_help(const struct option *options, size_t n, FILE *out);

// Whether a flag goes with this verb of its command ("member add"); with NULL, any: true.
bool option_is_for(const struct option *option, const char *verb);

// The row for "--name" (without dashes), or NULL.
const struct option *options_find(const struct option *options, size_t n, const char *name);
