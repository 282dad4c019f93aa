/*
 * One worker: waits on the shared socket, takes one request at a time through the checks, the
 * handler and the answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/tpl/tpl.h"
#include "lib/web/internal.h"
#include "lib/web/param_spec.h"
#include "lib/web/params.h"
#include "lib/web/turns.h"
#include "lib/web/web.h"

/*
 * The time-outs are for silence of the web server, of one read or one write.  Nginx reads a body
 * whole before it connects, except for uploads of symbols, where a client's silence reaches us.  It
 * takes an answer of up to a gigabyte as fast as we send (fastcgi_buffering, and a temporary file
 * of fastcgi_max_temp_file_size behind the buffers).  Beyond that, or behind a web server that does
 * not buffer, we go at the pace of the client, hence the longer time for sending.  LINGER: see
 * linger().
 */
enum {
    RECEIVE_TIMEOUT_S = 120,
    SEND_TIMEOUT_S = 300,
    WINDOW_S = 60,          /* limits of requests are per minute */
    LINGER_BYTES = 1 << 16, /* as long as a FastCGI record, the most that comes at once */
    LINGER_MS = 2000,
    STATUS_CLIENT_GONE = 499, /* in the log only, as nginx writes it */
};

static bool redirect_to(struct req *r, int status, const char *where)
{
    return resp_redirect(r, status, str_of(where));
}

/*
 * "/about" is meant to be "/about/" when just that exists, also where a prefix such as "/api/"
 * would take everything below it; and the other way round, for programs whose pages have no slash
 * behind.  True: answered.
 */
static bool mend_slash(struct req *r, const struct route *found)
{
    const struct web_program *p = r->web->program;
    if (found && !(found->flags & ROUTE_PREFIX))
        return false;
    struct str path = r->path;
    bool has_slash = str_ends(path, STR("/"));
    struct str meant_path = has_slash ? str_sub(path, 0, path.n - 1)
                                      : str_of(arena_printf(&r->arena, STR_FMT "/", STR_ARG(path)));
    const struct route *meant = route_find(p->routes, p->route_count, meant_path, METHOD_GET).any;
    if (!meant || ((found || has_slash) && meant->flags & ROUTE_PREFIX))
        return false;
    struct str encoded = url_path_encode(&r->arena, meant_path);
    return redirect_to(r, r->method == METHOD_GET || r->method == METHOD_HEAD ? 301 : 308,
                       arena_printf(&r->arena, STR_FMT STR_FMT "%s" STR_FMT, STR_ARG(r->mount),
                                    STR_ARG(encoded), r->query.n ? "?" : "", STR_ARG(r->query)));
}

/*
 * Browsers ask before a script of another site may call the API (CORS preflight).  Pages are no
 * API: they only tell their methods.
 */
static bool answer_options(struct req *r, const struct route_match *m)
{
    const char *allow = method_names(&r->arena, m->methods | METHOD_OPTIONS);
    resp_header(r, "Allow", str_of(allow));
    if (!(m->any->flags & ROUTE_API))
        return resp_bytes(r, 200, NULL, STR(""));
    resp_header(r, "Access-Control-Allow-Methods", str_of(allow));
    resp_header(r, "Access-Control-Allow-Headers", STR("Auth-Token, Content-Type"));
    resp_header(r, "Access-Control-Max-Age", STR("86400"));
    return resp_bytes(r, 200, "application/json", STR("{}"));
}

/* clang-format off */
static const struct {
    unsigned flag;
    const char *group;
    enum conf_name anonymous_key, user_key;
} limits[] = {
    {ROUTE_SEARCH, "search", CONF_RATE_LIMIT_SEARCH_ANONYMOUS, CONF_RATE_LIMIT_SEARCH_USER},
    {ROUTE_API, "api", CONF_RATE_LIMIT_API_ANONYMOUS, CONF_RATE_LIMIT_API_USER},
    {ROUTE_BROWSE, "browse", CONF_RATE_LIMIT_PAGES_ANONYMOUS, CONF_RATE_LIMIT_PAGES_USER},
};
/* clang-format on */

