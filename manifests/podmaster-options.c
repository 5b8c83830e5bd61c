// See podmaster-options.h.
#include "manifests/podmaster-options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/log.h"
#include "manifests/lease.h"

enum {
    TTL_MIN_SEC = 2,
    TTL_MAX_SEC = 3600,
    TTL_DEFAULT_SEC = 10,
    PAIRS_MAX = 64,
    EXIT_USAGE = 2,
    HOST_NAME_SIZE = 254,
};

enum flag {
    FLAG_ENDPOINTS = 256,
    FLAG_CACERT,
    FLAG_CERT,
    FLAG_CERT_KEY,
    FLAG_NAME,
    FLAG_LEASE_TTL,
    FLAG_STOP_TIME,
    FLAG_KEY,
    FLAG_SOURCE,
    FLAG_DESTINATION,
    FLAG_PAIR,
    FLAG_STATE_DIR,
    FLAG_VERBOSE,
    FLAG_VERSION,
    FLAG_HELP,
};

const struct podmaster_flag podmaster_flags[] = {
    {FLAG_ENDPOINTS, "etcd-servers", "URLS",
     "etcd's client URLs, with commas between (default: https://127.0.0.1:2379)"},
    {FLAG_KEY, "key", "KEY", "the same on all nodes, such as /mainstay/podmaster/X"},
    {FLAG_SOURCE, "source-file", "FILE", "the manifest; changes to it are passed on"},
    {FLAG_DESTINATION, "dest-file", "FILE",
     "where it goes while this node holds the lease, such as /etc/kubernetes/manifests/X.yaml. "
     "These three can be given several times: the first of each make one pair, and so on"},
    {FLAG_PAIR, "pair", "KEY=SOURCE:DEST", "the three in one, as often as there are manifests"},
    {FLAG_NAME, "whoami", "NAME", "this node (default: the host's name)"},
    {FLAG_LEASE_TTL, "ttl", "SECONDS",
     "after this time without a sign of life another node takes over (default: 10)"},
    {FLAG_STOP_TIME, "stop-time", "SECONDS",
     "what the pod may take to stop by itself when the lease cannot be renewed, before it is "
     "killed; "
     "at most about half of --ttl (default: a third of --ttl)"},
    {FLAG_CACERT, "etcd-cafile", "FILE", "the CA of etcd's certificate"},
    {FLAG_CERT, "etcd-certfile", "FILE", "the client certificate"},
    {FLAG_CERT_KEY, "etcd-keyfile", "FILE", "the client certificate's key"},
    {FLAG_STATE_DIR, "state-dir", "DIR",
     "where the leases' deadlines and the pods' cgroups are noted, which the agent reads (default: "
     "/run/mainstay/podmaster)"},
    {FLAG_ENDPOINTS, "etcd-endpoints", "URLS", "the same as --etcd-servers"},
    {FLAG_KEY, "key-name", "KEY", "the same as --key"},
    {FLAG_SOURCE, "source", "FILE", "the same as --source-file"},
    {FLAG_DESTINATION, "destination", "FILE", "the same as --dest-file"},
    {FLAG_NAME, "name", "NAME", "the same as --whoami"},
    {FLAG_LEASE_TTL, "lease-ttl", "SECONDS", "the same as --ttl"},
    {FLAG_CACERT, "cacert", "FILE", "the same as --etcd-cafile"},
    {FLAG_CERT, "cert", "FILE", "the same as --etcd-certfile"},
    {FLAG_VERBOSE, "verbose", NULL, "say more"},
    {FLAG_VERSION, "version", NULL, "show the version"},
    {FLAG_HELP, "help", NULL, "show this"},
};
const size_t podmaster_n_flags = ARRAY_SIZE(podmaster_flags);

// Words from `column` on, wrapped.
static void print_text(const char *text, int column)
{
    enum { WIDTH = 90 };
    int at = column;
    for (size_t n; *text; text += n + strspn(text + n, " ")) {
        n = strcspn(text, " ");
        if (at > column && at + 1 + (int)n > WIDTH) {
            printf("\n%*s", column, "");
            at = column;
        }
        at += printf("%s%.*s", at > column ? " " : "", (int)n, text);
    }
    putchar('\n');
}

