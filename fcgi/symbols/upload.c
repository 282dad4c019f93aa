/* POST /upload/: an archive of symbols comes in. */
#include <openssl/evp.h>
#include <stdio.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/time.h"
#include "base/util.h"
#include "queries.h"
#include "symbols.h"
#include "symfile/symtext.h"
#include "symfile/symzip.h"
#include "upload_body.h"

enum { MD5_BYTES = 16, MD5_HEX = 32, CONTENT_HASH_HEX = 30, HEADER_TEXT_MAX = 255 };

struct upload {
    struct req *req;
    struct symbols *symbols;
    struct arena *arena;
    const struct upload_body *body;
    enum symstore_area area;
    const char *id; /* of the row */
    int64_t created_us, completed_us;
    struct strs skipped, ignored;
    json_t *warnings; /* owned */
};

static const char *const area_names[] = {[SYMSTORE_REGULAR] = "regular", [SYMSTORE_TRY] = "try"};

static void md5_hex(struct str s, char out[MD5_HEX + 1])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_Digest(s.p, s.n, digest, NULL, EVP_md5(), NULL);
    hex_encode(digest, MD5_BYTES, out);
}

/* ---- before anything is stored --------------------------------------------------------------- */
/* A log-in of a browser does not count: the route has no CSRF check, which scripts cannot pass. */
static bool check_user(struct req *req, struct err *err)
{
    if (!req_user(req)->is_logged_in || !req_user(req)->by_token)
        return err_set(err, ERR_FORBIDDEN,
                       "This requires an Auth-Token to authenticate the request");
    if (!req_may(req, "upload_symbols") && !req_may(req, "upload_try_symbols"))
        return err_set(err, ERR_FORBIDDEN, "Forbidden");
    return true;
}

/* Empty is as absent; the words for no ask for the regular area; anything else is yes. */
static bool choose_area(struct req *req, struct str field, enum symstore_area *ret, struct err *err)
{
    bool may_regular = req_may(req, "upload_symbols");
    bool is_no = str_eq(field, STR("0")) || str_eq_nocase(field, STR("false")) ||
                 str_eq_nocase(field, STR("no"));
    if (is_no && !may_regular)
        return err_set(err, ERR_FORBIDDEN, "Forbidden");
    bool is_try = field.n == 0 ? !may_regular : !is_no;
    *ret = is_try ? SYMSTORE_TRY : SYMSTORE_REGULAR;
    return true;
}

/* No host is allowed as a source, so every address is refused with the words for that. */
static bool refuse_url(struct str url, struct err *err)
{
    size_t scheme = str_find(url, STR("://"), 0);
    if (scheme == SIZE_MAX || scheme == 0)
        return err_set(err, ERR_INVALID, "Enter a valid URL.");
    if (!str_eq_nocase(str_sub(url, 0, scheme), STR("https")))
        return err_set(err, ERR_INVALID, "Insecure URL");
    struct str host = str_sub(url, scheme + 3, SIZE_MAX);
    for (size_t i = 0; i < host.n; i++)
        if (strchr("/:?#", host.p[i]))
            host.n = i;
    return err_set(err, ERR_INVALID, "Not an allowed domain ('" STR_FMT "') to download from.",
                   STR_ARG(host));
}

static bool check_body(const struct upload_body *b, struct err *err)
{
    if (!b->has_file && b->url.n)
        return refuse_url(b->url, err);
    if (!b->has_file)
        return err_set(err, ERR_INVALID, "Must be multipart form data with at least one file");
    struct str name = b->archive_name;
    size_t dot = str_rfind_char(name, '.');
    struct str extension = dot == SIZE_MAX ? STR("") : str_sub(name, dot, SIZE_MAX);
    if (!str_eq_nocase(extension, STR(".zip")))
        return err_set(err, ERR_INVALID, "Unrecognized archive file extension \"" STR_FMT "\"",
                       STR_ARG(extension));
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Finds repeated uploads: MD5 of "name:size" lines, sorted. */
static const char *content_hash(struct arena *a, const struct symzip *zip)
{
    size_t n = zip->members.n;
    const char **lines = arena_array(a, n + 1, sizeof *lines);
    for (size_t i = 0; i < n; i++)
        lines[i] = arena_printf(a, STR_FMT ":%llu", STR_ARG(zip->members.v[i].name),
                                (unsigned long long)zip->members.v[i].size);
    qsort(lines, n, sizeof *lines, by_name);
    STRBUF_AUTO all;
    sb_init(&all, SIZE_MAX / 2);
    for (size_t i = 0; i < n; i++)
        sb_printf(&all, "%s%s", i ? "\n" : "", lines[i]);
    char hex[MD5_HEX + 1];
    md5_hex(sb_view(&all), hex);
    return arena_memdup0(a, hex, CONTENT_HASH_HEX);
}

static bool add_row(struct upload *u, const struct symzip *zip, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(u->req), &q_symbol_upload_add, &rows, err,
                db_int(u->arena, req_user(u->req)->id), str_adup(u->arena, u->body->archive_name),
                db_int(u->arena, (int64_t)u->body->size), content_hash(u->arena, zip),
                db_bool(u->area == SYMSTORE_TRY)))
        return err_wrap(err, "recording an upload");
    u->id = arena_strdup(u->arena, db_col(&rows, 0, "id"));
    u->created_us = db_col_int(&rows, 0, "created_us", 0);
    return true;
}