bool req_has_rate_limit(const struct req *r)
{
    for (size_t i = 0; i < ARRAY_LEN(limits); i++)
        if (r->route && r->route->flags & limits[i].flag)
            return true;
    return false;
}

/* False: answered with 429. */
static bool check_rate(struct req *r)
{
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        if (!(r->route->flags & limits[i].flag))
            continue;
        bool is_user = req_user(r)->is_logged_in;
        int64_t most =
            conf_int(&r->web->conf, is_user ? limits[i].user_key : limits[i].anonymous_key);
        if (most == 0)
            continue;
        const char *group = arena_printf(&r->arena, "%s%s", limits[i].group, is_user ? "+" : "-");
        if (req_rate_count(r, group, req_client(r), WINDOW_S, 1) <= most)
            continue;
        const struct err err = {.code = ERR_UNAVAILABLE, .msg = "Too Many Requests"};
        int64_t wait = WINDOW_S - r->now_us / 1000000 % WINDOW_S;
        resp_error(r, 429, &err);
        resp_header(r, "Retry-After", str_of(arena_printf(&r->arena, "%lld", (long long)wait)));
        return false;
    }
    return true;
}

/* clang-format off */
static const struct {
    const char *name, *label;
} permission_labels[] = {
    {"view_pii", "View Personal Identifiable Information"},
    {"view_rawdump", "View Raw Dumps"},
    {"run_custom_queries", "Run Custom Queries in Super Search"},
    {"run_long_queries", "Run Long Queries"},
    {"reprocess_crashes", "Reprocess Crashes"},
    {"upload_symbols", "Upload Symbols Files"},
    {"upload_try_symbols", "Upload Try Symbols Files"},
    {"view_all_uploads", "View All Symbols Uploads"},
    {"manage_tokens", "Manage Your API Tokens"},
};
/* clang-format on */

const char *web_permission_label(const char *permission)
{
    for (size_t i = 0; i < ARRAY_LEN(permission_labels); i++)
        if (strcmp(permission_labels[i].name, permission) == 0)
            return permission_labels[i].label;
    return permission;
}

/* False: answered. */
static bool check_permission(struct req *r)
{
    const struct route *route = r->route;
    bool needs_login = route->flags & ROUTE_LOGIN || route->permission;
    if (!needs_login)
        return true;
    const struct web_user *user = req_user(r);
    bool may = user->is_logged_in && (!route->permission || req_may(r, route->permission)) &&
               (!(route->flags & ROUTE_SUPERUSER) || user->is_superuser);
    if (may)
        return true;
    struct err err = {0};
    if (r->user_failed) {
        err_set(&err, ERR_UNAVAILABLE, "the database cannot say who asks");
        resp_error(r, 503, &err);
    } else if (route->flags & ROUTE_API) {
        if (route->permission)
            err_set(&err, ERR_FORBIDDEN, "Use of this endpoint requires the '%s' permission",
                    web_permission_label(route->permission));
        else
            err_set(&err, ERR_FORBIDDEN, "This requires an Auth-Token to authenticate the request");
        resp_error(r, 403, &err);
    } else {
        struct str next = url_encode(&r->arena, req_raw_target(r));
        /* Encoding may have made a short address a long one: then it leads to the log-in alone. */
        bool is_short = next.n < LOCATION_BYTES_MAX - 100;
        redirect_to(r, 302,
                    arena_printf(&r->arena, STR_FMT "/login/%s" STR_FMT, STR_ARG(r->mount),
                                 is_short ? "?next=" : "", STR_ARG(is_short ? next : STR(""))));
    }
    return false;
}

