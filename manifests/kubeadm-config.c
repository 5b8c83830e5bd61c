// See kubeadm-config.h. The tables name the fields that kubeadm knows (apis/kubeadm/v1beta1 to
// v1beta4, types.go) and say of each what becomes of it.
#include "manifests/kubeadm-config.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "manifests/fields.h"

#define GROUP     "kubeadm.k8s.io/"
#define OUR_GROUP "mainstay.dev/"

enum { ARGUMENTS_MAX = 1000, VOLUMES_MAX = 200, ENVS_MAX = 1000 };

// ---- values of kubeadm's own kinds ----

static const struct yaml_value *item_field(const struct yaml_value *item, const char *name)
{
    const struct yaml_value *value = yaml_lookup(item, name);
    return yaml_is_null(value) ? NULL : value;
}

// A text of an item; NULL where it is not there. `path` is that of the list.
static int item_text(const struct fields_reader *reader, const char *path,
                     const struct yaml_value *item, const char *name, bool needed, const char **ret)
{
    _cleanup_free_ char *place = xasprintf("%s.%s", path, name);
    const struct yaml_value *value = item_field(item, name);
    int code = value ? fields_text(reader, place, value, ret) : 0;
    if (code == 0 && needed && !*ret)
        code = fields_wrong(reader, value ? value : item, place, "must be there");
    return code;
}

// The items of a list are mappings with no other fields than these.
static int check_item(const struct fields_reader *reader, const char *path,
                      const struct yaml_value *item, const char *const *names, size_t n)
{
    if (item->kind != YAML_KIND_MAPPING)
        return fields_wrong(reader, item, path, "must be a list of mappings, not of %s",
                            yaml_kind_name(item));
    for (size_t i = 0; i < item->n_pairs; i++) {
        const struct yaml_pair *pair = &item->pairs[i];
        bool known = false;
        for (size_t j = 0; j < n && !known; j++)
            known = str_equal(pair->key, names[j]);
        _cleanup_free_ char *place = xasprintf("%s.%s", path, pair->key);
        if (!known)
            fields_unknown(reader, pair, place, names, n);
    }
    return 0;
}

static int check_list(const struct fields_reader *reader, const char *path,
                      const struct yaml_value *value, size_t max)
{
    if (value->kind != YAML_KIND_SEQUENCE)
        return fields_wrong(reader, value, path, "must be a list, not %s", yaml_kind_name(value));
    if (value->n_items > max)
        return fields_wrong(reader, value, path, "has %zu items, and more than %zu are too many",
                            value->n_items, max);
    return 0;
}

static int add_argument(const struct fields_reader *reader, const char *path,
                        const struct yaml_value *place, const char *name, const char *value,
                        struct string_list *to)
{
    const char *bare = name ? name + strspn(name, "-") : "";
    if (!*bare || strpbrk(bare, "= \t\n"))
        return fields_wrong(reader, place, path, "\"%s\" is no name of a flag", name ? name : "");
    string_list_add_owned(to, xasprintf("%s=%s", bare, value ? value : ""));
    return 0;
}

// {flag: value} up to v1beta3; [{name: flag, value: value}] in v1beta4, where a flag may be there
// more than once.
static int read_arguments(const struct fields_reader *reader, const struct field *field,
                          const struct yaml_value *value, void *to)
{
    static const char *const names[] = {"name", "value"};
    int code = 0;
    if (value->kind == YAML_KIND_MAPPING) {
        for (size_t i = 0; i < value->n_pairs && code == 0; i++) {
            const struct yaml_pair *pair = &value->pairs[i];
            const char *text = NULL;
            _cleanup_free_ char *place = xasprintf("%s.%s", field->path, pair->key);
            code = fields_text(reader, place, pair->value, &text);
            if (code == 0)
                code = add_argument(reader, field->path, value, pair->key, text, to);
        }
        return code;
    }
    code = check_list(reader, field->path, value, ARGUMENTS_MAX);
    for (size_t i = 0; code == 0 && i < value->n_items; i++) {
        const char *name = NULL, *text = NULL;
        const struct yaml_value *item = value->items[i];
        code = check_item(reader, field->path, item, names, ARRAY_SIZE(names));
        if (code == 0)
            code = item_text(reader, field->path, item, "name", true, &name);
        if (code == 0)
            code = item_text(reader, field->path, item, "value", false, &text);
        if (code == 0)
            code = add_argument(reader, field->path, item, name, text, to);
    }
    return code;
}

