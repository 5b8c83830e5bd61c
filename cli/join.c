// `mainstay join`: this machine becomes a further node of a control plane, with the keys and the
// cluster's file that another node has sealed for it. Every step finds what an earlier run has
// done, so an interrupted one is completed by running it again.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/commands.h"
#include "cli/init-preflight.h"
#include "cli/join-etcd.h"
#include "cli/node-plan.h"
#include "cli/node-start.h"
#include "cli/pki-sealed.h"

enum { ASK_MSEC = 5000 };

struct join_options {
    struct common_options common;
    struct control_plane_options plane;
    struct node_plan_options plan;
    struct preflight_options preflight;
    struct node_start_options start;
    const char *key, *etcd_endpoints;
    bool check;
};

static const char *const join_roles[] = {"control-plane", "apiserver", "etcd", NULL};

static const struct option join_option_rows[] = {
    OPT_STRING(join_options, key, .name = "key", .argument = "KEY",
               .help = "The key that `mainstay pki export` has printed (-: from standard input)"),
    OPT_STRING(join_options, etcd_endpoints, .name = "etcd-endpoints", .argument = "URL,...",
               .help = "Where the cluster's etcd answers (default: on the cluster's nodes)"),
    OPT_LIST(join_options, plan.roles, .name = "role", .argument = "ROLE,...", .offers = join_roles,
             .help =
                 "What runs here (control-plane, apiserver, etcd), where the cluster's file does "
                 "not name this node"),
    OPT_BOOL(join_options, check, .name = "check",
             .help = "Only look at what speaks against it; change nothing"),
    PREFLIGHT_OPTIONS(join_options),
    NODE_START_OPTIONS(join_options),
    NODE_PLAN_OPTIONS(join_options),
    CONTROL_PLANE_OPTIONS(join_options),
    COMMON_OPTIONS(join_options),
};

const struct command command_join = {
    .name = "join",
    .group = "The control plane",
    .summary = "Make this machine a further node of a control plane",
    .usage = "SEALED-FILE --key KEY [flags]",
    .description =
        "Takes the keys that all nodes share, and the cluster's file, out of the sealed file that\n"
        "`mainstay pki export --for NODE` has written on another node; makes this node's own\n"
        "certificates and kubeconfigs; adds its etcd member to the cluster as a learner, which\n"
        "does not vote; puts the manifests into the agent's directory; promotes the member once\n"
        "it has caught up; and waits until all is ready. What runs here is what the cluster's\n"
        "file says of this node: by default etcd and the control plane.\n\n"
        "It can be interrupted at any time, and be run again: what is done is kept. Before\n"
        "anything is changed it looks at what speaks against it, as `mainstay init --check`.",
    .examples = "  # On a node that is there\n"
                "  mainstay pki export --for m2 m2.sealed\n"
                "  # On the new one, with that file\n"
                "  mainstay join m2.sealed --key KEY\n"
                "  # The key from standard input; this machine is not in the cluster's file\n"
                "  mainstay join m4.sealed --key - --node-name m4 --advertise-address 10.0.0.4",
    .options = join_option_rows,
    .n_options = ARRAY_SIZE(join_option_rows),
    .argument = ARGUMENT_FILE,
    .single = true,
    .run = cmd_join,
};

struct join {
    struct join_options *options;
    struct transfer transfer;
    struct node_plan plan;
    struct agent_seen agent;
    struct node_etcd etcd;
    struct join_member member;
    monotime begun, deadline;
};

static void join_free(struct join *join)
{
    transfer_free(&join->transfer);
    node_plan_free(&join->plan);
    agent_seen_free(&join->agent);
    node_etcd_free(&join->etcd);
    join_member_free(&join->member);
}
#define _cleanup_join_ _cleanup_(join_free)

// ---- what is to be done ----

static int read_cluster(struct join *join, const char *file, struct cluster *ret, struct error *err)
{
    _cleanup_string_list_ struct string_list warnings = {0};
    _cleanup_free_ char *name = xasprintf("%s: " SEALED_CLUSTER, file);
    const struct transfer_file *text = sealed_find(&join->transfer, SEALED_CLUSTER);
    if (!text)
        return error_set(err, EINVAL,
                         "%s holds no cluster file: seal it on a node that `mainstay init` or "
                         "`join` has made",
                         file);
    return cluster_read(name, buffer_str(&text->data), text->data.len, ret, &warnings, err);
}