/*
 * Throws away what the handler had begun: an answer is whole or an error, unless its beginning was
 * sent already (resp_write).  The text of the error
 * needs memory as well, also when memory is what the request has run out of.
 */
static void failed(struct req *r, const struct err *err)
{
    enum { ERROR_ANSWER_BYTES = 1 << 20 }; /* a page of ours with the reason: some 10 KiB */
    if (resp_cut(r, err))
        return;
    resp_reset(r);
    r->arena.max_bytes = MAX(r->arena.max_bytes, r->arena.used_bytes + ERROR_ANSWER_BYTES);
    bool is_busy = err->code == ERR_BUSY && r->busy_status;
    resp_error(r, is_busy ? r->busy_status : status_of(err->code), err);
    if (is_busy)
        resp_header(r, "Retry-After", str_of(arena_printf(&r->arena, "%d", r->retry_after_s)));
}

/* Who sends a token is a program: JSON, whatever the path. */
static void refuse_token(struct req *r, const struct err *err)
{
    json_auto_t *body = json_pack("{s:s}", "error", err->msg);
    if (err->code != ERR_FORBIDDEN || !resp_json(r, 403, body, ERR_IGNORED))
        failed(r, err);
}

/*
 * Pages for people want a session.  A token that could open them would list, make and delete
 * tokens, and so live on past its own end.  False: answered.
 */
static bool check_session_page(struct req *r)
{
    if (!(r->route->flags & ROUTE_LOGIN) || r->route->flags & ROUTE_API || !r->user.by_token)
        return true;
    const struct err err = {.code = ERR_FORBIDDEN,
                            .msg =
                                "This page needs a log-in session; an API token does not open it"};
    refuse_token(r, &err);
    return false;
}

/* Texts with NUL fit no field; silently cut ones would find something else.  False: answered. */
static bool check_nul(struct req *r)
{
    struct str name = r->params.with_nul;
    if (!name.p || r->route->flags & ROUTE_RAW_BODY)
        return true;
    struct err err = {.code = ERR_INVALID};
    if (r->route->flags & ROUTE_API) {
        json_auto_t *body = json_object();
        json_t *errors = json_object(),
               *texts = json_pack("[s]", "Null characters are not allowed.");
        json_object_setn_new(errors, name.p, name.n, texts);
        json_object_set_new(body, "errors", errors);
        if (resp_json(r, 400, body, &err))
            return false;
    }
    snprintf(err.msg, sizeof err.msg, "\"" STR_FMT "\" cannot contain nulls", STR_ARG(name));
    failed(r, &err);
    return false;
}

/* Bodies of other methods have no meaning (RFC 9110, 9.3) and are read only to be thrown away. */
static bool has_body(const struct req *r)
{
    return r->method == METHOD_POST || r->method == METHOD_PUT;
}

static bool changes_something(const struct req *r)
{
    return has_body(r) || r->method == METHOD_DELETE;
}

/*
 * A POST has the parameters of its form and no others, so that no link can fill in a form or add
 * to it; a body that is no form has none.
 */
static bool take_form(struct req *r, struct err *err)
{
    if (r->route->flags & ROUTE_RAW_BODY)
        return true;
    r->params = (struct param_list){0};
    return !req_is_form(r) || req_parse_form(r, err);
}

/* False: answered. */
static bool check_params(struct req *r)
{
    params_check(r);
    const struct param_problem *problem = req_param_problem(r);
    if (!problem || r->route->flags & ROUTE_OWN_REFUSAL)
        return true;
    failed(r, &problem->err);
    return false;
}

