#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * log - one JSON object per line on standard error.
 *
 *     log_event(LOG_INFO, "crash_accepted", "accepted", LOG_S("crash_id", id),
 *               LOG_I("duration_ms", ms));
 *
 * Fields     time, level, program, pid, event (a fixed word), msg, then the given
 *            ones.  Never: annotation values other than product and package
 *            names, addresses of people, tokens, dump content, report URLs.
 * Trust      Values are escaped; control characters cannot break the line.
 * Threads    Each line is one write(2).  The sink is one of the two allowed
 *            global states.
 */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_field {
    const char *key; /* NULL ends the list */
    enum { LOG_STR, LOG_INT } kind;
    struct str s;
    int64_t i;
};

#define LOG_S(key_, cstr) ((struct log_field){.key = (key_), .kind = LOG_STR, .s = str_of(cstr)})
#define LOG_V(key_, str_) ((struct log_field){.key = (key_), .kind = LOG_STR, .s = (str_)})
#define LOG_I(key_, num)  ((struct log_field){.key = (key_), .kind = LOG_INT, .i = (num)})
#define LOG_E(err_)       LOG_S("error", (err_)->msg)

/* Call once at start; level is one of error, warn, info, debug (any case). */
void log_init(const char *program, const char *level);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *event, const char *msg,
               const struct log_field *fields);

/* The first element only gives the comma something to stand behind. */
#define log_event(level, event, msg, ...)                                                          \
    log_write((level), (event), (msg),                                                             \
              &((const struct log_field[]){{.key = ""}, ##__VA_ARGS__, {.key = NULL}})[1])

/* Appends s as a JSON string with quotes; invalid UTF-8 becomes U+FFFD. */
void log_json_string(struct strbuf *b, struct str s);

#endif
