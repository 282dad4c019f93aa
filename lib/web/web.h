#ifndef WEB_WEB_H
#define WEB_WEB_H

#include "lib/base/conf.h"
#include "lib/base/metrics.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"

/*
 * web - the FastCGI runner: a parent and N single-threaded workers on one unix socket, a
 * route table, sessions, permissions and CSRF checked before the handler, one response
 * written after it.
 *
 * Handler    bool handler(struct req *, struct err *): builds the response in the request's
 *            arena and returns true; or returns false with *err, which the runner turns into
 *            an error page or JSON (INVALID 400, FORBIDDEN 403, NOT_FOUND 404, CONFLICT 409,
 *            TOO_LARGE 413, UNAVAILABLE 503, others 500; the text of 500 and 503 goes to the log;
 *            BUSY 429 or 503 with its text).
 * Checks     In this order: Auth-Token (403 before anything else), path (404), OPTIONS, method
 *            (405), rate limit (429), log-in and permission (pages: 302 to /login/?next=…; API:
 *            403), form, CSRF token (403), parameters (400).  See docs/web-runner.md.
 * Ownership  Everything reached from a struct req lives until the handler returns; texts given to
 *            resp_… must live as long (arena).
 * Threads    One request at a time in a process.
 */
struct req;
struct web_app;

enum method {
    METHOD_GET = 1,
    METHOD_POST = 2,
    METHOD_HEAD = 4,
    METHOD_OPTIONS = 8,
    METHOD_PUT = 16,
    METHOD_DELETE = 32
};
const char *method_name(enum method method); /* "GET"; "OTHER" for 0 */
/* Those of a set, or-ed as in a route, as "GET, POST"; in the arena. */
const char *method_names(struct arena *a, unsigned methods);

typedef bool web_handler(struct req *req, struct err *err);

enum route_flag {
    ROUTE_RAW_BODY = 1,   /* the handler reads the body itself: req_read_body.  Parameters are those
                             of the query then; the CSRF token comes in X-CSRF-Token */
    ROUTE_NO_SESSION = 2, /* never look at cookies or tokens (collector, health) */
    ROUTE_API = 4,        /* JSON errors, CORS, Auth-Token, rate limit group API */
    ROUTE_LOGIN = 8,      /* log-in needed; pages redirect to /login/?next= */
    ROUTE_PREFIX = 16,    /* path ends in a parameter: "/report/index/" matches the rest */
    ROUTE_SEARCH = 32,    /* rate limit group Super Search */
    ROUTE_NO_CSRF = 64,   /* forms need no CSRF token */
    ROUTE_LOCAL = 128,    /* only through the operators' door of nginx (local.conf.in); a stranger
                             is told that there is no such page */
    ROUTE_BROWSE = 256,   /* rate limit group of pages that search or read much by themselves */
    ROUTE_OWN_REFUSAL = 512, /* the handler runs although a parameter does not fit, because it has
                                something to say before or says it in its own way */
    ROUTE_PAGE = 1024,       /* for people, in a program whose other answers are for programs */
    ROUTE_SUPERUSER = 2048,  /* with ROUTE_LOGIN: superusers only.  It is no permission, so that
                                no group can hand it on */
};

struct param_spec; /* param_spec.h */

struct route {
    unsigned methods; /* enum method, or-ed; HEAD follows GET */
    const char *path; /* exact, or a prefix with ROUTE_PREFIX */
    unsigned flags;
    const char *permission; /* code name such as "view_pii", or NULL */
    web_handler *handler;
    const struct param_spec *const *params; /* NULL-terminated; NULL: none */
    const char *doc;                        /* one line for the generated API reference */
};

typedef bool web_error_body(struct req *req, int status, const struct err *err);
/* What is dear enough in a program to need a turn (req_take_turn), and how many there are. */
struct web_turns {
    const char *what; /* "searches" */
    enum conf_name most_key, most_of_asker_key;
};

struct health; /* health.h */

