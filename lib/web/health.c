/* The parts of health checks that do not differ between programs. */
#include "lib/web/health.h"

#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/db/db.h"
#include "queries.h"

/*
 * The reason goes to the log under one name of event for all programs, so one alert finds them all.
 */
bool health_holds(struct req *req, const struct health_check *check, struct err *ret_why)
{
    *ret_why = (struct err){0};
    if (check->holds(req, ret_why))
        return true;
    log_event(LOG_ERROR, "heartbeat_failed", "a part this program needs does not answer",
              LOG_S("component", check->name), LOG_E(ret_why));
    return false;
}

/* The smallest statement there is: that the database answers, and not how fast. */
bool health_database(struct req *req, struct err *err)
{
    DB_ROWS rows = {0};
    return DB_RUN(req_db(req), &q_db_ping, &rows, err);
}
