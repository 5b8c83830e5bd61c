// `mainstay pki`: keys and certificates. The words of cfssl are taken as guides print them, with
// one dash before a long flag.
#include "cli/pki.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/commands.h"

enum { DAYS_DEFAULT = 30 };

static const char *const list_formats[] = {"wide", "json", "yaml", NULL};

static const struct option pki_option_rows[] = {
    OPT_BOOL(pki_options, initca, .name = "initca", .only = "gencert,genkey",
             .help = "gencert: make a new CA"),
    OPT_BOOL(pki_options, renewca, .name = "renewca", .only = "gencert",
             .help = "gencert: make the CA's certificate anew, with its key"),
    OPT_STRING(pki_options, ca, .name = "ca", .only = "gencert,sign,renew,kubeconfig",
               .argument = "FILE", .help = "gencert, sign, renew: the CA's certificate"),
    OPT_STRING(pki_options, ca_key, .name = "ca-key", .only = "gencert,sign,renew,kubeconfig",
               .argument = "FILE", .help = "gencert, sign, renew: the CA's private key"),
    OPT_STRING(pki_options, config, .name = "config", .only = "init,gencert,genkey,sign",
               .argument = "FILE",
               .help = "gencert, sign: the signing policy (ca-config.json); init: kubeadm's file"),
    OPT_STRING(pki_options, profile, .name = "profile", .only = "gencert,sign", .argument = "NAME",
               .help = "gencert, sign: which profile of it (default: signing.default)"),
    OPT_STRING(pki_options, hostname, .name = "hostname", .only = "gencert,sign",
               .argument = "NAMES",
               .help = "gencert, sign: these names, joined by commas, instead of the request's"),
    OPT_STRING(pki_options, bare, .name = "bare", .only = "gencert,genkey,sign,selfsign",
               .argument = "NAME",
               .help = "Write NAME.pem, NAME-key.pem and NAME.csr instead of JSON"),
    OPT_BOOL(pki_options, force, .name = "force",
             .only = "gencert,genkey,sign,selfsign,import,rotate-ca",
             .help =
                 "-bare, import: replace what is there, and keep it under its name and the date"),
    OPT_STRING(pki_options, cert, .name = "cert", .only = "certinfo", .argument = "FILE",
               .help = "certinfo: the certificate"),
    OPT_STRING(pki_options, csr, .name = "csr", .only = "sign", .argument = "FILE",
               .help = "sign: the request"),
    OPT_STRING(pki_options, manifests, .name = "manifests",
               .only = "list,check,renew,rescue,rotate-ca,import", .argument = "DIR",
               .help = "list, check: the manifests that name certificates (default: the agent's)"),
    OPT_STRING(pki_options, dir, .name = "dir",
               .only = "list,renew,rescue,rotate-ca,kubeconfig,export,import", .argument = "DIR",
               .help = "list: where certificates lie besides (default /etc/kubernetes/pki)"),
    OPT_INT(pki_options, days, .name = "days", .only = "list,check,renew,kubeconfig",
            .argument = "N",
            .help = "list, check: warn of what ends within N days (default 30); renew: only that"),
    OPT_STRING(pki_options, output, .letter = 'o', .name = "output", .only = "list",
               .argument = "FORMAT", .help = "list: wide, json or yaml (default: a table)",
               .values = list_formats),
    OPT_STRING(pki_options, if_older_than, .name = "if-older-than", .only = "renew",
               .argument = "PART",
               .help = "renew: only what has lived this part of its life (2/3 or 66%)"),
    OPT_BOOL(pki_options, new_key, .name = "new-key", .only = "renew,rescue",
             .help = "renew, rescue: a new private key, too"),
    OPT_BOOL(pki_options, dry_run, .name = "dry-run", .only = "renew,rescue,rotate-ca",
             .help = "renew, rescue: only say what would be done"),
    OPT_BOOL(pki_options, status, .name = "status", .only = "rotate-ca",
             .help = "rotate-ca: only say where it stands"),
    OPT_STRING(pki_options, user, .name = "user", .only = "kubeconfig,token", .argument = "NAME",
               .help = "kubeconfig, token: whose (the certificate's common name)"),
    OPT_STRING(pki_options, org, .name = "org", .only = "kubeconfig,token", .argument = "NAME",
               .help = "kubeconfig, token: the user's group (system:masters may do everything)"),
    OPT_STRING(pki_options, server, .name = "server", .only = "kubeconfig", .argument = "URL",
               .help = "kubeconfig: where the API server is"),
    OPT_STRING(pki_options, cluster_name, .name = "cluster-name", .only = "kubeconfig",
               .argument = "NAME",
               .help = "kubeconfig: what the cluster is called in it (default kubernetes)"),
    OPT_STRING(pki_options, for_node, .name = "for", .only = "export,import", .argument = "NODE",
               .help = "export: for which node; import: this node's name (default: the host's)"),
    OPT_STRING(pki_options, key, .name = "key", .only = "import", .argument = "KEY",
               .help = "import: the key that export has printed; - reads it from standard input"),
    OPT_STRING(pki_options, log_level, .name = "loglevel",
               .only = "gencert,genkey,sign,selfsign,certinfo,print-defaults", .argument = "N",
               .help = "Taken as cfssl takes it, and without effect"),
    PKI_INIT_OPTIONS(pki_options),
    COMMON_OPTIONS(pki_options),
};

