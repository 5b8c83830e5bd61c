// `mainstay init`: the first node of a control plane: certificates, kubeconfigs and manifests on
// this machine, and where an agent runs them, until they are ready. What is there and right is
// kept, so it can be run again and again.
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/commands.h"
#include "cli/init-preflight.h"
#include "cli/node-etcd.h"
#include "cli/node-plan.h"
#include "cli/node-start.h"

enum { ASK_MSEC = 5000 };

struct init_options {
    struct common_options common;
    struct control_plane_options plane;
    struct node_plan_options plan;
    struct preflight_options preflight;
    struct node_start_options start;
    bool check;
};

static const struct option init_option_rows[] = {
    OPT_STRING(init_options, plan.config, .name = "config", .argument = "FILE",
               .help = "kubeadm's configuration file, with a document of kind Cluster or without"),
    OPT_LIST(init_options, plan.nodes, .name = "node", .argument = "NAME=IP",
             .help = "A node of the cluster (repeatable; this one too)"),
    OPT_LIST(init_options, plan.etcd_nodes, .name = "etcd-node", .argument = "NAME=IP",
             .help = "A node that runs etcd alone (repeatable)"),
    OPT_LIST(init_options, plan.apiserver_nodes, .name = "apiserver-node", .argument = "NAME=IP",
             .help = "A node that runs kube-apiserver alone (repeatable)"),
    OPT_STRING(init_options, plan.control_plane_endpoint, .name = "control-plane-endpoint",
               .argument = "HOST[:PORT]", .help = "The load balancer before the API servers"),
    OPT_STRING(init_options, plan.balancer, .name = "load-balancer", .argument = "KIND",
               .values = node_plan_balancers, .help = "haproxy, nginx or none"),
    OPT_STRING(init_options, plan.virtual_ip, .name = "virtual-ip", .argument = "IP/LEN",
               .help = "The address that moves between the balancers"),
    OPT_STRING(init_options, plan.interface, .name = "interface", .argument = "IF",
               .help = "The interface of the virtual IP"),
    OPT_BOOL(init_options, check, .name = "check",
             .help = "Only look at what speaks against it; change nothing"),
    PREFLIGHT_OPTIONS(init_options),
    NODE_START_OPTIONS(init_options),
    NODE_PLAN_OPTIONS(init_options),
    CONTROL_PLANE_OPTIONS(init_options),
    COMMON_OPTIONS(init_options),
};

const struct command command_init = {
    .name = "init",
    .group = "The control plane",
    .summary = "Make the first node of a control plane, and start it",
    .usage = "[--config FILE] [flags]",
    .description =
        "Makes what etcd, kube-apiserver, kube-controller-manager and kube-scheduler need to run\n"
        "on this node, laid out as kubeadm lays it out: keys and certificates, kubeconfigs, and\n"
        "a manifest for each. What is there and right is kept; keys and certificates are never\n"
        "replaced, and a manifest that differs only with --force. Where the agent runs that\n"
        "reads these manifests, it waits until all of it is ready, and says what it waits for.\n\n"
        "First it looks at what speaks against it (--check does that alone): ports that are\n"
        "taken, and by whom, swap, the clock, the speed of etcd's disk, names, addresses,\n"
        "versions of the programs, directories that are not empty. An error ends it before\n"
        "anything is changed; a warning does not.\n\n"
        "A cluster begins with this node alone, and grows by `mainstay join` on the others. What\n"
        "it is like is kept in /etc/mainstay/cluster.yaml; `mainstay reset` undoes it all.",
    .examples = "  # A control plane on this machine\n"
                "  mainstay init\n"
                "  # Would it work here?\n"
                "  mainstay init --check\n"
                "  # The first of three\n"
                "  mainstay init --node m1=10.0.0.1 --node m2=10.0.0.2 --node m3=10.0.0.3 \\\n"
                "      --virtual-ip 10.0.0.100/24 --interface eth0\n"
                "  # One that leaves nothing behind but a directory\n"
                "  mainstay init --root=/tmp/trial --apiserver-port=16443",
    .options = init_option_rows,
    .n_options = ARRAY_SIZE(init_option_rows),
    .run = cmd_init,
};

static int look_first(const struct init_options *options, struct node_plan *plan,
                      const struct agent_seen *agent)
{
    _cleanup_node_manifests_ struct node_manifests pods = {0};
    struct preflight_subject subject;
    node_plan_pods(plan, &pods);
    node_plan_subject(plan, &pods, &subject);
    subject.images_root = agent->root;
    subject.starts = agent->is_ours;
    // Files below a directory of their own start nothing: there every finding is a warning.
    bool harmless = options->plane.root && !agent->is_ours;
    int status = preflight_first(&subject, PREFLIGHT_HOST | PREFLIGHT_CLUSTER, &options->preflight,
                                 options->check, harmless);
    free((void *)subject.peers);
    return status;
}