static void print_help(void)
{
    enum { TEXT_COLUMN = 25 };
    puts("podmaster --etcd-servers URL,… --key KEY --source-file FILE --dest-file FILE [flags]\n"
         "\n"
         "Of several nodes, keeps the manifest in the directory of the one that holds KEY in "
         "etcd.\n");
    for (size_t i = 0; i < podmaster_n_flags; i++) {
        const struct podmaster_flag *flag = &podmaster_flags[i];
        int n = printf("  --%s%s%s", flag->name, flag->argument ? " " : "",
                       flag->argument ? flag->argument : "");
        printf("%*s", TEXT_COLUMN - n > 0 ? TEXT_COLUMN - n : 1, "");
        print_text(flag->help, TEXT_COLUMN);
    }
    puts("\nSIGTERM takes the manifests away, waits until the pods are dead and releases the "
         "leases.\n"
         "Under systemd use KillMode=process, so that the watch over the deadline outlives a "
         "crash.");
}

static int usage(const char *message)
{
    fprintf(stderr, "podmaster: %s (see podmaster --help)\n", message);
    return EXIT_USAGE;
}

static void add_endpoints(struct podmaster_options *options, const char *value)
{
    for (const char *p = value; *p; p += *p == ',') {
        size_t len = strcspn(p, ",");
        if (len > 0)
            string_list_add_owned(&options->endpoints, xstrndup(p, len));
        p += len;
    }
}

// KEY=SOURCE:DEST. A key may have colons in it, and a file equals signs.
static bool add_pair(struct podmaster_options *options, const char *value)
{
    const char *equals = strchr(value, '=');
    const char *colon = equals ? strchr(equals, ':') : NULL;
    if (!colon || equals == value || colon == equals + 1 || !colon[1] || strchr(colon + 1, ':'))
        return false;
    string_list_add_owned(&options->keys, xstrndup(value, (size_t)(equals - value)));
    string_list_add_owned(&options->sources, xstrndup(equals + 1, (size_t)(colon - equals - 1)));
    string_list_add(&options->destinations, colon + 1);
    return true;
}

static bool has_twice(const struct string_list *list, bool base_names)
{
    for (size_t i = 0; i < list->n; i++)
        for (size_t j = 0; j < i; j++)
            if (base_names ? str_equal(path_base(list->items[i]), path_base(list->items[j]))
                           : str_equal(list->items[i], list->items[j]))
                return true;
    return false;
}

static bool has_empty(const struct string_list *list)
{
    return string_list_contains(list, "");
}

// NULL: go on; else what is wrong.
static const char *check_pairs(const struct podmaster_options *options)
{
    const struct string_list *keys = &options->keys;
    if (keys->n == 0 || options->sources.n == 0 || options->destinations.n == 0)
        return "--key, --source-file and --dest-file are needed, or --pair";
    if (keys->n > options->sources.n && keys->n > options->destinations.n)
        return "more --key than --source-file and --dest-file (the client certificate's key is "
               "--etcd-keyfile)";
    if (keys->n != options->sources.n || keys->n != options->destinations.n)
        return "each --key needs one --source-file and one --dest-file";
    if (keys->n > PAIRS_MAX)
        return "too many pairs";
    if (has_empty(keys) || has_empty(&options->sources) || has_empty(&options->destinations))
        return "--key, --source-file and --dest-file must not be empty";
    if (has_twice(keys, false))
        return "two pairs have the same --key";
    if (has_twice(&options->destinations, true))
        return "two pairs have a --dest-file of the same name";
    return NULL;
}

// NULL: go on; else what is wrong.
static const char *complete(struct podmaster_options *options)
{
    char host[HOST_NAME_SIZE] = "";
    const char *wrong = check_pairs(options);
    if (wrong)
        return wrong;
    if (options->stop_time < 0)
        options->stop_time = MIN(options->lease_ttl / 3, lease_stop_max(options->lease_ttl));
    if (options->stop_time > lease_stop_max(options->lease_ttl))
        return "--stop-time is too long: of --ttl at most about half, so that there is time to "
               "renew "
               "the lease and to allow for clocks";
    if (!path_is_clean_absolute(options->state_dir) || strpbrk(options->state_dir, "\"\\\n"))
        return "--state-dir must be an absolute path without quotes";
    if (!options->name && gethostname(host, sizeof(host) - 1) < 0)
        return "cannot tell the host's name: give --whoami";
    if (!options->name)
        options->name = xstrdup(host);
    if (!*options->name || strpbrk(options->name, " \n"))
        return "--whoami must not be empty or have blanks";
    if (options->endpoints.n == 0)
        string_list_add(&options->endpoints, "https://127.0.0.1:2379");
    return NULL;
}

