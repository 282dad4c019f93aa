/*
 * POST /upload/v2/: a client tells which files it has, and is told for each what to do.  What the
 * store has in exactly this form is skipped; every other file gets an address of its own to be sent
 * to, and the upload with all its sessions comes into being at once or not at all.
 *
 * This file is about the announcement alone; upload_session.c is where the bytes come in.
 *
 * Whatever is said here is a claim: size and hash are compared with the bytes when they come. A
 * file that cannot be taken (a bad key, too large) has a verdict of its own and does not spoil the
 * others, since a build sends hundreds of files and its next run would fail in the same place.
 */
#include "fcgi/symbols/announcement.h"
#include "fcgi/symbols/upload.h"

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/symfile/symforbid.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symsession.h"
#include "lib/symfile/symstore.h"
#include "lib/web/web.h"
#include "queries.h"

enum {
    BODY_MAX = 2 << 20, /* 1024 files of 300 bytes, each of them escaped */
    MD5_HEX = 32,
};

enum action { ACTION_ERROR, ACTION_SKIP, ACTION_UPLOAD };

/* What the client is told about one file. */
struct file_verdict {
    enum action action;
    const char *problem;
    const struct symsession_file *session; /* ACTION_UPLOAD */
};

struct announced_upload {
    struct req *req;
    struct symbol_server *symbols;
    struct arena *arena;
    enum symstore_area area;
    struct announcement said;
    struct file_verdict *verdicts; /* one for each file */
    struct symsession_file *sessions;
    size_t session_count;
    const char *id; /* of the row */
    int64_t created_us;
};

/* What can be said without a look at the store. */
static void judge(struct announced_upload *u)
{
    struct str snippets = str_of(conf_text(req_conf(u->req), CONF_DISALLOWED_SYMBOLS_SNIPPETS));
    u->verdicts = arena_array(u->arena, u->said.n + 1, sizeof *u->verdicts);
    for (size_t i = 0; i < u->said.n; i++) {
        const struct announced_file *f = &u->said.files[i];
        struct file_verdict *v = &u->verdicts[i];
        struct str snippet;
        *v = (struct file_verdict){.action = ACTION_UPLOAD, .problem = f->problem};
        if (!v->problem && symforbid_in_name(f->key_text, snippets, &snippet))
            v->problem = arena_printf(
                u->arena, "the key contains the snippet '" STR_FMT "' which is not allowed",
                STR_ARG(snippet));
        if (v->problem)
            v->action = ACTION_ERROR;
    }
}

/* The rows tell; the file is looked for as well, since a store may have been tidied by hand. */
static bool is_stored(const struct announced_upload *u, size_t i)
{
    return u->verdicts[i].action == ACTION_UPLOAD &&
           symstore_has(&u->symbols->store, u->area, &u->said.files[i].key);
}

/*
 * One statement for all files, with three lists of equal length; places of files that are judged
 * already hold empty texts, which are no key of anything, so the answer's places are those of the
 * announcement.
 */
static bool find_stored(struct announced_upload *u, struct err *err)
{
    struct arena *a = u->arena;
    struct strs keys = {.v = arena_array(a, u->said.n + 1, sizeof(struct str)), .n = u->said.n};
    struct strs sizes = {.v = arena_array(a, u->said.n + 1, sizeof(struct str)), .n = u->said.n};
    struct strs md5s = {.v = arena_array(a, u->said.n + 1, sizeof(struct str)), .n = u->said.n};
    DB_ROWS rows = {0};
    for (size_t i = 0; i < u->said.n; i++) {
        char key[SYMKEY_MAX + 1] = "";
        if (u->verdicts[i].action == ACTION_UPLOAD)
            symkey_text(&u->said.files[i].key, key);
        keys.v[i] = str_of(arena_strdup(a, key));
        sizes.v[i] = str_of(db_int(a, (int64_t)u->said.files[i].size));
        md5s.v[i] = u->verdicts[i].action == ACTION_UPLOAD ? u->said.files[i].md5 : STR("");
    }
    if (!DB_RUN(req_db(u->req), &q_symbol_object_same, &rows, err, db_text_array(a, keys),
                db_text_array(a, sizes), db_text_array(a, md5s), db_bool(u->area == SYMSTORE_TRY)))
        return err_wrap(err, "looking for files of an upload");
    for (int i = 0; i < rows.count; i++) {
        int64_t at = db_col_int(&rows, i, Q_SYMBOL_OBJECT_SAME_COL_AT, 0) - 1;
        if (at >= 0 && at < (int64_t)u->said.n && is_stored(u, (size_t)at))
            u->verdicts[at].action = ACTION_SKIP;
    }
    return true;
}

/*
 * A verdict points into the list of sessions, whose ids are made when the rows are
 * (symsession_add); until then there is no address.
 */
static void list_sessions(struct announced_upload *u)
{
    u->sessions = arena_array(u->arena, u->said.n + 1, sizeof *u->sessions);
    for (size_t i = 0; i < u->said.n; i++) {
        const struct announced_file *f = &u->said.files[i];
        if (u->verdicts[i].action != ACTION_UPLOAD)
            continue;
        struct symsession_file *s = &u->sessions[u->session_count++];
        *s = (struct symsession_file){.key = f->key, .size = f->size};
        memcpy(s->md5, f->md5.p, MD5_HEX);
        u->verdicts[i].session = s;
    }
}