struct web_program {
    const char *name;           /* "datil-webapp": log name, socket $DATIL_RUN/web/<name>.sock */
    enum conf_name workers_key; /* the number of workers */
    const struct route *routes;
    size_t route_count;
    const struct param_spec *const *params; /* that every route takes; NULL: none */
    /* In the parent, before there is a socket: whatever has to be good for the program to start at
     * all.  May be NULL. */
    bool (*prepare)(const struct conf *conf, void *arg, struct err *err);
    /* HUP in the parent, whose memory the next worker begins with.  May be NULL. */
    void (*reprepare)(const struct conf *conf, void *arg);
    /* Once in each worker, before the first request; the result is req_app(). */
    bool (*start)(struct web_app *web, void **ret_app, struct err *err);
    void (*stop)(void *app);
    /*
     * Between two requests, and while there are none: what is to be done by the clock.  Returns
     * after how many milliseconds it wants to be called at the latest, -1: only after the next
     * request.  May be NULL.
     */
    int (*tick)(void *app);
    /* HUP in a worker: look again at what may have changed.  May be NULL. */
    void (*reload)(void *app);
    const char *template_dir; /* below the share directory, or NULL for programs without pages */
    const struct tpl_schema *template_rows; /* of the lists in them */
    /* With template_dir: the values of every page of this title, made of site_new() (site.h). */
    struct tpl_values *(*layout)(struct req *req, const char *title);
    bool uses_db;
    const struct health *health; /* NULL: none of its handlers is a route */
    /* Of metrics_new(); the runner starts it. */
    struct metrics *metrics;
    enum metric_program metrics_program;
    /* What times requests, with the labels ajax, api, path and status; and what says how many
     * workers have one in hand.  0: nothing does. */
    enum metric request_metric, busy_metric;
    enum metric api_metric;        /* times of routes with ROUTE_API, by route; 0: none */
    const struct web_turns *turns; /* NULL: no handler takes one */
    const char *inactive_text; /* answer to the token of an inactive user; NULL: that of the API */
    /* Further supervised processes (collector: the mover), or NULL. */
    const struct proc_group *extra_groups;
    size_t extra_group_count;
    void *arg; /* web_arg() in every worker: what was made before they were forked */
    /* Formats an error for this program's clients; NULL or false: the default (page or JSON).
     * err->msg is what the client may read: for 500 and above only the name of the status. */
    web_error_body *error_body;
    /* The same without templates, while no worker is up; for programs that have some. */
    web_error_body *stand_in_error_body;
};

/* The whole life of a program: options (--help, --help-config, --version), configuration, log,
 * socket, workers.  Returns the exit status for main. */
int web_main(const struct web_program *program, int argc, char **argv);

/* Of a worker. */
const struct conf *web_conf(const struct web_app *web);
const struct field_table *web_fields(const struct web_app *web); /* of the installation */
struct db *web_db(const struct web_app *web);
void *web_arg(const struct web_app *web);
struct metrics *web_metrics(const struct web_app *web);
const struct tpl_set *web_templates(const struct web_app *web);

struct arena *req_arena(struct req *r);
struct db *req_db(struct req *r);
void *req_app(struct req *r);
const struct conf *req_conf(struct req *r);
enum method req_method(const struct req *r);     /* 0: none of enum method */
struct str req_method_name(const struct req *r); /* as it was sent, of those too */
struct str req_path(const struct req *r);        /* decoded, without query and prefix */
struct str req_mount(const struct req *r);       /* prefix of the program ("/symbols") or "" */
/* Scheme and host as the client named them, and the prefix of the program; in the arena. */
const char *req_base_url(struct req *r);
struct str req_path_rest(const struct req *r);                /* behind a ROUTE_PREFIX */
struct str req_query(const struct req *r);                    /* raw query string */
struct str req_header(const struct req *r, const char *name); /* "Auth-Token"; p NULL if absent */
struct str req_cookie(const struct req *r, const char *name);
struct str req_remote_addr(const struct req *r); /* X-Real-IP from nginx */
unsigned req_route_flags(const struct req *r);   /* enum route_flag; 0: no route */
/* Who the address is for limits: IPv6 by network (rate_client); in the arena. */
struct str req_client(struct req *r);
const char *req_id(const struct req *r); /* for logs */
int64_t req_now_us(const struct req *r);

/*
 * Parameters as they came, decoded, in order, valid UTF-8 without NUL: those of the query, or of a
 * POST's form body (urlencoded or multipart, at most 8 MiB).  For searches, where any field may be
 * one; everybody else reads what the route declares (param_spec.h).
 */
struct req_param {
    struct str name, value;
};
size_t req_param_count(const struct req *r);
const struct req_param *req_param_at(const struct req *r, size_t i);