static const struct {
    const char *name;
    pki_fn run;
} rows[] = {
    {"init", pki_init},
    {"list", pki_list},
    {"check", pki_check},
    {"renew", pki_renew},
    {"rescue", pki_rescue},
    {"rotate-ca", pki_rotate_ca},
    {"kubeconfig", pki_kubeconfig},
    {"token", pki_token},
    {"export", pki_export},
    {"import", pki_import},
    {"gencert", pki_gencert},
    {"genkey", pki_genkey},
    {"sign", pki_sign},
    {"selfsign", pki_selfsign},
    {"certinfo", pki_certinfo},
    {"print-defaults", pki_print_defaults},
};

static const char *const pki_words[] = {
    "init",       "list",     "check",    "renew",          "rescue",  "rotate-ca",
    "kubeconfig", "token",    "export",   "import",         "gencert", "genkey",
    "sign",       "selfsign", "certinfo", "print-defaults", NULL};

int pki_failed(const struct error *err)
{
    fprintf(stderr, "error: %s\n", error_message(err));
    return CLI_NO;
}

int pki_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    return command_usage_error(&command_pki, "%s", message);
}

// "-ca=ca.pem" as "--ca=ca.pem": Go's flags have one dash or two.
static char **with_two_dashes(int argc, char **argv, struct string_list *owned)
{
    char **words = xcalloc((size_t)argc + 1, sizeof(*words));
    bool flags = true;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        flags = flags && !str_equal(word, "--");
        bool single = flags && word[0] == '-' && word[1] != '-' && strlen(word) > 2;
        words[i] = argv[i];
        if (single) {
            string_list_add_owned(owned, xasprintf("-%s", word));
            words[i] = owned->items[owned->n - 1];
        }
    }
    return words;
}

static int run(const struct pki_options *options, const struct options_rest *rest)
{
    if (rest->n == 0)
        return pki_usage(
            "say what to do: init, list, check, renew, rescue, rotate-ca, kubeconfig, token, "
            "export, import, gencert, genkey, sign, selfsign, certinfo or "
            "print-defaults");
    int status = command_check_flags(&command_pki, rest);
    if (status != 0)
        return status;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (str_equal(rest->arguments[0], rows[i].name))
            return rows[i].run(options, rest->arguments + 1, rest->n - 1);
    const char *nearest = str_nearest(rest->arguments[0], pki_words, ARRAY_SIZE(rows));
    return pki_usage("\"%s\" is nothing that `mainstay pki` does%s%s%s", rest->arguments[0],
                     nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                     nearest ? "\"?" : "");
}

static int cmd_pki(int argc, char **argv)
{
    struct pki_options options = {.days = -1};
    _cleanup_options_rest_ struct options_rest rest = {0};
    _cleanup_string_list_ struct string_list owned = {0};
    _cleanup_free_ char **words = with_two_dashes(argc, argv, &owned);
    int status;
    if (!command_parse(&command_pki, argc, words, &options, &rest, &status))
        goto out;
    options.days_given = options.days >= 0;
    if (!options.days_given)
        options.days = DAYS_DEFAULT;
    status = run(&options, &rest);
out:
    options_free(pki_option_rows, ARRAY_SIZE(pki_option_rows), &options);
    return status;
}

