/*
 * GET /help and /uploads/upload: how to use this server from debuggers, scripts and build machines,
 * with the addresses as this reader sees them, so that what stands there can be copied.
 */
#include "fcgi/symbols/symbol_pages.h"
#include "fcgi/symbols/upload_rows.h"
#include "lib/base/err.h"
#include "lib/tpl/tpl.h"
#include "lib/web/site.h"
#include "lib/web/web.h"

bool page_help_get(struct req *r, struct err *err)
{
    struct tpl_values *v = symbol_page_new(r, "Help", SYMBOL_NAV_HELP);
    tpl_text(v, "base", site_base(r));
    return resp_page(r, 200, "symbols_help.html", v, err);
}

/* Who may not upload would get commands that are refused. */
bool page_upload_now_get(struct req *r, struct err *err)
{
    bool may_regular = req_may(r, "upload_symbols");
    if (!may_regular && !req_may(r, "upload_try_symbols"))
        return err_set(err, ERR_FORBIDDEN,
                       "Uploads are for those who may upload symbols. Ask an administrator for the "
                       "group Uploaders.");
    struct tpl_values *v = symbol_page_new(r, "Upload symbols", SYMBOL_NAV_UPLOADS);
    symbol_page_tabs(r, v, UPLOAD_TAB_SEND);
    tpl_text(v, "base", site_base(r));
    tpl_bool(v, "is_try", !may_regular);
    return resp_page(r, 200, "symbols_upload_now.html", v, err);
}