/* ---- storing --------------------------------------------------------------------------------- */
static void warn(struct upload *u, struct str name, const char *what)
{
    struct str clean =
        utf8_clean(u->arena, str_of(arena_printf(u->arena, STR_FMT ": %s", STR_ARG(name), what)));
    json_array_append_new(u->warnings, json_stringn(clean.p, clean.n));
}

/* Header text as a parameter: NULL when there is none or it is absurdly long. */
static const char *text_or_null(struct arena *a, struct str s)
{
    s = utf8_clean(a, s);
    return s.n && s.n <= HEADER_TEXT_MAX ? str_adup(a, s) : NULL;
}

static const char *upper_or_null(struct arena *a, struct str s)
{
    if (s.n == 0 || s.n > SYMKEY_ID_MAX)
        return NULL;
    char *out = str_adup(a, utf8_clean(a, s));
    for (char *p = out; *p; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    return out;
}

/* A file whose header does not fit its key is stored all the same: the uploader is told. */
static struct symheader read_header(struct upload *u, const struct symzip_member *m,
                                    struct str text)
{
    struct symheader h = {0};
    if (!str_ends(str_of(m->key.file), STR(".sym")))
        return h;
    if (!symheader_read(text, &h, NULL)) {
        warn(u, m->name, "no MODULE line");
        return h;
    }
    if (!str_eq_nocase(h.debug_id, str_of(m->key.debug_id)))
        warn(u, m->name, "debug id of the MODULE line differs");
    if (!str_eq(h.debug_file, str_of(m->key.debug_file)))
        warn(u, m->name, "debug file of the MODULE line differs");
    return h;
}

static bool add_file_rows(struct upload *u, const struct symzip_member *m, struct str text,
                          const struct symstore_put *put, int64_t started_us, struct err *err)
{
    struct arena *a = u->arena;
    struct db *db = req_db(u->req);
    struct symheader h = read_header(u, m, text);
    char key[SYMKEY_MAX + 1], md5[MD5_HEX + 1];
    symkey_text(&m->key, key);
    md5_hex(text, md5);
    return DB_EXEC(db, &q_symbol_object_put, err, area_names[u->area], key,
                   db_int(a, (int64_t)put->stored_size), db_int(a, (int64_t)text.n), md5,
                   put->is_compressed ? "text/plain" : "application/octet-stream",
                   put->is_compressed ? "gzip" : NULL) &&
           DB_EXEC(db, &q_symbol_file_add, err, u->id, area_names[u->area], key,
                   text_or_null(a, h.debug_file), upper_or_null(a, h.debug_id),
                   text_or_null(a, h.code_file), upper_or_null(a, h.code_id),
                   text_or_null(a, h.generator), db_bool(put->change == SYMSTORE_UPDATED),
                   db_bool(put->is_compressed), db_int(a, (int64_t)put->stored_size),
                   db_int(a, started_us), m->key.debug_file, m->key.debug_id);
}

static void push(struct strs *list, struct str name)
{
    list->v[list->n++] = name;
}

static bool write_piece(void *arg, const void *p, size_t n, struct err *err)
{
    return fs_write_all(*(int *)arg, p, n, "symbols file", err);
}

static bool read_member(const struct symzip *zip, const struct symzip_member *m,
                        const char *temp_dir, struct symtext *ret, struct err *err)
{
    FD_AUTO fd = -1;
    return symtext_temp(temp_dir, &fd, err) && symzip_read(zip, m, write_piece, &fd, err) &&
           symtext_map(fd, ret, err);
}

/* Equal content is skipped; for a try upload also when the regular area has it. */
static bool store_member(struct upload *u, struct symzip *zip, const struct symzip_member *m,
                         struct err *err)
{
    const struct symstore *store = &u->symbols->store;
    struct symtext t = {0};
    struct symstore_put put = {.change = SYMSTORE_SAME};
    int64_t started_us = now_us();
    if (!read_member(zip, m, u->symbols->temp_dir, &t, err))
        return false;
    bool ok = true;
    if (u->area == SYMSTORE_REGULAR || !symstore_has(store, SYMSTORE_REGULAR, &m->key, t.text))
        ok = symstore_put(store, u->area, &m->key, t.text, &put, err);
    if (ok && put.change == SYMSTORE_SAME)
        push(&u->skipped, m->name);
    else if (ok)
        ok = add_file_rows(u, m, t.text, &put, started_us, err);
    symtext_close(&t);
    return ok;
}

static bool complete(struct upload *u, struct err *err)
{
    FREE_LATER char *warnings = json_dumps(u->warnings, JSON_COMPACT);
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(u->req), &q_symbol_upload_complete, &rows, err, u->id,
                db_text_array(u->arena, u->skipped), db_text_array(u->arena, u->ignored), warnings))
        return err_wrap(err, "completing an upload");
    u->completed_us = rows.count ? db_col_int(&rows, 0, "completed_us", 0) : 0;
    return true;
}

