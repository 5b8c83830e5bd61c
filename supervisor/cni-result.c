// See cni.h: what plugins answer. It comes from programs that nobody here has written, and goes
// into a pod's environment, its /etc/hosts and its status.
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "supervisor/cni.h"

enum { TEXT_MAX = 1024 };

int cni_result_parse(const char *text, size_t size, json_t **ret, struct error *err)
{
    json_error_t where;
    json_auto_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!json)
        return error_set(err, EBADMSG, "its answer is no JSON (line %d, column %d: %s)", where.line,
                         where.column, where.text);
    if (!json_is_object(json))
        return error_set(err, EBADMSG, "its answer is no JSON object");
    const json_t *ips = json_object_get(json, "ips");
    if (ips && !json_is_array(ips) && !json_is_null(ips))
        return error_set(err, EBADMSG, "its answer's ips are no list");
    *ret = TAKE_PTR(json);
    return 0;
}

// "10.1.0.2/16" → "10.1.0.2".
static void add_address(struct string_list *list, const json_t *value)
{
    unsigned char binary[16];
    const char *text = json_string_value(value);
    if (!text || list->n >= CNI_IPS_MAX || json_string_length(value) != strlen(text))
        return;
    char *address = xstrndup(text, strcspn(text, "/"));
    if (inet_pton(AF_INET, address, binary) == 1 || inet_pton(AF_INET6, address, binary) == 1)
        string_list_add_owned(list, address);
    else
        free(address);
}

void cni_result_read(const json_t *json, struct cni_result *ret)
{
    static const char *const older[] = {"ip4", "ip6"}; // up to version 0.2.0
    const json_t *item;
    size_t i;
    *ret = (struct cni_result){0};
    json_array_foreach (json_object_get(json, "ips"), i, item)
        add_address(&ret->ips, json_object_get(item, "address"));
    for (i = 0; i < ARRAY_SIZE(older); i++)
        add_address(&ret->ips, json_object_get(json_object_get(json, older[i]), "ip"));
}

void cni_result_free(struct cni_result *result)
{
    string_list_free(&result->ips);
}

// One line that a terminal can take.
static void add_text(struct buffer *out, const char *text)
{
    for (size_t i = 0; text[i] && i < TEXT_MAX; i++) {
        bool control = (unsigned char)text[i] < ' ' || text[i] == 0x7f;
        buffer_add(out, control ? " " : &text[i], 1);
    }
    while (out->len > 0 && out->data[out->len - 1] == ' ')
        buffer_truncate(out, out->len - 1);
}

char *cni_error_text(const char *output, size_t size, const char *errors, const char *why)
{
    struct buffer out = BUFFER_EMPTY;
    json_auto_t *json = json_loadb(output, size, 0, NULL);
    const char *message = json_string_value(json_object_get(json, "msg"));
    const char *details = json_string_value(json_object_get(json, "details"));
    if (str_empty(message)) {
        buffer_add_str(&out, why);
        if (!str_empty(errors)) {
            buffer_add_str(&out, ": ");
            add_text(&out, errors);
        }
        return buffer_take(&out);
    }
    add_text(&out, message);
    if (!str_empty(details)) {
        buffer_add_str(&out, ": ");
        add_text(&out, details);
    }
    if (json_is_integer(json_object_get(json, "code")))
        buffer_printf(&out, " (code %lld)",
                      (long long)json_integer_value(json_object_get(json, "code")));
    return buffer_take(&out);
}