/* All checks in their order; true if the handler's turn has come. */
static bool pass_checks(struct req *r, struct route_match *m, struct err *err)
{
    const struct web_program *p = r->web->program;
    bool is_hidden =
        m->any && m->any->flags & ROUTE_LOCAL && !str_eq(req_env(r, "DATIL_LOCAL"), STR("1"));
    if (is_hidden)
        *m = (struct route_match){.rest = STR("")};
    r->route = m->route ? m->route : m->any;
    bool knows_users = p->uses_db && !(m->any && m->any->flags & ROUTE_NO_SESSION);
    if (knows_users && !session_check_token(r, err)) {
        refuse_token(r, err);
        return false;
    }
    if (!is_hidden && mend_slash(r, m->any))
        return false;
    if (!m->any) {
        resp_error(r, 404, &(struct err){.code = ERR_NOT_FOUND, .msg = "Page not found"});
        return false;
    }
    if (r->method == METHOD_OPTIONS && !m->route) {
        answer_options(r, m);
        return false;
    }
    if (!m->route) {
        resp_error(r, 405, &(struct err){.code = ERR_INVALID, .msg = "Method not allowed"});
        resp_header(r, "Allow", str_of(method_names(&r->arena, m->methods | METHOD_OPTIONS)));
        return false;
    }
    if (!check_rate(r) || !check_session_page(r) || !check_permission(r))
        return false;
    if ((has_body(r) && !take_form(r, err)) ||
        (changes_something(r) && knows_users && !session_check_csrf(r, err))) {
        failed(r, err);
        return false;
    }
    return check_nul(r) && check_params(r);
}

void answer_of_handler(struct req *r)
{
    struct err err = {0};
    /*
     * An answer of a handler that went beyond the memory of a request may lack parts, so an error
     * is sent instead.
     */
    bool ok = r->route->handler(r, &err) && arena_within(&r->arena, "the request", &err);
    if (ok && !r->resp.is_set)
        ok = err_set(&err, ERR_INTERNAL, "the handler of %s gave no answer", r->route->path);
    if (!ok)
        failed(r, &err);
}

static void answer_request(struct req *r)
{
    struct err err = {0};
    if (!req_begin(r, &err)) {
        failed(r, &err);
        return;
    }
    const struct web_program *p = r->web->program;
    struct route_match m = route_find(p->routes, p->route_count, r->path, r->method);
    r->path_rest = m.rest;
    if (pass_checks(r, &m, &err))
        answer_of_handler(r);
}

/* Also for a request that is itself broken: the answer is the same. */
static void answer_unavailable(struct req *r)
{
    static const struct err err = {.code = ERR_UNAVAILABLE, .msg = "no worker is up"};
    const struct web_program *p = r->web->program;
    if (req_begin(r, &(struct err){0}))
        r->route = route_find(p->routes, p->route_count, r->path, r->method).any;
    resp_error(r, 503, &err);
    resp_header(r, "Retry-After", STR("60"));
}

/* The pattern of the route, not the path: paths and queries carry crash ids and search terms. */
static void log_request(const struct req *r)
{
    char route[120];
    snprintf(route, sizeof route, "%s %s", method_name(r->method), r->route ? r->route->path : "-");
    log_event(LOG_INFO, "request", route, LOG_S("request_id", r->id),
              LOG_I("status", r->resp.status),
              LOG_I("duration_ms", (mono_us() - r->start_us) / 1000),
              LOG_I("bytes", (int64_t)(r->resp.body.n + r->resp.sent_bytes)),
              LOG_I("user_id", r->user.id));
}

/*
 * A script of one of our pages says so by the page it comes from: Referer has this host behind its
 * scheme.
 */
static bool is_of_our_page(const struct req *r)
{
    struct str referer = req_header(r, "Referer"), host = req_header(r, "Host");
    size_t scheme = str_find(referer, STR("://"), 0);
    if (host.n == 0 || scheme == SIZE_MAX)
        return false;
    struct str rest = str_sub(referer, scheme + 3, SIZE_MAX);
    return str_starts_nocase(rest, host) && (rest.n == host.n || rest.p[host.n] == '/');
}

