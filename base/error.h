// An error with its context. A function that can fail for a reason that a person will read takes a
// `struct error *` as its last argument (NULL is allowed), returns a negative errno, and fills the
// object once; callers on the way up add what they were doing with error_prefix(). Whoever ends the
// chain logs or shows error_message() and calls error_clear(). A function either logs or returns
// its error, never both.
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include "base/macro.h"

struct error {
    int code;      // the negative errno, 0 when no error is set
    char *message; // owned; NULL when no error is set
};

#define ERROR_NONE                                                                                 \
    {                                                                                              \
        0                                                                                          \
    }

// Sets the error (replacing an earlier one) and returns -abs(code), so that
// `return error_set(err, EINVAL, "…")` reads well.
int error_set(struct error *err, int code, const char *format, ...) _printf_(3, 4);

// As error_set(), with ": " and strerror(code) behind the message.
int error_errno(struct error *err, int code, const char *format, ...) _printf_(3, 4);

// Puts "context: " in front of the message and returns err's code (or `code` where err is NULL).
int error_prefix(struct error *err, int code, const char *format, ...) _printf_(3, 4);

// The message; "no error" when none is set. Valid until the error changes.
const char *error_message(const struct error *err);

void error_clear(struct error *err);

#define _cleanup_error_ _cleanup_(error_clear)