static int check_volume(const struct fields_reader *reader, const char *path,
                        const struct yaml_value *item, const struct control_plane_volume *volume)
{
    static const char *const types[] = {
        "DirectoryOrCreate", "Directory",  "FileOrCreate", "File", "Socket",
        "CharDevice",        "BlockDevice"};
    const char *const paths[] = {volume->host_path, volume->mount_path};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        if (paths[i] && paths[i][0] != '/')
            return fields_wrong(reader, item, path, "\"%s\" is no absolute path", paths[i]);
    for (size_t i = 0; volume->path_type && i < ARRAY_SIZE(types); i++)
        if (str_equal(volume->path_type, types[i]))
            return 0;
    if (!volume->path_type)
        return 0;
    return fields_wrong(reader, item, path,
                        "pathType \"%s\": use DirectoryOrCreate, Directory, FileOrCreate, File, "
                        "Socket, CharDevice or BlockDevice",
                        volume->path_type);
}

static int read_volumes(const struct fields_reader *reader, const struct field *field,
                        const struct yaml_value *value, void *to)
{
    static const char *const names[] = {"name", "hostPath", "mountPath", "readOnly", "pathType"};
    struct control_plane_volumes *volumes = to;
    int code = check_list(reader, field->path, value, VOLUMES_MAX);
    for (size_t i = 0; code == 0 && i < value->n_items; i++) {
        struct control_plane_volume volume = {0};
        const struct yaml_value *item = value->items[i];
        const struct yaml_value *read_only = item_field(item, "readOnly");
        code = check_item(reader, field->path, item, names, ARRAY_SIZE(names));
        if (code == 0)
            code = item_text(reader, field->path, item, "name", true, &volume.name);
        if (code == 0)
            code = item_text(reader, field->path, item, "hostPath", true, &volume.host_path);
        if (code == 0)
            code = item_text(reader, field->path, item, "mountPath", true, &volume.mount_path);
        if (code == 0)
            code = item_text(reader, field->path, item, "pathType", false, &volume.path_type);
        if (code == 0 && read_only)
            code = fields_bool(reader, field->path, read_only, &volume.read_only);
        if (code == 0)
            code = check_volume(reader, field->path, item, &volume);
        if (code == 0)
            *LIST_APPEND(volumes) = volume;
    }
    return code;
}

static int read_envs(const struct fields_reader *reader, const struct field *field,
                     const struct yaml_value *value, void *to)
{
    static const char *const names[] = {"name", "value", "valueFrom"};
    struct control_plane_envs *envs = to;
    int code = check_list(reader, field->path, value, ENVS_MAX);
    for (size_t i = 0; code == 0 && i < value->n_items; i++) {
        struct control_plane_env env = {0};
        const struct yaml_value *item = value->items[i];
        code = check_item(reader, field->path, item, names, ARRAY_SIZE(names));
        if (code == 0 && item_field(item, "valueFrom"))
            code = fields_wrong(reader, item, field->path,
                                "valueFrom is not done here: say the value, or put the variable "
                                "into the manifest by hand");
        if (code == 0)
            code = item_text(reader, field->path, item, "name", true, &env.name);
        if (code == 0)
            code = item_text(reader, field->path, item, "value", false, &env.value);
        if (code == 0 && env.name && strpbrk(env.name, "= \t\n"))
            code = fields_wrong(reader, item, field->path, "\"%s\" is no name of a variable",
                                env.name);
        if (code == 0)
            *LIST_APPEND(envs) = env;
    }
    return code;
}

