/*
 * What stands around every page, whichever program it belongs to: who is logged in, the notices of
 * the administrator, addresses of the style sheets, and the page for errors.  A part that cannot be
 * made (no database) is left out: the layout of an error page must not be a second error.
 *
 * A worker keeps the notices for a while and a hash of all static files; nothing here depends on
 * who asked before.
 */
#include "lib/web/site.h"

#include <fts.h>
#include <limits.h>
#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/web/internal.h"
#include "queries.h"
#include "rows.h"

enum {
    /* Chosen: a notice shows within ten seconds, and a busy worker asks the database once in
     * hundreds of pages. */
    NOTICES_KEEP_MS = 10000,
    ASSET_MAX = 4 << 20 /* the largest file of static/ has 50 KB */
};

struct notice {
    char *severity; /* info, warning, critical */
    char *message;
};

struct site {
    struct notice *notices;
    size_t notice_count;
    int64_t notices_until_ms;
    char asset[40]; /* in the addresses of style sheets and scripts */
};

static int by_path(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/*
 * Browsers keep style sheets and scripts for an hour; their addresses carry a hash of everything
 * below static/, so that a new release never runs against an old script.  In the order of the
 * names: two servers with the same files give the same address.
 */
static void set_asset(struct site *s)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/static", fs_share_dir());
    uint64_t h = 0;
    FTS *fts = fts_open((char *[]){folder, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, by_path);
    for (FTSENT *e = NULL; fts && (e = fts_read(fts));) {
        FREE_LATER char *bytes = NULL;
        size_t n = 0;
        if (e->fts_info == FTS_F && fs_read(e->fts_path, ASSET_MAX, &bytes, &n, ERR_IGNORED))
            h = hash64_seed(bytes, n, h);
    }
    if (fts)
        fts_close(fts);
    snprintf(s->asset, sizeof s->asset, "%s-%08x", DATIL_VERSION, (unsigned)(h & 0xFFFFFFFF));
}

struct site *site_open(void)
{
    struct site *s = xcalloc(1, sizeof *s);
    set_asset(s);
    return s;
}

static void drop_notices(struct site *s)
{
    for (size_t i = 0; i < s->notice_count; i++) {
        free(s->notices[i].severity);
        free(s->notices[i].message);
    }
    free(s->notices);
    s->notices = NULL;
    s->notice_count = 0;
}

void site_close(struct site *s)
{
    if (s)
        drop_notices(s);
    free(s);
}

void site_reload(struct site *s)
{
    if (s)
        s->notices_until_ms = 0;
}

void site_forget_notices(struct req *r)
{
    site_reload(r->web->site);
}

void site_add_link(struct tpl_rows *rows, struct str text, struct str url)
{
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_text(row, LINK_TEXT, text);
    tpl_col_url(row, LINK_URL, url);
}

void site_add_choice(struct tpl_rows *rows, const char *text, struct str url, bool is_current)
{
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, CHOICE_TEXT, text);
    tpl_col_url(row, CHOICE_URL, url);
    tpl_col_bool(row, CHOICE_IS_CURRENT, is_current);
}

struct str site_bug_url(struct req *r, const char *bug_id)
{
    return str_of(
        arena_printf(req_arena(r), "%s%s", conf_text(req_conf(r), CONF_BUG_TRACKER_URL), bug_id));
}

struct str site_path(struct req *r, const char *path)
{
    return str_of(arena_printf(req_arena(r), STR_FMT "%s", STR_ARG(req_mount(r)), path));
}

/*
 * The host is the client's own word: it comes back to this client alone, in links that it follows
 * itself, and a name with anything else in it than a host has is taken for none.
 */
struct str site_base(struct req *r)
{
    struct str host = req_header(r, "Host"), scheme = req_env(r, "REQUEST_SCHEME");
    for (size_t i = 0; i < host.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]_",
                    host.p[i]))
            host.n = 0;
    if (host.n == 0)
        return req_mount(r);
    return str_of(arena_printf(req_arena(r), "%s://" STR_FMT STR_FMT,
                               str_eq(scheme, STR("https")) ? "https" : "http", STR_ARG(host),
                               STR_ARG(req_mount(r))));
}

/* Kept by the worker for a while: every page shows them, and they hardly ever change. */
static void load_notices(struct req *r)
{
    struct site *s = r->web->site;
    DB_ROWS rows = {0};
    s->notices_until_ms = mono_ms() + NOTICES_KEEP_MS;
    if (!DB_RUN(req_db(r), &q_web_notices, &rows, ERR_IGNORED))
        return; /* the page works without; the log has it from the database module */
    drop_notices(s);
    s->notices = xcalloc((size_t)rows.count + 1, sizeof *s->notices);
    for (int i = 0; i < rows.count; i++)
        s->notices[s->notice_count++] =
            (struct notice){xstrdup(db_col(&rows, i, Q_WEB_NOTICES_COL_SEVERITY)),
                            xstrdup(db_col(&rows, i, Q_WEB_NOTICES_COL_MESSAGE))};
}

/* "bug #123" becomes a link, the rest is text. */
static void add_notice_text(struct req *r, struct tpl_rows *parts, struct str text)
{
    size_t shown = 0;
    for (size_t at = 0; (at = str_find(text, STR("bug #"), at)) != SIZE_MAX;) {
        size_t digits = at + 5, end = digits;
        while (end < text.n && text.p[end] >= '0' && text.p[end] <= '9')
            end++;
        if (end > digits) {
            const char *id = str_adup(req_arena(r), str_sub(text, digits, end - digits));
            site_add_link(parts, str_sub(text, shown, at - shown), STR(""));
            site_add_link(parts, str_sub(text, at, end - at), site_bug_url(r, id));
            shown = end;
        }
        at = end;
    }
    site_add_link(parts, str_sub(text, shown, SIZE_MAX), STR(""));
}

