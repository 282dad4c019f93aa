/*
 * The schema of the export of public records, made of the tables that the records are made with.
 * The files of days lie on the disk and are sent by nginx (nginx/export-files.conf.in).
 */
#include "fcgi/webapp/pages.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/export/export.h"
#include "lib/json/json.h"
#include "lib/web/web.h"

/* GET /telemetry/telemetry_socorro_crash.json */
bool telemetry_schema_get(struct req *r, struct err *err)
{
    json_auto_t *schema = export_schema_json();
    resp_header(r, "Access-Control-Allow-Origin", STR("*"));
    return resp_json(r, 200, schema, err);
}
