/*
 * POST /upload/ and the form of /uploads/upload: an archive of symbols comes in.  Who sends it is
 * looked at before the body is read, the body lies in a nameless file, and all of the archive has
 * gone through the sandboxed reader before the first file of it is stored; an upload that was
 * interrupted can be sent again.
 *
 * Clients are scripts of build machines, which have one chance and a log that somebody reads a week
 * later. So each refusal says what to do, nothing is kept of an archive that was refused as a
 * whole, and one that was taken says which of its files were there already. A worker that is killed
 * leaves a row without completed_at; its file had no name, and what was stored stays, because it is
 * whole.
 */
#include "fcgi/symbols/upload_archive.h"

#include "fcgi/symbols/symbol_server.h"
#include "fcgi/symbols/upload.h"
#include "fcgi/symbols/upload_body.h"
#include "fcgi/symbols/upload_url.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/symfile/symadd.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symreader.h"
#include "lib/symfile/symstore.h"
#include "lib/symfile/symzip.h"
#include "lib/web/web.h"
#include "queries.h"

struct upload {
    struct req *req;
    struct symbol_server *symbols;
    struct arena *arena;
    const struct upload_body *body;
    enum symstore_area area;
    const char *id; /* of the row */
    int64_t created_us, completed_us;
    struct symreader_list list;
    struct symadd add;
    struct strs skipped, ignored;
    json_t *warnings, *derived; /* owned */
};

/* Empty is as absent; the words for no ask for the regular area; anything else is yes. */
static bool choose_area(struct req *req, struct str field, enum symstore_area *ret, struct err *err)
{
    bool may_regular = req_may(req, "upload_symbols");
    bool is_no = str_eq(field, STR("0")) || str_eq_nocase(field, STR("false")) ||
                 str_eq_nocase(field, STR("no"));
    if (is_no && !may_regular)
        return err_set(err, ERR_FORBIDDEN, "Forbidden");
    *ret = field.n == 0 ? upload_default_area(req) : is_no ? SYMSTORE_REGULAR : SYMSTORE_TRY;
    return true;
}

static bool check_body(const struct upload_body *b, struct err *err)
{
    if (!b->has_file && b->url.n == 0)
        return err_set(err, ERR_INVALID, "Must be multipart form data with at least one file");
    struct str name = b->archive_name;
    size_t dot = str_rfind_char(name, '.');
    struct str extension = dot == SIZE_MAX ? STR("") : str_sub(name, dot, SIZE_MAX);
    if (!str_eq_nocase(extension, STR(".zip")))
        return err_set(err, ERR_INVALID, "Unrecognized archive file extension \"" STR_FMT "\"",
                       STR_ARG(extension));
    return true;
}

static const char *content_hash(struct arena *a, const struct symreader_list *list)
{
    size_t n = list->members.n;
    struct upload_entry *entries = arena_array(a, n + 1, sizeof *entries);
    for (size_t i = 0; i < n; i++)
        entries[i] =
            (struct upload_entry){.name = list->members.v[i].name, .size = list->members.v[i].size};
    return upload_content_hash(a, entries, n);
}

/* The row comes when the archive is known to be whole and before anything of it is stored; so a
 * refused archive leaves nothing, and one that broke off later shows as an upload that is not
 * complete. */
static bool add_row(void *arg, struct err *err)
{
    struct upload *u = arg;
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(u->req), &q_symbol_upload_add, &rows, err,
                db_int(u->arena, req_user(u->req)->id), str_adup(u->arena, u->body->archive_name),
                db_int(u->arena, (int64_t)u->body->size), content_hash(u->arena, &u->list),
                db_bool(u->area == SYMSTORE_TRY), "1",
                u->body->url.n ? str_adup(u->arena, u->body->url) : NULL,
                db_text_array(u->arena, u->body->redirects)))
        return err_wrap(err, "recording an upload");
    u->id = arena_strdup(u->arena, db_col(&rows, 0, Q_SYMBOL_UPLOAD_ADD_COL_ID));
    u->add.upload_id = u->id;
    u->created_us = db_col_int(&rows, 0, Q_SYMBOL_UPLOAD_ADD_COL_CREATED_US, 0);
    return true;
}

static void warn(struct upload *u, const char *name, const char *what)
{
    struct str clean = utf8_clean(u->arena, str_of(arena_printf(u->arena, "%s: %s", name, what)));
    json_array_append_new(u->warnings, json_stringn(clean.p, clean.n));
}

static void add_name(struct strs *list, const char *name)
{
    list->v[list->n++] = str_of(name);
}

