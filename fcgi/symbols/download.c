/*
 * Files for stack walkers and debuggers.
 *
 * Most requests are for what nobody has, so a miss is two stat calls, two look-ups by debug id and,
 * for short ids, one indexed query; a hit is a redirect, so that the bytes may come from nginx or
 * another server.  A name is looked for as it is before its ids are tried, and regular symbols
 * before those of experimental builds: nothing that was uploaded can hide what is asked for.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "fcgi/symbols/symbol_server.h"
#include "fcgi/symbols/upstream.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/symfile/missing.h"
#include "lib/symfile/symindex.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symreader.h"
#include "lib/symfile/symstore.h"
#include "lib/web/param_spec.h"
#include "lib/web/params.h"
#include "lib/web/web.h"
#include "queries.h"

/*
 * A debug id has 32 digits of an identity and at least one of an age; a shorter one may be a code
 * id.
 */
enum { DEBUG_ID_DIGITS = 33 };

/* clang-format off */
/*
 * What stack walkers (.sym) and debuggers ask for: compressed DLL, EXE and PDB of Microsoft's,
 * debug files and archives of other systems.  The list is Tecken's; a request for anything else
 * ends without a look at the disk.
 */
static const char *const extensions[] = {".sym", ".dl_", ".ex_", ".pd_", ".dbg.gz", ".tar.bz2"};
static const struct {
    const char *name, *value;
} cors[] = {
    {"Access-Control-Allow-Origin", "*"},
    {"Access-Control-Allow-Methods", "GET"},
    {"Access-Control-Allow-Headers", "accept,accept-encoding,authorization,content-type,dnt,"
                                     "origin,user-agent,x-csrftoken,x-requested-with"},
};
static const char *const area_paths[] = {[SYMSTORE_REGULAR] = "v1",
                                         [SYMSTORE_TRY] = "try/v1",
                                         [SYMSTORE_CACHE] = "cache/v1"};
/* clang-format on */

/*
 * Scripts of pages on other sites may read the answers: downloads need no log-in.  The headers are
 * those that Tecken allows.
 */
static void add_cors(struct req *req)
{
    for (size_t i = 0; i < ARRAY_LEN(cors); i++)
        resp_header(req, cors[i].name, str_of(cors[i].value));
}

/*
 * Names that no symbol server has: answered without a look.  Microsoft's debuggers ask for file.ptr
 * after every miss, and an id of zeros is that of a module without one.
 */
static bool is_ignored(const struct symkey *k)
{
    if (strcmp(k->file, "file.ptr") == 0)
        return true;
    if (strlen(k->debug_id) == DEBUG_ID_DIGITS && !k->debug_id[strspn(k->debug_id, "0")])
        return true;
    for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
        if (str_ends(str_of(k->file), str_of(extensions[i])))
            return false;
    return true;
}

/*
 * For those who ask how long the store took: seconds, and exactly 0 for a request that did not
 * look.
 */
static void add_debug_time(struct req *req, int64_t us)
{
    struct str wish = req_header(req, "Debug");
    if (!str_eq_nocase(wish, STR("true")) && !str_eq(wish, STR("1")) &&
        !str_eq_nocase(wish, STR("yes")))
        return;
    const char *text = us ? arena_printf(req_arena(req), "%.6f", (double)us / 1e6) : "0";
    resp_header(req, "Debug-Time", str_of(text));
}

static bool not_found(struct req *req, const char *text)
{
    return resp_bytes(req, 404, "text/plain; charset=utf-8", str_of(text));
}

/*
 * HEAD is answered with 200 and not with 302, as Tecken does: a client that only asks whether a
 * file is there need not follow a redirect.
 */
static bool redirect_to(struct req *req, const char *where)
{
    if (req_method(req) != METHOD_HEAD)
        return resp_redirect(req, 302, str_of(where));
    return resp_header(req, "Location", str_of(where)) && resp_bytes(req, 200, NULL, STR(""));
}

/* A path of this server, or of SYMBOLS_PUBLIC_URL when the files are served elsewhere. */
static bool redirect_to_file(struct req *req, enum symstore_area area, const struct symkey *k)
{
    const struct symbol_server *s = req_app(req);
    struct arena *a = req_arena(req);
    char key[SYMKEY_MAX + 1];
    symkey_text(k, key);
    struct str path = url_path_encode(a, str_of(key));
    const char *where =
        *s->public_url
            ? arena_printf(a, "%s/%s/" STR_FMT, s->public_url, area_paths[area], STR_ARG(path))
            : arena_printf(a, STR_FMT "/symbols-files/%s/" STR_FMT, STR_ARG(req_mount(req)),
                           area_paths[area], STR_ARG(path));
    return redirect_to(req, where);
}

/*
 * Where a file has another name: the same request for that.  The query goes along, for the second
 * request may miss as well and then wants code_file and code_id in the list.
 */
