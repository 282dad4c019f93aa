/*
 * PUT /upload/session/ID: the bytes of one announced file, in pieces (the "gcs-resumable" protocol,
 * as clients of Google's storage speak it).  Nobody logs in here: who knows the address may send
 * the file.
 *
 * Whatever the piece is, the answer says what counts as received, and the client goes on from
 * there.  A file of which everything is here is stored by whoever asks next, also when the request
 * that brought the last byte was interrupted.
 */
#include "fcgi/symbols/upload.h"

#include "fcgi/symbols/symbol_server.h"
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
#include "lib/symfile/symsession.h"
#include "lib/web/content_range.h"
#include "lib/web/web.h"
#include "queries.h"

enum {
    PIECE = 1 << 18,       /* of the body, in memory at a time */
    SYNC_BYTES = 16 << 20, /* so much is lost at most when the program is killed: the usual chunk */
    CHUNK_MAX = 64 << 20,  /* as much as nginx lets in at once (nginx/symbols.conf) */
    BUSY_RETRY_S = 1,      /* LOCK_WAIT_MS of symsession.c has been waited already */
};

/* 308 without Location: the client is to go on with the byte behind the range. */
static bool answer_range(struct req *req, const struct symsession *s)
{
    if (s->received)
        resp_header(req, "Range",
                    str_of(arena_printf(req_arena(req), "bytes=0-%llu",
                                        (unsigned long long)(s->received - 1))));
    return resp_bytes(req, 308, NULL, STR(""));
}

struct arrival {
    struct req *req;
    const struct symsession *session;
    json_t *derived; /* keys of what was made of it */
};

/* The uploader finds what is odd in the list of uploads; that it cannot be written is no
 * failure. */
static void on_stored(void *arg, const char *name, const struct symstore_new *done,
                      const char *problem)
{
    const struct arrival *a = arg;
    const char *what = problem ? problem : done->is_derived ? NULL : upload_oddity(done);
    const struct symbol_server *s = req_app(a->req);
    upload_count_file(a->req, done);
    if (done && !done->is_derived)
        metric_add(s->metrics,
                   done->change == SYMSTORE_SAME ? METRIC_UPLOAD_SKIPPED : METRIC_UPLOAD_FILES, 1);
    log_event(LOG_INFO, "symbols_received", "stored a file of symbols",
              LOG_S("request_id", req_id(a->req)), LOG_S("upload_id", a->session->upload_id),
              LOG_I("bytes", (int64_t)a->session->size));
    if (done && done->is_derived)
        json_array_append_new(a->derived, jtext(str_of(name)));
    if (what)
        DB_EXEC(req_db(a->req), &q_symbol_upload_warn, ERR_IGNORED, a->session->upload_id,
                arena_printf(req_arena(a->req), "%s: %s", name, what));
}

/*
 * The answer has the members that clients of resumable uploads read at the end: name, size as text,
 * and the hash in Base64. The bytes that count are those of the file as it was announced, not as it
 * was packed for the way.
 */
static bool finish_file(struct req *req, struct symsession *session, struct err *err)
{
    const struct symbol_server *s = req_app(req);
    char md5[SYMSESSION_MD5_BASE64 + 1], key[SYMKEY_MAX + 1];
    struct arrival arrival = {.req = req, .session = session, .derived = json_array()};
    struct symadd add = {.store = &s->store,
                         .temp_dir = s->temp_dir,
                         .db = req_db(req),
                         .forbidden = upload_forbidden(req_conf(req)),
                         .report = on_stored,
                         .arg = &arrival};
    int64_t start_ms = mono_ms(), start_us = mono_us();
    json_auto_t *derived = arrival.derived;
    bool ok = symsession_finish(session, &add, md5, err);
    upload_count_ms(req, METRIC_UPLOAD_SESSION, start_ms);
    metric_time(s->metrics, METRIC_UPLOAD_FILE, mono_us() - start_us);
    upload_count_steps(req);
    if (!ok) {
        upload_count_file(req, NULL);
        return false;
    }
    metric_size(s->metrics, METRIC_UPLOAD_BYTES, session->total);
    symkey_text(&session->key, key);
    struct arena *a = req_arena(req);
    json_auto_t *body =
        json_pack("{s:s, s:s, s:s, s:O*}", "name",
                  arena_printf(a, "%s%s", session->area == SYMSTORE_TRY ? "try/v1/" : "v1/", key),
                  "size", arena_printf(a, "%llu", (unsigned long long)session->total), "md5Hash",
                  md5, "derived_keys", json_array_size(derived) ? derived : NULL);
    if (!body)
        return err_set(err, ERR_INTERNAL, "cannot build the answer to an upload");
    return resp_json(req, 200, body, err);
}