// PublicKeysECDSA is the one that certificates know.
static int read_gates(const struct fields_reader *reader, const struct field *field,
                      const struct yaml_value *value, void *to)
{
    struct kubeadm_config *config = reader->to;
    if (value->kind != YAML_KIND_MAPPING)
        return fields_wrong(reader, value, field->path, "must be a mapping, not %s",
                            yaml_kind_name(value));
    const struct yaml_value *gate = item_field(value, "PublicKeysECDSA");
    if (!gate)
        return 0;
    config->says_ecdsa = true;
    return fields_bool(reader, "featureGates.PublicKeysECDSA", gate, &config->ecdsa);
}

// To make what the file says to leave out would be something else than what was asked for.
static int read_phases(const struct fields_reader *reader, const struct field *field,
                       const struct yaml_value *value, void *to)
{
    _cleanup_string_list_ struct string_list phases = {0};
    int code = fields_texts(reader, field->path, value, &phases);
    for (size_t i = 0; i < phases.n && code == 0; i++)
        if (str_starts_with(phases.items[i], "certs") ||
            str_starts_with(phases.items[i], "kubeconfig"))
            code = fields_wrong(reader, value, field->path,
                                "\"%s\" cannot be left out here: what is there already is kept",
                                phases.items[i]);
    return code;
}

// ---- fields ----

#define PASSED(path)        FIELD_ROW_PASSED(path)
#define GROUP_OF(path)      FIELD_ROW_GROUP(path)
#define TEXT(path, member)  FIELD_ROW_TEXT(path, struct kubeadm_config, member)
#define TEXTS(path, member) FIELD_ROW_TEXTS(path, struct kubeadm_config, member)
#define CUSTOM(path, member, function)                                                             \
    FIELD_ROW_CUSTOM(path, struct kubeadm_config, member, function)
#define EXTRAS(path, component)                                                                    \
    CUSTOM(path ".extraArgs", extra_args[component], read_arguments),                              \
        CUSTOM(path ".extraEnvs", extra_envs[component], read_envs)
#define COMPONENT(path, component)                                                                 \
    GROUP_OF(path), EXTRAS(path, component),                                                       \
        CUSTOM(path ".extraVolumes", extra_volumes[component], read_volumes)

static const struct field cluster_fields[] = {
    PASSED("apiVersion"),
    PASSED("kind"),
    GROUP_OF("etcd"),
    GROUP_OF("etcd.local"),
    TEXT("etcd.local.imageRepository", etcd_image_repository),
    TEXT("etcd.local.imageTag", etcd_image_tag),
    TEXT("etcd.local.dataDir", etcd_data_dir),
    EXTRAS("etcd.local", COMPONENT_ETCD),
    TEXTS("etcd.local.serverCertSANs", etcd_server_sans),
    TEXTS("etcd.local.peerCertSANs", etcd_peer_sans),
    GROUP_OF("etcd.external"),
    TEXTS("etcd.external.endpoints", etcd_endpoints),
    TEXT("etcd.external.caFile", etcd_ca_file),
    TEXT("etcd.external.certFile", etcd_certificate_file),
    TEXT("etcd.external.keyFile", etcd_key_file),
    PASSED("etcd.external.httpEndpoints"),
    GROUP_OF("networking"),
    TEXT("networking.serviceSubnet", service_subnet),
    TEXT("networking.podSubnet", pod_subnet),
    TEXT("networking.dnsDomain", dns_domain),
    TEXT("kubernetesVersion", kubernetes_version),
    TEXT("controlPlaneEndpoint", control_plane_endpoint),
    COMPONENT("apiServer", COMPONENT_KUBE_APISERVER),
    TEXTS("apiServer.certSANs", api_sans),
    PASSED("apiServer.timeoutForControlPlane"),
    COMPONENT("controllerManager", COMPONENT_KUBE_CONTROLLER_MANAGER),
    COMPONENT("scheduler", COMPONENT_KUBE_SCHEDULER),
    PASSED("dns"),
    PASSED("proxy"),
    TEXT("certificatesDir", certificates_dir),
    TEXT("imageRepository", image_repository),
    PASSED("useHyperKubeImage"),
    FIELD_ROW_CUSTOM("featureGates", struct kubeadm_config, ecdsa, read_gates),
    TEXT("clusterName", cluster_name),
    TEXT("encryptionAlgorithm", encryption_algorithm),
    FIELD_ROW_NOTED("certificateValidityPeriod",
                    "is not followed here: certificates last a year, as kubeadm's do by default"),
    FIELD_ROW_NOTED("caCertificateValidityPeriod",
                    "is not followed here: CAs last ten years, as kubeadm's do by default"),
};

