#ifndef SYMBOLS_SYMBOL_PAGES_H
#define SYMBOLS_SYMBOL_PAGES_H

#include "lib/tpl/tpl.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"

/*
 * symbol_pages - the layout of the symbol server's pages: that of all pages (lib/web/site.h) with
 * a navigation of its own.  A page takes symbol_page_new(), adds its values and ends with
 * resp_page().
 *
 * Addresses of links are made by site_path() or begin with {mount} in templates: the server may
 * stand below /symbols of another host.
 */
enum symbol_nav {
    SYMBOL_NAV_NONE,
    SYMBOL_NAV_HOME,
    SYMBOL_NAV_TOKENS,
    SYMBOL_NAV_UPLOADS,
    SYMBOL_NAV_MISSING,
    SYMBOL_NAV_USERS,
    SYMBOL_NAV_HELP,
};
struct tpl_values *symbol_page_new(struct req *r, const char *title, enum symbol_nav nav);
/* The same for web_program.layout. */
struct tpl_values *symbol_page_titled(struct req *r, const char *title);

/* Code names of what concerns symbols, of all permissions there are. */
enum { SYMBOL_PERMISSIONS = 4 };
extern const char *const symbol_permissions[SYMBOL_PERMISSIONS];

/* Whether there is anything about uploads that the reader may see or do. */
bool may_see_uploads(struct req *r);

web_handler page_home_get;

#endif
