// What each node's tree holds beside certificates and manifests: see render-tree.h.
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/monit-node.h"
#include "cli/node-manifests.h"
#include "cli/render-tree.h"

#define MANIFESTS "/etc/kubernetes/manifests"

static void add(struct file_set *out, const char *path, mode_t mode, const char *format, ...)
    _printf_(4, 5);
static void add(struct file_set *out, const char *path, mode_t mode, const char *format, ...)
{
    struct buffer text = BUFFER_EMPTY;
    va_list args;
    va_start(args, format);
    buffer_vprintf(&text, format, args);
    va_end(args);
    file_set_add(out, path, mode, &text);
}

// ---- the agent ----

// Where nothing but the root differs, the agent's own defaults hold.
static void add_flags(const struct render_node *node, struct string_list *flags)
{
    const char *root = node->root;
    string_list_add_owned(flags, xasprintf("--config=%s/etc/mainstay/config.yaml", root));
    string_list_add_owned(flags, xasprintf("--hostname-override=%s", node->node->name));
    string_list_add_owned(flags, xasprintf("--node-ip=%s", node->node->address));
    if (!*root)
        return;
    string_list_add_owned(flags, xasprintf("--root-dir=%s/var/lib/mainstay", root));
    string_list_add_owned(flags, xasprintf("--run-dir=%s/run/mainstay", root));
    string_list_add_owned(flags, xasprintf("--pod-log-dir=%s/var/log/pods", root));
}

static void add_agent(const struct render_node *node, struct file_set *out)
{
    _cleanup_string_list_ struct string_list flags = {0};
    _cleanup_buffer_ struct buffer line = BUFFER_EMPTY;
    add_flags(node, &flags);
    for (size_t i = 0; i < flags.n; i++)
        buffer_printf(&line, "%s%s", i > 0 ? " " : "", flags.items[i]);
    add(out, "etc/mainstay/config.yaml", 0644,
        "# The agent's configuration: mainstayd(8). Made by `mainstay render`.\n"
        "apiVersion: kubelet.config.k8s.io/v1beta1\n"
        "kind: KubeletConfiguration\n"
        "staticPodPath: \"%s" MANIFESTS "\"\n",
        node->root);
    add(out, "etc/mainstay/node.env", 0644,
        "# The agent's flags on this node. Made by `mainstay render`.\n"
        "MAINSTAYD_OPTS=\"%s\"\n",
        buffer_str(&line));
}

// etcd on a disk of its own that is not mounted yet would begin anew with no data, as a member that
// nobody knows.
static void add_systemd(const struct render_node *node, struct file_set *out)
{
    bool etcd = node->node->roles & NODE_ETCD;
    add(out, "etc/systemd/system/mainstayd.service.d/cluster.conf", 0644,
        "# What this node's part in its cluster adds to mainstayd.service. Made by `mainstay "
        "render`.\n"
        "[Unit]\n"
        "# Nothing is started from directories whose file systems are not mounted yet.\n"
        "RequiresMountsFor=%s/etc/kubernetes%s%s\n"
        "\n"
        "[Service]\n"
        "EnvironmentFile=%s/etc/mainstay/node.env\n",
        node->root, etcd ? " " : "", etcd ? node->plane->etcd_data_dir : "", node->root);
}

// ---- join.sh ----

static const char join_head[] =
    "#!/bin/sh\n"
    "# Puts the files of this tree into place on node %s and starts its agent. Made by\n"
    "# `mainstay render`; run it as root on that node, out of the copied tree.\n"
    "#\n"
    "# All is looked at before anything is touched. A key, a certificate or a kubeconfig that is\n"
    "# there and is another one is never replaced; any other file that differs only with --force.\n"
    "# ROOT=DIR puts it all below DIR and starts nothing.\n"
    "set -eu\n"
    "cd \"$(dirname \"$0\")\"\n"
    "root=${ROOT:-} force=${1:-} bad=0 list=$(mktemp)\n"
    "trap 'rm -f \"$list\"' EXIT\n"
    "say() { printf '%%s\\n' \"$*\" >&2; }\n"
    "if [ -z \"$root\" ] && [ \"$(id -u)\" != 0 ]; then say \"run this as root\"; exit 1; fi\n"
    "if [ -z \"$root\" ]; then case \" $(hostname -I) \" in *\" %s \"*) ;; *)\n"
    "    say \"this machine does not have the address %s: is it %s?\"; exit 1 ;;\n"
    "esac; fi\n";

