// See disk-limits.h.
#include "supervisor/disk-limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "podspec/quantity.h"

static const struct disk_limits defaults = {{.per_mille = 100}, {.per_mille = 50}};

// Those that K/eviction/api/types.go knows beside the two.
static bool is_other_signal(const char *name)
{
    static const char *const names[] = {"memory.available",      "allocatableMemory.available",
                                        "imagefs.available",     "imagefs.inodesFree",
                                        "pid.available",         "containerfs.available",
                                        "containerfs.inodesFree"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static int read_percent(const char *text, struct disk_limit *ret)
{
    char *end;
    double percent = strtod(text, &end);
    if (end == text || strcmp(end, "%") != 0 || !(percent >= 0 && percent <= 100))
        return -EINVAL;
    *ret = (struct disk_limit){.per_mille = (unsigned)(percent * 10 + 0.5)};
    return 0;
}

static int read_value(const char *text, struct disk_limit *ret)
{
    struct quantity quantity;
    if (str_ends_with(text, "%"))
        return read_percent(text, ret);
    if (quantity_parse(text, &quantity) < 0)
        return -EINVAL;
    int64_t amount = quantity_value(&quantity);
    quantity_clear(&quantity);
    if (amount < 0)
        return -EINVAL;
    *ret = (struct disk_limit){.amount = amount};
    return 0;
}

static int read_item(const char *item, struct disk_limits *limits, struct error *err)
{
    size_t n = strcspn(item, "<:");
    _cleanup_free_ char *name = xstrndup(item, n);
    const char *value = item + n + (item[n] != '\0');
    value += strspn(value, " ");
    struct disk_limit *limit = strcmp(name, "nodefs.available") == 0    ? &limits->room
                               : strcmp(name, "nodefs.inodesFree") == 0 ? &limits->inodes
                                                                        : NULL;
    struct disk_limit other;
    if (!limit && !is_other_signal(name))
        return error_set(err, EINVAL, "\"%s\" is no eviction signal", name);
    if (read_value(value, limit ? limit : &other) < 0)
        return error_set(err, EINVAL, "%s: must be a percentage or a quantity, such as 10%% or 1Gi",
                         name);
    return 0;
}

int disk_limits_read(const struct string_list *items, struct disk_limits *limits, struct error *err)
{
    for (size_t i = 0; i < items->n; i++) {
        int code = read_item(items->items[i], limits, err);
        if (code < 0)
            return code;
    }
    return 0;
}

struct disk_limits disk_limits_of(const char *text)
{
    struct disk_limits limits = defaults;
    _cleanup_error_ struct error err = ERROR_NONE;
    _cleanup_free_ char *copy = xstrdup(text);
    char *rest = copy;
    for (char *item; (item = strsep(&rest, ","));)
        if (*item && read_item(item, &limits, &err) < 0)
            error_clear(&err);
    return limits;
}

char *disk_limit_text(const struct disk_limit *limit)
{
    if (limit->amount > 0)
        return xasprintf("%lld", (long long)limit->amount);
    if (limit->per_mille % 10 == 0)
        return xasprintf("%u%%", limit->per_mille / 10);
    return xasprintf("%u.%u%%", limit->per_mille / 10, limit->per_mille % 10);
}

char *disk_limits_text(const struct disk_limits *limits)
{
    _cleanup_free_ char *room = disk_limit_text(&limits->room);
    _cleanup_free_ char *inodes = disk_limit_text(&limits->inodes);
    return xasprintf("nodefs.available<%s,nodefs.inodesFree<%s", room, inodes);
}

bool disk_limit_is_passed(const struct disk_limit *limit, bool low, uint64_t available,
                          uint64_t total)
{
    uint64_t least = limit->amount > 0 ? (uint64_t)limit->amount : total / 1000 * limit->per_mille;
    return total >= 1000 && available < (low ? least + least / 5 : least);
}
