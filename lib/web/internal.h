#ifndef WEB_INTERNAL_H
#define WEB_INTERNAL_H

#include <stdatomic.h>
#include <stdio.h>
#include <fcgiapp.h>

#include "lib/web/param_spec.h"
#include "lib/web/params.h"
#include "lib/web/rate.h"
#include "lib/web/turns.h"
#include "lib/web/web.h"

/*
 * internal - what the files of the runner share; programs use web.h only.
 */
enum {
    REQ_ARENA_MAX = 512 << 20,
    REQ_FORM_MAX = 8 << 20, /* body of a form that the runner decodes */
    REQ_ID_SIZE = 65,
    CSRF_SIZE = 65,
    SESSION_SECRET_HEX = 64,
};

struct web_app {
    const struct web_program *program;
    struct conf conf;
    const struct field_table *fields;
    struct tpl_set *templates; /* NULL without pages */
    struct rate_table *rates;
    struct turns *turns;
    int listen_fd;
    atomic_bool *is_at_work; /* by number of the worker, shared with the parent */
    atomic_bool *is_busy;    /* the same: it has a request in hand */
    /* Of one worker: */
    size_t worker; /* its number */
    struct db *db;
    struct site *site; /* NULL without pages */
    void *app;
    bool is_stand_in; /* app is not there */
};

struct resp {
    bool is_set;
    int status;
    const char *content_type;
    struct strbuf headers;     /* further lines, each with CR LF */
    const char *cache_control; /* in the arena, or NULL: nobody said anything */
    struct str body;
    int fd;              /* body of resp_file, or -1 */
    bool is_begun;       /* resp_write has sent the head */
    bool is_cut;         /* and what follows is not all */
    uint64_t sent_bytes; /* by resp_write */
};

struct req {
    struct web_app *web;
    FCGX_Request fcgi;
    struct arena arena;
    const struct route *route; /* NULL: none matches */
    enum method method;
    struct str mount; /* SCRIPT_NAME: prefix under which the program is served, without the slash */
    struct str path, path_rest, query;
    struct param_list params;
    struct param_problem param_problem; /* after params_check */
    int64_t now_us, start_us;
    char id[REQ_ID_SIZE];

    int64_t content_length; /* -1 unknown */
    int64_t body_read;
    bool body_ended;

    /* who asks */
    bool user_known;  /* user is filled in (perhaps with nobody) */
    bool user_failed; /* the database could not say */
    struct web_user user;
    struct strs permissions;                     /* code names */
    char session_secret[SESSION_SECRET_HEX + 1]; /* of the valid session, else empty */
    char csrf[CSRF_SIZE];

    /* asker.c */
    bool is_abandoned; /* as far as has been looked */
    bool has_turn;
    int busy_status, retry_after_s; /* of an ERR_BUSY */

    struct resp resp;
};

/* request.c */
bool req_begin(struct req *r, struct err *err); /* parameters of the server, path, query */
/* The parameters of a form body take the place of those of the query. */
bool req_parse_form(struct req *r, struct err *err);
struct strs req_params(struct req *r, const char *name); /* all values of a name, in the arena */
void req_drain(struct req *r); /* reads what is left of the body, within limits */
struct str req_env(const struct req *r, const char *name);
bool req_is_form(const struct req *r);

/* param_spec.c: looks at all parameters of the route; r->param_problem has the first bad one. */
void params_check(struct req *r);

/* route.c */
struct route_match {
    const struct route *route; /* for this method, or NULL */
    const struct route *any;   /* any route of the path, or NULL */
    unsigned methods;          /* of all routes of the path */
    struct str rest;
};
struct route_match route_find(const struct route *routes, size_t n, struct str path,
                              enum method method);
enum method method_of(struct str name); /* 0, which fits no route: none of ours */

/* reference.c */
void web_print_routes(const struct web_program *p, FILE *out);

/* session.c */
/* A token in the header is looked at before anything else: ERR_FORBIDDEN with the text for the
 * client.  Without a token nothing is asked. */
bool session_check_token(struct req *r, struct err *err);
bool session_load(struct req *r, struct err *err); /* fills in r->user from the cookie */
bool session_check_csrf(struct req *r, struct err *err);

/* site.c: what a worker keeps for the layout of pages; NULL is taken. */
struct site *site_open(void);
void site_close(struct site *s);
void site_reload(struct site *s); /* HUP */

/* request_worker.c */
/* Runs the handler of r->route; what it fails with, or what it forgets, becomes the answer. */
void answer_of_handler(struct req *r);

/* response.c */
void resp_init(struct req *r);
void resp_reset(struct req *r); /* drops what a failed handler has built, cookies included */
void resp_send(struct req *r);
/* Whether an answer is on its way already that fails now; it then ends in the middle. */
bool resp_cut(struct req *r, const struct err *err);
bool resp_error(struct req *r, int status, const struct err *err);
int status_of(enum err_code code);
struct str req_raw_target(struct req *r); /* path and query, for redirects back */

/* request_worker.c */
int web_worker(void *arg, int index);
int web_stand_in(void *arg, int index); /* 503 to everybody, while no worker comes up */

#endif
