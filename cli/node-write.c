// See node-plan.h: writing what a plan says, keeping what is there and right.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/node-plan.h"
#include "cli/pki-report.h"

enum { CLUSTER_FILE_MAX = 4 << 20 };

int node_plan_write_cluster(struct node_plan *plan, struct error *err)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY, old = BUFFER_EMPTY;
    const char *path = plan->places.cluster_file;
    int code = made_note(&plan->places, err);
    if (code < 0)
        return code;
    cluster_text(&plan->cluster, &text);
    if (fs_read_file(AT_FDCWD, path, CLUSTER_FILE_MAX, &old) == 0 && old.len == text.len &&
        memcmp(old.data, text.data, text.len) == 0) {
        plan->kept++;
        pki_say("kept", TERM_DIM, path, NULL);
        return 0;
    }
    code = fs_mkdir_parents_of(AT_FDCWD, path);
    if (code >= 0)
        code = fs_write_atomic(AT_FDCWD, path, text.data, text.len, 0600, FS_WRITE_SYNC);
    if (code < 0)
        return error_errno(err, code, "cannot write %s", path);
    plan->made++;
    pki_say(old.len > 0 ? "replaced" : "made", TERM_GREEN, path, NULL);
    return 0;
}

static struct pki_layout layout_of(const struct node_plan *plan)
{
    return (struct pki_layout){
        .pki_dir = plan->plane.pki_dir,
        .kubeconfig_dir = plan->plane.kubeconfig_dir,
        .node_name = plan->plane.node_name,
        .advertise_address = plan->plane.advertise_address,
        .api_port = plan->plane.api_port,
        .control_plane_endpoint = plan->cluster.file.control_plane_endpoint,
        .service_cidr = plan->plane.service_cidr,
        .dns_domain = plan->plane.dns_domain,
        .cluster_name = plan->plane.cluster_name,
        .api_sans = &plan->api_sans,
        .etcd_server_sans = &plan->etcd_server_sans,
        .etcd_peer_sans = &plan->etcd_peer_sans,
        .external_etcd = plan->cluster.file.has_external_etcd ? &plan->external_etcd : NULL,
        .algorithm = plan->algorithm,
        .without = cluster_pki_without(plan->self->roles),
    };
}

int node_plan_check_names(const struct node_plan *plan, struct error *err)
{
    struct pki_layout layout = layout_of(plan);
    return pki_layout_check(&layout, err);
}

static int make_pieces(struct node_plan *plan, unsigned without, struct error *err)
{
    _cleanup_pki_report_ struct pki_report report = {0};
    struct pki_layout layout = layout_of(plan);
    layout.without = without;
    int code = pki_layout_make(&layout, &report, err);
    pki_say_report(&report);
    plan->made += report.made;
    plan->kept += report.kept;
    return code;
}

int node_plan_write_pki(struct node_plan *plan, struct error *err)
{
    unsigned without = cluster_pki_without(plan->self->roles);
    // The first node makes the CAs for all, also for what runs on others only.
    int code = plan->joins || without == 0 ? 0 : make_pieces(plan, PKI_AUTHORITIES_ONLY, err);
    if (code >= 0)
        code = make_pieces(plan, without, err);
    return code < 0 ? error_prefix(err, code, "no manifest was written") : 0;
}

static int write_file(struct node_plan *plan, const struct node_file *file, struct error *err)
{
    if (file->same) {
        plan->kept++;
        pki_say("kept", TERM_DIM, file->path, NULL);
        return 0;
    }
    bool replaces = plan->options->force || file->outdated;
    int code = fs_mkdir_parents_of(AT_FDCWD, file->path);
    if (code >= 0)
        code = fs_write_atomic(AT_FDCWD, file->path, file->text.data, file->text.len, file->mode,
                               FS_WRITE_SYNC | (replaces ? 0 : FS_WRITE_EXCLUSIVE));
    if (code < 0)
        return error_errno(err, code, "cannot write %s", file->path);
    plan->made++;
    pki_say(file->exists ? "replaced" : "made", TERM_GREEN, file->path, NULL);
    return 0;
}

int node_plan_write_manifests(struct node_plan *plan, enum control_plane_component component,
                              struct error *err)
{
    int code = fs_mkdir_parents(AT_FDCWD, plan->places.manifests, 0755);
    if (code < 0)
        return error_errno(err, code, "cannot make %s", plan->places.manifests);
    // etcd complains about a data directory that others can look into.
    if (plan->wanted[COMPONENT_ETCD])
        code = fs_mkdir_parents(AT_FDCWD, plan->plane.etcd_data_dir, 0700);
    if (code < 0)
        return error_errno(err, code, "cannot make %s", plan->plane.etcd_data_dir);
    // What a pod reads comes before the pod.
    for (int manifests = 0; manifests <= 1; manifests++)
        LIST_EACH (file, &plan->files)
            if (code == 0 && file->is_manifest == manifests &&
                (component == COMPONENTS || component == file->component))
                code = write_file(plan, file, err);
    return code;
}
