// See shim-spec.h. The wire form is a magic and a version, then records of tag (u16), zero (u16),
// length (u32) and payload in the host's byte order (it never leaves the machine). A list is its
// tag repeated, one record an item; a mount or limit is a record of records. Tags are for good: a
// field that goes away leaves its number unused.
#include "supervisor/shim/shim-spec.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"

enum {
    SPEC_VERSION = 1,
    SPEC_SIZE_MAX = 16 << 20,
    SPEC_ITEMS_MAX = 1 << 16, // of any one list
    SPEC_BYTES_MAX = 64 << 10,
};
static const char spec_magic[8] = "MSTYspec";

enum field_kind {
    FIELD_STRING,
    FIELD_BOOL,
    FIELD_INT64,
    FIELD_ENUM, // an int, at most `limit`
    FIELD_STRINGS,
    FIELD_INT64S,
    FIELD_MOUNTS,
    FIELD_LIMITS,
    FIELD_BYTES,
};

struct field {
    uint16_t tag;
    uint8_t kind;
    uint8_t limit;
    size_t offset;
};

struct record {
    uint16_t tag;
    uint16_t zero;
    uint32_t length;
};

#define MOUNT_FIELD(tag, kind, name, ...)                                                          \
    {                                                                                              \
        tag, kind, __VA_ARGS__ + 0, offsetof(struct shim_mount, name)                              \
    }
static const struct field mount_fields[] = {
    MOUNT_FIELD(1, FIELD_STRING, source),
    MOUNT_FIELD(2, FIELD_STRING, destination),
    MOUNT_FIELD(3, FIELD_STRING, volume),
    MOUNT_FIELD(4, FIELD_STRING, sub_path),
    MOUNT_FIELD(5, FIELD_BOOL, read_only),
    MOUNT_FIELD(6, FIELD_BOOL, propagate_from_host),
    MOUNT_FIELD(7, FIELD_BOOL, propagate_both),
    MOUNT_FIELD(8, FIELD_ENUM, check, SHIM_PATH_BLOCK_DEVICE),
    MOUNT_FIELD(9, FIELD_BOOL, recursive_read_only),
};

static const struct field limit_fields[] = {
    {1, FIELD_STRING, 0, offsetof(struct shim_limit, path)},
    {2, FIELD_STRING, 0, offsetof(struct shim_limit, value)},
    {3, FIELD_BOOL, 0, offsetof(struct shim_limit, required)},
};

#define SPEC_FIELD(tag, kind, name, ...)                                                           \
    {                                                                                              \
        tag, kind, __VA_ARGS__ + 0, offsetof(struct shim_spec, name)                               \
    }
