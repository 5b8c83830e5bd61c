// See etcd-print.h.
#include "cli/etcd-print.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/string-list.h"
#include "cli/term.h"
#include "podspec/podspec.h"

void etcd_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *text = xvasprintf(format, args);
    va_end(args);
    _cleanup_free_ char *safe = term_safe(text);
    puts(safe);
    fflush(stdout); // it may be followed by an error, on another channel
}

void etcd_print_json(json_t *value, const char *format)
{
    _cleanup_buffer_ struct buffer text = BUFFER_EMPTY;
    if (str_equal(format, "yaml")) {
        json_to_yaml(value, &text);
        fputs(buffer_str(&text), stdout);
    } else {
        json_dumpf(value, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(value);
}

static json_t *texts(const struct string_list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(array, json_string(list->items[i]));
    return array;
}

json_t *etcd_member_json(const struct etcd_member *member)
{
    char id[24];
    snprintf(id, sizeof(id), "%" PRIx64, (uint64_t)member->id);
    return json_pack("{s:s,s:s,s:b,s:o,s:o}", "id", id, "name", member->name, "learner",
                     member->is_learner, "peerURLs", texts(&member->peer_urls), "clientURLs",
                     texts(&member->client_urls));
}

char *etcd_size_text(int64_t bytes, char *buf)
{
    enum { STEP = 1024, ONE_DIGIT_BELOW = 10 };
    static const char *const units[] = {"B", "Ki", "Mi", "Gi"};
    double amount = (double)bytes;
    size_t unit = 0;
    for (; amount >= STEP && unit + 1 < ARRAY_SIZE(units); unit++)
        amount /= STEP;
    snprintf(buf, ETCD_SIZE_SIZE, unit > 0 && amount < ONE_DIGIT_BELOW ? "%.1f%s" : "%.0f%s",
             amount, units[unit]);
    return buf;
}
