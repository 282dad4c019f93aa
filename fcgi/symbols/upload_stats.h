#ifndef SYMBOLS_UPLOAD_STATS_H
#define SYMBOLS_UPLOAD_STATS_H

#include "lib/web/web.h"

/*
 * upload_stats - how many archives came in lately, and their bytes: of everybody for those who may
 * see all uploads, of themselves for others.
 */
enum upload_period { UPLOADS_TODAY, UPLOADS_YESTERDAY, UPLOADS_LAST_30_DAYS, UPLOAD_PERIODS };

struct upload_stats {
    struct {
        int64_t count, bytes;
    } of[UPLOAD_PERIODS];
};

bool upload_stats_load(struct req *r, struct upload_stats *ret, struct err *err);

/* GET /api/stats/ */
web_handler api_stats_get;

#endif
