// See kubeadm-config.h. A table of the fields that kubeadm knows (apis/kubeadm/v1beta2/types.go,
// v1beta3) says of each what becomes of it; one walk over the tree reads them.
#include "cli/kubeadm-config.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"

#define GROUP "kubeadm.k8s.io/"

enum { PORT_MAX = 65535 };

enum kind {
    KIND_PASSED, // says nothing of certificates
    KIND_GROUP,  // a mapping whose fields have rows of their own
    KIND_TEXT,
    KIND_PORT,
    KIND_TEXTS,
    KIND_GATES,
    KIND_PHASES,
};

struct field {
    const char *path;
    enum kind kind;
    size_t offset;
};

#define TEXT(path, member)                                                                         \
    {                                                                                              \
        path, KIND_TEXT, offsetof(struct kubeadm_config, member)                                   \
    }
#define TEXTS(path, member)                                                                        \
    {                                                                                              \
        path, KIND_TEXTS, offsetof(struct kubeadm_config, member)                                  \
    }
#define PASSED(path)                                                                               \
    {                                                                                              \
        path, KIND_PASSED, 0                                                                       \
    }
#define FIELDS(path)                                                                               \
    {                                                                                              \
        path, KIND_GROUP, 0                                                                        \
    }

static const struct field cluster_fields[] = {
    PASSED("apiVersion"),
    PASSED("kind"),
    FIELDS("etcd"),
    FIELDS("etcd.local"),
    PASSED("etcd.local.imageRepository"),
    PASSED("etcd.local.imageTag"),
    PASSED("etcd.local.dataDir"),
    PASSED("etcd.local.extraArgs"),
    TEXTS("etcd.local.serverCertSANs", etcd_server_sans),
    TEXTS("etcd.local.peerCertSANs", etcd_peer_sans),
    FIELDS("etcd.external"),
    PASSED("etcd.external.endpoints"),
    TEXT("etcd.external.caFile", etcd_ca_file),
    TEXT("etcd.external.certFile", etcd_certificate_file),
    TEXT("etcd.external.keyFile", etcd_key_file),
    FIELDS("networking"),
    TEXT("networking.serviceSubnet", service_subnet),
    TEXT("networking.podSubnet", pod_subnet),
    TEXT("networking.dnsDomain", dns_domain),
    PASSED("kubernetesVersion"),
    TEXT("controlPlaneEndpoint", control_plane_endpoint),
    FIELDS("apiServer"),
    PASSED("apiServer.extraArgs"),
    PASSED("apiServer.extraVolumes"),
    TEXTS("apiServer.certSANs", api_sans),
    PASSED("apiServer.timeoutForControlPlane"),
    PASSED("controllerManager"),
    PASSED("scheduler"),
    PASSED("dns"),
    TEXT("certificatesDir", certificates_dir),
    PASSED("imageRepository"),
    PASSED("useHyperKubeImage"),
    {"featureGates", KIND_GATES, 0},
    TEXT("clusterName", cluster_name),
};

static const struct field init_fields[] = {
    PASSED("apiVersion"),
    PASSED("kind"),
    PASSED("bootstrapTokens"),
    FIELDS("nodeRegistration"),
    TEXT("nodeRegistration.name", node_name),
    PASSED("nodeRegistration.criSocket"),
    PASSED("nodeRegistration.taints"),
    PASSED("nodeRegistration.kubeletExtraArgs"),
    PASSED("nodeRegistration.ignorePreflightErrors"),
    PASSED("nodeRegistration.imagePullPolicy"),
    FIELDS("localAPIEndpoint"),
    TEXT("localAPIEndpoint.advertiseAddress", advertise_address),
    {"localAPIEndpoint.bindPort", KIND_PORT, offsetof(struct kubeadm_config, bind_port)},
    PASSED("certificateKey"),
    {"skipPhases", KIND_PHASES, 0},
    PASSED("patches"),
};

struct table {
    const char *kind;
    const struct field *fields;
    size_t n;
};

static const struct table tables[] = {
    {"ClusterConfiguration", cluster_fields, ARRAY_SIZE(cluster_fields)},
    {"InitConfiguration", init_fields, ARRAY_SIZE(init_fields)},
};

struct reader {
    const char *file;
    const struct table *table;
    struct kubeadm_config *config;
    struct string_list *warnings;
    struct error *err;
};

static int complain(const struct reader *reader, unsigned line, unsigned column, const char *path,
                    const char *format, ...) _printf_(5, 6);
static int complain(const struct reader *reader, unsigned line, unsigned column, const char *path,
                    const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *message = xvasprintf(format, args);
    va_end(args);
    return error_set(reader->err, EINVAL, "%s:%u:%u: %s: %s", reader->file, line, column, path,
                     message);
}

// ---- values ----

static int read_text(const struct reader *reader, const char *path, const struct yaml_value *value,
                     const char **ret)
{
    if (value->kind != YAML_KIND_SCALAR || value->scalar.kind != SCALAR_STRING)
        return complain(reader, value->line, value->column, path, "must be a string, not %s",
                        yaml_kind_name(value));
    *ret = *value->text ? value->text : NULL;
    return 0;
}

