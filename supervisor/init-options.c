// The flags of process 1, found without what reads the others (see init.h).
#include <string.h>

#include "base/macro.h"
#include "base/monotime.h"
#include "base/string-list.h"
#include "base/time-format.h"
#include "supervisor/init.h"

static const char *const kinds[] = {
    [INIT_AUTO] = "auto", [INIT_CONTAINER] = "container", [INIT_MACHINE] = "machine"};

bool init_kind_from_name(const char *name, enum init_kind *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (strcmp(kinds[i], name) == 0) {
            *ret = (enum init_kind)i;
            return true;
        }
    }
    return false;
}

const char *init_kind_name(enum init_kind kind)
{
    return kinds[kind];
}

// "--name" or "--name=…", '_' for '-' as anywhere. NULL, or what follows the name.
static const char *after_name(const char *argument, const char *name)
{
    for (; *name; name++, argument++)
        if (*argument != *name && !(*name == '-' && *argument == '_'))
            return NULL;
    return *argument == '\0' || *argument == '=' ? argument : NULL;
}

static const char *value_of(char *const *argv, const char *rest)
{
    const char *value = *rest == '=' ? rest + 1 : argv[1];
    return value ? value : "";
}

// As strconv.ParseBool, by which the agent reads it.
static bool is_yes(const char *rest)
{
    return *rest == '\0' || strchr("1tT", rest[1]) != NULL;
}

bool init_options_read(int argc, char *const *argv, struct init_options *ret)
{
    bool asked = false;
    *ret = (struct init_options){.watchdog_usec = INIT_WATCHDOG_SEC * USEC_PER_SEC};
    for (int i = 1; i < argc; i++) {
        const char *rest;
        int64_t nsec;
        if ((rest = after_name(argv[i], "--init")))
            asked = is_yes(rest);
        else if ((rest = after_name(argv[i], "--init-as")))
            (void)init_kind_from_name(value_of(argv + i, rest), &ret->kind);
        else if ((rest = after_name(argv[i], "--init-watchdog")) &&
                 duration_parse(value_of(argv + i, rest), &nsec) == 0 && nsec >= NSEC_PER_USEC)
            ret->watchdog_usec = nsec / NSEC_PER_USEC;
    }
    return asked;
}
