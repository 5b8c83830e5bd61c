// See selector.h (apimachinery/pkg/labels/selector.go).
#include "cli/selector.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/field.h"

enum requirement_kind { REQUIRE_EXISTS, REQUIRE_ABSENT, REQUIRE_IN, REQUIRE_NOT_IN };

struct requirement {
    enum requirement_kind kind;
    char *key;
    struct string_list values;
};

struct selector {
    LIST_OF(struct requirement) requirements;
};

static void skip_space(const char **at)
{
    while (isspace((unsigned char)**at))
        (*at)++;
}

static char *take_word(const char **at)
{
    skip_space(at);
    size_t len = strcspn(*at, " \t,=!()");
    char *word = xstrndup(*at, len);
    *at += len;
    skip_space(at);
    return word;
}

static bool take(const char **at, const char *token)
{
    if (!str_starts_with(*at, token))
        return false;
    *at += strlen(token);
    return true;
}

// "(x,y)"
static bool take_values(const char **at, struct string_list *values)
{
    if (!take(at, "("))
        return false;
    do
        string_list_add_owned(values, take_word(at));
    while (take(at, ","));
    return take(at, ")");
}

static bool take_set(const char **at, struct requirement *requirement)
{
    _cleanup_free_ char *word = take_word(at);
    requirement->kind = str_equal(word, "in") ? REQUIRE_IN : REQUIRE_NOT_IN;
    return (str_equal(word, "in") || str_equal(word, "notin")) &&
           take_values(at, &requirement->values);
}

static bool take_requirement(const char **at, struct requirement *requirement)
{
    skip_space(at);
    bool absent = take(at, "!");
    requirement->key = take_word(at);
    requirement->kind = absent ? REQUIRE_ABSENT : REQUIRE_EXISTS;
    if (!*requirement->key)
        return false;
    if (absent || !**at || **at == ',')
        return true;
    bool unequal = take(at, "!=");
    if (unequal || take(at, "==") || take(at, "=")) {
        requirement->kind = unequal ? REQUIRE_NOT_IN : REQUIRE_IN;
        string_list_add_owned(&requirement->values, take_word(at));
        return true;
    }
    return take_set(at, requirement);
}

int selector_parse(const char *text, struct selector **ret, struct error *err)
{
    if (str_empty(text)) {
        *ret = NULL;
        return 0;
    }
    struct selector *selector = xcalloc(1, sizeof(*selector));
    const char *at = text;
    bool good;
    do
        good = take_requirement(&at, LIST_APPEND(&selector->requirements));
    while (good && take(&at, ","));
    skip_space(&at);
    if (good && !*at) {
        *ret = selector;
        return 0;
    }
    selector_free(selector);
    return error_set(err, EINVAL,
                     "-l: cannot understand the label selector \"%s\"; it looks like app=etcd or "
                     "tier!=control-plane,component in (etcd,kube-apiserver)",
                     text);
}

void selector_free(struct selector *selector)
{
    if (!selector)
        return;
    LIST_EACH (requirement, &selector->requirements) {
        free(requirement->key);
        string_list_free(&requirement->values);
    }
    free(selector->requirements.items);
    free(selector);
}

bool selector_matches(const struct selector *selector, const json_t *object)
{
    const json_t *labels = field_at(object, "metadata.labels");
    if (!selector)
        return true;
    LIST_EACH (requirement, &selector->requirements) {
        const char *value = json_string_value(json_object_get(labels, requirement->key));
        bool listed = value && string_list_contains(&requirement->values, value);
        bool fits = requirement->kind == REQUIRE_EXISTS   ? value != NULL
                    : requirement->kind == REQUIRE_ABSENT ? value == NULL
                    : requirement->kind == REQUIRE_IN     ? listed
                                                          : !listed;
        if (!fits)
            return false;
    }
    return true;
}