static bool redirect_to_name(struct req *req, const struct symkey *to)
{
    struct arena *a = req_arena(req);
    char key[SYMKEY_MAX + 1];
    symkey_text(to, key);
    return resp_redirect(
        req, 302,
        str_of(arena_printf(a, STR_FMT "%s/" STR_FMT "%s" STR_FMT, STR_ARG(req_mount(req)),
                            str_starts(req_path(req), STR("/try/")) ? "/try" : "",
                            STR_ARG(url_path_encode(a, str_of(key))), req_query(req).n ? "?" : "",
                            STR_ARG(req_query(req)))));
}

/* A library that the dump knows by its file name and the store by its SONAME, or the reverse. */
static bool has_other_name(struct req *req, const struct symkey *k, bool with_try,
                           struct symkey *ret)
{
    const struct symbol_server *s = req_app(req);
    return symkey_is_of_module(k) && (symindex_find(s->store.dir, false, k, ret) ||
                                      (with_try && symindex_find(s->store.dir, true, k, ret)));
}

/*
 * Windows stack walkers that know only the code file and id ask for those; the file row
 * knows the debug file and id.
 */
static bool redirect_by_code_id(struct req *req, const struct symkey *k, bool with_try,
                                bool *ret_found, struct err *err)
{
    *ret_found = false;
    if (!str_ends(str_of(k->file), STR(".sym")) || strlen(k->debug_id) >= DEBUG_ID_DIGITS)
        return true;
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(req), &q_symbol_file_by_ids, &rows, err, k->debug_file, k->debug_id,
                db_bool(with_try)))
        return err_wrap(err, "looking up a code id");
    struct symkey to;
    if (rows.count == 0 ||
        !symkey_make(str_of(db_col(&rows, 0, Q_SYMBOL_FILE_BY_IDS_COL_DEBUG_FILENAME)),
                     str_of(db_col(&rows, 0, Q_SYMBOL_FILE_BY_IDS_COL_DEBUG_ID)), str_of(k->file),
                     &to, ERR_IGNORED) ||
        (strcmp(to.debug_file, k->debug_file) == 0 && strcmp(to.debug_id, k->debug_id) == 0))
        return true; /* to itself would be an endless loop */
    *ret_found = true;
    return redirect_to_name(req, &to);
}

/* clang-format off */
static const struct param_spec
    try_too = {"try", PARAM_FLAG, .help = "present, with or without a value: symbols of experimental builds, too"},
    code_file = {"code_file", PARAM_TEXT, .help = "file name of the module, for the list of missing symbols"},
    code_id = {"code_id", PARAM_TEXT, .help = "code id of the module, for the list of missing symbols"};
/* clang-format on */
const struct param_spec *const download_params[] = {&try_too, &code_file, &code_id, NULL};
const struct param_spec *const download_try_params[] = {&code_file, &code_id, NULL};

/*
 * What other servers have.  503 and not 404 while it is being fetched: clients come again for the
 * one and give up at the other.
 */
static bool ask_upstream(struct req *req, const struct symkey *k)
{
    const struct symbol_server *s = req_app(req);
    char url[2048];
    struct symkey stored;
    switch (upstream_find(s->upstream, k, req_text(req, &code_file), req_text(req, &code_id),
                          &stored, url)) {
    case UPSTREAM_STORED:
        return strcmp(stored.debug_id, k->debug_id) == 0
                   ? redirect_to_file(req, SYMSTORE_CACHE, &stored)
                   : redirect_to_name(req, &stored);
    case UPSTREAM_ELSEWHERE:
        return redirect_to(req, url);
    case UPSTREAM_LATER:
        return resp_header(req, "Retry-After", STR("3")) &&
               resp_bytes(req, 503, "text/plain; charset=utf-8",
                          STR("Symbols are being fetched from another server; ask again"));
    case UPSTREAM_NONE:
        break;
    }
    return false;
}

/*
 * The order is that of the head of this file.  A miss is written down for GET only: HEAD asks
 * whether a file is there and does not want it.
 */