static const struct field spec_fields[] = {
    SPEC_FIELD(1, FIELD_STRING, id),
    SPEC_FIELD(2, FIELD_STRING, pod_namespace),
    SPEC_FIELD(3, FIELD_STRING, pod_name),
    SPEC_FIELD(4, FIELD_STRING, pod_uid),
    SPEC_FIELD(5, FIELD_STRING, container),
    SPEC_FIELD(6, FIELD_STRING, node),
    SPEC_FIELD(7, FIELD_INT64, restart_count),
    SPEC_FIELD(8, FIELD_STRINGS, argv),
    SPEC_FIELD(9, FIELD_STRINGS, environment),
    SPEC_FIELD(10, FIELD_STRING, working_dir),
    SPEC_FIELD(11, FIELD_ENUM, root_kind, SHIM_ROOT_OVERLAY),
    SPEC_FIELD(12, FIELD_STRING, root_lower),
    SPEC_FIELD(13, FIELD_STRING, root_upper),
    SPEC_FIELD(14, FIELD_STRING, root_work),
    SPEC_FIELD(15, FIELD_BOOL, root_read_only),
    SPEC_FIELD(16, FIELD_STRINGS, path_prepend),
    SPEC_FIELD(17, FIELD_MOUNTS, mounts),
    SPEC_FIELD(18, FIELD_BOOL, new_pid_namespace),
    SPEC_FIELD(19, FIELD_BOOL, new_ipc_namespace),
    SPEC_FIELD(20, FIELD_BOOL, new_uts_namespace),
    SPEC_FIELD(21, FIELD_BOOL, new_net_namespace),
    SPEC_FIELD(22, FIELD_BOOL, new_user_namespace),
    SPEC_FIELD(23, FIELD_STRING, hostname),
    SPEC_FIELD(24, FIELD_INT64, run_as_user),
    SPEC_FIELD(25, FIELD_INT64, run_as_group),
    SPEC_FIELD(26, FIELD_INT64S, supplemental_groups),
    SPEC_FIELD(27, FIELD_BOOL, no_new_privileges),
    SPEC_FIELD(28, FIELD_BOOL, privileged),
    SPEC_FIELD(29, FIELD_STRINGS, capabilities_add),
    SPEC_FIELD(30, FIELD_STRINGS, capabilities_drop),
    SPEC_FIELD(31, FIELD_BOOL, default_capabilities),
    SPEC_FIELD(32, FIELD_INT64, oom_score_adj),
    SPEC_FIELD(33, FIELD_INT64, stop_signal),
    SPEC_FIELD(34, FIELD_STRINGS, cgroup_dirs),
    SPEC_FIELD(35, FIELD_STRINGS, shim_cgroup_dirs),
    SPEC_FIELD(36, FIELD_LIMITS, limits),
    SPEC_FIELD(37, FIELD_STRING, log_path),
    SPEC_FIELD(38, FIELD_INT64, log_max_bytes),
    SPEC_FIELD(39, FIELD_INT64, log_max_files),
    SPEC_FIELD(40, FIELD_STRING, journal_socket),
    SPEC_FIELD(41, FIELD_STRING, termination_path),
    SPEC_FIELD(42, FIELD_STRING, termination_file),
    SPEC_FIELD(43, FIELD_BOOL, stdin_open),
    SPEC_FIELD(44, FIELD_BOOL, tty),
    SPEC_FIELD(45, FIELD_INT64, exec_output_max),
    SPEC_FIELD(46, FIELD_STRING, net_namespace),
    SPEC_FIELD(47, FIELD_STRING, ipc_namespace),
    SPEC_FIELD(48, FIELD_STRING, uts_namespace),
    SPEC_FIELD(49, FIELD_STRING, pid_namespace),
    SPEC_FIELD(50, FIELD_STRING, shm_dir),
    SPEC_FIELD(51, FIELD_STRINGS, hidden_mounts),
    SPEC_FIELD(56, FIELD_BYTES, seccomp_filter),
    SPEC_FIELD(57, FIELD_INT64, seccomp_flags),
    SPEC_FIELD(58, FIELD_STRING, apparmor_profile),
    SPEC_FIELD(59, FIELD_STRING, selinux_label),
    SPEC_FIELD(60, FIELD_BOOL, proc_unmasked),
    SPEC_FIELD(61, FIELD_STRING, fence),
    SPEC_FIELD(71, FIELD_STRINGS, unenforced),
};

typedef LIST_OF(int64_t) int64_list;
typedef LIST_OF(struct shim_mount) mount_list;
typedef LIST_OF(struct shim_limit) limit_list;

// What a missing record means, where that is not zero.
static void spec_init(struct shim_spec *spec)
{
    *spec = (struct shim_spec){
        .run_as_user = -1,
        .run_as_group = -1,
        .oom_score_adj = INT64_MIN,
    };
}

// --- encoding

static void add_record(struct buffer *out, uint16_t tag, const void *payload, size_t length)
{
    struct record record = {.tag = tag, .length = (uint32_t)length};
    buffer_add(out, &record, sizeof(record));
    buffer_add(out, payload, length);
}

static void add_fields(struct buffer *out, const struct field *fields, size_t n, const char *base);

static void add_nested(struct buffer *out, uint16_t tag, const struct field *fields, size_t n,
                       const void *item)
{
    _cleanup_buffer_ struct buffer inner = BUFFER_EMPTY;
    add_fields(&inner, fields, n, item);
    add_record(out, tag, inner.data, inner.len);
}

