// `mainstay init`: certificates, kubeconfigs and manifests of a control plane on this node. What is
// there and right is kept, so it can be run again and again.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/commands.h"
#include "cli/control-plane-options.h"
#include "cli/init-preflight.h"
#include "cli/pki-report.h"
#include "cli/term.h"
#include "pki/pki.h"

enum { MANIFEST_MAX = 10 << 20 };

#define DEFAULT_MANIFESTS "/etc/kubernetes/manifests"

struct init_options {
    struct common_options common;
    struct control_plane_options plane;
    const char *manifests;
    const char *control_plane_endpoint;
    const char *key_type;
    struct string_list only, api_sans, etcd_sans;
    struct preflight_options preflight;
    bool force, check;
};

static const struct option init_option_rows[] = {
    OPT_STRING(init_options, manifests, .name = "manifests", .argument = "DIR",
               .help = "Where the manifests go (default: " DEFAULT_MANIFESTS ")"),
    OPT_LIST(init_options, only, .name = "only", .argument = "COMPONENT,...",
             .offers = (const char *const[]){"etcd", "kube-apiserver", "kube-controller-manager",
                                             "kube-scheduler", NULL},
             .help = "Write the manifests of these only (etcd, kube-apiserver, ...)"),
    OPT_BOOL(init_options, force, .name = "force",
             .help = "Replace manifests that differ; keys and certificates are never replaced"),
    OPT_STRING(init_options, control_plane_endpoint, .name = "control-plane-endpoint",
               .argument = "HOST[:PORT]", .help = "The load balancer before the API servers"),
    OPT_STRING(init_options, key_type, .name = "key-type", .argument = "TYPE",
               .offers = (const char *const[]){"ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072",
                                               "rsa-4096", NULL},
               .help = "ecdsa-p256 (default), ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096"),
    OPT_LIST(init_options, api_sans, .name = "apiserver-cert-extra-sans", .argument = "NAME,...",
             .help = "Further names and addresses for kube-apiserver's certificate"),
    OPT_LIST(init_options, etcd_sans, .name = "etcd-cert-extra-sans", .argument = "NAME,...",
             .help = "Further names and addresses for etcd's certificates"),
    OPT_BOOL(init_options, check, .name = "check",
             .help = "Only look at what speaks against it; change nothing"),
    PREFLIGHT_OPTIONS(init_options),
    CONTROL_PLANE_OPTIONS(init_options),
    COMMON_OPTIONS(init_options),
};

const struct command command_init = {
    .name = "init",
    .group = "The control plane",
    .summary = "Make a control plane's certificates, kubeconfigs and manifests",
    .usage = "[flags]",
    .description =
        "Makes what etcd, kube-apiserver, kube-controller-manager and kube-scheduler need to run\n"
        "on this node, laid out as kubeadm lays it out: keys and certificates, kubeconfigs, and\n"
        "a manifest for each. What is there and right is kept; keys and certificates are never\n"
        "replaced, and a manifest that differs only with --force.\n\n"
        "First it looks at what speaks against it (--check does that alone): ports that are\n"
        "taken, and by whom, swap, the clock, the speed of etcd's disk, names, addresses,\n"
        "versions of the programs, directories that are not empty. An error ends it before\n"
        "anything is changed; a warning does not.",
    .examples = "  # A control plane on this machine\n"
                "  mainstay init\n"
                "  # Would it work here?\n"
                "  mainstay init --check\n"
                "  # One that leaves nothing behind but a directory\n"
                "  mainstay init --root=/tmp/trial --apiserver-port=16443",
    .options = init_option_rows,
    .n_options = ARRAY_SIZE(init_option_rows),
    .run = cmd_init,
};

// A manifest that is to be written, and what is there.
struct manifest {
    bool wanted;
    char *path;
    struct buffer text;
    bool exists, unreadable, same;
};

struct init {
    struct init_options *options;
    struct control_plane plane;
    const char *manifests;
    enum key_algorithm algorithm;
    struct string_list api_sans, etcd_sans;
    struct manifest files[COMPONENTS];
    size_t made, kept;
};

static void init_free(struct init *init)
{
    for (int i = 0; i < COMPONENTS; i++) {
        free(init->files[i].path);
        buffer_free(&init->files[i].text);
    }
    string_list_free(&init->api_sans);
    string_list_free(&init->etcd_sans);
}
#define _cleanup_init_ _cleanup_(init_free)