static bool download(struct req *req, bool with_try, struct err *err)
{
    struct symbol_server *s = req_app(req);
    struct symkey k;
    if (!symkey_parse(req_path_rest(req), &k, ERR_IGNORED))
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    add_cors(req);
    if (is_ignored(&k)) {
        add_debug_time(req, 0);
        return not_found(req, "Symbol Not Found (and ignored)");
    }

    struct symstore_found found;
    int64_t start_us = mono_us();
    enum symstore_area area = SYMSTORE_REGULAR;
    bool ok = symstore_find(&s->store, area, &k, &found, err);
    if (!ok && err->code == ERR_NOT_FOUND && with_try) {
        area = SYMSTORE_TRY;
        ok = symstore_find(&s->store, area, &k, &found, err);
    }
    add_debug_time(req, MAX(mono_us() - start_us, (int64_t)1));
    if (ok)
        return redirect_to_file(req, area, &k);
    if (err->code != ERR_NOT_FOUND)
        return false;

    struct symkey other;
    if (has_other_name(req, &k, with_try, &other))
        return redirect_to_name(req, &other);
    bool is_redirected;
    if (!redirect_by_code_id(req, &k, with_try, &is_redirected, err))
        return false;
    if (is_redirected || ask_upstream(req, &k))
        return true;
    if (req_method(req) == METHOD_GET)
        missing_record(s->missing, &k,
                       &(struct missing_about){.code_file = req_text(req, &code_file),
                                               .code_id = req_text(req, &code_id)});
    return not_found(req, "Symbol Not Found");
}

bool download_get(struct req *req, struct err *err)
{
    return download(req, req_is_sent(req, &try_too), err);
}

bool download_try_get(struct req *req, struct err *err)
{
    return download(req, true, err);
}

/* A client that names gzip is taken at its word: quality values are not read. */
static bool takes_gzip(struct req *req)
{
    return str_find(req_header(req, "Accept-Encoding"), STR("gzip"), 0) != SIZE_MAX;
}

/*
 * HTTP dates are the one place where days have names.  The tag is time and size of the stored file;
 * no-transform, because a proxy that unpacks or packs would change what the tag stands for.
 */
static void add_validators(struct req *req, const struct symstore_found *f)
{
    static const char days[] = "MonTueWedThuFriSatSun";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct arena *a = req_arena(req);
    int64_t us = f->modified_s * 1000000;
    struct civil c = civil_of_us(us);
    const char *date =
        arena_printf(a, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * weekday_of_us(us),
                     c.day, months + 3 * (c.month - 1), c.year, c.hour, c.minute, c.second);
    resp_header(req, "Last-Modified", str_of(date));
    resp_header(req, "ETag",
                str_of(arena_printf(a, "\"%llx-%llx\"", (unsigned long long)f->modified_s,
                                    (unsigned long long)f->stored_size)));
    resp_header(req, "Cache-Control", STR("no-transform"));
    resp_header(req, "Vary", STR("Accept-Encoding"));
}

/* v1/<key>, try/v1/<key> or cache/v1/<key>: the part of a path behind /symbols-files/. */
static bool stored_key(struct str rest, enum symstore_area *ret_area, struct symkey *ret)
{
    for (enum symstore_area a = 0; a < SYMSTORE_AREA_COUNT; a++) {
        struct str area = str_of(area_paths[a]);
        if (str_starts(rest, area) && str_starts(str_sub(rest, area.n, 1), STR("/"))) {
            *ret_area = a;
            return symkey_parse(str_sub(rest, area.n + 1, SIZE_MAX), ret, ERR_IGNORED);
        }
    }
    return false;
}

/* What can be fetched cannot be posted to; everything else is unknown. */
bool other_method(struct req *req, struct err *err)
{
    struct symkey k;
    enum symstore_area area;
    bool is_file = str_starts(req_path(req), STR("/symbols-files/"))
                       ? stored_key(req_path_rest(req), &area, &k)
                       : symkey_parse(req_path_rest(req), &k, ERR_IGNORED);
    if (!is_file)
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    return symbol_server_error(req, 405, &(struct err){.code = ERR_INVALID}) &&
           resp_header(req, "Allow", STR("GET, HEAD"));
}

/*
 * A file is stored as it was uploaded, mostly compressed.  Who takes gzip gets those bytes; for
 * others it is unpacked by the sandboxed reader into a temporary file, since its bytes are a
 * stranger's.
 */
bool stored_file_get(struct req *req, struct err *err)
{
    const struct symbol_server *s = req_app(req);
    enum symstore_area area;
    struct symkey k;
    struct symstore_found f;
    if (!stored_key(req_path_rest(req), &area, &k))
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    if (!symstore_find(&s->store, area, &k, &f, err))
        return err->code == ERR_NOT_FOUND ? err_set(err, ERR_NOT_FOUND, "Not Found") : false;

    add_cors(req);
    add_validators(req, &f);
    const char *type =
        symkey_is_text(&k) ? "text/plain; charset=utf-8" : "application/octet-stream";
    FD_AUTO fd = -1;
    if (f.is_compressed && !takes_gzip(req)) {
        if (!symreader_inflate(f.path, s->temp_dir, &fd, err))
            return false;
    } else {
        fd = open(f.path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return err_set(err, ERR_NOT_FOUND, "Not Found");
        if (f.is_compressed)
            resp_header(req, "Content-Encoding", STR("gzip"));
    }
    return resp_file(req, 200, type, TAKE_FD(fd), err);
}