/* Work that is done stays done: the same archive again skips what this one stored. */
static bool store_all(struct upload *u, struct symzip *zip, struct err *err)
{
    size_t n = zip->members.n;
    u->skipped.v = arena_array(u->arena, n + 1, sizeof(struct str));
    u->ignored.v = arena_array(u->arena, n + 1, sizeof(struct str));
    for (size_t i = 0; i < n; i++) {
        const struct symzip_member *m = &zip->members.v[i];
        struct err why = {0};
        if (m->is_ignored)
            push(&u->ignored, m->name);
        else if (!store_member(u, zip, m, &why)) /* the archive was checked: this is ours */
            return err_set(err, err_is_retryable(why.code) ? ERR_IO : ERR_INTERNAL, STR_FMT ": %s",
                           STR_ARG(m->name), why.msg);
    }
    symstore_tidy(&u->symbols->store);
    return complete(u, err);
}

/* ---- the answer
 * ---------------------------------------------------------------------------------- */
static json_t *json_names(struct strs names)
{
    json_t *list = json_array();
    for (size_t i = 0; i < names.n; i++)
        json_array_append_new(list, json_stringn(names.v[i].p, names.v[i].n));
    return list;
}

static bool answer(struct upload *u, struct err *err)
{
    char created[TIME_TEXT_MAX], completed[TIME_TEXT_MAX];
    int64_t id = 0;
    time_rfc3339_ms(u->created_us, created);
    time_rfc3339_ms(u->completed_us, completed);
    str_to_i64(str_of(u->id), 0, INT64_MAX, "upload id", &id, NULL);
    struct str name = u->body->archive_name;
    json_auto_t *body =
        json_pack("{s:{s:I, s:I, s:s%, s:s, s:n, s:b, s:[], s:s, s:s, s:s, s:o}}", "upload", "id",
                  (json_int_t)id, "size", (json_int_t)u->body->size, "filename", name.p, name.n,
                  "bucket", "local", "download_url", "try_symbols", u->area == SYMSTORE_TRY,
                  "redirect_urls", "completed_at", completed, "created_at", created, "user",
                  req_user(u->req)->email, "skipped_keys", json_names(u->skipped));
    if (!body)
        return err_set(err, ERR_INTERNAL, "cannot build the answer to an upload");
    return resp_json(u->req, 201, body, err);
}

static bool receive(struct upload *u, struct err *err)
{
    const struct conf *conf = req_conf(u->req);
    const struct symzip_limits limits = {
        .max_members = (uint64_t)conf_int(conf, "UPLOAD_MAX_MEMBERS"),
        .max_uncompressed = (uint64_t)conf_int(conf, "UPLOAD_MAX_UNCOMPRESSED"),
        .snippets = str_of(conf_text(conf, "DISALLOWED_SYMBOLS_SNIPPETS")),
    };
    struct symzip zip;
    struct symtext bytes;
    if (!symtext_map(u->body->fd, &bytes, err))
        return false;
    if (!symzip_open(bytes.text, &limits, &zip, err)) {
        symtext_close(&bytes);
        return false;
    }
    bool ok = add_row(u, &zip, err) && store_all(u, &zip, err) && answer(u, err);
    if (ok)
        log_event(LOG_INFO, "symbols_uploaded", "stored an archive of symbols",
                  LOG_S("request_id", req_id(u->req)), LOG_S("upload_id", u->id),
                  LOG_I("bytes", (int64_t)u->body->size),
                  LOG_I("files", (int64_t)(zip.members.n - u->ignored.n - u->skipped.n)),
                  LOG_I("skipped", (int64_t)u->skipped.n),
                  LOG_I("duration_ms", (now_us() - req_now_us(u->req)) / 1000));
    symzip_close(&zip);
    symtext_close(&bytes);
    return ok;
}

/*
 * POST /upload/ with a form of one ZIP; Auth-Token of somebody who may upload.
 *
 * 201 with the upload, or 4xx with the first thing that is wrong.  The checks come in the
 * order clients of the protocol expect.
 */
bool upload_post(struct req *req, struct err *err)
{
    struct symbols *s = req_app(req);
    struct upload_body body;
    if (!check_user(req, err) ||
        !upload_body_read(req, s->temp_dir,
                          (uint64_t)conf_int(req_conf(req), "SYMBOLS_UPLOAD_MAX_BYTES"), &body,
                          err))
        return false;
    struct upload u = {
        .req = req, .symbols = s, .arena = req_arena(req), .body = &body, .warnings = json_array()};
    bool ok = check_body(&body, err) && choose_area(req, body.try_field, &u.area, err) &&
              receive(&u, err);
    json_decref(u.warnings);
    upload_body_release(&body);
    return ok;
}
