/*
 * The table of what the symbol server counts.  Timings are sums of milliseconds, with a count of
 * their events beside them.
 */
#include "fcgi/symbols/symbol_counters.h"

/* clang-format off */
#define SYMBOLICATE "symbolicate."
static const struct counter_row rows[SYMBOL_COUNTER_TOTAL] = {
    [COUNT_REQUESTS_V5] = {SYMBOLICATE "request", "version:v5", "c"},
    [COUNT_REQUESTS_V4] = {SYMBOLICATE "request", "version:v4", "c"},
    [COUNT_API_V5_MS] = {SYMBOLICATE "api", "version:v5", "ms"},
    [COUNT_API_V4_MS] = {SYMBOLICATE "api", "version:v4", "ms"},
    [COUNT_JOBS] = {SYMBOLICATE "jobs_count", NULL, "h"},
    [COUNT_STACKS] = {SYMBOLICATE "stacks_count", NULL, "h"},
    [COUNT_FRAMES] = {SYMBOLICATE "frames_count", NULL, "h"},
    [COUNT_ERROR_BAD_JSON] = {SYMBOLICATE "request_error", "reason:bad_json", "c"},
    [COUNT_ERROR_INVALID_JOBS] = {SYMBOLICATE "request_error", "reason:invalid_jobs", "c"},
    [COUNT_ERROR_INVALID_MODULES] = {SYMBOLICATE "request_error", "reason:invalid_modules", "c"},
    [COUNT_ERROR_INVALID_STACKS] = {SYMBOLICATE "request_error", "reason:invalid_stacks", "c"},
    [COUNT_ERROR_TOO_MANY_JOBS] = {SYMBOLICATE "request_error", "reason:too_many_jobs", "c"},
    [COUNT_ERROR_TOO_MANY_FRAMES] = {SYMBOLICATE "request_error", "reason:too_many_frames", "c"},
    [COUNT_REFUSED] = {SYMBOLICATE "request_refused", NULL, "c"},
    [COUNT_PARSE_MS] = {SYMBOLICATE "parse_sym_file.parse", NULL, "ms"},
    [COUNT_PARSE_ERROR] = {SYMBOLICATE "parse_sym_file.error", "reason:sym_malformed", "c"},
    [COUNT_CACHE_HITS] = {"diskcache.get.count", "result:hit", "c"},
    [COUNT_CACHE_MISSES] = {"diskcache.get.count", "result:miss", "c"},
    [COUNT_CACHE_HIT_MS] = {"diskcache.get", "result:hit", "ms"},
    [COUNT_CACHE_MISS_MS] = {"diskcache.get", "result:miss", "ms"},
};
/* clang-format on */

const struct counter_table symbol_counters = {"symbolication.", rows, SYMBOL_COUNTER_TOTAL};