static int read_texts(const struct reader *reader, const char *path, const struct yaml_value *value,
                      struct string_list *ret)
{
    if (value->kind != YAML_KIND_SEQUENCE)
        return complain(reader, value->line, value->column, path, "must be a list, not %s",
                        yaml_kind_name(value));
    for (size_t i = 0; i < value->n_items; i++) {
        const char *text = NULL;
        int code = read_text(reader, path, value->items[i], &text);
        if (code < 0)
            return code;
        if (text)
            string_list_add(ret, text);
    }
    return 0;
}

static int read_port(const struct reader *reader, const char *path, const struct yaml_value *value,
                     int64_t *ret)
{
    int64_t number = 0;
    if (value->kind != YAML_KIND_SCALAR || value->scalar.kind == SCALAR_STRING ||
        !scalar_to_int(&value->scalar, &number) || number < 0 || number > PORT_MAX)
        return complain(reader, value->line, value->column, path, "must be a port between 1 and %d",
                        PORT_MAX);
    *ret = number;
    return 0;
}

// PublicKeysECDSA is the one that certificates know.
static int read_gates(const struct reader *reader, const char *path, const struct yaml_value *value)
{
    if (value->kind != YAML_KIND_MAPPING)
        return complain(reader, value->line, value->column, path, "must be a mapping, not %s",
                        yaml_kind_name(value));
    const struct yaml_value *gate = yaml_lookup(value, "PublicKeysECDSA");
    if (yaml_is_null(gate))
        return 0;
    if (gate->kind != YAML_KIND_SCALAR || gate->scalar.kind != SCALAR_BOOL)
        return complain(reader, gate->line, gate->column, "featureGates.PublicKeysECDSA",
                        "must be true or false");
    reader->config->says_ecdsa = true;
    reader->config->ecdsa = gate->scalar.boolean;
    return 0;
}

// To make what the file says to leave out would be something else than what was asked for.
static int read_phases(const struct reader *reader, const char *path,
                       const struct yaml_value *value)
{
    _cleanup_string_list_ struct string_list phases = {0};
    int code = read_texts(reader, path, value, &phases);
    for (size_t i = 0; i < phases.n && code == 0; i++)
        if (str_starts_with(phases.items[i], "certs") ||
            str_starts_with(phases.items[i], "kubeconfig"))
            code = complain(reader, value->line, value->column, path,
                            "\"%s\" cannot be left out here: what is there already is kept",
                            phases.items[i]);
    return code;
}

static int read_value(const struct reader *reader, const struct field *field,
                      const struct yaml_value *value)
{
    void *to = (char *)reader->config + field->offset;
    switch (field->kind) {
    case KIND_TEXT:
        return read_text(reader, field->path, value, to);
    case KIND_TEXTS:
        return read_texts(reader, field->path, value, to);
    case KIND_PORT:
        return read_port(reader, field->path, value, to);
    case KIND_GATES:
        return read_gates(reader, field->path, value);
    case KIND_PHASES:
        return read_phases(reader, field->path, value);
    case KIND_PASSED:
    case KIND_GROUP:
        break;
    }
    return 0;
}

// ---- fields ----

static const struct field *find_field(const struct table *table, const char *path)
{
    for (size_t i = 0; i < table->n; i++)
        if (str_equal(table->fields[i].path, path))
            return &table->fields[i];
    return NULL;
}

static void warn_of_unknown(const struct reader *reader, const struct yaml_pair *pair,
                            const char *path)
{
    const char *names[ARRAY_SIZE(cluster_fields)];
    size_t stem = strlen(path) - strlen(pair->key), n = 0;
    for (size_t i = 0; i < reader->table->n; i++) {
        const char *known = reader->table->fields[i].path;
        if (strncmp(known, path, stem) == 0 && !strchr(known + stem, '.'))
            names[n++] = known + stem;
    }
    const char *nearest = str_nearest(pair->key, names, n);
    string_list_add_owned(
        reader->warnings,
        xasprintf("%s:%u:%u: %s: kubeadm knows no such field, it is passed over%s%s%s",
                  reader->file, pair->line, pair->column, path, nearest ? "; did you mean \"" : "",
                  nearest ? nearest : "", nearest ? "\"?" : ""));
}

static int read_mapping(const struct reader *reader, const char *above,
                        const struct yaml_value *value);

static int read_pair(const struct reader *reader, const char *above, const struct yaml_pair *pair)
{
    _cleanup_free_ char *path = xasprintf("%s%s%s", above, *above ? "." : "", pair->key);
    const struct field *field = find_field(reader->table, path);
    if (!field) {
        warn_of_unknown(reader, pair, path);
        return 0;
    }
    if (yaml_is_null(pair->value))
        return 0;
    if (field->kind == KIND_GROUP)
        return read_mapping(reader, path, pair->value);
    return read_value(reader, field, pair->value);
}