static void set_notices(struct req *r, struct tpl_values *v)
{
    struct site *s = r->web->site;
    if (s->notices_until_ms <= mono_ms())
        load_notices(r);
    struct tpl_rows *rows = tpl_list(v, LIST_NOTICES);
    for (size_t i = 0; i < s->notice_count; i++) {
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, NOTICE_SEVERITY, s->notices[i].severity);
        add_notice_text(r, tpl_col_rows(row, NOTICE_PARTS), str_of(s->notices[i].message));
    }
}

/* Comes back to the page that it was on, the log-in page itself excepted. */
static struct str login_url(struct req *r)
{
    struct arena *a = req_arena(r);
    if (str_starts(req_path(r), STR("/login")))
        return site_path(r, "/login/");
    struct str next = url_encode(a, req_raw_target(r));
    return str_of(
        arena_printf(a, STR_FMT "/login/?next=" STR_FMT, STR_ARG(req_mount(r)), STR_ARG(next)));
}

/* The token is for forms that change something for who is logged in; the log-in page sets its
 * own. */
static void set_user(struct req *r, struct tpl_values *v)
{
    const struct web_user *user = req_user(r);
    tpl_bool(v, "is_logged_in", user->is_logged_in);
    tpl_bool(v, "is_superuser", user->is_superuser);
    tpl_cstr(v, "user_email", user->email);
    tpl_cstr(v, "csrf_token", user->is_logged_in ? req_csrf_token(r) : "");
    tpl_url(v, "login_url", login_url(r));
}

/* Lists that a program does not fill are empty: a page shows what there is. */
struct tpl_values *site_new(struct req *r, const char *title)
{
    struct tpl_values *v = tpl_values_new(req_arena(r));
    tpl_cstr(v, "title", title);
    tpl_cstr(v, "site_name", "Datil");
    tpl_cstr(v, "asset", r->web->site->asset);
    tpl_cstr(v, "server_version", DATIL_VERSION);
    tpl_text(v, "mount", req_mount(r));
    tpl_url(v, "home_url", site_path(r, "/"));
    tpl_cstr(v, "og_title", "");
    tpl_bool(v, "needs_chart", false);
    tpl_int(v, "reload_seconds", 0);
    tpl_bool(v, "has_product", false);
    tpl_bool(v, "has_search", false);
    tpl_list(v, LIST_NAV_LINKS);
    tpl_list(v, LIST_FOOT_LINKS);
    tpl_list(v, LIST_ACCOUNT_LINKS);
    set_user(r, v);
    set_notices(r, v);
    return v;
}

/* Words for each status.  What the server itself got wrong is told in general words only. */
static const struct {
    int status;
    const char *heading, *message; /* message NULL: that of the error */
} error_texts[] = {
    {400, "Bad request", NULL},
    {403, "Not allowed", NULL},
    {404, "Page not found",
     "Nothing is at this address. It may have moved, or there is a slip in the link."},
    {405, "Method not allowed", NULL},
    {413, "Too large", NULL},
    {429, "Too Many Requests",
     "You are asking faster than this installation answers to one address. Wait a minute."},
    {500, "Internal Server Error", "Something went wrong here. It has been noted."},
    {503, "Not available just now",
     "A part of this installation does not answer. Try again in a moment."},
};

/* Who takes anything, or does not say, gets the page. */
bool site_wants_page(struct req *r)
{
    struct str accept = req_header(r, "Accept");
    return !str_eq_nocase(req_header(r, "X-Requested-With"), STR("XMLHttpRequest")) &&
           (str_find(accept, STR("text/html"), 0) != SIZE_MAX || accept.n == 0 ||
            str_find(accept, STR("*/*"), 0) != SIZE_MAX);
}

bool site_error_page(struct req *r, int status, const struct err *err)
{
    const char *heading = "Something went wrong", *message = err->msg;
    for (size_t i = 0; i < ARRAY_LEN(error_texts); i++)
        if (error_texts[i].status == status) {
            heading = error_texts[i].heading;
            bool is_page = strcmp(err->msg, "Page not found") == 0; /* no route at all */
            bool own = error_texts[i].message && (status != 404 || is_page) &&
                       err->code != ERR_BUSY; /* whose text says what to do */
            message = own ? error_texts[i].message : err->msg;
        }
    struct tpl_values *v = r->web->program->layout(r, heading);
    struct err why = {0};
    tpl_int(v, "status", status);
    tpl_cstr(v, "heading", heading);
    tpl_cstr(v, "message", message);
    tpl_cstr(v, "request_id", status >= 500 ? req_id(r) : "");
    if (resp_page(r, status, "error.html", v, &why))
        return true;
    log_event(LOG_ERROR, "error_page_failed", "the error page cannot be rendered", LOG_E(&why));
    return false;
}

/*
 * To the database, where administrators read it, and to the log, which keeps it when the database
 * does not answer: what was asked for is then done all the same, for a download is not worth less
 * than its record, but the failure is in the log.
 */
void site_audit(struct req *r, const char *object, const char *object_id, const char *action,
                const char *message)
{
    const struct web_user *user = req_user(r);
    struct err err = {0};
    log_event(LOG_INFO, "audit", action, LOG_S("object", object), LOG_S("object_id", object_id),
              LOG_I("user_id", user->id));
    if (!DB_EXEC(req_db(r), &q_audit_add, &err, user->id ? db_int(req_arena(r), user->id) : NULL,
                 user->email ? user->email : "", object, object_id, action, message))
        log_event(LOG_WARN, "audit_failed", "the audit log cannot be written", LOG_E(&err));
}
