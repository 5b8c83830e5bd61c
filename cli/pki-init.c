// `mainstay pki init`: the keys, certificates and kubeconfigs of a control plane, from kubeadm's
// configuration file and flags.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/commands.h"
#include "cli/control-plane-options.h"
#include "cli/pki-report.h"
#include "cli/pki.h"
#include "manifests/kubeadm-config.h"

#define SRV "srv"

const char *const pki_init_layouts[] = {"kubeadm", SRV, NULL};
const char *const pki_init_key_types[] = {"ecdsa-p256", "ecdsa-p384", "rsa-2048",
                                          "rsa-3072",   "rsa-4096",   NULL};

// One run. What the layout borrows lives here.
struct run {
    const struct pki_options *options;
    struct kubeadm_config config;
    struct control_plane_options plane_options;
    struct control_plane plane;
    struct string_list api_sans, etcd_server_sans, etcd_peer_sans;
    struct pki_external_etcd etcd;
    struct pki_layout layout;
    bool srv;
};

static void run_free(struct run *run)
{
    kubeadm_config_free(&run->config);
    control_plane_options_free(&run->plane_options);
    string_list_free(&run->api_sans);
    string_list_free(&run->etcd_server_sans);
    string_list_free(&run->etcd_peer_sans);
}
#define _cleanup_run_ _cleanup_(run_free)

static const char *first_of(const char *flag, const char *file)
{
    return flag ? flag : file;
}

static const char *own(struct run *run, char *s)
{
    string_list_add_owned(&run->plane_options.owned, s);
    return s;
}

static int read_config(struct run *run, struct error *err)
{
    const char *path = run->options->config;
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    _cleanup_string_list_ struct string_list warnings = {0};
    if (!path)
        return 0;
    int code = pki_read(path, &text, err);
    if (code == 0)
        code = kubeadm_config_read(path, buffer_str(&text), text.len, &run->config, &warnings, err);
    for (size_t i = 0; i < warnings.n; i++)
        fprintf(stderr, "warning: %s\n", warnings.items[i]);
    return code;
}

// "a,b" and "c" → a, b, c
static void add_split(struct string_list *to, const struct string_list *from)
{
    for (size_t i = 0; i < from->n; i++) {
        for (const char *p = from->items[i]; *p; p += *p == ',') {
            size_t len = strcspn(p, ",");
            if (len > 0)
                string_list_add_owned(to, xstrndup(p, len));
            p += len;
        }
    }
}

// A list that is given by flag takes the place of the file's, as with kubeadm.
static void choose_names(struct string_list *to, const struct string_list *flag,
                         const struct string_list *file)
{
    if (flag->n > 0)
        add_split(to, flag);
    else
        string_list_copy(to, file);
}

// A path of the file, which means this machine's, unless all is to lie below a root.
static const char *below_root(struct run *run, const char *path)
{
    const char *root = run->options->init.root;
    return path && root ? own(run, xasprintf("%s%s", root, path)) : path;
}

