/*
 * POST /upload/v2/: a client tells which files it has, and is told for each what to do.  What the
 * store has in exactly this form is skipped; every other file gets an address of its own to be sent
 * to, and the upload with all its sessions comes into being at once or not at all.
 *
 * This file is about the announcement alone; upload_session.c is where the bytes come in.
 */
#include "fcgi/symbols/upload.h"

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/symfile/symbytes.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symsession.h"
#include "lib/symfile/symstore.h"
#include "lib/symfile/symzip.h"
#include "lib/web/web.h"
#include "queries.h"

enum {
    BODY_MAX = 2 << 20, /* 1024 files of 300 bytes, each of them escaped */
    MD5_HEX = 32,
};

enum action { ACTION_ERROR, ACTION_SKIP, ACTION_UPLOAD };

struct announced {
    struct str key_text; /* as the client wrote it */
    struct str md5;
    uint64_t size;
    struct symkey key; /* unless ACTION_ERROR */
    enum action action;
    const char *problem;
    const struct symsession_file *session; /* ACTION_UPLOAD */
};

struct announcement {
    struct req *req;
    struct symbol_server *symbols;
    struct arena *arena;
    enum symstore_area area;
    struct announced *files;
    size_t n;
    struct symsession_file *sessions;
    size_t session_count;
    const char *id; /* of the row */
    int64_t created_us;
};

/* Extra members are for later versions of the protocol. */
static bool read_file(const json_t *item, struct announced *ret)
{
    struct announced f = {.key_text = jget_strn(item, "key"), .md5 = jget_strn(item, "md5_hash")};
    int64_t size;
    if (!json_is_object(item) || !f.key_text.p || !f.md5.p || !jget_int(item, "size", &size) ||
        size < 0)
        return false;
    f.size = (uint64_t)size;
    *ret = f;
    return true;
}

static bool read_body(struct announcement *n, json_t **ret_body, struct err *err)
{
    struct str text;
    if (!req_body(n->req, BODY_MAX, &text, err))
        return false;
    json_auto_t *body = jparse(text, BODY_MAX, ERR_IGNORED);
    json_t *files = jget_arr(body, "files"); /* borrowed */
    if (!files)
        return err_set(err, ERR_INVALID, "malformed JSON request body");
    n->n = json_array_size(files);
    if (n->n > (size_t)conf_int(req_conf(n->req), CONF_UPLOAD_V2_MAX_FILES_PER_REQUEST))
        return err_set(err, ERR_INVALID, "too many files");
    n->files = arena_array(n->arena, n->n + 1, sizeof *n->files);
    for (size_t i = 0; i < n->n; i++)
        if (!read_file(json_array_get(files, i), &n->files[i]))
            return err_set(err, ERR_INVALID, "malformed JSON request body");
    *ret_body = TAKE(body);
    return true;
}

static bool is_md5(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (hex_digit(s.p[i]) < 0 || (s.p[i] >= 'A' && s.p[i] <= 'F'))
            return false;
    return s.n == MD5_HEX;
}

/* What can be said about a file alone. */
static void judge(const struct announcement *n, struct announced *f)
{
    const char *snippets = conf_text(req_conf(n->req), CONF_DISALLOWED_SYMBOLS_SNIPPETS);
    struct str snippet;
    f->action = ACTION_UPLOAD;
    if (!symkey_parse(f->key_text, &f->key, ERR_IGNORED))
        f->problem = "invalid key";
    else if (!is_md5(f->md5))
        f->problem = "invalid MD5 hex digest";
    else if (symzip_has_snippet(f->key_text, str_of(snippets), &snippet))
        f->problem = arena_printf(n->arena,
                                  "the key contains the snippet '" STR_FMT "' which is not allowed",
                                  STR_ARG(snippet));
    else if (f->size > SYMBYTES_MAX)
        f->problem = "the file is too large";
    if (f->problem)
        f->action = ACTION_ERROR;
}

/* The rows tell; the file is looked for as well, since a store may have been tidied by hand. */
static bool is_stored(const struct announcement *n, const struct announced *f)
{
    return f->action == ACTION_UPLOAD && symstore_has(&n->symbols->store, n->area, &f->key);
}

static bool find_stored(struct announcement *n, struct err *err)
{
    struct arena *a = n->arena;
    struct strs keys = {.v = arena_array(a, n->n + 1, sizeof(struct str)), .n = n->n};
    struct strs sizes = {.v = arena_array(a, n->n + 1, sizeof(struct str)), .n = n->n};
    struct strs md5s = {.v = arena_array(a, n->n + 1, sizeof(struct str)), .n = n->n};
    DB_ROWS rows = {0};
    for (size_t i = 0; i < n->n; i++) {
        char key[SYMKEY_MAX + 1] = "";
        if (n->files[i].action == ACTION_UPLOAD)
            symkey_text(&n->files[i].key, key);
        keys.v[i] = str_of(arena_strdup(a, key));
        sizes.v[i] = str_of(db_int(a, (int64_t)n->files[i].size));
        md5s.v[i] = n->files[i].action == ACTION_UPLOAD ? n->files[i].md5 : STR("");
    }
    if (!DB_RUN(req_db(n->req), &q_symbol_object_same, &rows, err, db_text_array(a, keys),
                db_text_array(a, sizes), db_text_array(a, md5s), db_bool(n->area == SYMSTORE_TRY)))
        return err_wrap(err, "looking for files of an upload");
    for (int i = 0; i < rows.count; i++) {
        int64_t at = db_col_int(&rows, i, Q_SYMBOL_OBJECT_SAME_COL_AT, 0) - 1;
        if (at >= 0 && at < (int64_t)n->n && is_stored(n, &n->files[at]))
            n->files[at].action = ACTION_SKIP;
    }
    return true;
}

