/*
 * Single crashes for programs.  Everything passes the reducer unless the reader holds the
 * permission for the whole document; files are behind a permission of their own (view_rawdump),
 * because memory of a crashed program may hold anything.  Nothing from here may be kept by browsers
 * or servers between (no-store): who may see it changes with the token.
 *
 * Names of parameters, texts and status codes are those that clients of Crash Stats know, which are
 * pointed at us by changing an address: CrashIDNotFound, "meta" and "raw", elasticsearch_crash.
 */
#include <stdio.h>

#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/pages.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/crash/reduce.h"
#include "lib/json/json.h"
#include "lib/search/index.h"
#include "lib/store/store.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "lib/export/export.h"
#include "lib/base/conf.h"

/*
 * DOCUMENT_MAX bounds what a worker holds of one document.  NAME_MAX_BYTES is that of
 * lib/store/store.h: the collector cuts names of files to it.
 */
enum { DOCUMENT_MAX = 64 << 20, NAME_MAX_BYTES = 30 };

static const struct param_spec crash_id = {"crash_id", PARAM_CRASH_ID, PARAM_REQUIRED,
                                           .refusal = API_BAD_VALUE("crash_id"),
                                           .help = "Crash id"};
const struct param_spec *const api_processed_crash_params[] = {&crash_id, NULL};

enum { FORMAT_META, FORMAT_RAW };
static const struct param_choice formats[] = {
    [FORMAT_META] = {"meta", NULL}, [FORMAT_RAW] = {"raw", NULL}, {0}};
static const struct param_spec format = {
    "format", PARAM_CHOICE, .choices = formats, .refusal = API_BAD_VALUE("format"),
    .help = "meta (default) or raw; raw needs the permission View Raw Dumps"};
/* Which names there may be is looked at by hand: who may not have files is told so first. */
static const struct param_spec file_name = {
    "name", PARAM_TEXT, .fallback = "upload_file_minidump",
    .help = "With raw: name of the file, default upload_file_minidump"};
const struct param_spec *const api_raw_crash_params[] = {&crash_id, &format, &file_name, NULL};

static const struct param_spec verified_id = {"crash_id", PARAM_CRASH_ID, PARAM_REQUIRED,
                                              .refusal = "unknown crash id", .help = "Crash id"};
const struct param_spec *const api_crash_verify_params[] = {&verified_id, NULL};

static bool not_found(struct req *r, const char *id)
{
    return answer_error(r, 404, "Not found: CrashIDNotFound %s", id);
}

/*
 * NULL with *ret_missing: not there, which is a 404 with the id in it; any other failure is ours.
 */
static json_t *stored_document(struct req *r, const char *id, const char *kind, bool *ret_missing,
                               struct err *err)
{
    json_t *doc = store_get_json(app_of(r)->store, id, kind, DOCUMENT_MAX, err);
    *ret_missing = !doc && err->code == ERR_NOT_FOUND;
    return doc;
}

/*
 * GET /api/ProcessedCrash/?crash_id=.  The document as it is stored for those with view_pii; what
 * the field table calls public for everybody else.
 */
bool api_processed_crash_get(struct req *r, struct err *err)
{
    const char *id = req_crash_id(r, &crash_id);
    bool missing = false;
    json_auto_t *doc = stored_document(r, id, "processed_crash", &missing, err);
    if (!doc)
        return missing && not_found(r, id);
    resp_header(r, "Cache-Control", STR("private, no-store"));
    if (app_reader(r) == PERM_PROTECTED)
        return answer_json(r, 200, doc, err);
    json_auto_t *open = reduce_processed(app_fields(r), doc, PERM_PUBLIC, NULL);
    return answer_json(r, 200, open, err);
}

/*
 * format=meta.  The public gets the annotations that the field table calls public; an annotation
 * that nobody described is protected, so only those with view_pii get everything.
 */
static bool answer_annotations(struct req *r, const char *id, struct err *err)
{
    bool missing = false;
    json_auto_t *raw = stored_document(r, id, "raw_crash", &missing, err);
    if (!raw)
        return missing && not_found(r, id);
    resp_header(r, "Cache-Control", STR("private, no-store"));
    json_auto_t *open = reduce_raw(app_fields(r), raw, app_reader(r), NULL);
    return answer_json(r, 200, open, err);
}