/*
 * Something dear, such as a search, needs a turn: at most so many workers have one, and so many on
 * behalf of one user or address, as the keys of the program's web_turns say.  The request keeps it
 * to its end; asking again is free.  ERR_BUSY: none to be had, after a moment's wait if `waits`; a
 * handler that fails with it becomes a 429 or 503 with Retry-After.
 */
bool req_take_turn(struct req *r, bool waits, struct err *err);
/* Of `all` (threads) the share of this request, when everybody who has a turn gets as much; 1 or
 * more. */
size_t req_share(const struct req *r, size_t all);
/*
 * The same for other work than searches, in a program that has none.  Of the workers at most `most`
 * have a place or wait for one; `asker` has most_of_asker, and waits up to wait_ms for another.
 * ERR_BUSY becomes a 429 with Retry-After.
 */
struct place_terms {
    const char *asker; /* who asks, in a form of its own: "token 7" */
    size_t most, most_of_asker;
    int wait_ms, retry_after_s;
    const char *busy_text;
};
bool req_take_place(struct req *r, const struct place_terms *terms, struct err *err);
/* Whether the route has a limit of requests per minute. */
bool req_has_rate_limit(const struct req *r);
/* Whether the client has gone away, as far as the web server tells: nobody will read an answer. */
bool req_is_abandoned(struct req *r);
int64_t req_started_ms(const struct req *r); /* on the clock of mono_ms() */

/* Body: bytes read (0 at the end), or false on a broken request. */
bool req_read_body(struct req *r, void *buf, size_t n, size_t *ret_got, struct err *err);
/* Whole body into the arena. */
bool req_body(struct req *r, size_t max_bytes, struct str *ret, struct err *err);
int64_t req_content_length(const struct req *r); /* -1 unknown */

struct web_user {
    bool is_logged_in; /* session or valid token */
    bool by_token;
    int64_t id;
    int64_t token_id; /* with by_token */
    const char *email;
    bool is_superuser; /* never by token, nor the next */
    bool is_staff;
};
const struct web_user *req_user(struct req *r);
bool req_may(struct req *r, const char *permission); /* "view_pii"; token: only its own set */
/* For the hidden field "csrf_token".  May set a cookie: call before resp_…. */
const char *req_csrf_token(struct req *r);
/*
 * Whether `sent` is that token: for handlers with ROUTE_RAW_BODY that find it in their body.  Other
 * forms are checked before their handler.  ERR_FORBIDDEN with what to do.
 */
bool req_check_csrf(struct req *r, struct str sent, struct err *err);

/*
 * Events of `key` in `group` in the present window of window_s seconds, over all workers, after
 * adding `add` of them (0 only asks): failed log-ins, submissions of one address.
 */
uint32_t req_rate_count(struct req *r, const char *group, struct str key, int window_s,
                        uint32_t add);

/* Opens a session for a user (sets the cookie), closes it.  Accounts' last_login is set. */
bool session_open(struct req *r, int64_t user_id, struct err *err);
bool session_close(struct req *r, struct err *err);

const char *web_status_text(int status); /* "Not Found" */
/* "View Raw Dumps" of "view_rawdump". */
const char *web_permission_label(const char *permission);

bool resp_header(struct req *r, const char *name, struct str value); /* CR and LF are refused */
bool resp_bytes(struct req *r, int status, const char *content_type, struct str body);
bool resp_json(struct req *r, int status, const json_t *body, struct err *err);
bool resp_page(struct req *r, int status, const char *template_name, struct tpl_values *v,
               struct err *err);
/*
 * An address that nobody could ask for (nginx/http.conf.in takes request lines of 31 KiB) is
 * answered with 414 instead.
 */
enum { LOCATION_BYTES_MAX = (31 << 10) - 100 };
bool resp_redirect(struct req *r, int status, struct str location);
/*
 * An answer that is sent while it is made, of a length that nobody knows before.  resp_stream says
 * what it will be; the head goes with the first resp_write, and until then the handler may fail as
 * any other.  When it fails behind that, the connection is closed without an end of the answer, so
 * that the client knows that something is missing.  resp_write fails with ERR_ABANDONED when nobody
 * reads on.
 */
bool resp_stream(struct req *r, int status, const char *content_type);
bool resp_write(struct req *r, struct str piece, struct err *err);
/* Streams a file as the body (downloads); takes fd, also when it fails. */
bool resp_file(struct req *r, int status, const char *content_type, int fd, struct err *err);

#endif
