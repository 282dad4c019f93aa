/*
 * The table of what the symbol server counts.  Timings are sums of milliseconds, with a count of
 * their events beside them.  What a batch does for all its files together, such as waiting for the
 * disk, is one time for as many events: sum by count is what a file costs.
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
    [COUNT_FILE_ERRORS] = {"symbols.upload_file_upload_error", NULL, "c"},
    [COUNT_EARLY_COMPRESSED] = {"symbols.upload_skip_early_compressed", NULL, "c"},
    [COUNT_EARLY_UNCOMPRESSED] = {"symbols.upload_skip_early_uncompressed", NULL, "c"},
    [COUNT_FILE_MS] = {"symbols.upload_file_upload", NULL, "ms"},
    [COUNT_FILE_N] = {"symbols.upload_file_upload.count", NULL, "c"},
    [COUNT_PACK_MS] = {"symbols.upload_gzip_payload", NULL, "ms"},
    [COUNT_PACK_N] = {"symbols.upload_gzip_payload.count", NULL, "c"},
    [COUNT_PUT_MS] = {"symbols.upload_put_object", NULL, "ms"},
    [COUNT_PUT_N] = {"symbols.upload_put_object.count", NULL, "c"},
    [COUNT_LOOK_MS] = {"symbols.upload_file_exists", NULL, "ms"},
    [COUNT_LOOK_N] = {"symbols.upload_file_exists.count", NULL, "c"},
    [COUNT_DOWNLOAD_MS] = {"symbols.download_symbol", NULL, "ms"},
    [COUNT_DOWNLOAD_N] = {"symbols.download_symbol.count", NULL, "c"},
    [COUNT_DOWNLOAD_CODE_IDS] = {"symbols.download_symbol_code_id_lookup", NULL, "c"},
    [COUNT_SYMINFO_MS] = {"symbols.syminfo.lookup.timing", NULL, "ms"},
    [COUNT_SYMINFO_N] = {"symbols.syminfo.lookup.timing.count", NULL, "c"},
    [COUNT_SYMINFO_CACHED] = {"symbols.syminfo.lookup.cached", "result:true", "c"},
    [COUNT_SYMINFO_ASKED] = {"symbols.syminfo.lookup.cached", "result:false", "c"},
};
/* clang-format on */

const struct counter_table symbol_counters = {"", rows, SYMBOL_COUNTER_TOTAL};

void symbol_counter_add_us(struct counters *c, enum symbol_counter row, int64_t us, uint64_t n)
{
    enum { US_OF_MS = 1000 };
    static int64_t rest_us[SYMBOL_COUNTER_TOTAL];
    if (n == 0)
        return;
    rest_us[row] += us;
    counter_add(c, row, (uint64_t)(rest_us[row] / US_OF_MS), NULL);
    rest_us[row] %= US_OF_MS;
    counter_add(c, row + 1, n, NULL);
}