static void count_request(const struct req *r)
{
    const struct web_program *p = r->web->program;
    char status[16];
    if (!p->request_metric)
        return;
    snprintf(status, sizeof status, "%d", r->resp.status);
    metric_time(p->metrics, p->request_metric, mono_us() - r->start_us,
                is_of_our_page(r) ? "true" : "false",
                r->route && r->route->flags & ROUTE_API ? "true" : "false",
                r->route ? r->route->path : "-", status);
    if (p->api_metric && r->route && r->route->flags & ROUTE_API)
        metric_time(p->metrics, p->api_metric, mono_us() - r->start_us, r->route->path);
}

/*
 * Counted anew each time, for a worker that is killed takes nothing back: its flag is cleared by
 * the one that is started in its place.
 */
static void set_busy(const struct web_app *web, bool is_busy)
{
    const struct web_program *p = web->program;
    size_t workers = (size_t)conf_int(&web->conf, p->workers_key), busy = 0;
    if (!p->busy_metric || web->is_stand_in)
        return;
    atomic_store(&web->is_busy[web->worker], is_busy);
    for (size_t i = 0; i < workers; i++)
        busy += atomic_load(&web->is_busy[i]);
    metric_set(p->metrics, p->busy_metric, busy);
}

/*
 * Everything of a request lies in its struct and its arena, so nothing of one reader can reach the
 * next one.  What is kept is the memory itself and the buffers of libfcgi.
 */
static void forget(struct req *r)
{
    resp_reset(r);
    arena_reset(&r->arena);
    r->arena.max_bytes = REQ_ARENA_MAX; /* failed() may have given more */
    struct req empty = {
        .web = r->web, .fcgi = r->fcgi, .arena = r->arena, .resp = r->resp, .content_length = -1};
    *r = empty;
}

/*
 * The answer is out, but the server is still sending a body that nobody wants.  Closing now could
 * reset the connection before the server has read the answer; it closes its side as soon as it has.
 */
static void linger(int fd)
{
    const struct timeval patience = {LINGER_MS / 1000, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    FREE_LATER char *piece = xmalloc(LINGER_BYTES);
    int64_t end_ms = mono_ms() + LINGER_MS;
    while (mono_ms() < end_ms && read(fd, piece, LINGER_BYTES) > 0)
        continue;
}

/* The web server is at the other end; these limits are for one that hangs. */
static void set_timeouts(int fd)
{
    const struct timeval receive = {RECEIVE_TIMEOUT_S, 0}, send = {SEND_TIMEOUT_S, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof receive);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, sizeof send);
}

/*
 * A large answer leaves holes in the heap that only the next one would use again; a worker that had
 * one would stay large for ever.  Below HEAP_SPARE_BYTES there is nothing to win.
 */
static void give_back_memory(void)
{
    enum { HEAP_SPARE_BYTES = 4 << 20 };
    if (mallinfo2().fordblks > HEAP_SPARE_BYTES)
        malloc_trim(0);
}

/* The turn is kept until memory and connection are free again: until then the worker is busy. */
static void end_turn(struct req *r, bool had_turn, size_t arena_bytes)
{
    enum { LARGE_BYTES = 4 << 20 }; /* chosen: as above, and most requests stay below */
    if (had_turn || arena_bytes > LARGE_BYTES)
        give_back_memory();
    if (had_turn)
        turns_give_back(r->web->turns, r->web->worker);
}

/* What was cut short gets no end record, which tells the web server that something is missing. */
static void end_answer(struct req *r)
{
    if (r->resp.is_cut)
        shutdown(r->fcgi.ipcFd, SHUT_RDWR);
    if (r->is_abandoned)
        r->resp.status = STATUS_CLIENT_GONE;
    else if (!r->resp.is_begun)
        resp_send(r);
}

