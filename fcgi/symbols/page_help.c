/*
 * GET /help: how to use this server from debuggers, scripts and build machines, with the addresses
 * as this reader sees them, so that what stands there can be copied.
 */
#include "fcgi/symbols/symbol_pages.h"
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
