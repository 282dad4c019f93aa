#include <stdio.h>

#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/app.h"
#include "fcgi/webapp/pages.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/crash/reduce.h"

/*
 * Single crashes for programs.  Everything passes the reducer unless the reader holds the
 * permission for the whole document.
 */
enum { DOCUMENT_MAX = 64 << 20, NAME_MAX_BYTES = 30 };

/* False: answered. */
static bool wanted_crash(struct req *r, char id[CRASH_ID_SIZE])
{
    struct str text;
    if (!answer_required(r, "crash_id", &text))
        return false;
    if (crash_id_parse(text, id))
        return true;
    answer_error(r, 400, "Bad request: BadArgumentError: Bad value for parameter(s) 'crash_id'");
    return false;
}

static bool not_found(struct req *r, const char *id)
{
    return answer_error(r, 404, "Not found: CrashIDNotFound %s", id);
}

/* NULL with *ret_missing: not there. */
static json_t *load(struct req *r, const char *id, const char *kind, bool *ret_missing,
                    struct err *err)
{
    json_t *doc = store_get_json(app_of(r)->store, id, kind, DOCUMENT_MAX, err);
    *ret_missing = !doc && err->code == ERR_NOT_FOUND;
    return doc;
}

/* GET /api/ProcessedCrash/?crash_id= */
bool api_processed_crash_get(struct req *r, struct err *err)
{
    char id[CRASH_ID_SIZE];
    bool missing = false;
    if (!wanted_crash(r, id))
        return true;
    json_auto_t *doc = load(r, id, "processed_crash", &missing, err);
    if (!doc)
        return missing && not_found(r, id);
    resp_header(r, "Cache-Control", STR("private, no-store"));
    if (app_reader(r) == PERM_PROTECTED)
        return answer_json(r, 200, doc, err);
    json_auto_t *open = reduce_processed(app_fields(r), doc, PERM_PUBLIC, NULL);
    return answer_json(r, 200, open, err);
}

static bool answer_annotations(struct req *r, const char *id, struct err *err)
{
    bool missing = false;
    json_auto_t *raw = load(r, id, "raw_crash", &missing, err);
    if (!raw)
        return missing && not_found(r, id);
    resp_header(r, "Cache-Control", STR("private, no-store"));
    json_auto_t *open = reduce_raw(app_fields(r), raw, app_reader(r), NULL);
    return answer_json(r, 200, open, err);
}

/* Letters, digits and underscore, as the collector leaves them. */
static bool is_file_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!isalnum((unsigned char)name.p[i]) && name.p[i] != '_')
            return false;
    return name.n > 0 && name.n <= NAME_MAX_BYTES;
}

static const char *download_name(struct arena *a, const char *id, struct str name)
{
    if (str_eq(name, STR("memory_report")))
        return "memory_report.json.gz";
    if (str_eq(name, STR("upload_file_minidump")))
        return arena_printf(a, "%s.dmp", id);
    return arena_printf(a, "%s-" STR_FMT ".dmp", id, STR_ARG(name));
}

static bool is_listed(struct req *r, const char *id, struct str name, bool *ret, struct err *err)
{
    struct strs names = {0};
    if (!store_dump_names(app_of(r)->store, req_arena(r), id, &names, err))
        return false;
    *ret = false;
    for (size_t i = 0; i < names.n; i++)
        *ret = *ret || str_eq(names.v[i], name);
    return true;
}

static bool answer_file(struct req *r, const char *id, struct err *err)
{
    struct arena *a = req_arena(r);
    struct str name = req_param(r, "name");
    bool listed = false;
    int fd;
    if (!req_may(r, "view_rawdump"))
        return answer_error(r, 403, "Binary response requires permissions: View Raw Dumps");
    if (name.n == 0 || str_eq(name, STR("dump")))
        name = STR("upload_file_minidump");
    if (!is_file_name(name))
        return answer_error(r, 400,
                            "Bad request: BadArgumentError: Bad value for parameter(s) 'name'");
    if (!is_listed(r, id, name, &listed, err))
        return err->code == ERR_NOT_FOUND && not_found(r, id);
    /* Only files that came with the report: never one of our own documents by its name. */
    if (!listed || !store_open_fd(app_of(r)->store, id, str_adup(a, name), &fd, err))
        return (!listed || err->code == ERR_NOT_FOUND) && not_found(r, id);
    app_audit(r, "crash", id, "download", str_adup(a, name));
    resp_header(r, "Content-Disposition",
                str_of(arena_printf(a, "attachment; filename=\"%s\"", download_name(a, id, name))));
    resp_header(r, "Cache-Control", STR("private, no-store"));
    return resp_file(r, 200, "application/octet-stream", fd, err);
}

/* GET /api/RawCrash/?crash_id=&format=meta|raw&name= */
bool api_raw_crash_get(struct req *r, struct err *err)
{
    char id[CRASH_ID_SIZE];
    struct str format = req_param(r, "format");
    if (!wanted_crash(r, id))
        return true;
    if (format.n == 0 || str_eq(format, STR("meta")))
        return answer_annotations(r, id, err);
    if (str_eq(format, STR("raw")))
        return answer_file(r, id, err);
    return answer_error(r, 400,
                        "Bad request: BadArgumentError: Bad value for parameter(s) 'format'");
}

/* GET /api/CrashVerify/?crash_id=: which parts are stored. */
bool api_crash_verify_get(struct req *r, struct err *err)
{
    char id[CRASH_ID_SIZE];
    struct app *app = app_of(r);
    struct index_reader *index = NULL;
    bool indexed = false;
    struct str text;
    if (!answer_required(r, "crash_id", &text))
        return true;
    if (!crash_id_parse(text, id))
        return answer_error(r, 400, "unknown crash id");
    if (!app_index(app, &index, err) || !index_has(index, id, &indexed, err))
        return err_wrap(err, "asking the index");
    json_auto_t *body = json_object();
    jset_cstr(body, "uuid", id);
    jset_bool(body, "raw_crash", store_exists(app->store, id, "raw_crash"));
    jset_bool(body, "processed_crash", store_exists(app->store, id, "processed_crash"));
    jset_bool(body, "elasticsearch_crash", indexed);
    jset_bool(body, "telemetry_crash", store_exists(app->store, id, "crash_report"));
    return answer_json(r, 200, body, err);
}