// kubeadm makes the name lower case, too (component-helpers' GetHostname()).
static const char *lower_case(struct run *run, const char *name)
{
    if (!name)
        return NULL;
    char *copy = xstrdup(name);
    for (char *p = copy; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return own(run, copy);
}

static int resolve_plane(struct run *run, struct error *err)
{
    const struct pki_init_options *flags = &run->options->init;
    struct kubeadm_config *config = &run->config;
    struct control_plane_options *plane = &run->plane_options;
    const char *srv_dir = run->srv ? below_root(run, "/srv/kubernetes") : NULL;
    *plane = (struct control_plane_options){
        .root = flags->root,
        .owned = plane->owned,
    };
    plane->pki_dir = flags->cert_dir ? flags->cert_dir
                     : run->srv      ? srv_dir
                                     : below_root(run, config->certificates_dir);
    plane->kubeconfig_dir = flags->kubeconfig_dir;
    plane->node_name = lower_case(run, first_of(flags->node_name, config->node_name));
    plane->advertise_address = first_of(flags->advertise_address, config->advertise_address);
    plane->service_cidr = first_of(flags->service_cidr, config->service_subnet);
    plane->dns_domain = first_of(flags->dns_domain, config->dns_domain);
    plane->api_port = flags->api_port ? flags->api_port : config->bind_port;
    return control_plane_options_resolve(plane, &run->plane, err);
}

static int resolve_key_type(struct run *run, struct error *err)
{
    const char *type = run->options->init.key_type;
    run->layout.algorithm =
        run->config.says_ecdsa && !run->config.ecdsa ? KEY_RSA_2048 : KEY_ECDSA_P256;
    return type ? key_algorithm_parse(type, &run->layout.algorithm, err) : 0;
}

static void resolve_etcd(struct run *run)
{
    const struct kubeadm_config *config = &run->config;
    const struct pki_init_options *flags = &run->options->init;
    choose_names(&run->etcd_server_sans, &flags->etcd_sans, &config->etcd_server_sans);
    choose_names(&run->etcd_peer_sans, &flags->etcd_sans, &config->etcd_peer_sans);
    if (!config->has_external_etcd)
        return;
    run->etcd = (struct pki_external_etcd){
        .ca_file = below_root(run, config->etcd_ca_file),
        .certificate_file = below_root(run, config->etcd_certificate_file),
        .key_file = below_root(run, config->etcd_key_file),
    };
    run->layout.external_etcd = &run->etcd;
}

static int resolve(struct run *run, struct error *err)
{
    const struct pki_init_options *flags = &run->options->init;
    int code = resolve_plane(run, err);
    if (code == 0)
        code = resolve_key_type(run, err);
    if (code < 0)
        return code;
    choose_names(&run->api_sans, &flags->api_sans, &run->config.api_sans);
    resolve_etcd(run);
    struct pki_layout *layout = &run->layout;
    layout->pki_dir = run->plane.pki_dir;
    layout->kubeconfig_dir = run->srv ? NULL : run->plane.kubeconfig_dir;
    layout->node_name = run->plane.node_name;
    layout->advertise_address = run->plane.advertise_address;
    layout->api_port = run->plane.api_port;
    layout->control_plane_endpoint =
        first_of(flags->control_plane_endpoint, run->config.control_plane_endpoint);
    layout->service_cidr = run->plane.service_cidr;
    layout->dns_domain = run->plane.dns_domain;
    layout->cluster_name =
        run->config.cluster_name ? run->config.cluster_name : run->plane.cluster_name;
    layout->api_sans = &run->api_sans;
    layout->etcd_server_sans = &run->etcd_server_sans;
    layout->etcd_peer_sans = &run->etcd_peer_sans;
    layout->csr_dir = flags->csr_dir;
    layout->kubelet = true;
    return 0;
}

static void say_next(const struct run *run, const struct pki_report *report)
{
    printf("\n%zu files made, %zu kept.\n", report->made, report->kept);
    if (!run->options->init.csr_only)
        return;
    printf(
        "Sign each request where its CA's key is, with a profile that allows \"server auth\" for "
        "apiserver,\n\"server auth\" and \"client auth\" for etcd/server and etcd/peer, and "
        "\"client auth\" for the others:\n"
        "  mainstay pki sign -ca=ca.crt -ca-key=ca.key -config=ca-config.json -profile=server "
        "-bare apiserver apiserver.csr\n"
        "Then put the certificates beside their keys (apiserver.crt, ..., admin.conf.crt), the "
        "CAs' certificates\ninto %s, and run `mainstay pki init` again: it checks them "
        "and makes the kubeconfigs.\n",
        run->layout.pki_dir);
}

static int make(struct run *run, struct error *err)
{
    _cleanup_pki_report_ struct pki_report report = {0};
    printf("Node %s, kube-apiserver at %s port %d\n\n", run->layout.node_name,
           run->layout.advertise_address, run->layout.api_port);
    int code = run->srv                      ? pki_layout_make_srv(&run->layout, &report, err)
               : run->options->init.csr_only ? pki_layout_request(&run->layout, &report, err)
                                             : pki_layout_make(&run->layout, &report, err);
    pki_say_report(&report);
    if (code == 0)
        say_next(run, &report);
    fflush(stdout);
    return code;
}

int pki_init(const struct pki_options *options, const char *const *words, size_t n)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_run_ struct run run = {.options = options,
                                    .srv = str_equal(options->init.layout, SRV)};
    if (n > 0)
        return pki_usage("init takes no \"%s\": kubeadm's file is named by --config", words[0]);
    if (run.srv && options->init.csr_only)
        return pki_usage("--csr-only goes with kubeadm's layout only");
    if (options->init.csr_dir && !options->init.csr_only)
        return pki_usage("--csr-dir goes with --csr-only");
    if (read_config(&run, &err) < 0)
        return pki_failed(&err);
    if (resolve(&run, &err) < 0)
        return pki_usage("%s", error_message(&err));
    return make(&run, &err) < 0 ? pki_failed(&err) : CLI_DONE;
}