// "a,b" and "c" → a, b, c
static void split_commas(const struct string_list *from, struct string_list *to)
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

static int choose_components(struct init *init, struct error *err)
{
    _cleanup_string_list_ struct string_list names = {0};
    split_commas(&init->options->only, &names);
    for (int i = 0; i < COMPONENTS; i++)
        init->files[i].wanted = names.n == 0;
    for (size_t i = 0; i < names.n; i++) {
        enum control_plane_component component = COMPONENT_ETCD;
        if (control_plane_component_parse(names.items[i], &component, err) < 0)
            return error_prefix(err, EINVAL, "--only");
        init->files[component].wanted = true;
    }
    return 0;
}

static int init_resolve(struct init *init, struct error *err)
{
    struct init_options *options = init->options;
    int code = control_plane_options_resolve(&options->plane, &init->plane, err);
    if (code == 0)
        code = choose_components(init, err);
    if (code == 0 && options->key_type)
        code = key_algorithm_parse(options->key_type, &init->algorithm, err);
    if (code < 0)
        return code;
    split_commas(&options->api_sans, &init->api_sans);
    split_commas(&options->etcd_sans, &init->etcd_sans);
    init->manifests =
        control_plane_options_path(&options->plane, options->manifests, DEFAULT_MANIFESTS, err);
    return init->manifests ? 0 : -EINVAL;
}

static int prepare_manifest(struct init *init, enum control_plane_component component,
                            struct error *err)
{
    struct manifest *file = &init->files[component];
    _cleanup_buffer_ struct buffer old = BUFFER_EMPTY;
    file->path = xasprintf("%s/%s.yaml", init->manifests, control_plane_component_name(component));
    int code = control_plane_render(&init->plane, component, &file->text, err);
    if (code < 0)
        return code;
    code = fs_read_file(AT_FDCWD, file->path, MANIFEST_MAX, &old);
    file->exists = code != -ENOENT;
    file->unreadable = code == -EACCES;
    file->same = code == 0 && old.len == file->text.len &&
                 memcmp(buffer_str(&old), buffer_str(&file->text), old.len) == 0;
    return 0;
}

static int prepare_manifests(struct init *init, struct error *err)
{
    for (int i = 0; i < COMPONENTS; i++) {
        if (init->files[i].wanted &&
            prepare_manifest(init, (enum control_plane_component)i, err) < 0)
            return -EINVAL;
    }
    return 0;
}

// Before anything is made: manifests that somebody has changed are not ours to replace.
static bool manifests_conflict(const struct init *init)
{
    bool conflict = false;
    for (int i = 0; i < COMPONENTS && !init->options->force; i++) {
        const struct manifest *file = &init->files[i];
        if (!file->wanted || !file->exists || file->same)
            continue;
        if (file->unreadable) {
            fprintf(stderr, "error: %s cannot be read: run this as root\n", file->path);
            return true;
        }
        fprintf(stderr, "error: %s is there and differs from what would be written\n", file->path);
        conflict = true;
    }
    if (conflict)
        fprintf(stderr, "Nothing was changed. --force replaces it; --only leaves it out; "
                        "`mainstay render` shows the new text.\n");
    return conflict;
}

static int make_certificates(struct init *init, struct error *err)
{
    _cleanup_pki_report_ struct pki_report report = {0};
    struct pki_layout layout = {
        .pki_dir = init->plane.pki_dir,
        .kubeconfig_dir = init->plane.kubeconfig_dir,
        .node_name = init->plane.node_name,
        .advertise_address = init->plane.advertise_address,
        .api_port = init->plane.api_port,
        .control_plane_endpoint = init->options->control_plane_endpoint,
        .service_cidr = init->plane.service_cidr,
        .dns_domain = init->plane.dns_domain,
        .cluster_name = init->plane.cluster_name,
        .api_sans = &init->api_sans,
        .etcd_server_sans = &init->etcd_sans,
        .etcd_peer_sans = &init->etcd_sans,
        .algorithm = init->algorithm,
    };
    int code = pki_layout_make(&layout, &report, err);
    pki_say_report(&report);
    init->made += report.made;
    init->kept += report.kept;
    return code < 0 ? error_prefix(err, code, "no manifest was written") : 0;
}