static int check_name(const struct join *join, const char *file, struct error *err)
{
    const char *name = join->plan.plane.node_name, *sealed = join->transfer.node;
    return str_equal(name, sealed)
               ? 0
               : error_set(err, EINVAL,
                           "%s was sealed for node %s, and this is %s: `mainstay pki export --for "
                           "%s` there, or --node-name %s here",
                           file, sealed, name, name, sealed);
}

static int make_plan(struct join *join, const char *file, struct error *err)
{
    struct cluster cluster = {0};
    int code = sealed_read(file, join->options->key, &join->transfer, err);
    if (code == 0)
        code = read_cluster(join, file, &cluster, err);
    join->plan.joins = true;
    if (code == 0)
        code = node_plan_make_of(&join->options->plan, &cluster, &join->plan, err);
    cluster_free(&cluster);
    if (code == 0)
        code = check_name(join, file, err);
    if (code == 0)
        code = node_plan_check_names(&join->plan, err);
    if (code == 0)
        code = sealed_check(join->plan.places.pki_dir, &join->transfer, err);
    return code == 0 ? node_plan_render(&join->plan, err) : code;
}

static int look(const struct join *join, unsigned stages)
{
    _cleanup_node_manifests_ struct node_manifests pods = {0};
    struct preflight_subject subject;
    node_plan_pods(&join->plan, &pods);
    node_plan_subject(&join->plan, &pods, &subject);
    subject.images_root = join->agent.root;
    subject.starts = join->agent.is_ours;
    if (stages == PREFLIGHT_CLUSTER) {
        subject.etcd_endpoints = &join->etcd.endpoints;
        subject.etcd_cacert = join->etcd.cacert;
        subject.etcd_cert = join->etcd.cert;
        subject.etcd_key = join->etcd.key;
    }
    int status =
        preflight_first(&subject, stages, &join->options->preflight, join->options->check, false);
    free((void *)subject.peers);
    return status;
}

// ---- doing it ----

static int make_own(struct join *join, struct error *err)
{
    _cleanup_sealed_externals_ struct sealed_externals externals = {0};
    int code = sealed_externals_find(&join->transfer, &externals, err);
    if (code < 0)
        return code;
    memcpy(join->plan.places.external, externals.paths, sizeof(externals.paths));
    code = node_plan_write_cluster(&join->plan, err);
    memset(join->plan.places.external, 0, sizeof(externals.paths));
    if (code == 0)
        code = sealed_put(join->plan.places.pki_dir, &join->transfer, false, err);
    return code == 0 ? node_plan_write_pki(&join->plan, err) : code;
}

static int start_etcd(struct join *join, struct etcd_client *client, struct error *err)
{
    struct node_plan *plan = &join->plan;
    int code = join_etcd_add(plan, client, join->deadline, &join->member, err);
    if (code < 0)
        return code;
    plan->plane.etcd_initial_cluster = join->member.initial_cluster;
    code = node_plan_render(plan, err);
    if (code == 0)
        code = node_plan_write_manifests(plan, COMPONENT_ETCD, err);
    if (code < 0 || !join->agent.is_ours || !join->member.is_learner)
        return code;
    code = join_etcd_promote(client, join->member.id, join->deadline, err);
    if (code != -ETIMEDOUT)
        return code;
    // The pod tells more than etcd did.
    _cleanup_error_ struct error why = ERROR_NONE;
    int waited = node_start_wait_for(plan, COMPONENT_ETCD, join->options->common.socket,
                                     join->begun, monotime_now(), &why);
    return waited < 0 ? error_set(err, code, "%s\n%s", error_message(err), error_message(&why))
                      : code;
}

static int start_rest(struct join *join, struct error *err)
{
    int code = node_plan_render(&join->plan, err);
    if (code == 0)
        code = node_plan_write_manifests(&join->plan, COMPONENTS, err);
    return code == 0 && join->agent.is_ours ? node_start_wait(&join->plan, &join->options->start,
                                                              join->options->common.socket, err)
                                            : code;
}

