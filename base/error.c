// See error.h.
#include "base/error.h"

#include <string.h>

#include "base/alloc.h"

static int negative(int code)
{
    return code > 0 ? -code : code;
}

static int error_take(struct error *err, int code, char *message)
{
    if (!err) {
        free(message);
        return negative(code);
    }
    free(err->message);
    err->message = message;
    err->code = negative(code);
    return err->code;
}

int error_set(struct error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *message = xvasprintf(format, args);
    va_end(args);
    return error_take(err, code, message);
}

int error_errno(struct error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *what = xvasprintf(format, args);
    va_end(args);
    return error_take(err, code, xasprintf("%s: %s", what, strerror(-negative(code))));
}

int error_prefix(struct error *err, int code, const char *format, ...)
{
    if (!err)
        return negative(code);
    va_list args;
    va_start(args, format);
    _cleanup_free_ char *context = xvasprintf(format, args);
    va_end(args);
    int kept = err->code ? err->code : negative(code);
    const char *inner = err->message ? err->message : strerror(-kept);
    return error_take(err, kept, xasprintf("%s: %s", context, inner));
}

const char *error_message(const struct error *err)
{
    return err && err->message ? err->message : "no error";
}

void error_clear(struct error *err)
{
    free(err->message);
    err->message = NULL;
    err->code = 0;
}
