#ifndef SYMBOLS_SYMBOL_COUNTERS_H
#define SYMBOLS_SYMBOL_COUNTERS_H

#include "lib/web/counters.h"

/* symbol_counters - what the symbol server counts; names and tags are those of Tecken and Eliot. */
enum symbol_counter {
    COUNT_REQUESTS_V5,
    COUNT_REQUESTS_V4,
    COUNT_API_V5_MS,
    COUNT_API_V4_MS,
    COUNT_JOBS,
    COUNT_STACKS,
    COUNT_FRAMES,
    COUNT_ERROR_BAD_JSON,
    COUNT_ERROR_INVALID_JOBS,
    COUNT_ERROR_INVALID_MODULES,
    COUNT_ERROR_INVALID_STACKS,
    COUNT_ERROR_TOO_MANY_JOBS,
    COUNT_ERROR_TOO_MANY_FRAMES,
    COUNT_REFUSED, /* 503: too many at once */
    COUNT_PARSE_MS,
    COUNT_PARSE_ERROR,
    COUNT_CACHE_HITS,
    COUNT_CACHE_MISSES,
    COUNT_CACHE_HIT_MS,
    COUNT_CACHE_MISS_MS,
    COUNT_UPLOADS,
    COUNT_UPLOADS_TRY,
    COUNT_ARCHIVE_MS, /* waiting for a place included */
    COUNT_V2_MS,
    COUNT_EXTRACT_MS, /* checking an archive */
    COUNT_FETCH_MS,
    COUNT_SESSION_MS, /* storing a file that came in pieces */
    COUNT_FILES,
    COUNT_FILES_SKIPPED,
    COUNT_UPLOAD_BYTES,     /* of archives and pieces, as they came */
    COUNT_FILE_ERRORS,      /* left out, or ended an upload */
    COUNT_EARLY_COMPRESSED, /* equal to what is stored, so neither packed nor written */
    COUNT_EARLY_UNCOMPRESSED,
    COUNT_FILE_MS, /* storing files, all of an upload together */
    COUNT_FILE_N,
    COUNT_PACK_MS, /* of these, waiting for compressed text */
    COUNT_PACK_N,
    COUNT_PUT_MS, /* making them durable, under their names */
    COUNT_PUT_N,
    COUNT_LOOK_MS, /* whether they are stored already */
    COUNT_LOOK_N,
    COUNT_DOWNLOAD_MS,
    COUNT_DOWNLOAD_N,
    COUNT_DOWNLOAD_CODE_IDS, /* looked for by code id, too */
    COUNT_SYMINFO_MS,
    COUNT_SYMINFO_N,
    COUNT_SYMINFO_CACHED, /* stays 0: the table is asked each time */
    COUNT_SYMINFO_ASKED,
    SYMBOL_COUNTER_TOTAL,
};

extern const struct counter_table symbol_counters;

/*
 * Adds a time to a row of milliseconds, and n to the row of its events, which stands behind it.
 * Parts of milliseconds are kept in this process, for look-ups take less than one.
 */
void symbol_counter_add_us(struct counters *c, enum symbol_counter row, int64_t us, uint64_t n);

#endif
