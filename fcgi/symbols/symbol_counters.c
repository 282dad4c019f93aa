/*
 * The table of what the symbol server counts.  Timings are sums of milliseconds, with a count of
 * their events beside them.
 */
#include "fcgi/symbols/symbol_counters.h"

/* clang-format off */
#define SYMBOLICATE "symbolication.symbolicate."
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
    [COUNT_CACHE_HITS] = {"symbolication.diskcache.get.count", "result:hit", "c"},
    [COUNT_CACHE_MISSES] = {"symbolication.diskcache.get.count", "result:miss", "c"},
    [COUNT_CACHE_HIT_MS] = {"symbolication.diskcache.get", "result:hit", "ms"},
    [COUNT_CACHE_MISS_MS] = {"symbolication.diskcache.get", "result:miss", "ms"},
    [COUNT_UPLOADS] = {"symbols.upload_uploads", "try:False", "c"},
    [COUNT_UPLOADS_TRY] = {"symbols.upload_uploads", "try:True", "c"},
    [COUNT_ARCHIVE_MS] = {"symbols.upload_archive", NULL, "ms"},
    [COUNT_V2_MS] = {"symbols.upload_v2", NULL, "ms"},
    [COUNT_EXTRACT_MS] = {"symbols.upload_dump_and_extract", NULL, "ms"},
    [COUNT_FETCH_MS] = {"symbols.upload_download_by_url", NULL, "ms"},
    [COUNT_SESSION_MS] = {"symbols.upload_session", NULL, "ms"},
    [COUNT_FILES] = {"symbols.upload_file_upload_upload", NULL, "c"},
    [COUNT_FILES_SKIPPED] = {"symbols.upload_file_upload_skip", NULL, "c"},
    [COUNT_UPLOAD_BYTES] = {"symbols.upload_bytes", NULL, "h"},
};
/* clang-format on */

const struct counter_table symbol_counters = {"", rows, SYMBOL_COUNTER_TOTAL};