static void add_field(struct buffer *out, const struct field *field, const char *base)
{
    const void *p = base + field->offset;
    switch ((enum field_kind)field->kind) {
    case FIELD_STRING: {
        const char *s = *(char *const *)p;
        if (s)
            add_record(out, field->tag, s, strlen(s));
        break;
    }
    case FIELD_BOOL:
        if (*(const bool *)p)
            add_record(out, field->tag, NULL, 0);
        break;
    case FIELD_INT64:
        add_record(out, field->tag, p, sizeof(int64_t));
        break;
    case FIELD_ENUM:
        add_record(out, field->tag, &(int64_t){*(const int *)p}, sizeof(int64_t));
        break;
    case FIELD_STRINGS:
        LIST_EACH (s, (const struct string_list *)p)
            add_record(out, field->tag, *s, strlen(*s));
        break;
    case FIELD_INT64S:
        LIST_EACH (number, (const int64_list *)p)
            add_record(out, field->tag, number, sizeof(*number));
        break;
    case FIELD_MOUNTS:
        LIST_EACH (mount, (const mount_list *)p)
            add_nested(out, field->tag, mount_fields, ARRAY_SIZE(mount_fields), mount);
        break;
    case FIELD_LIMITS:
        LIST_EACH (limit, (const limit_list *)p)
            add_nested(out, field->tag, limit_fields, ARRAY_SIZE(limit_fields), limit);
        break;
    case FIELD_BYTES: {
        const struct shim_bytes *bytes = p;
        if (bytes->size)
            add_record(out, field->tag, bytes->data, bytes->size);
        break;
    }
    }
}

static void add_fields(struct buffer *out, const struct field *fields, size_t n, const char *base)
{
    for (size_t i = 0; i < n; i++)
        add_field(out, &fields[i], base);
}

void shim_spec_encode(const struct shim_spec *spec, struct buffer *out)
{
    uint32_t version = SPEC_VERSION;
    buffer_add(out, spec_magic, sizeof(spec_magic));
    buffer_add(out, &version, sizeof(version));
    add_fields(out, spec_fields, ARRAY_SIZE(spec_fields), (const char *)spec);
}

// --- decoding

static int decode_fields(const struct field *fields, size_t n, const char *data, size_t size,
                         char *base, struct error *err);

static int decode_string(const char *data, size_t length, char **ret, struct error *err)
{
    if (memchr(data, '\0', length))
        return error_set(err, EBADMSG, "a string holds a NUL byte");
    free(*ret); // said twice: the later one counts
    *ret = xstrndup(data, length);
    return 0;
}

static int decode_int64(const char *data, size_t length, int64_t *ret, struct error *err)
{
    if (length != sizeof(*ret))
        return error_set(err, EBADMSG, "a number has %zu bytes", length);
    memcpy(ret, data, sizeof(*ret));
    return 0;
}

static int decode_enum(const struct field *field, const char *data, size_t length, int *ret,
                       struct error *err)
{
    int64_t number = 0;
    int code = decode_int64(data, length, &number, err);
    if (code < 0)
        return code;
    if (number < 0 || number > field->limit)
        return error_set(err, EBADMSG, "%lld is out of range", (long long)number);
    *ret = (int)number;
    return 0;
}

static int decode_bytes(const char *data, size_t length, struct shim_bytes *ret, struct error *err)
{
    if (length == 0 || length > SPEC_BYTES_MAX)
        return error_set(err, EBADMSG, "a field has %zu bytes", length);
    free(ret->data);
    ret->data = memcpy(xmalloc(length), data, length);
    ret->size = length;
    return 0;
}

static int decode_item(const struct field *field, const char *data, size_t length, void *p,
                       struct error *err)
{
    // Every list has the layout {pointer, count}.
    if (((const struct string_list *)p)->n >= SPEC_ITEMS_MAX)
        return error_set(err, E2BIG, "a list is longer than %d items", SPEC_ITEMS_MAX);
    switch ((enum field_kind)field->kind) {
    case FIELD_STRINGS: {
        char *s = NULL;
        int code = decode_string(data, length, &s, err);
        if (code == 0)
            string_list_add_owned(p, s);
        return code;
    }
    case FIELD_INT64S:
        return decode_int64(data, length, LIST_APPEND((int64_list *)p), err);
    case FIELD_MOUNTS:
        return decode_fields(mount_fields, ARRAY_SIZE(mount_fields), data, length,
                             (char *)LIST_APPEND((mount_list *)p), err);
    case FIELD_LIMITS:
        return decode_fields(limit_fields, ARRAY_SIZE(limit_fields), data, length,
                             (char *)LIST_APPEND((limit_list *)p), err);
    default:
        return 0;
    }
}

static int decode_field(const struct field *field, const char *data, size_t length, char *base,
                        struct error *err)
{
    void *p = base + field->offset;
    switch ((enum field_kind)field->kind) {
    case FIELD_STRING:
        return decode_string(data, length, p, err);
    case FIELD_BOOL:
        *(bool *)p = true;
        return 0;
    case FIELD_INT64:
        return decode_int64(data, length, p, err);
    case FIELD_ENUM:
        return decode_enum(field, data, length, p, err);
    case FIELD_BYTES:
        return decode_bytes(data, length, p, err);
    default:
        return decode_item(field, data, length, p, err);
    }
}

