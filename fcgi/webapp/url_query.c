/*
 * Parameters of an address, in order and with repetitions, because both mean something to a search.
 * A page makes thousands of links out of its own parameters, so copies share names and values and
 * only the list itself is new.
 */
#include "fcgi/webapp/url_query.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/tpl/tpl.h"
#include "lib/web/params.h"

struct query query_new(struct arena *a)
{
    return (struct query){.a = a};
}

void query_add(struct query *q, const char *name, struct str value)
{
    if (q->n == q->cap) {
        size_t cap = q->cap ? q->cap * 2 : 16;
        struct search_param *v = arena_array(q->a, cap, sizeof *v);
        if (q->n > 0)
            memcpy(v, q->v, q->n * sizeof *v);
        q->v = v;
        q->cap = cap;
    }
    q->v[q->n++] = (struct search_param){str_of(arena_strdup(q->a, name)), value};
}

void query_addc(struct query *q, const char *name, const char *value)
{
    query_add(q, name, str_of(value));
}

/* For names and numbers of ours: what is longer than the text is cut. */
void query_addf(struct query *q, const char *name, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    query_add(q, name, str_of(arena_strdup(q->a, text)));
}

/* An empty value is a field of a form that nobody filled in. */
static void add_filled_in(struct query *q, const struct req_param *p)
{
    if (p->value.n > 0)
        query_add(q, str_adup(q->a, p->name), p->value);
}

struct query query_of_request(struct req *r)
{
    struct query q = query_new(req_arena(r));
    for (size_t i = 0; i < req_param_count(r); i++)
        add_filled_in(&q, req_param_at(r, i));
    return q;
}

bool query_of_text(struct arena *a, struct str text, struct query *ret, struct err *err)
{
    struct param_list list = {0};
    if (!params_parse(a, text, &list, err))
        return false;
    *ret = query_new(a);
    for (size_t i = 0; i < list.n; i++)
        add_filled_in(ret, &list.v[i]);
    return true;
}

void query_count_once(struct query *q)
{
    for (size_t i = 0; i < q->n; i++)
        if (str_eq(q->v[i].name, search_counted_once.name))
            return;
    query_add(q, search_counted_once.name.p, search_counted_once.value);
}

/* With room for what is usually added to a link. */
struct query query_copy(const struct query *q)
{
    struct query c = query_new(q->a);
    c.v = arena_array(q->a, q->n + 8, sizeof *c.v);
    c.cap = q->n + 8;
    c.n = q->n;
    if (q->n > 0)
        memcpy(c.v, q->v, q->n * sizeof *c.v);
    return c;
}

/* All of that name, wherever they stand; the others keep their order. */
void query_drop(struct query *q, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < q->n; i++)
        if (!str_eq(q->v[i].name, str_of(name)))
            q->v[kept++] = q->v[i];
    q->n = kept;
}

/* What is left is what a search filters by: fields, and no "_facets" or page number. */
void query_drop_meta(struct query *q)
{
    size_t kept = 0;
    for (size_t i = 0; i < q->n; i++) {
        struct str name = q->v[i].name;
        if (!str_starts(name, STR("_")) && !str_eq(name, STR("page")))
            q->v[kept++] = q->v[i];
    }
    q->n = kept;
}

void query_set(struct query *q, const char *name, struct str value)
{
    query_drop(q, name);
    query_add(q, name, value);
}

/* The first of that name; STR_NONE where there is none, which an empty value is not. */
struct str query_get(const struct query *q, const char *name)
{
    for (size_t i = 0; i < q->n; i++)
        if (str_eq(q->v[i].name, str_of(name)))
            return q->v[i].value;
    return STR_NONE;
}

struct strs query_all(const struct query *q, const char *name)
{
    struct strs all = {.v = arena_array(q->a, q->n + 1, sizeof *all.v)};
    for (size_t i = 0; i < q->n; i++)
        if (str_eq(q->v[i].name, str_of(name)))
            all.v[all.n++] = q->v[i].value;
    return all;
}

bool query_has(const struct query *q, const char *name, struct str value)
{
    for (size_t i = 0; i < q->n; i++)
        if (str_eq(q->v[i].name, str_of(name)) && str_eq(q->v[i].value, value))
            return true;
    return false;
}

/* A copy: the search removes parameters from what it gets. */
struct search_params query_params(const struct query *q)
{
    struct query c = query_copy(q);
    return (struct search_params){.v = c.v, .n = c.n};
}

/* A megabyte is more than nginx takes of an address; a longer one would lead nowhere. */
struct str query_url(const struct query *q, const char *path)
{
    STRBUF_AUTO b;
    sb_init(&b, 1 << 20);
    sb_text(&b, path);
    for (size_t i = 0; i < q->n; i++) {
        sb_char(&b, i == 0 ? '?' : '&');
        url_encode_to(&b, q->v[i].name);
        sb_char(&b, '=');
        url_encode_to(&b, q->v[i].value);
    }
    return str_copy(q->a, sb_view(&b));
}