/*
 * Letters, digits and underscore, as the collector leaves them.  The name becomes a path in the
 * store: no dot and no slash gets that far.
 */
static bool is_file_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!isalnum((unsigned char)name.p[i]) && name.p[i] != '_')
            return false;
    return name.n > 0 && name.n <= NAME_MAX_BYTES;
}

/*
 * What a browser saves it as.  Debuggers go by ".dmp", and a memory report is stored as it was
 * sent, compressed JSON.
 */
static const char *download_name(struct arena *a, const char *id, struct str name)
{
    if (str_eq(name, STR("memory_report")))
        return "memory_report.json.gz";
    if (str_eq(name, STR("upload_file_minidump")))
        return arena_printf(a, "%s.dmp", id);
    return arena_printf(a, "%s-" STR_FMT ".dmp", id, STR_ARG(name));
}

/* Whether the report came with a file of that name, by the list that was stored beside it. */
static bool is_listed(struct req *r, const char *id, struct str name, bool *ret, struct err *err)
{
    struct strs names = {0};
    if (!store_dump_names(app_of(r)->store, req_arena(r), id, &names, err))
        return false;
    *ret = strs_have(names, name);
    return true;
}

/*
 * format=raw.  The permission is asked for first, before anything is looked up: who lacks it is
 * told so whatever the name is.  Each download is audited before the bytes leave.
 */
static bool answer_file(struct req *r, const char *id, struct err *err)
{
    struct arena *a = req_arena(r);
    struct str name = req_text(r, &file_name);
    bool listed = false;
    int fd;
    if (!req_may(r, "view_rawdump"))
        return answer_error(r, 403, "Binary response requires permissions: View Raw Dumps");
    if (str_eq(name, STR("dump"))) /* as clients of older collectors call it */
        name = str_of(file_name.fallback);
    if (!is_file_name(name))
        return answer_error(r, 400, API_BAD_VALUE("name"));
    if (!is_listed(r, id, name, &listed, err))
        return err->code == ERR_NOT_FOUND && not_found(r, id);
    /* Only files that came with the report: never one of our own documents by its name. */
    if (!listed || !store_open_fd(app_of(r)->store, id, str_adup(a, name), &fd, err))
        return (!listed || err->code == ERR_NOT_FOUND) && not_found(r, id);
    site_audit(r, "crash", id, "download", str_adup(a, name));
    resp_header(r, "Content-Disposition",
                str_of(arena_printf(a, "attachment; filename=\"%s\"", download_name(a, id, name))));
    resp_header(r, "Cache-Control", STR("private, no-store"));
    return resp_file(r, 200, "application/octet-stream", fd, err);
}

/* GET /api/RawCrash/?crash_id=&format=meta|raw&name=. */
bool api_raw_crash_get(struct req *r, struct err *err)
{
    const char *id = req_crash_id(r, &crash_id);
    return req_choice(r, &format) == FORMAT_RAW ? answer_file(r, id, err)
                                                : answer_annotations(r, id, err);
}

/*
 * GET /api/CrashVerify/?crash_id=: which parts are stored.  For scripts that look for losses: each
 * part is asked for where it lies, so the answer shows at which step a report stopped.  The index
 * is called elasticsearch_crash, as those scripts know it.
 */
bool api_crash_verify_get(struct req *r, struct err *err)
{
    const char *id = req_crash_id(r, &verified_id);
    struct webapp *app = app_of(r);
    struct index_reader *index = NULL;
    bool indexed = false;
    if (!app_index(app, &index, err) || !index_has(index, id, &indexed, err))
        return err_wrap(err, "asking the index");
    /* A record of its own, until the files of its day are made. */
    bool exported = store_exists(app->store, id, "crash_report");
    if (!exported && !export_has(conf_text(req_conf(r), CONF_DATIL_VAR), id, &exported, err))
        return err_wrap(err, "looking into the export");
    json_auto_t *body = json_object();
    jset_cstr(body, "uuid", id);
    jset_bool(body, "raw_crash", store_exists(app->store, id, "raw_crash"));
    jset_bool(body, "processed_crash", store_exists(app->store, id, "processed_crash"));
    jset_bool(body, "elasticsearch_crash", indexed);
    jset_bool(body, "telemetry_crash", exported);
    return answer_json(r, 200, body, err);
}