/* The key, which has debug file and debug id: what whoever sent a binary looks for next. */
static void note_derived(struct upload *u, const char *key)
{
    json_array_append_new(u->derived, jtext(str_of(key)));
    log_event(LOG_INFO, "symbols_derived", "made symbols of an uploaded binary",
              LOG_S("request_id", req_id(u->req)), LOG_S("key", key));
}

/* Equal content is skipped; for a try upload also when the regular area has it. */
static void on_stored(void *arg, const char *name, const struct symstore_new *done,
                      const char *problem)
{
    struct upload *u = arg;
    upload_count_file(u->req, done);
    if (problem)
        warn(u, name, problem);
    else if (done->is_derived)
        note_derived(u, name);
    else if (done->change == SYMSTORE_SAME)
        add_name(&u->skipped, arena_strdup(u->arena, name));
    else if (upload_oddity(done)) /* stored all the same: the uploader is told */
        warn(u, name, upload_oddity(done));
}

static void on_note(void *arg, const char *name, const char *what)
{
    warn(arg, name, what);
}

static bool complete(struct upload *u, struct err *err)
{
    FREE_LATER char *warnings = json_dumps(u->warnings, JSON_COMPACT);
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(u->req), &q_symbol_upload_complete, &rows, err, u->id,
                db_text_array(u->arena, u->skipped), db_text_array(u->arena, u->ignored), warnings))
        return err_wrap(err, "completing an upload");
    u->completed_us =
        rows.count ? db_col_int(&rows, 0, Q_SYMBOL_UPLOAD_COMPLETE_COL_COMPLETED_US, 0) : 0;
    return true;
}

/* Work that is done stays done: the same archive again skips what this one stored. */
static bool store_members(struct upload *u, struct symreader *r, struct err *err)
{
    const struct symreader_list *list = &u->list;
    size_t n = list->members.n;
    u->add = (struct symadd){.store = &u->symbols->store,
                             .temp_dir = u->symbols->temp_dir,
                             .db = req_db(u->req),
                             .area = u->area,
                             .begin = add_row,
                             .forbidden = upload_forbidden(req_conf(u->req)),
                             .report = on_stored,
                             .note = on_note,
                             .arg = u};
    u->skipped.v = arena_array(u->arena, n + 1, sizeof(struct str));
    u->ignored.v = arena_array(u->arena, n + 1, sizeof(struct str));
    for (size_t i = 0; i < n; i++)
        if (list->members.v[i].is_ignored)
            add_name(&u->ignored, list->members.v[i].name);
    int64_t start_us = mono_us();
    bool ok = symadd_members(&u->add, r, list, err);
    metric_times(u->symbols->metrics, METRIC_UPLOAD_FILE, mono_us() - start_us, n - u->ignored.n);
    upload_count_steps(u->req);
    if (!ok)
        upload_count_file(u->req, NULL);
    return ok && complete(u, err);
}

static json_t *name_array(struct strs names)
{
    json_t *list = json_array();
    for (size_t i = 0; i < names.n; i++)
        json_array_append_new(list, json_stringn(names.v[i].p, names.v[i].n));
    return list;
}

/* What the API answers and the page of the upload begins with. */
static bool describe(struct upload *u, json_t **ret, struct err *err)
{
    char created[TIME_TEXT_MAX], completed[TIME_TEXT_MAX];
    int64_t id = 0;
    time_rfc3339_ms(u->created_us, created);
    time_rfc3339_ms(u->completed_us, completed);
    str_to_i64(str_of(u->id), 0, INT64_MAX, "upload id", &id, ERR_IGNORED);
    struct str name = u->body->archive_name;
    json_t *body =
        json_pack("{s:{s:I, s:I, s:s%, s:s, s:n, s:b, s:o, s:s, s:s, s:s, s:o, s:O}}", "upload",
                  "id", (json_int_t)id, "size", (json_int_t)u->body->size, "filename", name.p,
                  name.n, "bucket", "local", "download_url", "try_symbols", u->area == SYMSTORE_TRY,
                  "redirect_urls", name_array(u->body->redirects), "completed_at", completed,
                  "created_at", created, "user", req_user(u->req)->email, "skipped_keys",
                  name_array(u->skipped), "derived_keys", u->derived);
    if (!body)
        return err_set(err, ERR_INTERNAL, "cannot build the answer to an upload");
    json_t *upload = json_object_get(body, "upload"); /* borrowed */
    json_object_set_new(upload, "download_url", u->body->url.n ? jtext(u->body->url) : json_null());
    *ret = body;
    return true;
}

