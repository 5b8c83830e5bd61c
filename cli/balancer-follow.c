// `mainstay balancer follow`: keeps the balancer's files of this node in step with the nodes that
// are registered in etcd. Whatever goes wrong, what is on disk stays: a balancer must not lose its
// servers because etcd is away.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>

#include "base/alloc.h"
#include "base/log.h"
#include "cli/balancer.h"

enum {
    CALL_MSEC = 5000,
    WATCH_MSEC = 60000, // then all is read again, whether or not the watch said anything
    FIRST_PAUSE_MSEC = 1000,
    LONGEST_PAUSE_MSEC = 30000,
};

struct follow {
    const struct balancer_options *options;
    int signal_fd;
    int pause_msec;         // before the next try
    char *complaint, *news; // what was said last, so that it is not said every time
};

static bool is_said(char **last, const char *text)
{
    if (str_equal(*last, text))
        return true;
    free(*last);
    *last = xstrdup(text);
    return false;
}

static void complain(struct follow *f, const struct error *err)
{
    if (err->code != -ECANCELED && !is_said(&f->complaint, error_message(err)))
        log_warning("%s; the balancer's files stay as they are", error_message(err));
}

// ---- what is known, and what is written ----

static char *names(const struct node_entries *entries)
{
    struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < entries->n; i++)
        if (entries->items[i].roles & NODE_APISERVER)
            buffer_printf(&text, "%s%s=%s", text.len ? ", " : "", entries->items[i].name,
                          entries->items[i].address);
    return buffer_take(&text);
}

static int put_files(const struct balancer_site *site, const struct node_entries *entries,
                     struct error *err)
{
    _cleanup_file_set_ struct file_set files = {0};
    int code = balancer_render(&site->cluster, site->node, site->root, entries,
                               BALANCER_CONFIGURATION, &files, err);
    for (size_t i = 0; i < files.n && code >= 0; i++) {
        code = balancer_put_file(site->root, &files.items[i], err);
        if (code > 0)
            log_notice("%s/%s: written anew", site->root, files.items[i].path);
    }
    return code < 0 ? code : 0;
}

static int put_registered(struct follow *f, const struct balancer_site *site,
                          const struct node_entries *entries, struct error *err)
{
    bool registered = balancer_is_registered(entries);
    _cleanup_free_ char *list = registered ? names(entries) : NULL;
    _cleanup_free_ char *text =
        registered ? xasprintf("the kube-apiservers registered in etcd: %s", list)
                   : xstrdup("no kube-apiserver is registered in etcd: the nodes of the cluster's "
                             "file are taken");
    if (!is_said(&f->news, text))
        log_notice("%s", text);
    return put_files(site, registered ? entries : NULL, err);
}

// ---- one round: read, write, wait ----

static int follow_etcd(struct follow *f, const struct balancer_site *site,
                       struct etcd_client *client, struct error *err)
{
    _cleanup_node_entries_ struct node_entries entries = {0};
    int64_t revision = 0;
    int code = balancer_ask_etcd(client, &entries, &revision, err);
    if (code == 0)
        code = put_registered(f, site, &entries, err);
    if (code < 0)
        return code;
    free(TAKE_PTR(f->complaint));
    f->pause_msec = FIRST_PAUSE_MSEC;
    sd_notifyf(0, "READY=1\nSTATUS=%s", f->news);
    return etcd_wait_prefix(client, NODE_ENTRY_PREFIX, revision, WATCH_MSEC, err);
}

// Where there is nothing on disk yet, the cluster's file is better than nothing.
static void begin(struct follow *f)
{
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_balancer_site_ struct balancer_site site = {0};
    int code = balancer_site_load(f->options, &site, &err);
    if (code == 0 && !balancer_has_files(&site))
        code = put_files(&site, NULL, &err);
    if (code < 0)
        complain(f, &err);
}

static int round_of(struct follow *f, struct error *err)
{
    _cleanup_balancer_site_ struct balancer_site site = {0};
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    int code = balancer_site_load(f->options, &site, err);
    if (code == 0)
        code = balancer_connect(f->options, &site, &client, err);
    if (code < 0)
        return code;
    etcd_client_set_interrupt(client, f->signal_fd);
    return follow_etcd(f, &site, client, err);
}

static bool is_over(struct follow *f, int msec)
{
    struct pollfd p = {.fd = f->signal_fd, .events = POLLIN};
    return poll(&p, 1, msec) > 0;
}

static void follow(struct follow *f)
{
    begin(f);
    while (!is_over(f, 0)) {
        _cleanup_error_ struct error err = ERROR_NONE;
        if (round_of(f, &err) >= 0)
            continue;
        complain(f, &err);
        if (is_over(f, f->pause_msec))
            break;
        f->pause_msec = MIN(2 * f->pause_msec, LONGEST_PAUSE_MSEC);
    }
}

// A machine that only balances has no certificate for etcd, and never will: to wait for one would
// look as if it followed. What goes wrong elsewhere may be better in a while.
static int check_followable(const struct balancer_options *options, struct error *err)
{
    _cleanup_balancer_site_ struct balancer_site site = {0};
    _cleanup_etcd_client_ struct etcd_client *client = NULL;
    _cleanup_error_ struct error why = ERROR_NONE;
    if (balancer_site_load(options, &site, &why) < 0 || (site.node->roles & NODE_APISERVER) ||
        balancer_connect(options, &site, &client, &why) != -ENOENT)
        return 0;
    return error_set(err, ENOENT,
                     "%s only balances, and has no certificate for etcd, whose holder can read all "
                     "secrets of the cluster: after a node has joined or left, change \"nodes\" in "
                     "%s" CLUSTER_FILE " here, and type `mainstay balancer render --write`",
                     site.node->name, site.root);
}

int balancer_follow(const struct balancer_options *options)
{
    struct follow f = {.options = options, .pause_msec = FIRST_PAUSE_MSEC};
    _cleanup_error_ struct error err = ERROR_NONE;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    log_open("mainstay-balancer", LOG_LEVEL_INFO);
    if (check_followable(options, &err) < 0) {
        log_error("%s", error_message(&err));
        return CLI_NO;
    }
    sigprocmask(SIG_BLOCK, &signals, NULL);
    f.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (f.signal_fd < 0) {
        log_error("signalfd: %m");
        return CLI_NO;
    }
    follow(&f);
    close(f.signal_fd);
    free(f.complaint);
    free(f.news);
    return CLI_DONE;
}