// Manifests come last: they are what makes things run. A name with a dot before it is no manifest.
static const char join_body[] =
    "find . -type f ! -path ./join.sh ! -path ./.rendered ! -path '*/manifests/*' | LC_ALL=C sort "
    ">\"$list\"\n"
    "find . -type f -path '*/manifests/*' | LC_ALL=C sort >>\"$list\"\n"
    "while IFS= read -r file; do\n"
    "    there=$root/${file#./}\n"
    "    if [ ! -e \"$there\" ] || cmp -s \"$file\" \"$there\"; then continue; fi\n"
    "    case $file in\n"
    "    *.key | *.crt | *.pub | ./etc/kubernetes/*.conf)\n"
    "        say \"$there: another one is there, and is never replaced\"; bad=1 ;;\n"
    "    *)  if [ \"$force\" != --force ]; then\n"
    "            say \"$there: is there and differs; --force replaces it\"; bad=1\n"
    "        fi ;;\n"
    "    esac\n"
    "done <\"$list\"\n"
    "if [ $bad != 0 ]; then say \"Nothing was changed.\"; exit 1; fi\n";

static const char join_copy[] =
    "while IFS= read -r file; do\n"
    "    there=$root/${file#./}\n"
    "    if cmp -s \"$file\" \"$there\"; then continue; fi\n"
    "    new=$(dirname \"$there\")/.$(basename \"$there\").new\n"
    "    case $file in *.key | ./etc/kubernetes/*.conf) mode=600 ;; *) mode=$(stat -c %a "
    "\"$file\") "
    ";; esac\n"
    "    install -D -m \"$mode\" \"$file\" \"$new\" && mv -f \"$new\" \"$there\"\n"
    "done <\"$list\"\n";

static const char join_start[] =
    "if [ -n \"$root\" ]; then exit 0; fi\n"
    "if [ -d /run/systemd/system ]; then\n"
    "    systemctl daemon-reload\n"
    "    systemctl enable mainstayd\n"
    "    exec systemctl restart mainstayd\n"
    "fi\n"
    ". ./etc/mainstay/node.env\n"
    "say \"Start the agent with these flags (in /etc/default/mainstay, for an init script):\"\n"
    "say \"  mainstayd $MAINSTAYD_OPTS\"\n";

static void add_join(const struct render_node *node, struct file_set *out)
{
    struct buffer text = BUFFER_EMPTY;
    const char *name = node->node->name, *address = node->node->address;
    buffer_printf(&text, join_head, name, address, address, name);
    buffer_add_str(&text, join_body);
    // etcd complains about a data directory that others can look into.
    if (node->node->roles & NODE_ETCD)
        buffer_printf(&text, "etcd=$root'%s'\n[ -d \"$etcd\" ] || mkdir -p -m 700 \"$etcd\"\n",
                      node->plane->etcd_data_dir);
    buffer_add_str(&text, join_copy);
    buffer_add_str(&text, join_start);
    file_set_add(out, "join.sh", 0755, &text);
}

void render_node_files(const struct render_node *node, struct file_set *out)
{
    struct buffer text = BUFFER_EMPTY;
    cluster_text(node->cluster, &text);
    file_set_add(out, "etc/mainstay/cluster.yaml", 0600, &text);
    add_agent(node, out);
    add_systemd(node, out);
    add_join(node, out);
}

// ---- monit ----

int render_node_monit(const struct render_node *node, struct file_set *out, struct error *err)
{
    _cleanup_node_manifests_ struct node_manifests manifests = {0};
    _cleanup_monit_control_ struct monit_control control = {0};
    _cleanup_free_ char *directory = xasprintf("%s" MANIFESTS, node->root);
    struct monit_elsewhere elsewhere = {
        .node = node->node->name,
        .address = node->node->address,
        .root = node->root,
        .manifests = directory,
    };
    struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < out->n; i++)
        if (str_starts_with(out->items[i].path, &MANIFESTS[1]))
            node_manifests_add(&manifests, out->items[i].path, &out->items[i].text,
                               node->node->name);
    if (manifests.passed_over.n > 0)
        return error_set(err, EINVAL, "%s", manifests.passed_over.items[0]);
    int code = monit_elsewhere_gather(&elsewhere, &manifests, &control, err);
    if (code == 0)
        code = monit_control_render(&control, &text, err);
    if (code < 0) {
        buffer_free(&text);
        return error_prefix(err, code, "monit's file");
    }
    file_set_add(out, "etc/monit/conf-enabled/mainstay", 0600, &text);
    return 0;
}
