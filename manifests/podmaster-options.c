// See podmaster-options.h.
#include "manifests/podmaster-options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

enum { TTL_MIN_SEC = 2, TTL_MAX_SEC = 3600, EXIT_USAGE = 2, HOST_NAME_SIZE = 254 };

enum flag {
    FLAG_ENDPOINTS = 256,
    FLAG_CACERT,
    FLAG_CERT,
    FLAG_KEY,
    FLAG_NAME,
    FLAG_LEASE_TTL,
    FLAG_STOP_TIME,
    FLAG_KEY_NAME,
    FLAG_SOURCE,
    FLAG_DESTINATION,
    FLAG_STATE_DIR,
    FLAG_VERBOSE,
    FLAG_VERSION,
    FLAG_HELP,
};

const struct podmaster_flag podmaster_flags[] = {
    {FLAG_SOURCE, "source", "FILE", "the manifest; changes to it are passed on"},
    {FLAG_DESTINATION, "destination", "FILE",
     "where it goes while this node holds the lease, such as /etc/kubernetes/manifests/X.yaml"},
    {FLAG_KEY_NAME, "key-name", "KEY", "the same on all nodes, such as /mainstay/podmaster/X"},
    {FLAG_NAME, "name", "NAME", "this node (default: the host's name)"},
    {FLAG_LEASE_TTL, "lease-ttl", "SECONDS",
     "after this time without a sign of life another node takes over (default: 10)"},
    {FLAG_STOP_TIME, "stop-time", "SECONDS",
     "what the pod needs to stop: the manifest is taken away that much before another node can "
     "have the lease (default: a third of --lease-ttl)"},
    {FLAG_ENDPOINTS, "etcd-endpoints", "URLS",
     "etcd's client URLs, with commas between (default: https://127.0.0.1:2379)"},
    {FLAG_CACERT, "cacert", "FILE", "the CA of etcd's certificate"},
    {FLAG_CERT, "cert", "FILE", "the client certificate"},
    {FLAG_KEY, "key", "FILE", "the client certificate's key"},
    {FLAG_STATE_DIR, "state-dir", "DIR",
     "where the lease's deadline is noted (default: /run/mainstay/podmaster)"},
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
    puts(
        "podmaster --source FILE --destination FILE --key-name KEY --etcd-endpoints URL,… [flags]\n"
        "\n"
        "Of several nodes, keeps the manifest in the directory of the one that holds KEY in "
        "etcd.\n");
    for (size_t i = 0; i < podmaster_n_flags; i++) {
        const struct podmaster_flag *flag = &podmaster_flags[i];
        int n = printf("  --%s%s%s", flag->name, flag->argument ? " " : "",
                       flag->argument ? flag->argument : "");
        printf("%*s", TEXT_COLUMN - n, "");
        print_text(flag->help, TEXT_COLUMN);
    }
    puts("\nSIGTERM takes the manifest away, waits for --stop-time and releases the lease. Under\n"
         "systemd use KillMode=process, so that the watch over the deadline outlives a crash.");
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

// NULL: go on; else what is wrong.
static const char *complete(struct podmaster_options *options)
{
    char host[HOST_NAME_SIZE] = "";
    if (!options->source || !options->destination || !options->key_name)
        return "--source, --destination and --key-name are needed";
    if (options->stop_time < 0)
        options->stop_time = options->lease_ttl / 3;
    if (options->stop_time >= options->lease_ttl)
        return "--stop-time must be shorter than --lease-ttl";
    if (!options->name && gethostname(host, sizeof(host) - 1) < 0)
        return "cannot tell the host's name: give --name";
    if (!options->name)
        options->name = xstrdup(host);
    if (!*options->name || strpbrk(options->name, " \n"))
        return "--name must not be empty or have blanks";
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
    case FLAG_KEY:
        return &options->key;
    case FLAG_KEY_NAME:
        return &options->key_name;
    case FLAG_SOURCE:
        return &options->source;
    case FLAG_DESTINATION:
        return &options->destination;
    case FLAG_STATE_DIR:
        return &options->state_dir;
    default:
        return NULL;
    }
}

static void set_name(struct podmaster_options *options, const char *value)
{
    free(options->name);
    options->name = xstrdup(value);
}

// -1: taken; else the exit status.
static int take_flag(struct podmaster_options *options, int flag, const char *value)
{
    const char **string = string_of(options, flag);
    if (string)
        *string = value;
    else if (flag == FLAG_NAME)
        set_name(options, value);
    else if (flag == FLAG_ENDPOINTS)
        add_endpoints(options, value);
    else if (flag == FLAG_LEASE_TTL)
        return str_to_int(value, TTL_MIN_SEC, TTL_MAX_SEC, &options->lease_ttl) < 0
                   ? usage("--lease-ttl: whole seconds from 2 to 3600")
                   : -1;
    else if (flag == FLAG_STOP_TIME)
        return str_to_int(value, 0, TTL_MAX_SEC, &options->stop_time) < 0
                   ? usage("--stop-time: whole seconds from 0 to 3600")
                   : -1;
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
    options->lease_ttl = 10;
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
    free(options->name);
}
