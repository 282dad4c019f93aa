/*
 * GET /api/CrashPing/?document_id=: one crash ping, for everybody, since nothing of a person is in
 * it (docs/crash-pings.md).  The database puts the document together; here its id is checked.
 */
#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/pages.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/ping/ping.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"
#include "queries.h"

static const struct param_spec document_id = {"document_id", PARAM_TEXT,
                                              .help = "Id of the ping, a UUID"};
const struct param_spec *const api_crash_ping_params[] = {&document_id, NULL};

bool api_crash_ping_get(struct req *r, struct err *err)
{
    char id[PING_ID_SIZE];
    DB_ROWS rows = {0};
    if (!ping_id_read(req_text(r, &document_id), id)) {
        json_auto_t *refusal =
            json_pack("{s:{s:[s]}}", "errors", "document_id", "Enter a valid UUID.");
        return answer_json(r, 400, refusal, err);
    }
    if (!DB_RUN(req_db(r), &q_ping_show, &rows, err, id))
        return err_wrap(err, "looking for a ping");
    if (rows.count == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no ping with this id");
    json_auto_t *body = jparse(str_of(db_col(&rows, 0, Q_PING_SHOW_COL_BODY)), JSON_BYTES_MAX, err);
    return body && answer_json(r, 200, body, err);
}
