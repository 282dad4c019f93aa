/*
 * /uploads/upload: a form that sends an archive from the browser, and beside it the commands for
 * build machines, with the addresses as this reader sees them.
 *
 * The form goes the way of the API (upload_archive.h), so a page takes what a script may send and
 * refuses it in the same words; the person who is logged in is the uploader.  It is a plain form:
 * no script takes part, and the browser itself shows how far it is.  What was stored ends in a
 * redirect to the page of the upload, so that a reload sends nothing twice; what was refused comes
 * back as this page with the reason.
 */
#include "fcgi/symbols/symbol_pages.h"
#include "fcgi/symbols/upload_archive.h"
#include "fcgi/symbols/upload_rows.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/site.h"
#include "lib/web/web.h"

/* Who may not upload would get a form and commands that are refused. */
static bool check_uploader(struct req *r, struct err *err)
{
    return req_may(r, "upload_symbols") || req_may(r, "upload_try_symbols") ||
           err_set(err, ERR_FORBIDDEN,
                   "Uploads are for those who may upload symbols. Ask an administrator for the "
                   "group Uploaders.");
}

static bool send_form(struct req *r, int status, const char *refusal, struct err *err)
{
    const struct conf *conf = req_conf(r);
    struct tpl_values *v = symbol_page_new(r, "Upload symbols", SYMBOL_NAV_UPLOADS);
    symbol_page_tabs(r, v, UPLOAD_TAB_SEND);
    tpl_text(v, "base", site_base(r));
    tpl_bool(v, "is_try", !req_may(r, "upload_symbols"));
    tpl_bool(v, "takes_url",
             conf_bool(conf, CONF_ALLOW_UPLOAD_BY_ANY_DOMAIN) ||
                 *conf_text(conf, CONF_ALLOW_UPLOAD_BY_DOWNLOAD_DOMAINS));
    tpl_cstr(v, "max_size",
             human_size(req_arena(r), conf_int(conf, CONF_SYMBOLS_UPLOAD_MAX_BYTES)));
    tpl_cstr(v, "refusal", refusal);
    return resp_page(r, status, "symbols_upload_now.html", v, err);
}

/* GET /uploads/upload */
bool page_upload_now_get(struct req *r, struct err *err)
{
    return check_uploader(r, err) && send_form(r, 200, "", err);
}

/* What the sender can mend is told beside the form; all else is an error page. */
static bool refuse(struct req *r, bool is_far_fault, struct err *err)
{
    int status = is_far_fault                 ? 502
                 : err->code == ERR_INVALID   ? 400
                 : err->code == ERR_TOO_LARGE ? 413
                                              : 0;
    return status && send_form(r, status, arena_strdup(req_arena(r), err->msg), err);
}

/* POST /uploads/upload */
bool page_upload_now_post(struct req *r, struct err *err)
{
    struct arena *a = req_arena(r);
    struct upload_outcome done = {0};
    const struct upload_sender sender = {
        .asker = arena_printf(a, "user %lld", (long long)req_user(r)->id), .is_browser = true};
    if (!check_uploader(r, err))
        return false;
    if (!upload_archive(r, &sender, &done, err))
        return refuse(r, done.is_far_fault, err);
    int64_t id = 0;
    jget_int(jget_obj(done.document, "upload"), "id", &id);
    json_decref(done.document);
    return resp_redirect(r, 303,
                         site_path(r, arena_printf(a, "/uploads/upload/%lld", (long long)id)));
}