// Those that follow etcd take the node in by themselves.
static void say_lone_balancers(const struct cluster *cluster, const struct cluster_node *self)
{
    const struct cluster_balancer *balancer = &cluster->balancer;
    for (size_t i = 0; i < balancer->n_nodes && (self->roles & NODE_APISERVER); i++)
        if (!cluster_find_node(cluster, balancer->nodes[i].name))
            printf("On %s, which only balances, put {name: %s, address: %s} into \"nodes\" of "
                   "/etc/mainstay/cluster.yaml, and type `mainstay balancer render --write`.\n",
                   balancer->nodes[i].name, self->name, self->address);
}

static void say_next(const struct join *join)
{
    const struct node_plan *plan = &join->plan;
    bool usual = str_equal(plan->places.manifests, "/etc/kubernetes/manifests");
    printf("\n%zu files made, %zu kept. ", plan->made, plan->kept);
    if (join->agent.is_ours) {
        printf("Node %s is part of the cluster.\n", plan->self->name);
        say_lone_balancers(&plan->cluster, plan->self);
        return;
    }
    printf("What next:\n  mainstayd%s%s   # the agent that runs these manifests\n",
           usual ? "" : " --pod-manifest-path=", usual ? "" : plan->places.manifests);
    printf("and then this command again, which completes it.\n");
}

static int do_it(struct join *join, struct error *err)
{
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    bool own_etcd = join->plan.wanted[COMPONENT_ETCD];
    int code = make_own(join, err);
    if (code < 0)
        return code;
    node_etcd_find(&join->plan, join->options->etcd_endpoints, false, &join->etcd);
    if (join->etcd.endpoints.n == 0)
        return error_set(err, EINVAL,
                         "no other node of the cluster runs etcd: give --etcd-endpoints");
    if (look(join, PREFLIGHT_CLUSTER) != CLI_DONE)
        return error_set(err, ECANCELED, "the node's files are made, and nothing is started");
    code = node_etcd_connect(&join->etcd, ASK_MSEC, &client, err);
    if (code == 0 && own_etcd)
        code = start_etcd(join, client, err);
    if (code == 0)
        code = start_rest(join, err);
    // Balancers send requests to who is registered: not before it serves.
    bool serves = join->options->start.wait || !(join->plan.self->roles & NODE_APISERVER);
    if (code == 0 && join->agent.is_ours && serves)
        code = node_etcd_register(&join->plan, client, err);
    return code < 0 ? code : 0;
}

static int failed(const struct error *err)
{
    fflush(stdout);
    fprintf(stderr, "error: %s\n", error_message(err));
    return CLI_NO;
}

static int join_run(struct join *join, const char *file)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    struct join_options *options = join->options;
    if (preflight_options_check(&options->preflight, options->check, &err) < 0)
        return command_usage_error(&command_join, "%s", error_message(&err));
    if (make_plan(join, file, &err) < 0)
        return failed(&err);
    if (!options->check && node_plan_conflicts(&join->plan))
        return CLI_NO;
    agent_see(options->common.socket, join->plan.places.manifests, &join->agent);
    int status = look(join, PREFLIGHT_HOST);
    if (status != CLI_DONE || options->check)
        return status;
    printf("Node %s at %s\n\n", join->plan.self->name, join->plan.self->address);
    join->begun = monotime_now();
    join->deadline = monotime_add_usec(join->begun, options->start.timeout_nsec / NSEC_PER_USEC);
    if (do_it(join, &err) < 0)
        return failed(&err);
    say_next(join);
    return CLI_DONE;
}

int cmd_join(int argc, char **argv)
{
    struct join_options options = {.start = NODE_START_DEFAULTS};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status = CLI_DONE;
    if (command_parse(&command_join, argc, argv, &options, &rest, &status)) {
        _cleanup_join_ struct join join = {.options = &options};
        options.plan.plane = &options.plane;
        status = rest.n != 1 || !options.key
                     ? command_usage_error(&command_join, "it takes the sealed file and its key: "
                                                          "join SEALED-FILE --key KEY")
                     : join_run(&join, rest.arguments[0]);
    }
    control_plane_options_free(&options.plane);
    options_free(join_option_rows, ARRAY_SIZE(join_option_rows), &options);
    return status;
}