static int read_mapping(const struct reader *reader, const char *above,
                        const struct yaml_value *value)
{
    int code = 0;
    if (value->kind != YAML_KIND_MAPPING)
        return complain(reader, value->line, value->column, above, "must be a mapping, not %s",
                        yaml_kind_name(value));
    for (size_t i = 0; i < value->n_pairs && code == 0; i++)
        code = read_pair(reader, above, &value->pairs[i]);
    return code;
}

// ---- documents ----

static int check_version(const struct reader *reader, const struct yaml_value *document,
                         const char *version)
{
    static const char *const known[] = {"v1beta1", "v1beta2", "v1beta3"};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (str_equal(version + strlen(GROUP), known[i]))
            return 0;
    return complain(reader, document->line, document->column, "apiVersion",
                    "\"%s\" is not known here: use " GROUP "v1beta3, v1beta2 or v1beta1", version);
}

static int check_etcd(const struct reader *reader, const struct yaml_value *document)
{
    const struct yaml_value *etcd = yaml_lookup(document, "etcd");
    const struct yaml_value *external = yaml_lookup(etcd, "external");
    const struct kubeadm_config *config = reader->config;
    if (yaml_is_null(external))
        return 0;
    reader->config->has_external_etcd = true;
    if (!yaml_is_null(yaml_lookup(etcd, "local")))
        return complain(reader, external->line, external->column, "etcd",
                        "is either local or external, not both");
    if (!config->etcd_certificate_file != !config->etcd_key_file)
        return complain(reader, external->line, external->column, "etcd.external",
                        "certFile and keyFile must be there together");
    const char *const files[] = {config->etcd_ca_file, config->etcd_certificate_file,
                                 config->etcd_key_file};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (files[i] && files[i][0] != '/')
            return complain(reader, external->line, external->column, "etcd.external",
                            "\"%s\" is no absolute path", files[i]);
    return 0;
}

static int read_document(struct reader *reader, const struct yaml_value *document, bool *seen)
{
    const char *version = NULL, *kind = NULL;
    const struct yaml_value *version_value = yaml_lookup(document, "apiVersion");
    const struct yaml_value *kind_value = yaml_lookup(document, "kind");
    if (yaml_is_null(document))
        return 0;
    if (yaml_is_null(version_value) || yaml_is_null(kind_value))
        return complain(reader, document->line, document->column, "document",
                        "has no apiVersion and kind");
    int code = read_text(reader, "apiVersion", version_value, &version);
    if (code == 0)
        code = read_text(reader, "kind", kind_value, &kind);
    if (code < 0)
        return code;
    if (!version || !str_starts_with(version, GROUP))
        return 0; // the kubelet's or the proxy's
    if (check_version(reader, version_value, version) < 0)
        return -EINVAL;
    if (str_equal(kind, "JoinConfiguration"))
        return complain(reader, kind_value->line, kind_value->column, "kind",
                        "JoinConfiguration is not read here: say this node's name and address in "
                        "an InitConfiguration, or by --node-name and --advertise-address");
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        if (!str_equal(kind, tables[i].kind))
            continue;
        if (seen[i])
            return complain(reader, kind_value->line, kind_value->column, "kind", "a second %s",
                            kind);
        seen[i] = true;
        reader->table = &tables[i];
        code = read_mapping(reader, "", document);
        return code == 0 ? check_etcd(reader, document) : code;
    }
    return 0; // ClusterStatus
}

static int read_documents(struct reader *reader)
{
    bool seen[ARRAY_SIZE(tables)] = {false};
    int code = 0;
    for (size_t i = 0; i < yaml_tree_documents(reader->config->tree) && code == 0; i++)
        code = read_document(reader, yaml_tree_document(reader->config->tree, i), seen);
    if (code == 0 && !seen[0] && !seen[1])
        code = error_set(reader->err, EINVAL,
                         "%s: holds neither a ClusterConfiguration nor an InitConfiguration of "
                         "kubeadm",
                         reader->file);
    return code;
}

int kubeadm_config_read(const char *file, const void *data, size_t size, struct kubeadm_config *ret,
                        struct string_list *warnings, struct error *err)
{
    _cleanup_kubeadm_config_ struct kubeadm_config config = {0};
    _cleanup_diag_list_ struct diag_list diags = {0};
    struct reader reader = {.file = file, .config = &config, .warnings = warnings, .err = err};
    if (yaml_tree_parse(file, data, size, &config.tree, &diags) < 0) {
        _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
        if (diags.n > 0)
            diag_format(&diags.items[0], &text);
        return error_set(err, EINVAL, "%s", text.len > 0 ? buffer_str(&text) : file);
    }
    int code = read_documents(&reader);
    if (code == 0) {
        *ret = config;
        config = (struct kubeadm_config){0};
    }
    return code;
}

void kubeadm_config_free(struct kubeadm_config *config)
{
    yaml_tree_free(config->tree);
    string_list_free(&config->api_sans);
    string_list_free(&config->etcd_server_sans);
    string_list_free(&config->etcd_peer_sans);
    *config = (struct kubeadm_config){0};
}