static void say_next(const struct node_plan *plan, const struct agent_seen *agent)
{
    bool usual = str_equal(plan->places.manifests, "/etc/kubernetes/manifests");
    printf("\n%zu files made, %zu kept. What next:\n", plan->made, plan->kept);
    if (!agent->is_ours) {
        printf("  mainstayd%s%s   # unless it runs already: the agent that runs these manifests\n",
               usual ? "" : " --pod-manifest-path=", usual ? "" : plan->places.manifests);
        printf("  mainstay get pods -w\n");
    }
    if (plan->self->roles & NODE_APISERVER)
        printf("  kubectl --kubeconfig=%s/admin.conf get --raw /readyz\n",
               plan->plane.kubeconfig_dir);
    printf("To add a node, here:\n"
           "  mainstay pki export --for NODE NODE.sealed%s%s\n"
           "and there, with that file and the key that it prints:\n"
           "  mainstay join NODE.sealed --key KEY\n",
           plan->options->plane->root ? " --root " : "",
           plan->options->plane->root ? plan->options->plane->root : "");
}

static int make(struct node_plan *plan, struct error *err)
{
    int code = node_plan_write_cluster(plan, err);
    if (code == 0)
        code = node_plan_write_pki(plan, err);
    return code == 0 ? node_plan_write_manifests(plan, COMPONENTS, err) : code;
}

// Where a part of the node was asked for (--only), it is no node yet.
static int register_node(const struct node_plan *plan, struct error *err)
{
    _cleanup_node_etcd_ struct node_etcd etcd = {0};
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    if (plan->options->only.n > 0)
        return 0;
    node_etcd_find(plan, NULL, true, &etcd);
    int code = node_etcd_connect(&etcd, ASK_MSEC, &client, err);
    return code < 0 ? code : node_etcd_register(plan, client, err);
}

static int start(const struct init_options *options, const struct node_plan *plan,
                 struct error *err)
{
    int code = node_start_wait(plan, &options->start, options->common.socket, err);
    return code == 0 && options->start.wait ? register_node(plan, err) : code;
}

static int failed(const struct error *err)
{
    fflush(stdout);
    fprintf(stderr, "error: %s\n", error_message(err));
    return CLI_NO;
}

static int init_run(struct init_options *options, struct node_plan *plan)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_agent_seen_ struct agent_seen agent = {0};
    if (preflight_options_check(&options->preflight, options->check, &err) < 0 ||
        node_plan_make(&options->plan, plan, &err) < 0 || node_plan_render(plan, &err) < 0)
        return command_usage_error(&command_init, "%s", error_message(&err));
    if (node_plan_check_names(plan, &err) < 0)
        return failed(&err);
    if (!options->check && node_plan_conflicts(plan))
        return CLI_NO;
    agent_see(options->common.socket, plan->places.manifests, &agent);
    int status = look_first(options, plan, &agent);
    if (status != CLI_DONE || options->check)
        return status;
    printf("Node %s, %s at %s port %d\n\n", plan->plane.node_name,
           plan->self->roles == NODE_ETCD ? "etcd" : "kube-apiserver",
           plan->plane.advertise_address,
           plan->self->roles == NODE_ETCD ? plan->plane.etcd_client_port : plan->plane.api_port);
    if (make(plan, &err) < 0)
        return failed(&err);
    if (agent.is_ours && start(options, plan, &err) < 0)
        return failed(&err);
    say_next(plan, &agent);
    return CLI_DONE;
}

int cmd_init(int argc, char **argv)
{
    struct init_options options = {.start = NODE_START_DEFAULTS};
    _cleanup_options_rest_ struct options_rest rest = {0};
    int status = CLI_DONE;
    if (command_parse(&command_init, argc, argv, &options, &rest, &status)) {
        _cleanup_node_plan_ struct node_plan plan = {0};
        options.plan.plane = &options.plane;
        status = rest.n > 0
                     ? command_usage_error(&command_init, "\"%s\" is no flag", rest.arguments[0])
                     : init_run(&options, &plan);
    }
    control_plane_options_free(&options.plane);
    options_free(init_option_rows, ARRAY_SIZE(init_option_rows), &options);
    return status;
}
