#ifndef WEB_PARAM_SPEC_H
#define WEB_PARAM_SPEC_H

#include "lib/base/str.h"
#include "lib/web/web.h"

/*
 * param_spec - the parameters of a route, declared where its handler is: name, type, range,
 * default and one line of help.
 *
 *     static const struct param_spec page = {
 *         "page", PARAM_INT, .min = 1, .max = 200, .fallback = "1",
 *         .refusal = "invalid page number", .help = "from 1"};
 *     const struct param_spec *const things_params[] = {&page, NULL};
 *
 *     {GET, "/things/", 0, NULL, things_get, things_params, "all things"},
 *
 * and in the handler `req_int(r, &page)`: a name that is mistyped does not compile, and one that
 * the route does not list stops the program at its first request.
 *
 * Where from   Parameters of a GET come from the query, those of a POST from its form body and from
 *              nowhere else: a link must not fill in a form.  With ROUTE_RAW_BODY the body is the
 *              handler's, and the query has the parameters.
 * Errors       The runner looks at all parameters of the route, in order, before the handler runs.
 *              The first that does not fit is the answer: a 400 with its text, except with
 *              ROUTE_OWN_REFUSAL, whose handlers ask req_params_fit() when it is their turn.
 * Ownership    Texts live as long as the request.
 * Trust        Texts are valid UTF-8 without NUL; everything else about them is as declared.
 */
enum param_type {
    PARAM_TEXT,     /* `max` bytes at most; 0: as long as a query or form may be */
    PARAM_LIST,     /* the name repeated: all values in order */
    PARAM_INT,      /* a whole number from `min` to `max` */
    PARAM_INT_LIST, /* repeated; each of them such a number */
    PARAM_FLAG,     /* on when it has any value */
    PARAM_CHOICE,   /* one of `choices`; the first is the default */
    PARAM_DATE,     /* as time_parse() reads it */
    PARAM_CRASH_ID, /* with or without "bp-" */
};

enum param_flag {
    PARAM_REQUIRED = 1,
    PARAM_LENIENT = 2, /* a value that does not fit counts as absent, where others are refused */
    PARAM_CLAMPED = 4, /* PARAM_INT: a number outside the range becomes its nearest end */
    PARAM_TRIMMED = 8, /* blanks around the text do not count */
    PARAM_SKIP_EMPTY = 16, /* empty values count as not sent, also between others */
    PARAM_CHARACTERS = 32, /* PARAM_TEXT: `max` counts characters, not bytes */
    PARAM_OF_SEARCH = 64,  /* lib/search reads and refuses it; it is here to be printed */
};

struct param_choice {
    const char *value; /* NULL ends a list */
    const char *label; /* for people; NULL: the value */
};

struct param_spec {
    const char *name;
    enum param_type type;
    unsigned flags; /* enum param_flag, or-ed */
    int64_t min, max;
    const char *fallback; /* the value of an absent or empty parameter, as text; NULL: none */
    const struct param_choice *choices;
    /*
     * What is said of a value that does not fit, and outside the API of an absent one that is
     * required.  NULL: the words of the function that reads such a value.
     */
    const char *refusal;
    /* Of choices that are numbers: what is said of a text that is none, also with PARAM_LENIENT. */
    const char *number_refusal;
    const char *help; /* one line for the reference */
};

/*
 * What the route's parameters hold.  All take parameters that the route or the program lists.
 * Absent and empty ones, and with PARAM_LENIENT those that do not fit, have their default.
 */
/* PARAM_TEXT; as it was sent, also when it is too long (to show it again in a form).  p NULL:
 * absent and without a default. */
struct str req_text(struct req *r, const struct param_spec *p);
struct strs req_list(struct req *r, const struct param_spec *p); /* PARAM_LIST, PARAM_INT_LIST */
int64_t req_int(struct req *r, const struct param_spec *p);      /* 0 without a default */
bool req_flag(struct req *r, const struct param_spec *p);
size_t req_choice(struct req *r, const struct param_spec *p); /* which of the choices */
/* Microseconds since 1970; false: absent. */
bool req_date(struct req *r, const struct param_spec *p, int64_t *ret_us);
const char *req_crash_id(struct req *r, const struct param_spec *p); /* bare; NULL: absent */
/* Whether the name was sent at all, with or without a value; of any type. */
bool req_is_sent(struct req *r, const struct param_spec *p);

/* The first parameter of the route that does not fit. */
struct param_problem {
    const struct param_spec *param;
    bool is_missing;
    struct err err; /* ERR_INVALID with the text for the client */
};
const struct param_problem *req_param_problem(const struct req *r); /* NULL: all fit */
bool req_params_fit(const struct req *r, struct err *err);

/* "text", "list", "integer", "flag" or "date": how a reference calls a type. */
const char *param_type_name(enum param_type type);

#endif
