// See user-template.h.
#include "manifests/user-template.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"

enum { TOKEN_MAX = 128, NAME_LEN_MAX = 64 };

static const char name_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

bool discovery_token_is_valid(const char *token)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t len = strlen(token);
    return len > 0 && len <= TOKEN_MAX && strspn(token, allowed) == len;
}

static const char *node_name(const struct user_template_values *v)
{
    return v->node->name;
}

static const char *node_ip(const struct user_template_values *v)
{
    return v->node->address;
}

static const char *discovery_token(const struct user_template_values *v)
{
    return v->discovery_token;
}

static const char *discovery_url(const struct user_template_values *v)
{
    return v->cluster->etcd_discovery;
}

static const char *initial_cluster(const struct user_template_values *v)
{
    return v->plane->etcd_initial_cluster;
}

static const char *endpoint(const struct user_template_values *v)
{
    return v->cluster->file.control_plane_endpoint;
}

static const char *cluster_name(const struct user_template_values *v)
{
    return v->plane->cluster_name;
}

static const char *version(const struct user_template_values *v)
{
    return v->plane->kubernetes_version;
}

static const char *pki_dir(const struct user_template_values *v)
{
    return v->plane->pki_dir;
}

static const struct row {
    const char *name;
    const char *(*value)(const struct user_template_values *v);
    const char *how; // to give it a value, where it may have none
} rows[] = {
    {"NODE_NAME", node_name, NULL},
    {"NODE_IP", node_ip, NULL},
    {"DISCOVERY_TOKEN", discovery_token, "--discovery-token TOKEN"},
    {"DISCOVERY_URL", discovery_url, "--etcd-discovery URL"},
    {"ETCD_INITIAL_CLUSTER", initial_cluster, "nodes with etcd"},
    {"CONTROL_PLANE_ENDPOINT", endpoint, "controlPlaneEndpoint"},
    {"CLUSTER_NAME", cluster_name, NULL},
    {"KUBERNETES_VERSION", version, NULL},
    {"PKI_DIR", pki_dir, NULL},
};

void user_template_names(struct buffer *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        buffer_printf(out, "%s%s", i > 0 ? ", " : "", rows[i].name);
}

// Where in the file something is, for messages.
struct place {
    const char *file;
    unsigned line, column;
};

static int no_such_name(const struct place *place, const char *name, size_t len, struct error *err)
{
    const char *names[ARRAY_SIZE(rows)];
    _cleanup_buffer_ struct buffer known = BUFFER_EMPTY;
    _cleanup_free_ char *text = xstrndup(name, MIN(len, (size_t)NAME_LEN_MAX));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        names[i] = rows[i].name;
    const char *nearest = str_nearest(text, names, ARRAY_SIZE(names));
    user_template_names(&known);
    return error_set(
        err, EINVAL,
        "%s:%u:%u: there is no ${%s}%s%s%s: known are %s. Where ${%s} is meant to stay, "
        "write $${%s}",
        place->file, place->line, place->column, text, nearest ? "; did you mean ${" : "",
        nearest ? nearest : "", nearest ? "}?" : "", buffer_str(&known), text, text);
}

// The placeholder that `p` begins with: its value, or NULL and *err.
static const char *fill_one(const struct place *place, const char *p, size_t *ret_len,
                            const struct user_template_values *values, struct error *err)
{
    const char *name = p + 2;
    size_t len = strspn(name, name_characters);
    if (len == 0 || name[len] != '}') {
        size_t shown = strcspn(name, "}\n");
        no_such_name(place, name, shown, err);
        return NULL;
    }
    *ret_len = len + 3;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *row = &rows[i];
        if (strlen(row->name) != len || strncmp(row->name, name, len) != 0)
            continue;
        const char *value = row->value(values);
        if (!value)
            error_set(err, EINVAL, "%s:%u:%u: ${%s} has no value: give %s", place->file,
                      place->line, place->column, row->name, row->how);
        return value;
    }
    no_such_name(place, name, len, err);
    return NULL;
}

int user_template_fill(const char *file, const char *text,
                       const struct user_template_values *values, struct buffer *out,
                       struct error *err)
{
    struct place place = {file, 1, 1};
    for (const char *p = text; *p;) {
        size_t len = 1;
        if (str_starts_with(p, "$${")) {
            buffer_add_str(out, "${");
            len = 3;
        } else if (str_starts_with(p, "${")) {
            const char *value = fill_one(&place, p, &len, values, err);
            if (!value)
                return -EINVAL;
            buffer_add_str(out, value);
        } else {
            buffer_add_char(out, *p);
        }
        place.column += (unsigned)len;
        if (*p == '\n') {
            place.line++;
            place.column = 1;
        }
        p += len;
    }
    return 0;
}
