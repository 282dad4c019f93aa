/*
 * One line of JSON per event on standard error, written with one write(2): lines of many workers
 * that share the descriptor do not mix, as long as they are shorter than a pipe takes at once or go
 * to a file.  Whatever the values are, a line is valid JSON: control characters and the two line
 * separators of Unicode are escaped, broken UTF-8 becomes U+FFFD, and a line that grows beyond its
 * maximum is replaced by one that says so.
 */
#include "lib/base/log.h"

#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "lib/base/time.h"
#include "lib/base/util.h"

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* The one state besides the flags of signals that belongs to no struct (style: no globals). */
static struct {
    const char *program;
    enum log_level level;
} sink = {.program = "datil", .level = LOG_INFO};

/* More than any line of ours; what makes it longer is a value of a stranger. */
enum { LINE_MAX_BYTES = 32 << 10 };

void log_init(const char *program, const char *level)
{
    sink.program = program;
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (level && strcasecmp(level, level_names[i]) == 0)
            sink.level = (enum log_level)i;
}

bool log_enabled(enum log_level level)
{
    return level <= sink.level;
}

void log_json_string(struct strbuf *b, struct str s)
{
    sb_char(b, '"');
    size_t off = 0;
    while (off < s.n) {
        char out[4];
        uint32_t cp = utf8_next(s, &off);
        if (cp == '"' || cp == '\\')
            sb_printf(b, "\\%c", (char)cp);
        else if (cp < 0x20 || cp == 0x7f || cp == 0x2028 || cp == 0x2029)
            sb_printf(b, "\\u%04x", (unsigned)cp);
        else
            sb_put(b, out, utf8_put(out, cp));
    }
    sb_char(b, '"');
}

void log_write(enum log_level level, const char *event, const char *msg,
               const struct log_field *fields)
{
    if (!log_enabled(level))
        return;
    STRBUF_AUTO b;
    sb_init(&b, LINE_MAX_BYTES);
    char when[TIME_TEXT_MAX];
    time_rfc3339_ms(now_us(), when);
    sb_printf(
        &b,
        "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%d,\"event\":\"%s\",\"msg\":",
        when, level_names[level], sink.program, (int)getpid(), event);
    log_json_string(&b, str_of(msg));
    for (const struct log_field *f = fields; f->key; f++) {
        sb_printf(&b, ",\"%s\":", f->key);
        if (f->kind == LOG_INT)
            sb_printf(&b, "%lld", (long long)f->i);
        else
            log_json_string(&b, f->s);
    }
    if (b.overflow) { /* a line that was cut is not JSON: say only that */
        sb_reset(&b);
        sb_printf(&b,
                  "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"event\":\"%s\",\"msg\":"
                  "\"log line too long\"",
                  when, level_names[level], sink.program, event);
    }
    sb_text(&b, "}\n");
    ssize_t unused = write(STDERR_FILENO, sb_cstr(&b), b.n);
    (void)unused; /* nobody is left to tell */
}
