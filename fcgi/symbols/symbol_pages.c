/*
 * The navigation of the symbol server.  It names what the reader may open and nothing else; what it
 * leaves out is refused by its own route all the same.
 */
#include "fcgi/symbols/symbol_pages.h"

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/web/site.h"
#include "rows.h"

const char *const symbol_permissions[] = {"upload_symbols", "upload_try_symbols",
                                          "view_all_uploads", "manage_tokens"};

bool may_see_uploads(struct req *r)
{
    return req_may(r, "upload_symbols") || req_may(r, "upload_try_symbols") ||
           req_may(r, "view_all_uploads");
}

static bool may_manage_tokens(struct req *r)
{
    return req_user(r)->is_logged_in && req_may(r, "manage_tokens");
}

static bool is_superuser(struct req *r)
{
    return req_user(r)->is_superuser;
}

/* clang-format off */
static const struct {
    enum symbol_nav nav;
    const char *text, *path;
    bool (*is_shown)(struct req *r); /* NULL: to everybody */
} entries[] = {
    {SYMBOL_NAV_HOME, "Home", "/", NULL},
    {SYMBOL_NAV_TOKENS, "API Tokens", "/tokens", may_manage_tokens},
    {SYMBOL_NAV_UPLOADS, "Uploads", "/uploads", may_see_uploads},
    {SYMBOL_NAV_MISSING, "Missing Symbols", "/missing", NULL},
    {SYMBOL_NAV_USERS, "Users", "/users", is_superuser},
    {SYMBOL_NAV_HELP, "Help", "/help", NULL},
};
/* clang-format on */

struct tpl_values *symbol_page_new(struct req *r, const char *title, enum symbol_nav nav)
{
    struct tpl_values *v = site_new(r, title);
    struct tpl_rows *links = tpl_list(v, LIST_NAV_LINKS);
    tpl_cstr(v, "site_name", "Datil Symbols");
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        if (!entries[i].is_shown || entries[i].is_shown(r))
            site_add_choice(links, entries[i].text, site_path(r, entries[i].path),
                            entries[i].nav == nav);
    struct tpl_rows *foot = tpl_list(v, LIST_FOOT_LINKS);
    site_add_link(foot, STR("Help"), site_path(r, "/help"));
    if (req_user(r)->is_staff || req_user(r)->is_superuser)
        site_add_link(tpl_list(v, LIST_ACCOUNT_LINKS), STR("Site status"), site_path(r, "/status"));
    /* Below a prefix there is a host around us, with the crashes. */
    if (req_mount(r).n)
        site_add_link(foot, STR("Crash Stats"), STR("/"));
    return v;
}

struct tpl_values *symbol_page_titled(struct req *r, const char *title)
{
    return symbol_page_new(r, title, SYMBOL_NAV_NONE);
}