static int decode_fields(const struct field *fields, size_t n, const char *data, size_t size,
                         char *base, struct error *err)
{
    while (size > 0) {
        struct record record;
        if (size < sizeof(record))
            return error_set(err, EBADMSG, "it ends inside a record");
        memcpy(&record, data, sizeof(record));
        data += sizeof(record);
        size -= sizeof(record);
        if (record.length > size)
            return error_set(err, EBADMSG, "a record is longer than what is left");
        for (size_t i = 0; i < n; i++) {
            if (fields[i].tag != record.tag)
                continue;
            int code = decode_field(&fields[i], data, record.length, base, err);
            if (code < 0)
                return code;
            break;
        }
        data += record.length;
        size -= record.length;
    }
    return 0;
}

// Without these nothing can be run, or its files found again.
static int check_spec(const struct shim_spec *spec, struct error *err)
{
    if (!spec->id || !spec->argv.n || !spec->log_path)
        return error_set(err, EBADMSG, "id, command or log path is missing");
    LIST_EACH (mount, &spec->mounts)
        if (!mount->source || !mount->destination)
            return error_set(err, EBADMSG, "a mount has no source or destination");
    LIST_EACH (limit, &spec->limits)
        if (!limit->path || !limit->value)
            return error_set(err, EBADMSG, "a limit has no path or value");
    if (spec->root_kind == SHIM_ROOT_OVERLAY &&
        (!spec->root_lower || !spec->root_upper || !spec->root_work))
        return error_set(err, EBADMSG, "a directory of the overlay root is missing");
    return 0;
}

static int decode_all(const char *data, size_t size, struct shim_spec *spec, struct error *err)
{
    uint32_t version;
    size_t header = sizeof(spec_magic) + sizeof(version);
    if (size > SPEC_SIZE_MAX)
        return error_set(err, EFBIG, "it is larger than %d bytes", SPEC_SIZE_MAX);
    if (size < header || memcmp(data, spec_magic, sizeof(spec_magic)) != 0)
        return error_set(err, EBADMSG, "this is no shim spec");
    memcpy(&version, data + sizeof(spec_magic), sizeof(version));
    if (version != SPEC_VERSION)
        return error_set(err, EPROTONOSUPPORT, "its version is %u, not %d", version, SPEC_VERSION);
    int code = decode_fields(spec_fields, ARRAY_SIZE(spec_fields), data + header, size - header,
                             (char *)spec, err);
    return code < 0 ? code : check_spec(spec, err);
}

int shim_spec_decode(const void *data, size_t size, struct shim_spec *ret, struct error *err)
{
    struct shim_spec spec;
    spec_init(&spec);
    int code = decode_all(data, size, &spec, err);
    if (code < 0) {
        shim_spec_free(&spec);
        return error_prefix(err, code, "damaged shim spec");
    }
    *ret = spec;
    return 0;
}

// --- freeing

static void free_fields(const struct field *fields, size_t n, char *base)
{
    for (size_t i = 0; i < n; i++) {
        void *p = base + fields[i].offset;
        switch ((enum field_kind)fields[i].kind) {
        case FIELD_STRING:
            free(*(char **)p);
            break;
        case FIELD_STRINGS:
            string_list_free(p);
            break;
        case FIELD_INT64S:
            free(((int64_list *)p)->items);
            break;
        case FIELD_MOUNTS:
            LIST_EACH (mount, (mount_list *)p)
                free_fields(mount_fields, ARRAY_SIZE(mount_fields), (char *)mount);
            free(((mount_list *)p)->items);
            break;
        case FIELD_LIMITS:
            LIST_EACH (limit, (limit_list *)p)
                free_fields(limit_fields, ARRAY_SIZE(limit_fields), (char *)limit);
            free(((limit_list *)p)->items);
            break;
        case FIELD_BYTES:
            free(((struct shim_bytes *)p)->data);
            break;
        case FIELD_BOOL:
        case FIELD_INT64:
        case FIELD_ENUM:
            break;
        }
    }
}

void shim_spec_drop_filter(struct shim_spec *spec)
{
    free(spec->seccomp_filter.data);
    spec->seccomp_filter = (struct shim_bytes){0};
}

void shim_spec_free(struct shim_spec *spec)
{
    if (!spec)
        return;
    free_fields(spec_fields, ARRAY_SIZE(spec_fields), (char *)spec);
    spec_init(spec);
}