static void serve(struct req *r)
{
    r->start_us = mono_us();
    set_busy(r->web, true);
    set_timeouts(r->fcgi.ipcFd);
    if (r->web->is_stand_in)
        answer_unavailable(r);
    else
        answer_request(r);
    end_answer(r);
    count_request(r);
    FD_AUTO unread = r->body_ended ? -1 : fcntl(r->fcgi.ipcFd, F_DUPFD_CLOEXEC, 0);
    FCGX_Finish_r(&r->fcgi);
    if (unread >= 0)
        linger(unread);
    log_request(r);
    bool had_turn = r->has_turn;
    size_t arena_bytes = r->arena.used_bytes;
    forget(r);
    end_turn(r, had_turn, arena_bytes);
    set_busy(r->web, false);
    metrics_flush(r->web->program->metrics);
}

/*
 * All workers wait for the same socket, which does not block: the kernel wakes some of them and the
 * first one gets the connection.
 */
static void serve_requests(struct web_app *web, struct req *r)
{
    while (!proc_stopping()) {
        bool has_tick = web->program->tick && !web->is_stand_in;
        proc_wait(&web->listen_fd, 1, has_tick ? web->program->tick(web->app) : -1);
        if (proc_take_hangup() && !web->is_stand_in) {
            site_reload(web->site);
            if (web->program->reload)
                web->program->reload(web->app);
        }
        /* The socket does not block: another worker may have been faster. */
        if (!proc_stopping() && FCGX_Accept_r(&r->fcgi) == 0)
            serve(r);
    }
}

static bool open_listener(struct web_app *web, struct req *r, struct err *err)
{
    if (FCGX_Init() != 0 ||
        FCGX_InitRequest(&r->fcgi, web->listen_fd, FCGI_FAIL_ACCEPT_ON_INTR) != 0)
        return err_set(err, ERR_INTERNAL, "libfcgi does not start");
    arena_init(&r->arena, REQ_ARENA_MAX);
    r->web = web;
    resp_init(r);
    return true;
}

/*
 * 10 s for a statement: the tables that pages and the collector ask are indexed for what they ask,
 * so a longer one is a fault and would hold a worker.
 */
static bool open_worker(struct web_app *web, struct req *r, struct err *err)
{
    const struct web_program *p = web->program;
    /* Every statement of a page is done in milliseconds; one that waits for a lock for so long
     * fails, and frees its worker. */
    enum { STATEMENT_TIMEOUT_MS = 10000 };
    if (!open_listener(web, r, err))
        return false;
    if (p->uses_db) /* connects when a request needs it */
        web->db = db_new(conf_text(&web->conf, CONF_DATABASE_URL), p->name, STATEMENT_TIMEOUT_MS);
    if (p->template_dir)
        web->site = site_open();
    return !p->start || p->start(web, &web->app, err);
}

int web_worker(void *arg, int index)
{
    struct web_app *web = arg;
    web->worker = (size_t)index;
    turns_begin(web->turns, web->worker);
    set_busy(web, false);
    struct err err = {0};
    struct req *r = xcalloc(1, sizeof *r);
    bool ok = open_worker(web, r, &err);
    if (ok) {
        atomic_store(&web->is_at_work[index], true);
        serve_requests(web, r);
        if (web->program->stop)
            web->program->stop(web->app);
    } else {
        log_event(LOG_ERROR, "start_failed", "a worker cannot start", LOG_E(&err));
    }
    if (web->db)
        db_free(web->db);
    site_close(web->site);
    arena_release(&r->arena);
    sb_release(&r->resp.headers);
    free(r);
    return ok ? 0 : 1;
}

int web_stand_in(void *arg, int index)
{
    (void)index;
    struct web_app *web = arg;
    struct err err = {0};
    struct req *r = xcalloc(1, sizeof *r);
    web->is_stand_in = true;
    bool ok = open_listener(web, r, &err);
    if (ok)
        serve_requests(web, r);
    else
        log_event(LOG_ERROR, "start_failed", "the stand-in cannot start", LOG_E(&err));
    arena_release(&r->arena);
    sb_release(&r->resp.headers);
    free(r);
    return ok ? 0 : 1;
}