/* As for archives, so that the same files are found whatever way they came. */
static const char *content_hash(const struct announced_upload *u, uint64_t *ret_bytes)
{
    struct upload_entry *entries = arena_array(u->arena, u->said.n + 1, sizeof *entries);
    size_t valid = 0;
    *ret_bytes = 0;
    for (size_t i = 0; i < u->said.n; i++) {
        const struct announced_file *f = &u->said.files[i];
        if (u->verdicts[i].action == ACTION_ERROR)
            continue;
        entries[valid++] =
            (struct upload_entry){.name = str_adup(u->arena, f->key_text), .size = f->size};
        *ret_bytes += f->size;
    }
    return upload_content_hash(u->arena, entries, valid);
}

static struct strs skipped_keys(const struct announced_upload *u)
{
    struct strs keys = {.v = arena_array(u->arena, u->said.n + 1, sizeof(struct str))};
    for (size_t i = 0; i < u->said.n; i++)
        if (u->verdicts[i].action == ACTION_SKIP)
            keys.v[keys.n++] = u->said.files[i].key_text;
    return keys;
}

/* An upload of which nothing has to come is complete at once. */
static bool add_rows(struct db *db, void *arg, struct err *err)
{
    struct announced_upload *u = arg;
    struct arena *a = u->arena;
    uint64_t bytes;
    const char *hash = content_hash(u, &bytes);
    const char *skipped = db_text_array(a, skipped_keys(u));
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_symbol_upload_add, &rows, err, db_int(a, req_user(u->req)->id), "",
                db_int(a, (int64_t)bytes), hash, db_bool(u->area == SYMSTORE_TRY), "2", NULL, "{}"))
        return err_wrap(err, "recording an upload");
    u->id = arena_strdup(a, db_col(&rows, 0, Q_SYMBOL_UPLOAD_ADD_COL_ID));
    u->created_us = db_col_int(&rows, 0, Q_SYMBOL_UPLOAD_ADD_COL_CREATED_US, 0);
    return DB_EXEC(db, &q_symbol_upload_skips, err, u->id, skipped) &&
           symsession_add(db, u->id, u->area, u->sessions, u->session_count, err) &&
           DB_EXEC(db, &q_symbol_upload_complete_if_done, err, u->id);
}

/*
 * The protocol's three answers. An address is absolute, since clients send to it as it is: the
 * configured one, or the one by which this request came.
 */
static json_t *action_json(const struct announced_upload *u, size_t i)
{
    const struct file_verdict *v = &u->verdicts[i];
    const char *base = conf_text(req_conf(u->req), CONF_SYMBOLS_URL);
    if (v->action == ACTION_ERROR)
        return json_pack("{s:s, s:s}", "type", "error", "msg", v->problem);
    if (v->action == ACTION_SKIP)
        return json_pack("{s:s}", "type", "skip");
    return json_pack("{s:s, s:s, s:s?}", "type", "upload", "url",
                     arena_printf(u->arena, "%s/upload/session/%s",
                                  *base ? base : req_base_url(u->req), v->session->id),
                     "content_encoding",
                     symsession_wants_gzip(&u->said.files[i].key) ? "gzip" : NULL);
}

static bool answer_actions(struct announced_upload *u, struct err *err)
{
    int64_t id = 0;
    str_to_i64(str_of(u->id), 0, INT64_MAX, "upload id", &id, ERR_IGNORED);
    json_auto_t *files = json_array();
    for (size_t i = 0; i < u->said.n; i++) {
        json_t *file = json_pack("{s:o, s:o}", "key", jtext(u->said.files[i].key_text), "action",
                                 action_json(u, i));
        if (json_array_append_new(files, file) != 0) /* takes file, and refuses NULL */
            return err_set(err, ERR_INTERNAL, "cannot build the answer to an upload");
    }
    json_auto_t *body = json_pack("{s:I, s:I, s:s, s:b, s:s, s:O}", "id", (json_int_t)id,
                                  "created_at", (json_int_t)(u->created_us / 1000000), "user",
                                  req_user(u->req)->email, "try_symbols", u->area == SYMSTORE_TRY,
                                  "upload_protocol", "gcs-resumable", "files", files);
    if (!body)
        return err_set(err, ERR_INTERNAL, "cannot build the answer to an upload");
    return resp_json(u->req, 201, body, err);
}

/*
 * Cheap checks first: the token before the body, the body before the database. Sessions that nobody
 * continued are forgotten here, for a server that gets uploads is one that has to make room for
 * them.
 */
bool upload_v2_post(struct req *req, struct err *err)
{
    struct symbol_server *s = req_app(req);
    struct announced_upload u = {.req = req, .symbols = s, .arena = req_arena(req)};
    size_t most = (size_t)conf_int(req_conf(req), CONF_UPLOAD_V2_MAX_FILES_PER_REQUEST);
    json_auto_t *tree = NULL; /* the texts of u.said are borrowed from it */
    struct str body;
    if (!upload_check_user(req, err) || !req_body(req, BODY_MAX, &body, err) ||
        !announcement_parse(u.arena, body, most, &u.said, &tree, err))
        return false;
    u.area = upload_default_area(req);
    judge(&u);
    if (!symsession_forget(req_db(req), s->store.dir, &(size_t){0}, err) || !find_stored(&u, err))
        return false;
    list_sessions(&u);
    if (!db_tx(req_db(req), add_rows, &u, err))
        return false;
    log_event(LOG_INFO, "symbols_announced", "files of symbols will come",
              LOG_S("request_id", req_id(req)), LOG_S("upload_id", u.id),
              LOG_I("files", (int64_t)u.session_count));
    metric_add(s->metrics, METRIC_UPLOADS, 1, u.area == SYMSTORE_TRY ? "True" : "False", "local");
    upload_count_ms(req, METRIC_UPLOAD_V2, req_started_ms(req));
    return answer_actions(&u, err);
}
