/*
 * What a page is to show, until it is rendered: values by name, and lists of rows.
 *
 * Everything is escaped when it is set, by the kind of setter, and never again; so a value that
 * comes out of here unescaped cannot exist, whatever a template does with it.  A page has some
 * sixty values of its own, which a list that is searched from its front holds well enough; columns
 * of rows, of which there are thousands, have fixed places.  Memory is the request's arena's, and
 * goes with it.
 */
#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/tpl/tpl.h"
#include "lib/tpl/tpl_internal.h"

static struct tpl_value markup_value(struct arena *a, struct str escaped)
{
    return (struct tpl_value){.kind = TPL_MARKUP, .markup = str_adup(a, escaped)};
}

/* Escaping six bytes for one is the worst case, so the buffer never overflows. */
static struct tpl_value text_value(struct arena *a, struct str s)
{
    STRBUF_AUTO b;
    sb_init(&b, s.n * 6 + 8); /* &quot; is the longest */
    tpl_escape(&b, s);
    return markup_value(a, sb_view(&b));
}

/* A link that may not be one leads to the top of the page, and the text stays. */
static struct tpl_value url_value(struct arena *a, struct str url)
{
    return text_value(a, url_is_safe(url) ? url : STR("#"));
}

/* Rows of one type; they are added behind each other and shown in that order. */
static struct tpl_value rows_value(struct arena *a, const struct tpl_row_type *type)
{
    struct tpl_value v = {.kind = TPL_ROWS, .rows = arena_alloc(a, sizeof(struct tpl_rows))};
    v.rows->a = a;
    v.rows->type = type;
    return v;
}

/* In the order of first setting; a second one replaces the first in its place. */
static struct tpl_value *set_value(struct tpl_values *v, const char *name, struct tpl_value value)
{
    value.name = name;
    for (struct tpl_value *old = v->first; old; old = old->next)
        if (strcmp(old->name, name) == 0) {
            value.next = old->next;
            *old = value;
            return old;
        }
    struct tpl_value *last = arena_alloc(v->a, sizeof *last);
    *last = value;
    last->name = arena_strdup(v->a, name);
    *(v->last ? &v->last->next : &v->first) = last;
    return v->last = last;
}

struct tpl_values *tpl_values_new(struct arena *a)
{
    struct tpl_values *v = arena_alloc(a, sizeof *v);
    v->a = a;
    return v;
}

void tpl_text(struct tpl_values *v, const char *name, struct str s)
{
    set_value(v, name, text_value(v->a, s));
}

void tpl_cstr(struct tpl_values *v, const char *name, const char *s)
{
    tpl_text(v, name, s ? str_of(s) : STR(""));
}

void tpl_int(struct tpl_values *v, const char *name, int64_t i)
{
    set_value(v, name, (struct tpl_value){.kind = TPL_INT, .i = i});
}

void tpl_bool(struct tpl_values *v, const char *name, bool b)
{
    tpl_int(v, name, b);
}

void tpl_url(struct tpl_values *v, const char *name, struct str url)
{
    set_value(v, name, url_value(v->a, url));
}

/* Setting a list again begins it anew, as with any value. */
struct tpl_rows *tpl_list(struct tpl_values *v, const struct tpl_list *list)
{
    return set_value(v, list->name, rows_value(v->a, list->rows))->rows;
}

size_t tpl_rows_count(const struct tpl_rows *rows)
{
    return rows->count;
}

/* All columns of a row are made at once, unset: what has not been set is noticed when rendering. */
struct tpl_row *tpl_row_add(struct tpl_rows *rows)
{
    struct tpl_row *r = arena_alloc(rows->a, sizeof *r);
    r->a = rows->a;
    r->type = rows->type;
    r->columns = arena_array(rows->a, r->type->count, sizeof *r->columns);
    if (rows->last)
        rows->last->next = r;
    else
        rows->first = r;
    rows->last = r;
    rows->count++;
    return r;
}

/*
 * Constants of another row type compile, so they are noticed here.  The page fails when it is
 * rendered, as with any other value that is missing: setters have nobody to tell.
 */
static struct tpl_value *set_column(struct tpl_row *r, const struct tpl_column *c,
                                    struct tpl_value v)
{
    bool is_ours = c >= r->type->columns && c < r->type->columns + r->type->count;
    if (!is_ours || (v.kind == TPL_ROWS) != (c->rows != NULL)) {
        r->stray = c;
        struct tpl_value *nowhere = arena_alloc(r->a, sizeof *nowhere);
        *nowhere = v;
        return nowhere;
    }
    struct tpl_value *slot = &r->columns[c - r->type->columns];
    *slot = v;
    return slot;
}

void tpl_col_text(struct tpl_row *r, const struct tpl_column *c, struct str s)
{
    set_column(r, c, text_value(r->a, s));
}

void tpl_col_cstr(struct tpl_row *r, const struct tpl_column *c, const char *s)
{
    tpl_col_text(r, c, s ? str_of(s) : STR(""));
}

void tpl_col_int(struct tpl_row *r, const struct tpl_column *c, int64_t i)
{
    set_column(r, c, (struct tpl_value){.kind = TPL_INT, .i = i});
}

void tpl_col_bool(struct tpl_row *r, const struct tpl_column *c, bool b)
{
    tpl_col_int(r, c, b);
}

void tpl_col_url(struct tpl_row *r, const struct tpl_column *c, struct str url)
{
    set_column(r, c, url_value(r->a, url));
}

void tpl_col_html(struct tpl_row *r, const struct tpl_column *c, struct html h)
{
    set_column(r, c, markup_value(r->a, h.escaped));
}

struct tpl_rows *tpl_col_rows(struct tpl_row *r, const struct tpl_column *c)
{
    static const struct tpl_row_type no_columns = {.name = "nothing"};
    return set_column(r, c, rows_value(r->a, c->rows ? c->rows : &no_columns))->rows;
}
