#ifndef WEB_SITE_H
#define WEB_SITE_H

#include "lib/tpl/tpl.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"

/*
 * site - what the pages of all programs have in common: the head with the account, notices of the
 * administrator, the foot, log-in and log-out, the page for errors, the audit log.
 *
 * A program with pages sets web_program.layout: a function that takes site_new() and adds what is
 * its own, at least the links of its navigation and foot.  Log-in and errors are shown in it.
 *
 * Ownership  Values live in the request's arena.  What is kept between requests (notices, the name
 *            of the style sheets' release) belongs to the worker.
 */
struct tpl_values *site_new(struct req *r, const char *title);
/*
 * Rows that several pages have: a "link", and a "choice" of a menu or of a group of links.  The
 * navigation is choices of LIST_NAV_LINKS; the foot and the account's menu are links of
 * LIST_FOOT_LINKS and LIST_ACCOUNT_LINKS.
 */
void site_add_link(struct tpl_rows *rows, struct str text, struct str url);
void site_add_choice(struct tpl_rows *rows, const char *text, struct str url, bool is_current);

/* The page for an error, in the layout.  False: it cannot be made either. */
bool site_error_page(struct req *r, int status, const struct err *err);
/* Whether the client would show a page: not scripts, nor programs that ask for something else. */
bool site_wants_page(struct req *r);

/* Where a bug can be read: BUG_TRACKER_URL with the number. */
struct str site_bug_url(struct req *r, const char *bug_id);
/* A path of this program as a link has it: with the prefix under which it is served. */
struct str site_path(struct req *r, const char *path);
/* "https://symbols.example.com", with the prefix: as the client has reached us. */
struct str site_base(struct req *r);

/* Notices have changed: this worker reads them again for the next page, others within 10 s. */
void site_forget_notices(struct req *r);

/* Who did what to which "crash", "token", "user": downloads, reprocessing, administration. */
void site_audit(struct req *r, const char *object, const char *object_id, const char *action,
                const char *message);

/* /login/ and /logout/, for the routes of any program with a layout. */
web_handler login_get, login_post, logout_post;
extern const struct param_spec *const login_get_params[], *const login_post_params[];

#endif
