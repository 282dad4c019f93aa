/*
 * Parameters as they are declared.  There is one parser for all of them: it looks at what was sent
 * under a name, by the parameter's type, and says the value or why there is none.  The runner asks
 * it for every parameter before the handler runs (params_check), the getters ask it again for the
 * value; nothing is kept in between, because reading a text anew costs less than a place to keep
 * what it said.
 *
 * Texts of refusals are part of what clients rely on, so they stand in the declarations word for
 * word and are not made from names here.
 */
#include "lib/web/param_spec.h"

#include <assert.h>
#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/web/internal.h"
#include "lib/web/params.h"

static bool is_listed(const struct param_spec *const *params, const struct param_spec *p)
{
    for (size_t i = 0; params && params[i]; i++)
        if (params[i] == p)
            return true;
    return false;
}

/* The reference is printed from the lists, so a handler may read nothing that is in none. */
static void assert_declared(const struct req *r, const struct param_spec *p)
{
    assert((r->route && is_listed(r->route->params, p)) || is_listed(r->web->program->params, p));
}

/* The value that counts: the first, or with PARAM_SKIP_EMPTY the first that is not empty. */
static struct str sent_text(const struct req *r, const struct param_spec *p)
{
    for (size_t i = 0; i < r->params.n; i++) {
        struct str value = r->params.v[i].value;
        if (!str_eq(r->params.v[i].name, str_of(p->name)) ||
            (p->flags & PARAM_SKIP_EMPTY && value.n == 0))
            continue;
        return p->flags & PARAM_TRIMMED ? str_trim(value) : value;
    }
    return STR_NONE;
}

/* Empty values stay unless the declaration says otherwise: lists may belong together by
 * position. */
static struct strs sent_list(struct req *r, const struct param_spec *p)
{
    struct strs all = req_params(r, p->name);
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++)
        if (all.v[i].n > 0 || !(p->flags & PARAM_SKIP_EMPTY))
            all.v[kept++] = all.v[i];
    all.n = kept;
    return all;
}

/* A clamped number may still be too long for 64 bits: that is no number to anybody. */
static bool read_int(const struct param_spec *p, struct str text, int64_t *ret, struct err *err)
{
    bool is_clamped = p->flags & PARAM_CLAMPED;
    int64_t min = is_clamped ? INT64_MIN : p->min, max = is_clamped ? INT64_MAX : p->max;
    if (!str_to_i64(text, min, max, p->name, ret, err))
        return false;
    *ret = MIN(MAX(*ret, p->min), p->max);
    return true;
}

/* Compared as text: "07" is not 7, as in the addresses that the pages themselves make. */
static bool read_choice(const struct param_spec *p, struct str text, int64_t *ret, struct err *err)
{
    for (size_t i = 0; p->choices[i].value; i++)
        if (str_eq(text, str_of(p->choices[i].value))) {
            *ret = (int64_t)i;
            return true;
        }
    return err_set(err, ERR_INVALID, "%s: none of its values", p->name);
}

static bool is_short_enough(const struct param_spec *p, struct str text, struct err *err)
{
    size_t max = (size_t)p->max;
    bool fits =
        p->flags & PARAM_CHARACTERS ? utf8_prefix_chars(text, max) == text.n : text.n <= max;
    return max == 0 || fits || err_set(err, ERR_INVALID, "%s: too long", p->name);
}

static bool is_crash_id(const struct param_spec *p, struct str text, struct err *err)
{
    char id[CRASH_ID_SIZE];
    return crash_id_parse(text, id) || err_set(err, ERR_INVALID, "%s: no crash id", p->name);
}

static bool read_by_type(const struct param_spec *p, struct str text, int64_t *ret, struct err *err)
{
    switch (p->type) {
    case PARAM_TEXT:
        return is_short_enough(p, text, err);
    case PARAM_INT:
    case PARAM_INT_LIST:
        return read_int(p, text, ret, err);
    case PARAM_CHOICE:
        return read_choice(p, text, ret, err);
    case PARAM_DATE:
        return time_parse(text, ret, err);
    case PARAM_CRASH_ID:
        return is_crash_id(p, text, err);
    case PARAM_LIST:
    case PARAM_FLAG:
        break;
    }
    return true;
}

/*
 * One text by its declaration.  *ret: the number, which of the choices, or the microseconds of a
 * date; types without a number leave it alone.
 */
static bool read_text(const struct param_spec *p, struct str text, int64_t *ret, struct err *err)
{
    if (read_by_type(p, text, ret, err))
        return true;
    return p->refusal ? err_set(err, ERR_INVALID, "%s", p->refusal) : false;
}

