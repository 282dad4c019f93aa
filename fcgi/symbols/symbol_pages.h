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

web_handler page_home_get, page_uploads_get, page_upload_get, page_files_get, page_file_get;
web_handler page_tokens_get, page_tokens_post, page_token_extend_post, page_token_delete_post;
web_handler page_users_get, page_user_get, page_user_post, page_audit_get;
web_handler page_help_get, page_upload_now_get, page_upload_now_post, page_status_get;
extern const struct param_spec *const page_upload_params[], *const page_tokens_params[];
extern const struct param_spec *const page_tokens_post_params[], *const page_token_extend_params[];
extern const struct param_spec *const page_token_delete_params[], *const page_user_post_params[];
extern const struct param_spec *const page_audit_params[];

#endif
