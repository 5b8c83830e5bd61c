// Profiles as files: the JSON of the OCI runtime specification (config-linux.md, "Seccomp") and of
// the container engines, which have archMap, includes and excludes beside it. See
// seccomp-internal.h. What no engine reads (comments) is passed over.
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "supervisor/seccomp-internal.h"
#include "supervisor/shim/credentials.h"

enum { ERRNO_MAX = 4095, ARCHITECTURES_MAX = 32, CONDITIONS_MAX = 6, ARGUMENTS = 6 };

struct word {
    const char *name;
    uint32_t value;
};

static const struct word actions[] = {
    {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
    {"SCMP_ACT_LOG", SCMP_ACT_LOG},
    {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
    {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
    {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
    {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
    {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0)},
    {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0)},
};

static const struct word operators[] = {
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

static const struct word flags[] = {
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    {"SECCOMP_FILTER_FLAG_TSYNC", 0}, // there is one thread only
};

// ---- values ----

static int wrong(struct error *err, const char *field, const char *what)
{
    return error_set(err, EINVAL, "%s: %s", field, what);
}

static int find_word(const struct word *words, size_t n, const char *field, const json_t *value,
                     uint32_t *ret, struct error *err)
{
    const char *text = json_string_value(value);
    for (size_t i = 0; text && i < n; i++)
        if (strcmp(words[i].name, text) == 0) {
            *ret = words[i].value;
            return 0;
        }
    return error_set(err, EINVAL, "%s: %.100s is not known", field, text ? text : "what is there");
}

// A member that may be missing, null or a list.
static int list_of(const json_t *object, const char *field, const json_t **ret, struct error *err)
{
    const json_t *value = json_object_get(object, field);
    *ret = json_is_null(value) ? NULL : value;
    return *ret && !json_is_array(*ret) ? wrong(err, field, "must be a list") : 0;
}

static int strings_of(const json_t *object, const char *field, struct string_list *ret,
                      struct error *err)
{
    const json_t *list;
    int code = list_of(object, field, &list, err);
    for (size_t i = 0; code == 0 && i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text || ret->n >= SECCOMP_SYSCALLS_MAX)
            return wrong(err, field, text ? "is too long" : "must be a list of strings");
        string_list_add(ret, text);
    }
    return code;
}

static int action_of(const json_t *object, const char *field, const char *errno_field,
                     uint32_t *ret, struct error *err)
{
    uint32_t action = 0;
    int code = find_word(actions, ARRAY_SIZE(actions), field, json_object_get(object, field),
                         &action, err);
    if (code < 0)
        return code;
    const json_t *number = json_object_get(object, errno_field);
    json_int_t data = json_is_integer(number) ? json_integer_value(number) : EPERM;
    if ((number && !json_is_null(number) && !json_is_integer(number)) || data < 0 ||
        data > ERRNO_MAX)
        return wrong(err, errno_field, "must be the number of an error");
    if (action == SCMP_ACT_ERRNO(0))
        action = SCMP_ACT_ERRNO((uint32_t)data);
    else if (action == SCMP_ACT_TRACE(0))
        action = SCMP_ACT_TRACE((uint32_t)data);
    *ret = action;
    return 0;
}

// Jansson's integers are signed, and engines write numbers up to 2^64 - 1: those arrive as reals,
// which cannot hold them, so they are refused rather than rounded.
static int number_of(const json_t *object, const char *field, uint64_t *ret, struct error *err)
{
    const json_t *value = json_object_get(object, field);
    *ret = (uint64_t)json_integer_value(value);
    return value && !json_is_integer(value) ? wrong(err, field, "must be an integer below 2^63")
                                            : 0;
}

// ---- rules ----

static int parse_condition(const json_t *object, struct seccomp_rule *rule, struct error *err)
{
    uint64_t index = 0;
    uint32_t op = 0;
    struct seccomp_condition condition = {0};
    int code =
        find_word(operators, ARRAY_SIZE(operators), "op", json_object_get(object, "op"), &op, err);
    if (code == 0)
        code = number_of(object, "index", &index, err);
    if (code == 0)
        code = number_of(object, "value", &condition.value, err);
    if (code == 0)
        code = number_of(object, "valueTwo", &condition.value_two, err);
    if (code == 0 && index >= ARGUMENTS)
        code = wrong(err, "index", "must be 0 to 5");
    if (code < 0)
        return error_prefix(err, code, "args");
    condition.argument = (unsigned)index;
    condition.op = (enum scmp_compare)op;
    *LIST_APPEND(&rule->conditions) = condition;
    return 0;
}

static int parse_conditions(const json_t *object, struct seccomp_rule *rule, struct error *err)
{
    const json_t *list;
    int code = list_of(object, "args", &list, err);
    if (code == 0 && json_array_size(list) > CONDITIONS_MAX)
        return wrong(err, "args", "has more than six conditions");
    for (size_t i = 0; code == 0 && i < json_array_size(list); i++)
        code = parse_condition(json_array_get(list, i), rule, err);
    return code;
}

static int parse_kernel(const json_t *object, struct seccomp_when *when, struct error *err)
{
    const json_t *value = json_object_get(object, "minKernel");
    const char *text = json_string_value(value);
    unsigned major = 0, minor = 0;
    int end = 0;
    if (!value || json_is_null(value) || (text && !*text))
        return 0;
    if (!text || sscanf(text, "%5u.%5u%n", &major, &minor, &end) != 2 || text[end] ||
        major > UINT16_MAX || minor > UINT16_MAX)
        return wrong(err, "minKernel", "must be a version such as 4.8");
    when->kernel = major << 16 | minor;
    return 0;
}

static int parse_when(const json_t *rule, const char *field, struct seccomp_when *when,
                      struct error *err)
{
    const json_t *object = json_object_get(rule, field);
    _cleanup_string_list_ struct string_list caps = {0};
    if (!object || json_is_null(object))
        return 0;
    if (!json_is_object(object))
        return wrong(err, field, "must be an object");
    int code = strings_of(object, "arches", &when->arches, err);
    if (code == 0)
        code = strings_of(object, "caps", &caps, err);
    if (code == 0)
        code = parse_kernel(object, when, err);
    LIST_EACH (name, &caps) {
        int capability = credentials_capability(*name);
        // One that nobody can have: a rule that asks for it never counts.
        when->capabilities |= (uint64_t)1 << (capability < 0 ? 63 : capability);
    }
    return code < 0 ? error_prefix(err, code, "%s", field) : 0;
}

static int parse_rule(const json_t *object, struct seccomp_rule *rule, struct error *err)
{
    if (!json_is_object(object))
        return error_set(err, EINVAL, "must be an object");
    const char *name = json_string_value(json_object_get(object, "name")); // the old form
    int code = action_of(object, "action", "errnoRet", &rule->action, err);
    if (code == 0)
        code = strings_of(object, "names", &rule->names, err);
    if (code == 0 && !str_empty(name))
        string_list_add(&rule->names, name);
    if (code == 0 && rule->names.n == 0)
        code = wrong(err, "names", "is missing");
    if (code == 0)
        code = parse_conditions(object, rule, err);
    if (code == 0)
        code = parse_when(object, "includes", &rule->includes, err);
    if (code == 0)
        code = parse_when(object, "excludes", &rule->excludes, err);
    return code;
}

static int parse_rules(const json_t *root, struct seccomp_policy *policy, struct error *err)
{
    const json_t *list;
    size_t names = 0;
    int code = list_of(root, "syscalls", &list, err);
    for (size_t i = 0; code == 0 && i < json_array_size(list); i++) {
        struct seccomp_rule *rule = LIST_APPEND(&policy->rules);
        code = parse_rule(json_array_get(list, i), rule, err);
        if (code < 0)
            return error_prefix(err, code, "syscalls[%zu]", i);
        names += rule->names.n;
        if (names > SECCOMP_SYSCALLS_MAX)
            return error_set(err, E2BIG, "syscalls: more than %d names", SECCOMP_SYSCALLS_MAX);
    }
    return code;
}

// ---- architectures ----

// 0 where libseccomp knows no such one.
static uint32_t architecture_of(const char *name)
{
    static const char prefix[] = "SCMP_ARCH_";
    char lower[32] = "";
    size_t length = str_starts_with(name, prefix) ? strlen(name) - strlen(prefix) : 0;
    if (length == 0 || length >= sizeof(lower))
        return 0;
    for (size_t i = 0; i < length; i++)
        lower[i] = (char)tolower((unsigned char)name[strlen(prefix) + i]);
    return seccomp_arch_resolve_name(lower);
}

static int add_architectures(struct seccomp_policy *policy, const json_t *object, const char *field,
                             struct error *err)
{
    _cleanup_string_list_ struct string_list names = {0};
    int code = strings_of(object, field, &names, err);
    LIST_EACH (name, &names) {
        uint32_t token = architecture_of(*name);
        if (!token || policy->architectures.n >= ARCHITECTURES_MAX)
            return error_set(err, EINVAL, "architecture %.40s is not known", *name);
        *LIST_APPEND(&policy->architectures) = token;
    }
    return code;
}

static bool is_native(const json_t *name)
{
    const char *text = json_string_value(name);
    return text && architecture_of(text) == seccomp_arch_native();
}

static int parse_architectures(const json_t *root, struct seccomp_policy *policy, struct error *err)
{
    const json_t *map;
    int code = add_architectures(policy, root, "architectures", err);
    if (code == 0)
        code = list_of(root, "archMap", &map, err);
    for (size_t i = 0; code == 0 && i < json_array_size(map); i++) {
        const json_t *entry = json_array_get(map, i);
        if (is_native(json_object_get(entry, "architecture")))
            code = add_architectures(policy, entry, "subArchitectures", err);
    }
    return code;
}

static int parse_flags(const json_t *root, struct seccomp_policy *policy, struct error *err)
{
    const json_t *list;
    int code = list_of(root, "flags", &list, err);
    for (size_t i = 0; code == 0 && i < json_array_size(list); i++) {
        uint32_t flag = 0;
        code = find_word(flags, ARRAY_SIZE(flags), "flags", json_array_get(list, i), &flag, err);
        policy->flags |= flag;
    }
    return code;
}

static int parse_root(const json_t *root, struct seccomp_policy *policy, struct error *err)
{
    if (!json_is_object(root))
        return error_set(err, EINVAL, "must be an object");
    if (json_object_get(root, "listenerPath"))
        return wrong(err, "listenerPath", "nobody listens for system calls here");
    int code = action_of(root, "defaultAction", "defaultErrnoRet", &policy->default_action, err);
    if (code == 0)
        code = parse_architectures(root, policy, err);
    if (code == 0)
        code = parse_flags(root, policy, err);
    return code == 0 ? parse_rules(root, policy, err) : code;
}

int seccomp_policy_parse(const char *text, size_t size, struct seccomp_policy *ret,
                         struct error *err)
{
    struct seccomp_policy policy = {0};
    json_error_t where;
    if (size > SECCOMP_PROFILE_SIZE_MAX)
        return error_set(err, EFBIG, "it is larger than %d bytes", SECCOMP_PROFILE_SIZE_MAX);
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return error_set(err, EINVAL, "line %d, column %d: %s", where.line, where.column,
                         where.text);
    int code = parse_root(root, &policy, err);
    json_decref(root);
    if (code < 0)
        seccomp_policy_free(&policy);
    else
        *ret = policy;
    return code;
}