/* Asked first and of lenient parameters, too: no number at all is a slip, another number a wish. */
static bool is_number_where_needed(const struct param_spec *p, struct str text, struct err *err)
{
    int64_t number;
    return !p->number_refusal ||
           str_to_i64(text, INT64_MIN, INT64_MAX, p->name, &number, ERR_IGNORED) ||
           err_set(err, ERR_INVALID, "%s", p->number_refusal);
}

static bool is_list(const struct param_spec *p)
{
    return p->type == PARAM_LIST || p->type == PARAM_INT_LIST;
}

/* The API says of every parameter in the same words that it is missing. */
static bool is_missing(struct req *r, const struct param_spec *p, struct err *err)
{
    int64_t number;
    bool is_there = is_list(p) ? sent_list(r, p).n > 0 : sent_text(r, p).n > 0;
    if (is_there || !(p->flags & PARAM_REQUIRED))
        return false;
    if (r->route->flags & ROUTE_API)
        err_set(err, ERR_INVALID, "This field is required.");
    else if (read_text(p, STR(""), &number, err))
        err_set(err, ERR_INVALID, "%s", p->refusal ? p->refusal : p->name);
    return true;
}

/* An empty text is an absent one, whatever the type; elements of a list are looked at each. */
static bool fits(struct req *r, const struct param_spec *p, struct err *err)
{
    int64_t number;
    struct str one = sent_text(r, p);
    struct strs all = is_list(p) ? sent_list(r, p) : (struct strs){&one, one.n > 0};
    for (size_t i = 0; i < all.n; i++)
        if (!is_number_where_needed(p, all.v[i], err) ||
            (!(p->flags & PARAM_LENIENT) && !read_text(p, all.v[i], &number, err)))
            return false;
    return true;
}

/* In the order of the list, which is therefore the order in which clients learn of mistakes. */
void params_check(struct req *r)
{
    struct param_problem *problem = &r->param_problem;
    for (size_t i = 0; r->route->params && r->route->params[i]; i++) {
        const struct param_spec *p = r->route->params[i];
        if (p->flags & PARAM_OF_SEARCH)
            continue;
        bool misses = is_missing(r, p, &problem->err);
        if (misses || !fits(r, p, &problem->err)) {
            problem->param = p;
            problem->is_missing = misses;
            return;
        }
    }
}

const struct param_problem *req_param_problem(const struct req *r)
{
    return r->param_problem.param ? &r->param_problem : NULL;
}

bool req_params_fit(const struct req *r, struct err *err)
{
    if (!r->param_problem.param)
        return true;
    *err = r->param_problem.err;
    return false;
}

/*
 * Not cut and not refused, so that a form can show again what was typed.  Whoever stores it has
 * asked req_params_fit() before, or the runner has.
 */
struct str req_text(struct req *r, const struct param_spec *p)
{
    assert_declared(r, p);
    struct str text = sent_text(r, p);
    return text.n == 0 && p->fallback ? str_of(p->fallback) : text;
}

struct strs req_list(struct req *r, const struct param_spec *p)
{
    assert_declared(r, p);
    return sent_list(r, p);
}

/* The number of what was sent, of the default, or 0. */
static int64_t number_of(struct req *r, const struct param_spec *p)
{
    assert_declared(r, p);
    struct str text = sent_text(r, p);
    int64_t number = 0;
    if ((text.n == 0 || !read_text(p, text, &number, ERR_IGNORED)) && p->fallback)
        read_text(p, str_of(p->fallback), &number, ERR_IGNORED);
    return number;
}

/* Whoever asks after a refusal (ROUTE_OWN_REFUSAL) gets the default, never half a number. */
int64_t req_int(struct req *r, const struct param_spec *p)
{
    return number_of(r, p);
}

bool req_flag(struct req *r, const struct param_spec *p)
{
    return req_text(r, p).n > 0;
}

size_t req_choice(struct req *r, const struct param_spec *p)
{
    return (size_t)number_of(r, p);
}

bool req_date(struct req *r, const struct param_spec *p, int64_t *ret_us)
{
    return time_parse(req_text(r, p), ret_us, ERR_IGNORED);
}

/* A copy, because the text that was sent may have a prefix. */
const char *req_crash_id(struct req *r, const struct param_spec *p)
{
    char id[CRASH_ID_SIZE];
    return crash_id_parse(req_text(r, p), id) ? arena_strdup(&r->arena, id) : NULL;
}

bool req_is_sent(struct req *r, const struct param_spec *p)
{
    assert_declared(r, p);
    return params_find(&r->params, p->name).p != NULL;
}

const char *param_type_name(enum param_type type)
{
    static const char *const names[] = {
        [PARAM_TEXT] = "text",     [PARAM_LIST] = "list",     [PARAM_INT] = "integer",
        [PARAM_INT_LIST] = "list", [PARAM_FLAG] = "flag",     [PARAM_CHOICE] = "text",
        [PARAM_DATE] = "date",     [PARAM_CRASH_ID] = "text",
    };
    return names[type];
}
