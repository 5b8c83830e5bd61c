// What the programs say about themselves: to the journal with fields when stderr is the journal's
// (JOURNAL_STREAM), else to stderr as one line of text. Containers' output does not pass here.
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include "base/macro.h"

// syslog(3) priorities, lower is more urgent.
enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7
};

// The MESSAGE_ID of the message that tells how many did not reach the journal
// (MAINSTAY_LOST_MESSAGES, MAINSTAY_LOST_SINCE, MAINSTAY_LOST_UNTIL).
#define LOG_GAP_ID "12116963e6a04565b9ab758ae58861ee"

// Called once at the start of main. `identifier` is borrowed for good (a literal).
void log_open(const char *identifier, enum log_level most_verbose);
void log_set_level(enum log_level most_verbose);
bool log_is_journal(void); // it all goes to the journal; false: to stderr

void log_write(enum log_level level, const char *format, ...) _printf_(2, 3);

// A message with journal fields: "KEY=value" strings, NULL-terminated, shown in the journal only.
void log_write_fields(enum log_level level, const char *message, const char *const *fields);

// A journal that hangs is not waited for: tells how many messages it missed, if any, once it
// listens again. For loops to call when they are awake; the next message tells it too.
void log_flush(void);

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