const struct command command_pki = {
    .name = "pki",
    .group = "The control plane",
    .summary = "Make, sign and show keys and certificates, as cfssl and kubeadm do",
    .usage =
        "init|list|check|renew|rescue|rotate-ca|kubeconfig|token|export|import|gencert|genkey|sign|"
        "selfsign|certinfo|print-defaults [FILE]",
    .description =
        "init            all keys, certificates and kubeconfigs of a control plane, as kubeadm "
        "makes them\n"
        "                (--config: its ClusterConfiguration); what is there is kept and checked\n"
        "list            every certificate of this node: whose, by whom, for how long, and which "
        "flag of\n"
        "                which component uses it; FILE…: these files\n"
        "check           whether those that the manifests name do what they are there for: chain, "
        "key,\n"
        "                names against the flags, usages, modes, age\n"
        "renew           NAME…, FILE… or all: anew by the CA that signed it, with the same key\n"
        "                (--new-key: another), subject, names and usages; the old files are kept "
        "under\n"
        "                their names and the date; -days N or -if-older-than=2/3: only what needs "
        "it\n"
        "rescue          everything has expired: CAs that have are renewed with their own keys, "
        "then\n"
        "                every certificate and kubeconfig of this node; nothing but the files is "
        "needed\n"
        "rotate-ca       NAME: another CA in its place, in three steps, one for each call: both "
        "are\n"
        "                trusted; the new one signs; the old one leaves. It says what must restart "
        "before\n"
        "                the next. Where nodes share the CA, each step is done on all of them "
        "before the\n"
        "                next: on the others by import, and then rotate-ca there, which does that "
        "node's\n"
        "                part and begins nothing. check says where a node stands\n"
        "kubeconfig      a new client certificate in a kubeconfig, on standard output: --user, "
        "--org,\n"
        "                --server; -days N\n"
        "token           a random bootstrap token; with --user a line of known_tokens.csv\n"
        "export          FILE --for NODE: the CAs, the service accounts' key and the client files "
        "of an\n"
        "                external etcd, sealed for a further node of the control plane under a key "
        "that\n"
        "                is printed\n"
        "import          FILE --key KEY: puts them there, on the node that it was sealed for; what "
        "is\n"
        "                there already must be the same, or a step behind in a CA's rotation\n"
        "gencert         a key and a certificate for a request in cfssl's JSON, signed by the CA "
        "of "
        "-ca\n"
        "                and -ca-key by a profile of -config; or a new CA (-initca)\n"
        "genkey          a key and a signing request\n"
        "sign            a certificate for a signing request in PEM form\n"
        "selfsign        NAME FILE: a certificate that is signed by its own key, for trying out\n"
        "certinfo        what a certificate says, as JSON\n"
        "print-defaults  csr|config: a file to begin with\n\n"
        "The answer is cfssl's JSON, which cfssljson reads; with -bare NAME it is files. Long "
        "flags\n"
        "may have one dash, as cfssl's have.",
    .examples = "  mainstay pki init --config kubeadm.yaml\n"
                "  mainstay pki list\n"
                "  mainstay pki kubeconfig --user=jane --org=dev --server=https://10.0.0.1:6443 "
                "> jane.conf\n"
                "  mainstay pki export --for m1 m1.keys\n"
                "  mainstay pki import m1.keys --key - < m1.key\n"
                "  mainstay pki renew all -if-older-than=2/3\n"
                "  mainstay pki gencert -initca ca-csr.json -bare ca\n"
                "  mainstay pki gencert -ca=ca.pem -ca-key=ca-key.pem -config=ca-config.json \\\n"
                "      -profile=peer server.json | cfssljson -bare server",
    .options = pki_option_rows,
    .n_options = ARRAY_SIZE(pki_option_rows),
    .argument = ARGUMENT_WORD_FILES,
    .words = pki_words,
    .verbs = pki_words,
    .run = cmd_pki,
};