static void list_sessions(struct announcement *n)
{
    n->sessions = arena_array(n->arena, n->n + 1, sizeof *n->sessions);
    for (size_t i = 0; i < n->n; i++) {
        struct announced *f = &n->files[i];
        if (f->action != ACTION_UPLOAD)
            continue;
        struct symsession_file *s = &n->sessions[n->session_count++];
        *s = (struct symsession_file){.key = f->key, .size = f->size};
        memcpy(s->md5, f->md5.p, MD5_HEX);
        f->session = s;
    }
}

/* As for archives, so that the same files are found whatever way they came. */
static const char *content_hash(const struct announcement *n, uint64_t *ret_bytes)
{
    struct upload_entry *entries = arena_array(n->arena, n->n + 1, sizeof *entries);
    size_t valid = 0;
    *ret_bytes = 0;
    for (size_t i = 0; i < n->n; i++) {
        const struct announced *f = &n->files[i];
        if (f->action == ACTION_ERROR)
            continue;
        entries[valid++] =
            (struct upload_entry){.name = str_adup(n->arena, f->key_text), .size = f->size};
        *ret_bytes += f->size;
    }
    return upload_content_hash(n->arena, entries, valid);
}

static struct strs skipped_keys(const struct announcement *n)
{
    struct strs keys = {.v = arena_array(n->arena, n->n + 1, sizeof(struct str))};
    for (size_t i = 0; i < n->n; i++)
        if (n->files[i].action == ACTION_SKIP)
            keys.v[keys.n++] = n->files[i].key_text;
    return keys;
}

/* An upload of which nothing has to come is complete at once. */
static bool add_rows(struct db *db, void *arg, struct err *err)
{
    struct announcement *n = arg;
    struct arena *a = n->arena;
    uint64_t bytes;
    const char *hash = content_hash(n, &bytes);
    const char *skipped = db_text_array(a, skipped_keys(n));
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_symbol_upload_add, &rows, err, db_int(a, req_user(n->req)->id), "",
                db_int(a, (int64_t)bytes), hash, db_bool(n->area == SYMSTORE_TRY), "2", NULL, "{}"))
        return err_wrap(err, "recording an upload");
    n->id = arena_strdup(a, db_col(&rows, 0, Q_SYMBOL_UPLOAD_ADD_COL_ID));
    n->created_us = db_col_int(&rows, 0, Q_SYMBOL_UPLOAD_ADD_COL_CREATED_US, 0);
    return DB_EXEC(db, &q_symbol_upload_skips, err, n->id, skipped) &&
           symsession_add(db, n->id, n->area, n->sessions, n->session_count, err) &&
           DB_EXEC(db, &q_symbol_upload_complete_if_done, err, n->id);
}

static json_t *action_json(const struct announcement *n, const struct announced *f)
{
    const char *base = conf_text(req_conf(n->req), CONF_SYMBOLS_URL);
    if (f->action == ACTION_ERROR)
        return json_pack("{s:s, s:s}", "type", "error", "msg", f->problem);
    if (f->action == ACTION_SKIP)
        return json_pack("{s:s}", "type", "skip");
    return json_pack("{s:s, s:s, s:s?}", "type", "upload", "url",
                     arena_printf(n->arena, "%s/upload/session/%s",
                                  *base ? base : req_base_url(n->req), f->session->id),
                     "content_encoding", symsession_wants_gzip(&f->key) ? "gzip" : NULL);
}

static bool answer(struct announcement *n, struct err *err)
{
    int64_t id = 0;
    str_to_i64(str_of(n->id), 0, INT64_MAX, "upload id", &id, ERR_IGNORED);
    json_auto_t *files = json_array();
    for (size_t i = 0; i < n->n; i++) {
        json_t *file = json_pack("{s:o, s:o}", "key", jtext(n->files[i].key_text), "action",
                                 action_json(n, &n->files[i]));
        if (json_array_append_new(files, file) != 0) /* takes file, and refuses NULL */
            return err_set(err, ERR_INTERNAL, "cannot build the answer to an upload");
    }
    json_auto_t *body = json_pack("{s:I, s:I, s:s, s:b, s:s, s:O}", "id", (json_int_t)id,
                                  "created_at", (json_int_t)(n->created_us / 1000000), "user",
                                  req_user(n->req)->email, "try_symbols", n->area == SYMSTORE_TRY,
                                  "upload_protocol", "gcs-resumable", "files", files);
    if (!body)
        return err_set(err, ERR_INTERNAL, "cannot build the answer to an upload");
    return resp_json(n->req, 201, body, err);
}

bool upload_v2_post(struct req *req, struct err *err)
{
    struct symbol_server *s = req_app(req);
    struct announcement n = {.req = req, .symbols = s, .arena = req_arena(req)};
    json_auto_t *body = NULL; /* the texts of n.files are borrowed from it */
    if (!upload_check_user(req, err) || !read_body(&n, &body, err))
        return false;
    n.area = upload_default_area(req);
    for (size_t i = 0; i < n.n; i++)
        judge(&n, &n.files[i]);
    if (!symsession_forget(req_db(req), s->store.dir, err) || !find_stored(&n, err))
        return false;
    list_sessions(&n);
    if (!db_tx(req_db(req), add_rows, &n, err))
        return false;
    log_event(LOG_INFO, "symbols_announced", "files of symbols will come",
              LOG_S("request_id", req_id(req)), LOG_S("upload_id", n.id),
              LOG_I("files", (int64_t)n.session_count));
    return answer(&n, err);
}