/* What came before the connection broke counts, too. */
static bool receive_piece(struct req *req, struct symsession *s, struct err *err)
{
    char *piece = arena_alloc(req_arena(req), PIECE);
    size_t got = 1;
    bool ok = true;
    while (ok && got) {
        ok = req_read_body(req, piece, PIECE, &got, err) && symsession_append(s, piece, got, err);
        if (ok && s->unsynced >= SYNC_BYTES)
            ok = symsession_sync(s, req_db(req), err);
    }
    return symsession_sync(s, req_db(req), ok ? err : ERR_IGNORED) && ok;
}

static bool take_piece(struct req *req, struct symsession *s, const struct content_range *range,
                       struct err *err)
{
    if (range->has_total && !symsession_set_total(s, range->total, err))
        return false;
    if (!symsession_is_whole(s) && !range->is_question && range->first == s->received &&
        !receive_piece(req, s, err))
        return false;
    return symsession_is_whole(s) ? finish_file(req, s, err) : answer_range(req, s);
}

/* A body without a range is the whole file. */
static bool read_range(struct req *req, struct content_range *ret, struct err *err)
{
    struct str header = req_header(req, "Content-Range");
    int64_t length = req_content_length(req);
    if (length < 0)
        return err_set(err, ERR_INVALID, "send the length of the piece (Content-Length)");
    if (header.p)
        return content_range_parse(header, (uint64_t)length, ret, err);
    *ret =
        (struct content_range){.n = (uint64_t)length, .has_total = true, .total = (uint64_t)length};
    return true;
}

/*
 * The web server has the whole piece before it asks, and would take an answer in the middle of
 * passing it on for a failure.
 */
static void drop_body(struct req *req)
{
    char *piece = arena_alloc(req_arena(req), PIECE);
    size_t got = 1;
    while (got && req_read_body(req, piece, PIECE, &got, ERR_IGNORED))
        continue;
}

static bool answer_busy(struct req *req, const struct err *why)
{
    return symbol_server_error(req, 503, why) &&
           resp_header(req, "Retry-After",
                       str_of(arena_printf(req_arena(req), "%d", BUSY_RETRY_S)));
}

/*
 * Whoever has the address may send: it is the secret, so no token is asked for. A session in which
 * another connection is still busy is told apart from one that is gone; the client waits for the
 * one and begins the other anew. Whatever is left of the body is read, or the client would see a
 * broken connection instead of the answer.
 */
bool upload_session_put(struct req *req, struct err *err)
{
    struct symbol_server *symbols = req_app(req);
    struct symsession s;
    struct content_range range;
    struct str id = req_path_rest(req);
    if (str_ends(id, STR("/")))
        id.n--;
    if (!read_range(req, &range, err))
        return false;
    if (range.n > CHUNK_MAX)
        return err_set(err, ERR_TOO_LARGE, "a piece may have %d bytes", CHUNK_MAX);
    if (!symsession_open(req_db(req), &symbols->store, id, &s, err))
        return err->code == ERR_BUSY && answer_busy(req, err);
    const char *asker = arena_printf(req_arena(req), "upload %s", s.upload_id);
    bool ok = upload_take_place(req, asker, err) && take_piece(req, &s, &range, err);
    symsession_close(&s);
    drop_body(req);
    return ok;
}
