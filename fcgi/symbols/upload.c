/*
 * What uploads of archives, by address and file by file have in common.
 *
 * An upload holds a worker as long as its body comes and is worked on, which may be minutes.  So
 * uploads have fewer places than there are workers, downloads and health checks always find one,
 * and no token has more than a few: its further uploads wait a while in the places that are left,
 * which costs a client less than being sent away and coming again.
 */
#include "fcgi/symbols/upload.h"

#include <openssl/evp.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/symfile/symkey.h"

enum {
    MD5_BYTES = 16, /* 128 bits, as digits of four */
    MD5_HEX = 32,
    CONTENT_HASH_HEX = 30, /* 120 bits: enough to tell archives apart */
    FREE_WORKERS = 2,      /* for downloads and checks: neither with an upload nor symbolicating */
    RETRY_AFTER_S = 30, /* an upload takes seconds to minutes: a client comes again a few times */
};

/* A log-in of a browser does not count: the route has no CSRF check, which scripts cannot pass. */
bool upload_check_user(struct req *req, struct err *err)
{
    if (!req_user(req)->is_logged_in || !req_user(req)->by_token)
        return err_set(err, ERR_FORBIDDEN,
                       "This requires an Auth-Token to authenticate the request");
    if (!req_may(req, "upload_symbols") && !req_may(req, "upload_try_symbols"))
        return err_set(err, ERR_FORBIDDEN, "Forbidden");
    return true;
}

enum symstore_area upload_default_area(struct req *req)
{
    return req_may(req, "upload_symbols") ? SYMSTORE_REGULAR : SYMSTORE_TRY;
}

bool upload_take_place(struct req *req, const char *asker, struct err *err)
{
    const struct conf *conf = req_conf(req);
    int64_t kept = FREE_WORKERS + conf_int(conf, CONF_SYMBOLICATE_MAX_CONCURRENT);
    int64_t places = conf_int(conf, CONF_SYMBOLS_WORKERS) - kept;
    return req_take_place(req,
                          &(struct place_terms){
                              .asker = asker,
                              .most = (size_t)MAX(places, (int64_t)1),
                              .most_of_asker = (size_t)conf_int(conf, CONF_UPLOADS_PER_TOKEN),
                              .wait_ms = (int)conf_int(conf, CONF_UPLOAD_WAIT_SECONDS) * 1000,
                              .retry_after_s = RETRY_AFTER_S,
                              .busy_text = "Too many uploads at once. Try again in half a minute.",
                          },
                          err);
}

void upload_count_ms(struct req *req, enum metric id, int64_t start_ms)
{
    const struct symbol_server *s = req_app(req);
    metric_time(s->metrics, id, (mono_ms() - start_ms) * 1000);
}

void upload_count_steps(struct req *req)
{
    struct symbol_server *s = req_app(req);
    const struct symstore_times t = s->times_of_store;
    s->times_of_store = (struct symstore_times){0};
    metric_times(s->metrics, METRIC_UPLOAD_LOOK, t.look.us, t.look.n);
    metric_times(s->metrics, METRIC_UPLOAD_PACK, t.pack.us, t.pack.n);
    metric_times(s->metrics, METRIC_UPLOAD_PUT, t.put.us, t.put.n);
}

void upload_count_file(struct req *req, const struct symstore_new *done)
{
    const struct symbol_server *s = req_app(req);
    if (!done)
        metric_add(s->metrics, METRIC_UPLOAD_ERROR, 1);
    else if (!done->is_derived && done->change == SYMSTORE_SAME)
        metric_add(s->metrics,
                   done->is_compressed ? METRIC_UPLOAD_EARLY_COMPRESSED
                                       : METRIC_UPLOAD_EARLY_UNCOMPRESSED,
                   1);
}

/* By name and not by line: ':' sorts behind some characters of names. */
static int by_name(const void *a, const void *b)
{
    const struct upload_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

const char *upload_content_hash(struct arena *a, struct upload_entry *entries, size_t n)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    char hex[MD5_HEX + 1];
    STRBUF_AUTO all;
    sb_init(&all, SIZE_MAX / 2);
    qsort(entries, n, sizeof *entries, by_name);
    for (size_t i = 0; i < n; i++)
        sb_printf(&all, "%s%s:%llu", i ? "\n" : "", entries[i].name,
                  (unsigned long long)entries[i].size);
    EVP_Digest(sb_cstr(&all), all.n, digest, NULL, EVP_md5(), NULL);
    hex_encode(digest, MD5_BYTES, hex);
    return arena_memdup0(a, hex, CONTENT_HASH_HEX);
}

struct str upload_forbidden(const struct conf *conf)
{
    bool checks = conf_bool(conf, CONF_CHECK_SYMBOL_CONTENT);
    return str_of(checks ? conf_text(conf, CONF_DISALLOWED_SYMBOLS_SNIPPETS) : "");
}

const char *upload_oddity(const struct symstore_new *done)
{
    const struct symreader_text *t = &done->text;
    if (!symkey_is_text(&done->key))
        return symstore_is_compressible(done->key.file)
                   ? "stored as it is; symbols are looked for in .sym files, send it unpacked"
                   : NULL;
    if (!t->has_header)
        return "no MODULE line";
    if (!str_eq_nocase(str_of(t->debug_id), str_of(done->key.debug_id)))
        return "debug id of the MODULE line differs";
    if (strcmp(t->debug_file, done->key.debug_file) != 0)
        return "debug file of the MODULE line differs";
    return NULL;
}