static int write_manifest(struct init *init, const struct manifest *file, struct error *err)
{
    if (file->same) {
        init->kept++;
        pki_say("kept", TERM_DIM, file->path, NULL);
        return 0;
    }
    unsigned flags = FS_WRITE_SYNC | (init->options->force ? 0 : FS_WRITE_EXCLUSIVE);
    int code = fs_write_atomic(AT_FDCWD, file->path, file->text.data, file->text.len, 0600, flags);
    if (code < 0)
        return error_errno(err, code, "cannot write %s", file->path);
    init->made++;
    pki_say(file->exists ? "replaced" : "made", TERM_GREEN, file->path, NULL);
    return 0;
}

static int write_manifests(struct init *init, struct error *err)
{
    int code = fs_mkdir_parents(AT_FDCWD, init->manifests, 0755);
    if (code < 0)
        return error_errno(err, code, "cannot make %s", init->manifests);
    // etcd complains about a data directory that others can look into.
    if (init->files[COMPONENT_ETCD].wanted)
        code = fs_mkdir_parents(AT_FDCWD, init->plane.etcd_data_dir, 0700);
    if (code < 0)
        return error_errno(err, code, "cannot make %s", init->plane.etcd_data_dir);
    for (int i = 0; i < COMPONENTS && code == 0; i++) {
        if (init->files[i].wanted)
            code = write_manifest(init, &init->files[i], err);
    }
    return code;
}

static void say_next(const struct init *init)
{
    bool usual = str_equal(init->manifests, DEFAULT_MANIFESTS);
    printf("\n%zu files made, %zu kept. What next:\n", init->made, init->kept);
    printf("  mainstayd%s%s   # unless it runs already: the agent that runs these manifests\n",
           usual ? "" : " --pod-manifest-path=", usual ? "" : init->manifests);
    printf("  mainstay get pods -w\n");
    printf("  kubectl --kubeconfig=%s/admin.conf get --raw /readyz\n", init->plane.kubeconfig_dir);
}

// What is to run here, as the agent would read it.
static void judge_manifests(const struct init *init, struct node_manifests *ret)
{
    for (int i = 0; i < COMPONENTS; i++)
        if (init->files[i].wanted)
            node_manifests_add(ret, init->files[i].path, &init->files[i].text,
                               init->plane.node_name);
}

static int look_first(struct init *init)
{
    _cleanup_node_manifests_ struct node_manifests pods = {0};
    _cleanup_agent_seen_ struct agent_seen agent = {0};
    judge_manifests(init, &pods);
    agent_see(init->options->common.socket, init->manifests, &agent);
    const struct preflight_subject subject = {
        .plane = &init->plane,
        .pods = &pods,
        .manifests = init->manifests,
        .images_root = agent.root,
        .starts = agent.is_ours,
        .endpoint = init->options->control_plane_endpoint,
    };
    // Files below a directory of their own start nothing: there every finding is a warning.
    bool harmless = init->options->plane.root && !agent.is_ours;
    return preflight_first(&subject, PREFLIGHT_HOST | PREFLIGHT_CLUSTER, &init->options->preflight,
                           init->options->check, harmless);
}

static int init_run(struct init *init)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    if (init_resolve(init, &err) < 0 || prepare_manifests(init, &err) < 0)
        return command_usage_error(&command_init, "%s", error_message(&err));
    if (preflight_options_check(&init->options->preflight, init->options->check, &err) < 0)
        return command_usage_error(&command_init, "%s", error_message(&err));
    if (!init->options->check && manifests_conflict(init))
        return CLI_NO;
    int status = look_first(init);
    if (status != CLI_DONE || init->options->check)
        return status;
    printf("Node %s, kube-apiserver at %s port %d\n\n", init->plane.node_name,
           init->plane.advertise_address, init->plane.api_port);
    int code = make_certificates(init, &err);
    if (code == 0)
        code = write_manifests(init, &err);
    if (code < 0) {
        fflush(stdout);
        fprintf(stderr, "error: %s\n", error_message(&err));
        return CLI_NO;
    }
    say_next(init);
    return CLI_DONE;
}

int cmd_init(int argc, char **argv)
{
    struct init_options options = {0};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status = CLI_DONE;
    if (command_parse(&command_init, argc, argv, &options, &rest, &status)) {
        _cleanup_init_ struct init init = {.options = &options, .algorithm = KEY_ECDSA_P256};
        status = rest.n > 0
                     ? command_usage_error(&command_init, "\"%s\" is no flag", rest.arguments[0])
                     : init_run(&init);
    }
    control_plane_options_free(&options.plane);
    options_free(init_option_rows, ARRAY_SIZE(init_option_rows), &options);
    return status;
}
