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
    COUNT_UPLOAD_BYTES, /* of archives and pieces, as they came */
    SYMBOL_COUNTER_TOTAL,
};

extern const struct counter_table symbol_counters;

#endif