static bool receive_archive(struct upload *u, json_t **ret, struct err *err)
{
    const struct conf *conf = req_conf(u->req);
    const struct symzip_limits limits = {
        .max_members = (uint64_t)conf_int(conf, CONF_UPLOAD_MAX_MEMBERS),
        .max_uncompressed = (uint64_t)conf_int(conf, CONF_UPLOAD_MAX_UNCOMPRESSED),
        .snippets = str_of(conf_text(conf, CONF_DISALLOWED_SYMBOLS_SNIPPETS)),
        .checks_content = conf_bool(conf, CONF_CHECK_SYMBOL_CONTENT),
    };
    struct symreader *r = NULL;
    struct metrics *metrics = u->symbols->metrics;
    int64_t start_ms = mono_ms();
    bool ok = symreader_start(u->body->fd, u->symbols->temp_dir, &r, err) &&
              symreader_zip(r, &limits, &u->list, err);
    upload_count_ms(u->req, METRIC_UPLOAD_EXTRACT, start_ms);
    metric_size(metrics, METRIC_UPLOAD_BYTES, u->body->size);
    ok = ok && store_members(u, r, err) && describe(u, ret, err);
    if (ok) {
        metric_add(metrics, METRIC_UPLOADS, 1, u->area == SYMSTORE_TRY ? "True" : "False", "local");
        metric_add(metrics, METRIC_UPLOAD_SKIPPED, u->skipped.n);
        metric_add(metrics, METRIC_UPLOAD_FILES, u->list.members.n - u->ignored.n - u->skipped.n);
    }
    if (ok)
        log_event(LOG_INFO, "symbols_uploaded", "stored an archive of symbols",
                  LOG_S("request_id", req_id(u->req)), LOG_S("upload_id", u->id),
                  LOG_I("bytes", (int64_t)u->body->size),
                  LOG_I("files", (int64_t)(u->list.members.n - u->ignored.n - u->skipped.n)),
                  LOG_I("skipped", (int64_t)u->skipped.n),
                  LOG_I("duration_ms", (now_us() - req_now_us(u->req)) / 1000));
    symreader_list_release(&u->list);
    symreader_stop(r);
    return ok;
}

/*
 * From the first byte of the body to the last row.  The checks come in the order clients of the
 * protocol expect.
 */
bool upload_archive(struct req *req, const struct upload_sender *sender, struct upload_outcome *ret,
                    struct err *err)
{
    struct symbol_server *s = req_app(req);
    struct upload_body body;
    const struct upload_body_terms terms = {
        .temp_dir = s->temp_dir,
        .max_bytes = (uint64_t)conf_int(req_conf(req), CONF_SYMBOLS_UPLOAD_MAX_BYTES),
        .wants_csrf = sender->is_browser};
    *ret = (struct upload_outcome){0};
    if (!upload_take_place(req, sender->asker, err) || !upload_body_read(req, &terms, &body, err))
        return false;
    struct upload u = {.req = req,
                       .symbols = s,
                       .arena = req_arena(req),
                       .body = &body,
                       .warnings = json_array(),
                       .derived = json_array()};
    bool is_by_url = !body.has_file && body.url.n > 0;
    if (!is_by_url)
        body.url = STR("");
    bool ok = (!is_by_url || upload_url_check(req, &body, err)) && check_body(&body, err) &&
              choose_area(req, body.try_field, &u.area, err) &&
              (!is_by_url || upload_url_fetch(req, s->temp_dir, &body, err)) &&
              receive_archive(&u, &ret->document, err);
    ret->is_far_fault = !ok && is_by_url && !body.has_file && err->code == ERR_UNAVAILABLE;
    json_decref(u.warnings);
    json_decref(u.derived);
    upload_body_release(&body);
    upload_count_ms(req, METRIC_UPLOAD_ARCHIVE, req_started_ms(req));
    return ok;
}

/*
 * POST /upload/ with a form of one ZIP; Auth-Token of somebody who may upload.
 *
 * 201 with the upload, or 4xx with the first thing that is wrong.
 */
bool upload_post(struct req *req, struct err *err)
{
    struct upload_outcome done = {0};
    const struct upload_sender sender = {
        .asker = arena_printf(req_arena(req), "token %lld", (long long)req_user(req)->token_id)};
    bool ok = upload_check_user(req, err) && upload_archive(req, &sender, &done, err);
    if (ok)
        ok = resp_json(req, 201, done.document, err);
    else if (done.is_far_fault)
        ok = symbol_server_error(req, 500, err);
    json_decref(done.document);
    return ok;
}
