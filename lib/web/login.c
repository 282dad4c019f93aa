/*
 * Log-in with e-mail and password.  Whether an account exists shows neither in words nor in time:
 * an unknown address is answered after a comparison with a hash that fits nothing.  Failures are
 * counted (is_too_many); over the limit nothing is compared any more.  Counts are in memory that
 * all workers share (lib/web/rate.h).
 *
 * An address of e-mail has at most 254 bytes by RFC 5321.
 */
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/tpl/tpl.h"
#include "lib/web/internal.h"
#include "lib/web/param_spec.h"
#include "lib/web/password.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"

enum {
    WINDOW_S = 15 * 60, /* too_many says so */
    TOGETHER = 20,      /* an office; 200 guesses in a quarter of an hour find no password */
    EMAIL_MAX = 254,
    NEXT_MAX = 2048, /* a path and a query that somebody may have typed; longer ones lead home */
};

static const char wrong[] = "That e-mail address and password do not fit together.";
static const char too_many[] = "Too many attempts that failed. Wait a quarter of an hour, then try "
                               "again with the right password.";

/* clang-format off */
static const struct param_spec
    email = {"email", PARAM_TEXT, PARAM_REQUIRED | PARAM_TRIMMED, .max = EMAIL_MAX, .refusal = wrong,
             .help = "e-mail address of the account"},
    password = {"password", PARAM_TEXT, PARAM_REQUIRED, .max = PASSWORD_MAX, .refusal = wrong,
                .help = "password of the account"},
    /* Which paths are good is looked at in local_path: others are no mistake of the person's. */
    next_path = {"next", PARAM_TEXT, .help = "where to go after the log-in; a path of this server"};
/* clang-format on */
const struct param_spec *const login_get_params[] = {&next_path, NULL};
const struct param_spec *const login_post_params[] = {&email, &password, &next_path, NULL};

/* Paths of our own only: a link to /login/ must not send anybody elsewhere afterwards. */
static struct str local_path(struct req *r, struct str next)
{
    bool is_local = next.n > 0 && next.n <= NEXT_MAX && next.p[0] == '/' && url_is_safe(next) &&
                    !str_starts(next, site_path(r, "/login/"));
    return is_local ? next : site_path(r, "/");
}

/*
 * The same form for the first visit and for every refusal.  "insufficient" is the visitor who is
 * logged in and was sent here all the same: the page behind `next` needs a permission that they
 * lack.
 */
static bool send_form(struct req *r, int status, const char *problem, struct str address,
                      struct err *err)
{
    struct str next = req_text(r, &next_path);
    const struct web_user *user = req_user(r);
    struct tpl_values *v = r->web->program->layout(r, "Log in");
    tpl_cstr(v, "heading", "Log in");
    tpl_cstr(v, "error", problem);
    tpl_text(v, "email", address);
    tpl_text(v, "next", local_path(r, next));
    tpl_bool(v, "insufficient", user->is_logged_in && next.n > 0);
    tpl_cstr(v, "csrf_token", req_csrf_token(r));
    resp_header(r, "Cache-Control", STR("no-store"));
    return resp_page(r, status, "login.html", v, err);
}

/* GET /login/?next=: where routes that need a log-in send people (ROUTE_LOGIN). */
bool login_get(struct req *r, struct err *err)
{
    return send_form(r, 200, "", STR(""), err);
}

/*
 * Whether this attempt is one too many; `add` 1 counts a failure, 0 only looks.  The limit of the
 * configuration is for one account from one address: a colleague behind the same router is not
 * locked out by somebody's typing mistakes, and nobody is by a stranger who tries their account.
 * What many accounts from one address or many addresses on one account may add up to is
 * TOGETHER times that.  Lower case, as the look-up of accounts ignores case: else each spelling of
 * an address would have attempts of its own.
 */
static bool is_too_many(struct req *r, struct str address, uint32_t add)
{
    struct arena *a = req_arena(r);
    uint32_t limit = (uint32_t)conf_int(req_conf(r), CONF_LOGIN_MAX_ATTEMPTS);
    struct str account = str_alower(a, address), client = req_client(r);
    struct str both =
        str_of(arena_printf(a, STR_FMT " " STR_FMT, STR_ARG(client), STR_ARG(account)));
    uint32_t by_both = req_rate_count(r, "login", both, WINDOW_S, add);
    uint32_t by_address = req_rate_count(r, "login-address", client, WINDOW_S, add);
    uint32_t by_account = req_rate_count(r, "login-account", account, WINDOW_S, add);
    return by_both >= limit || MAX(by_address, by_account) >= TOGETHER * limit;
}

/*
 * *ret_id 0: wrong, whatever the reason.  The hash is compared in each case, with NULL for an
 * unknown account, because a comparison takes tens of milliseconds and leaving it out could be
 * measured.
 */
static bool check_password(struct req *r, struct str address, int64_t *ret_id, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(r), &q_web_account, &rows, err, str_adup(req_arena(r), address)))
        return err_wrap(err, "looking up an account");
    const char *hash = rows.count == 1 ? db_col(&rows, 0, Q_WEB_ACCOUNT_COL_PASSWORD_HASH) : NULL;
    bool fits = password_verify(hash, str_adup(req_arena(r), req_text(r, &password)));
    *ret_id = fits && rows.count == 1 ? db_col_int(&rows, 0, Q_WEB_ACCOUNT_COL_ID, 0) : 0;
    return true;
}

/*
 * POST /login/: email, password, next.  A wrong password is a 400 with the form, and too many of
 * them a 429, also for the right one.  The old session is closed and another one opened: an id that
 * somebody planted in the browser before must not become that of a user who is logged in.
 */
bool login_post(struct req *r, struct err *err)
{
    struct str address = req_text(r, &email);
    int64_t user_id = 0;
    struct err problem;
    if (!req_params_fit(r, &problem))
        return send_form(r, 400, problem.msg, address, err);
    if (is_too_many(r, address, 0)) {
        log_event(LOG_WARN, "login_throttled", "log-in refused after too many failures");
        return send_form(r, 429, too_many, address, err);
    }
    if (!check_password(r, address, &user_id, err))
        return false;
    if (user_id == 0) {
        is_too_many(r, address, 1);
        log_event(LOG_INFO, "login_failed", "log-in with a wrong password or address");
        return send_form(r, 400, wrong, address, err);
    }
    if (!session_close(r, err) || !session_open(r, user_id, err))
        return false;
    log_event(LOG_INFO, "login", "a user has logged in", LOG_I("user_id", user_id));
    return resp_redirect(r, 303, local_path(r, req_text(r, &next_path)));
}

/* POST /logout/ */
bool logout_post(struct req *r, struct err *err)
{
    return session_close(r, err) && resp_redirect(r, 303, site_path(r, "/"));
}
