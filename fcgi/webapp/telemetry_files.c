/*
 * Downloads of the export of public records: files of days as they are on disk, and the schema,
 * which is made of the tables that the records are made with.
 */
#include "fcgi/webapp/pages.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/export/export.h"
#include "lib/web/web.h"

/* GET /telemetry/… */
bool telemetry_file_get(struct req *r, struct err *err)
{
    int fd;
    struct str rest = req_path_rest(r);
    resp_header(r, "Access-Control-Allow-Origin", STR("*"));
    if (str_eq(rest, STR("telemetry_socorro_crash.json"))) {
        json_auto_t *schema = export_schema_json();
        return resp_json(r, 200, schema, err);
    }
    return export_open(conf_text(req_conf(r), CONF_DATIL_VAR), rest, &fd, err) &&
           resp_file(r, 200, str_ends(rest, STR(".gz")) ? "application/gzip" : "application/json",
                     fd, err);
}
