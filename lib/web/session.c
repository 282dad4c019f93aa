/*
 * Who asks.  The cookie holds 32 random bytes; the table web_session knows only their SHA-256, as
 * api_token knows only that of a key: a stolen database opens no session.
 *
 * The CSRF token is derived from the secret of the session (or, before log-in, of a cookie that
 * means nothing else), so that it lives and dies with it and needs no storage.
 */
#include "queries.h"

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/web/internal.h"
#include "lib/web/params.h"
#include "lib/web/web.h"

#define SESSION_COOKIE   "datil_session"
#define ANONYMOUS_COOKIE "datil_visitor"

enum { SECRET_BYTES = SESSION_SECRET_HEX / 2 };

static bool is_secret(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (hex_digit(s.p[i]) < 0)
            return false;
    return s.n == SESSION_SECRET_HEX;
}

static void hash_of(struct str secret, char out[SHA256_HEX + 1])
{
    sha256_hex(secret.p, secret.n, out);
}

static void set_permissions(struct req *r, const char *list)
{
    struct str rest = str_of(arena_strdup(&r->arena, list)), name;
    size_t n = 0, most = rest.n + 1;
    struct str *v = arena_array(&r->arena, most, sizeof *v);
    while (str_split(&rest, ',', &name))
        if (name.n)
            v[n++] = name;
    r->permissions = (struct strs){.v = v, .n = n};
}

static void set_user(struct req *r, int64_t id, const char *email, const char *permissions)
{
    r->user.is_logged_in = true;
    r->user.id = id;
    r->user.email = arena_strdup(&r->arena, email);
    set_permissions(r, permissions);
}

/* The texts are those that scripts of the originals look for. */
static bool judge_token(struct req *r, const struct db_rows *rows, struct err *err)
{
    const char *inactive = r->web->program->inactive_text;
    if (rows->count == 0)
        return err_set(err, ERR_FORBIDDEN, "API Token not matched");
    if (db_col_bool(rows, 0, Q_TOKEN_FIND_COL_IS_EXPIRED))
        return err_set(err, ERR_FORBIDDEN, "API Token found but expired");
    if (!db_col_bool(rows, 0, Q_TOKEN_FIND_COL_IS_ACTIVE))
        return err_set(err, ERR_FORBIDDEN, "%s",
                       inactive ? inactive : "User of API token not active");
    set_user(r, db_col_int(rows, 0, Q_TOKEN_FIND_COL_ID, 0),
             db_col(rows, 0, Q_TOKEN_FIND_COL_EMAIL),
             db_col(rows, 0, Q_TOKEN_FIND_COL_PERMISSIONS));
    r->user.token_id = db_col_int(rows, 0, Q_TOKEN_FIND_COL_TOKEN_ID, 0);
    return true;
}

/*
 * A token is looked up before anything else, so a wrong one is refused even where none was needed:
 * whoever sends one should learn that it no longer works.  Its owner is marked as seen, which keeps
 * an account from counting as unused.
 */
bool session_check_token(struct req *r, struct err *err)
{
    struct str header = str_trim(req_header(r, "Auth-Token"));
    if (header.n == 0)
        return true;
    r->user_known = true;
    r->user.by_token = true; /* also for the Vary of a refusal */
    struct str key = str_sub(header, 0, str_find_char(header, '-', 0)); /* the rest is a label */
    char hash[SHA256_HEX + 1];
    hash_of(key, hash);
    DB_ROWS rows = {0};
    if (!DB_RUN(r->web->db, &q_token_find, &rows, err, hash))
        return err_wrap(err, "looking up a token");
    if (!judge_token(r, &rows, err))
        return false;
    return DB_EXEC(r->web->db, &q_token_owner_seen, err, db_int(&r->arena, r->user.id));
}

static bool prolong_session(struct req *r, const char *hash, struct err *err)
{
    const char *days = db_int(&r->arena, conf_int(&r->web->conf, CONF_SESSION_DAYS));
    return DB_EXEC(r->web->db, &q_session_touch, err, hash, days);
}

/*
 * Asked for lazily: most answers do not depend on who reads them, and then no session is looked up.
 * The end of a session moves on with use, but is written at most now and then (is_stale) and not
 * with every page.
 */
bool session_load(struct req *r, struct err *err)
{
    if (r->user_known)
        return true;
    r->user_known = true;
    bool has_session = r->web->db && !(r->route && r->route->flags & ROUTE_NO_SESSION);
    struct str secret = req_cookie(r, SESSION_COOKIE);
    if (!has_session || !is_secret(secret))
        return true;
    char hash[SHA256_HEX + 1];
    hash_of(secret, hash);
    DB_ROWS rows = {0};
    if (!DB_RUN(r->web->db, &q_session_find, &rows, err, hash))
        return err_wrap(err, "looking up a session");
    if (rows.count == 0)
        return true;
    set_user(r, db_col_int(&rows, 0, Q_SESSION_FIND_COL_ID, 0),
             db_col(&rows, 0, Q_SESSION_FIND_COL_EMAIL),
             db_col(&rows, 0, Q_SESSION_FIND_COL_PERMISSIONS));
    r->user.is_superuser = db_col_bool(&rows, 0, Q_SESSION_FIND_COL_IS_SUPERUSER);
    r->user.is_staff = db_col_bool(&rows, 0, Q_SESSION_FIND_COL_IS_STAFF);
    memcpy(r->session_secret, secret.p, SESSION_SECRET_HEX);
    return !db_col_bool(&rows, 0, Q_SESSION_FIND_COL_IS_STALE) || prolong_session(r, hash, err);
}