static const char **string_of(struct podmaster_options *options, int flag)
{
    switch (flag) {
    case FLAG_CACERT:
        return &options->cacert;
    case FLAG_CERT:
        return &options->cert;
    case FLAG_CERT_KEY:
        return &options->cert_key;
    case FLAG_STATE_DIR:
        return &options->state_dir;
    default:
        return NULL;
    }
}

static struct string_list *list_of(struct podmaster_options *options, int flag)
{
    return flag == FLAG_KEY           ? &options->keys
           : flag == FLAG_SOURCE      ? &options->sources
           : flag == FLAG_DESTINATION ? &options->destinations
                                      : NULL;
}

static void set_name(struct podmaster_options *options, const char *value)
{
    free(options->name);
    options->name = xstrdup(value);
}

// -1: taken; else the exit status.
static int take_number(struct podmaster_options *options, int flag, const char *value)
{
    if (flag == FLAG_LEASE_TTL)
        return str_to_int(value, TTL_MIN_SEC, TTL_MAX_SEC, &options->lease_ttl) < 0
                   ? usage("--ttl: whole seconds from 2 to 3600")
                   : -1;
    return str_to_int(value, 0, TTL_MAX_SEC, &options->stop_time) < 0
               ? usage("--stop-time: whole seconds from 0 to 3600")
               : -1;
}

// -1: taken; else the exit status.
static int take_flag(struct podmaster_options *options, int flag, const char *value)
{
    const char **string = string_of(options, flag);
    struct string_list *list = list_of(options, flag);
    if (string)
        *string = value;
    else if (list)
        string_list_add(list, value);
    else if (flag == FLAG_NAME)
        set_name(options, value);
    else if (flag == FLAG_ENDPOINTS)
        add_endpoints(options, value);
    else if (flag == FLAG_PAIR)
        return add_pair(options, value) ? -1 : usage("--pair: KEY=SOURCE:DEST");
    else if (flag == FLAG_LEASE_TTL || flag == FLAG_STOP_TIME)
        return take_number(options, flag, value);
    else if (flag == FLAG_VERBOSE)
        log_set_level(LOG_LEVEL_DEBUG);
    else if (flag == FLAG_VERSION)
        return puts("podmaster " MAINSTAY_VERSION) < 0;
    else if (flag == FLAG_HELP) {
        print_help();
        return EXIT_SUCCESS;
    } else
        return usage("wrong usage");
    return -1;
}

int podmaster_options_parse(struct podmaster_options *options, int argc, char **argv)
{
    struct option flags[ARRAY_SIZE(podmaster_flags) + 1] = {0};
    int status = -1;
    for (size_t i = 0; i < podmaster_n_flags; i++)
        flags[i] = (struct option){podmaster_flags[i].name,
                                   podmaster_flags[i].argument ? required_argument : no_argument,
                                   NULL, podmaster_flags[i].id};
    options->lease_ttl = TTL_DEFAULT_SEC;
    options->stop_time = -1;
    options->state_dir = "/run/mainstay/podmaster";
    for (int flag; status < 0 && (flag = getopt_long(argc, argv, "", flags, NULL)) != -1;)
        status = take_flag(options, flag, optarg);
    if (status < 0 && optind < argc)
        status = usage("there are no arguments, only flags");
    const char *wrong = status < 0 ? complete(options) : NULL;
    return wrong ? usage(wrong) : status;
}

void podmaster_options_free(struct podmaster_options *options)
{
    string_list_free(&options->endpoints);
    string_list_free(&options->keys);
    string_list_free(&options->sources);
    string_list_free(&options->destinations);
    free(options->name);
}