static const struct field init_fields[] = {
    PASSED("apiVersion"),
    PASSED("kind"),
    PASSED("bootstrapTokens"),
    GROUP_OF("nodeRegistration"),
    TEXT("nodeRegistration.name", node_name),
    PASSED("nodeRegistration.criSocket"),
    PASSED("nodeRegistration.taints"),
    PASSED("nodeRegistration.kubeletExtraArgs"),
    PASSED("nodeRegistration.ignorePreflightErrors"),
    PASSED("nodeRegistration.imagePullPolicy"),
    PASSED("nodeRegistration.imagePullSerial"),
    GROUP_OF("localAPIEndpoint"),
    TEXT("localAPIEndpoint.advertiseAddress", advertise_address),
    FIELD_ROW_PORT("localAPIEndpoint.bindPort", struct kubeadm_config, bind_port),
    PASSED("certificateKey"),
    FIELD_ROW_CUSTOM("skipPhases", struct kubeadm_config, ecdsa, read_phases),
    PASSED("patches"),
    PASSED("dryRun"),
    PASSED("timeouts"),
};

static const struct table {
    const char *kind;
    const struct field *fields;
    size_t n;
} tables[] = {
    {"ClusterConfiguration", cluster_fields, ARRAY_SIZE(cluster_fields)},
    {"InitConfiguration", init_fields, ARRAY_SIZE(init_fields)},
};

// ---- documents ----

// One file on its way. `ours`: a document of mainstay.dev is there, whose reader is another.
struct documents {
    struct fields_reader reader;
    struct kubeadm_config *config;
    bool seen[ARRAY_SIZE(tables)], ours;
};

static int check_version(const struct fields_reader *reader, const struct yaml_value *value,
                         const char *version)
{
    static const char *const known[] = {"v1beta1", "v1beta2", "v1beta3", "v1beta4"};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (str_equal(version + strlen(GROUP), known[i]))
            return 0;
    return fields_wrong(
        reader, value, "apiVersion",
        "\"%s\" is not known here: use " GROUP "v1beta4, v1beta3, v1beta2 or v1beta1", version);
}

static int check_etcd(const struct documents *documents, const struct yaml_value *document)
{
    const struct yaml_value *etcd = yaml_lookup(document, "etcd");
    const struct yaml_value *external = item_field(etcd, "external");
    struct kubeadm_config *config = documents->config;
    const struct fields_reader *reader = &documents->reader;
    if (!external)
        return 0;
    config->has_external_etcd = true;
    if (item_field(etcd, "local"))
        return fields_wrong(reader, external, "etcd", "is either local or external, not both");
    if (!config->etcd_certificate_file != !config->etcd_key_file)
        return fields_wrong(reader, external, "etcd.external",
                            "certFile and keyFile must be there together");
    const char *const files[] = {config->etcd_ca_file, config->etcd_certificate_file,
                                 config->etcd_key_file};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (files[i] && files[i][0] != '/')
            return fields_wrong(reader, external, "etcd.external", "\"%s\" is no absolute path",
                                files[i]);
    return 0;
}