/* Pages work without the database as far as they can: nobody is logged in then. */
const struct web_user *req_user(struct req *r)
{
    struct err err = {0};
    if (!session_load(r, &err)) {
        r->user_failed = true;
        log_event(LOG_WARN, "session_unknown", "the user of a session cannot be looked up",
                  LOG_E(&err), LOG_S("request_id", r->id));
    }
    return &r->user;
}

bool req_may(struct req *r, const char *permission)
{
    const struct web_user *user = req_user(r);
    if (user->is_superuser)
        return true;
    const char *dot = strchr(permission, '.'); /* "crashstats.view_pii" is view_pii */
    return strs_have(r->permissions, str_of(dot ? dot + 1 : permission));
}

/*
 * HttpOnly: no script reads it.  SameSite=Lax: other sites' forms do not carry it, links to a
 * report do.
 */
static bool set_cookie(struct req *r, const char *name, const char *value, int64_t max_age_s)
{
    const char *age =
        max_age_s >= 0 ? arena_printf(&r->arena, "; Max-Age=%lld", (long long)max_age_s) : "";
    bool is_secure = conf_bool(&r->web->conf, CONF_SESSION_COOKIE_SECURE);
    return resp_header(r, "Set-Cookie",
                       str_of(arena_printf(&r->arena, "%s=%s; Path=/; HttpOnly; SameSite=Lax%s%s",
                                           name, value, age, is_secure ? "; Secure" : "")));
}

static void new_secret(char out[SESSION_SECRET_HEX + 1])
{
    uint8_t bytes[SECRET_BYTES];
    random_bytes(bytes, sizeof bytes);
    hex_encode(bytes, sizeof bytes, out);
}

bool session_open(struct req *r, int64_t user_id, struct err *err)
{
    char secret[SESSION_SECRET_HEX + 1], hash[SHA256_HEX + 1];
    int64_t days = conf_int(&r->web->conf, CONF_SESSION_DAYS);
    new_secret(secret);
    hash_of(str_of(secret), hash);
    if (!DB_EXEC(r->web->db, &q_session_add, err, hash, db_int(&r->arena, user_id),
                 db_int(&r->arena, days)))
        return err_wrap(err, "opening a session");
    if (!set_cookie(r, SESSION_COOKIE, secret, days * 86400))
        return err_set(err, ERR_INTERNAL, "no room for a cookie");
    return true;
}

bool session_close(struct req *r, struct err *err)
{
    struct str secret = req_cookie(r, SESSION_COOKIE);
    char hash[SHA256_HEX + 1];
    if (is_secret(secret)) {
        hash_of(secret, hash);
        if (!DB_EXEC(r->web->db, &q_session_remove, err, hash))
            return err_wrap(err, "closing a session");
    }
    set_cookie(r, SESSION_COOKIE, "", 0);
    return true;
}

static const char *csrf_of(struct req *r, struct str secret)
{
    char text[16 + SESSION_SECRET_HEX];
    int n = snprintf(text, sizeof text, "csrf:" STR_FMT, STR_ARG(secret));
    sha256_hex(text, (size_t)n, r->csrf);
    return r->csrf;
}

/* The secret this browser has shown, if any. */
static struct str shown_secret(struct req *r)
{
    req_user(r);
    if (r->session_secret[0])
        return str_of(r->session_secret);
    struct str visitor = req_cookie(r, ANONYMOUS_COOKIE);
    return is_secret(visitor) ? visitor : STR_NONE;
}

const char *req_csrf_token(struct req *r)
{
    if (r->csrf[0])
        return r->csrf;
    struct str secret = shown_secret(r);
    if (secret.p)
        return csrf_of(r, secret);
    char fresh[SESSION_SECRET_HEX + 1];
    new_secret(fresh);
    set_cookie(r, ANONYMOUS_COOKIE, fresh, -1);
    return csrf_of(r, str_of(fresh));
}

/*
 * Needed where a browser adds authority by itself: any form, and an API call that comes with a
 * session.  A token in a header is never added by a browser.  Addresses are logged, kept in
 * histories and sent on as referrers, so the token of a form is never looked for in the query.
 */
bool session_check_csrf(struct req *r, struct err *err)
{
    if (r->route->flags & (ROUTE_NO_CSRF | ROUTE_NO_SESSION) || r->user.by_token)
        return true;
    if (r->route->flags & ROUTE_API && !req_user(r)->is_logged_in && !r->user_failed)
        return true;
    struct str sent = req_header(r, "X-CSRF-Token");
    bool has_form = r->method == METHOD_POST && !(r->route->flags & ROUTE_RAW_BODY);
    if (sent.n == 0 && has_form) /* else the parameters are those of the query */
        sent = params_find(&r->params, "csrf_token");
    return req_check_csrf(r, sent, err);
}

bool req_check_csrf(struct req *r, struct str sent, struct err *err)
{
    struct str secret = shown_secret(r);
    if (r->user_failed)
        return err_set(err, ERR_UNAVAILABLE, "the database cannot say who asks");
    bool fits =
        secret.p && sent.n == SHA256_HEX && secret_eq(sent.p, csrf_of(r, secret), SHA256_HEX);
    if (!fits)
        return err_set(err, ERR_FORBIDDEN,
                       "The form is too old or cookies are off: load the page again");
    return true;
}