static int read_kind(struct documents *documents, const struct yaml_value *document,
                     const struct yaml_value *kind_value, const char *kind)
{
    struct fields_reader *reader = &documents->reader;
    if (str_equal(kind, "JoinConfiguration"))
        return fields_wrong(reader, kind_value, "kind",
                            "JoinConfiguration is not read here: say this node's name and address "
                            "in an InitConfiguration, or by --node-name and --advertise-address");
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        if (!str_equal(kind, tables[i].kind))
            continue;
        if (documents->seen[i])
            return fields_wrong(reader, kind_value, "kind", "a second %s", kind);
        documents->seen[i] = true;
        reader->fields = tables[i].fields;
        reader->n = tables[i].n;
        int code = fields_read(reader, document);
        return code == 0 ? check_etcd(documents, document) : code;
    }
    return 0; // ClusterStatus
}

static int read_document(struct documents *documents, const struct yaml_value *document)
{
    const char *version = NULL, *kind = NULL;
    const struct fields_reader *reader = &documents->reader;
    const struct yaml_value *version_value = item_field(document, "apiVersion");
    const struct yaml_value *kind_value = item_field(document, "kind");
    if (yaml_is_null(document))
        return 0;
    if (!version_value || !kind_value)
        return fields_wrong(reader, document, "document", "has no apiVersion and kind");
    int code = fields_text(reader, "apiVersion", version_value, &version);
    if (code == 0)
        code = fields_text(reader, "kind", kind_value, &kind);
    if (code < 0)
        return code;
    if (version && str_starts_with(version, OUR_GROUP))
        documents->ours = true;
    if (!version || !str_starts_with(version, GROUP))
        return 0; // ours, the kubelet's or the proxy's
    code = check_version(reader, version_value, version);
    return code == 0 ? read_kind(documents, document, kind_value, kind) : code;
}

static int read_documents(struct documents *documents)
{
    const struct yaml_tree *tree = documents->config->tree;
    int code = 0;
    for (size_t i = 0; i < yaml_tree_documents(tree) && code == 0; i++)
        code = read_document(documents, yaml_tree_document(tree, i));
    if (code == 0 && !documents->seen[0] && !documents->seen[1] && !documents->ours)
        code = error_set(documents->reader.err, EINVAL,
                         "%s: holds neither a ClusterConfiguration nor an InitConfiguration of "
                         "kubeadm",
                         documents->reader.file);
    return code;
}

int kubeadm_config_read(const char *file, const void *data, size_t size, struct kubeadm_config *ret,
                        struct string_list *warnings, struct error *err)
{
    _cleanup_kubeadm_config_ struct kubeadm_config config = {0};
    _cleanup_diag_list_ struct diag_list diags = {0};
    struct documents documents = {
        .reader = {.file = file, .who = "kubeadm", .to = &config, .warnings = warnings, .err = err},
        .config = &config,
    };
    if (yaml_tree_parse(file, data, size, &config.tree, &diags) < 0) {
        _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
        if (diags.n > 0)
            diag_format(&diags.items[0], &text);
        return error_set(err, EINVAL, "%s", text.len > 0 ? buffer_str(&text) : file);
    }
    int code = read_documents(&documents);
    if (code == 0) {
        *ret = config;
        config = (struct kubeadm_config){0};
    }
    return code;
}

void kubeadm_config_free(struct kubeadm_config *config)
{
    struct string_list *const lists[] = {&config->api_sans, &config->etcd_server_sans,
                                         &config->etcd_peer_sans, &config->etcd_endpoints};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        string_list_free(lists[i]);
    for (int i = 0; i < COMPONENTS; i++) {
        string_list_free(&config->extra_args[i]);
        free(config->extra_volumes[i].items);
        free(config->extra_envs[i].items);
    }
    yaml_tree_free(config->tree);
    *config = (struct kubeadm_config){0};
}
