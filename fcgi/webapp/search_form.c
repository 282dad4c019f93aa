/*
 * From what the form sent to an address, and from an address to what the form shows.
 *
 * The address is the truth: the form is filled in from Super Search parameters, whoever wrote them,
 * and what it sends becomes such parameters before anything is searched.  Nothing here decides what
 * a filter means, which is lib/search's; dates and ranges are read once more only to fill in
 * fields, and to tell people before the search what can never match.
 */
#include "fcgi/webapp/search_form.h"

#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/url_query.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/tpl/tpl.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "rows.h"

static bool is_range(struct str op)
{
    return op.n > 0 && (op.p[0] == '<' || op.p[0] == '>');
}

/* "does not exist", with or without the "!" that negates it. */
static bool is_null(struct str op)
{
    return str_ends(op, STR("__null__"));
}

/* clang-format off */
const struct param_spec
    form_sent = {"_form", PARAM_FLAG, .help = "the form was sent: what follows is to become an address"},
    form_from = {"_from", PARAM_DATE, PARAM_LENIENT | PARAM_SKIP_EMPTY, .help = "first date"},
    form_to = {"_to", PARAM_DATE, PARAM_LENIENT | PARAM_SKIP_EMPTY, .help = "end of the dates"},
    /* Lines of the form.  Empty values keep their places: the three lists belong together. */
    form_fields = {"_f", PARAM_LIST, .help = "field of each line"},
    form_operators = {"_o", PARAM_LIST, .help = "operator of each line"},
    form_values = {"_v", PARAM_LIST, .help = "value of each line"},
    form_columns = {"_c", PARAM_TEXT, PARAM_SKIP_EMPTY, .help = "columns, separated by commas"},
    form_facets = {"_facet_list", PARAM_TEXT, PARAM_SKIP_EMPTY, .help = "facets, separated by commas"},
    form_sort = {"_sort_list", PARAM_TEXT, PARAM_SKIP_EMPTY, .help = "sort keys, separated by commas"};
/* clang-format on */

/* Parameters that the form alone sends; none of them is in an address that is shown. */
static bool is_helper(struct str name)
{
    static const struct param_spec *const helpers[] = {SEARCH_FORM_PARAMS};
    for (size_t i = 0; i < ARRAY_LEN(helpers); i++)
        if (str_eq(name, str_of(helpers[i]->name)))
            return true;
    return false;
}

bool search_form_is_submitted(struct req *r)
{
    return req_flag(r, &form_sent);
}

/* A text field with names and commas becomes a parameter for each name. */
static void add_list(struct query *out, const char *name, struct str text)
{
    struct str part;
    while (str_split(&text, ',', &part)) {
        part = str_trim(part);
        if (part.n > 0)
            query_add(out, name, part);
    }
}

/* Several values of "matches" may stand in one line, separated by commas. */
static void add_line(const struct field_table *fields, struct query *out, struct str field,
                     struct str op, struct str value)
{
    const struct search_field *f = search_field_find(fields, field);
    const char *name = str_adup(out->a, field);
    bool needs_value = !str_ends(op, STR("__"));
    if (!f || (needs_value && value.n == 0))
        return;
    if (!needs_value) {
        query_add(out, name, op);
        return;
    }
    if (op.n > 1 || (op.n == 1 && op.p[0] != '!')) {
        query_add(out, name,
                  str_of(arena_printf(out->a, STR_FMT STR_FMT, STR_ARG(op), STR_ARG(value))));
        return;
    }
    struct str part;
    while (str_split(&value, ',', &part))
        if (str_trim(part).n > 0)
            query_add(out, name,
                      str_of(arena_printf(out->a, STR_FMT STR_FMT, STR_ARG(op),
                                          STR_ARG(str_trim(part)))));
}

static void add_lines(struct req *r, struct query *out)
{
    struct strs f = req_list(r, &form_fields), o = req_list(r, &form_operators),
                v = req_list(r, &form_values);
    for (size_t i = 0; i < f.n && i < o.n && i < v.n; i++)
        add_line(app_fields(r), out, str_trim(f.v[i]), o.v[i], str_trim(v.v[i]));
}

/* What is no date is left out: the browser's own check has told, and a search without it runs. */
static void add_date(struct req *r, const struct param_spec *date, const char *op,
                     struct query *out)
{
    int64_t us;
    if (req_date(r, date, &us))
        query_addf(out, "date", "%s%s:00Z", op, fmt_minute(out->a, us));
}

struct str search_form_url(struct req *r, const struct query *sent, const char *path)
{
    struct query out = query_new(req_arena(r));
    for (size_t i = 0; i < sent->n; i++)
        if (!is_helper(sent->v[i].name))
            query_add(&out, str_adup(out.a, sent->v[i].name), sent->v[i].value);
    add_date(r, &form_from, ">=", &out);
    add_date(r, &form_to, "<", &out);
    add_lines(r, &out);
    add_list(&out, "_columns", req_text(r, &form_columns));
    add_list(&out, "_facets", req_text(r, &form_facets));
    add_list(&out, "_sort", req_text(r, &form_sort));
    return query_url(&out, path);
}

/* ISO, or -7d and the like relative to now. */
static bool date_value(struct str text, int64_t now_us, int64_t *ret_us)
{
    static const struct {
        char unit;
        int64_t s;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    int64_t n;
    if (text.n > 2 && text.p[0] == '-')
        for (size_t i = 0; i < ARRAY_LEN(units); i++)
            if (text.p[text.n - 1] == units[i].unit &&
                str_to_i64(str_sub(text, 1, text.n - 2), 0, 1000000, "date", &n, ERR_IGNORED)) {
                *ret_us = now_us - n * units[i].s * 1000000;
                return true;
            }
    return time_parse(text, ret_us, ERR_IGNORED);
}

/*
 * The period of a search, for fields and shortcuts to show: the narrowest of all bounds given, and
 * the seven days up to now that lib/search takes where there are none.
 */
struct date_bounds search_form_bounds(struct req *r, const struct query *q)
{
    int64_t now_us = req_now_us(r);
    struct strs values = query_all(q, "date");
    bool has_from = false, has_to = false;
    struct date_bounds b = {0};
    for (size_t i = 0; i < values.n; i++) {
        struct filter_value f = filter_split(app_fields(r)->date, values.v[i]);
        int64_t us;
        if (!is_range(f.op) || !date_value(f.value, now_us, &us))
            continue;
        if (f.op.p[0] == '>') {
            b.from_us = has_from ? MAX(b.from_us, us) : us;
            has_from = true;
        } else {
            b.to_us = has_to ? MIN(b.to_us, us) : us;
            has_to = true;
        }
    }
    if (!has_to)
        b.to_us = now_us;
    if (!has_from)
        b.from_us = b.to_us - 7 * DAY_US;
    return b;
}

/* Up to the six months that reports are kept unless an installation says otherwise. */
static const struct {
    const char *label;
    int days;
} shortcuts[] = {
    {"24 hours", 1}, {"3 days", 3},    {"7 days", 7},     {"14 days", 14},
    {"1 month", 30}, {"3 months", 91}, {"6 months", 182},
};

/* A link to the same search over other dates; it starts on the first page again. */
static void add_shortcut(struct tpl_rows *rows, const struct query *q, const char *path,
                         const char *label, struct date_bounds b, bool is_current)
{
    struct query c = query_copy(q);
    query_drop(&c, "date");
    query_drop(&c, "page");
    query_addf(&c, "date", ">=%s:00Z", fmt_minute(q->a, b.from_us));
    query_addf(&c, "date", "<%s:00Z", fmt_minute(q->a, b.to_us));
    site_add_choice(rows, label, query_url(&c, path), is_current);
}

/*
 * Dates as the form shows them, and links to other periods.  The last link widens the period to
 * whole UTC days, for histograms by day that are not cut at their ends.
 */
void search_form_set_dates(struct req *r, struct tpl_values *v, const struct query *q,
                           const char *path)
{
    int64_t now = req_now_us(r);
    struct date_bounds b = search_form_bounds(r, q);
    struct tpl_rows *rows = tpl_list(v, LIST_SHORTCUTS);
    /* The end is the next full minute, so that what came in just now is inside. */
    int64_t end = (now / 60000000 + 1) * 60000000;
    tpl_cstr(v, "date_from", fmt_minute(q->a, b.from_us));
    tpl_cstr(v, "date_to", fmt_minute(q->a, b.to_us == now ? end : b.to_us));
    /* An address made some minutes ago still shows as "24 hours" and the like: people reload. */
    bool ends_now = b.to_us > now - 15 * 60000000LL && b.to_us <= end;
    for (size_t i = 0; i < ARRAY_LEN(shortcuts); i++) {
        int64_t off = b.to_us - b.from_us - shortcuts[i].days * DAY_US;
        add_shortcut(rows, q, path, shortcuts[i].label,
                     (struct date_bounds){end - shortcuts[i].days * DAY_US, end},
                     ends_now && off > -120000000 && off < 120000000);
    }
    struct date_bounds midnight = {b.from_us / DAY_US * DAY_US,
                                   (b.to_us + DAY_US - 1) / DAY_US * DAY_US};
    add_shortcut(rows, q, path, "day ends", midnight, false);
}

/* A range as filters narrow it; open ends do not hold their value themselves. */
struct bounds {
    bool has_low, has_high, low_open, high_open;
    double low, high;
};

/* Takes a filter into the range; of two equal bounds the open one is narrower. */
static void narrow(struct bounds *b, struct str op, double x)
{
    bool is_open = op.n == 1;
    if (op.p[0] == '>' && (!b->has_low || x > b->low || (x == b->low && is_open))) {
        b->has_low = true;
        b->low = x;
        b->low_open = is_open;
    }
    if (op.p[0] == '<' && (!b->has_high || x < b->high || (x == b->high && is_open))) {
        b->has_high = true;
        b->high = x;
        b->high_open = is_open;
    }
}

/* A range with one end is never empty. */
static bool is_empty_range(const struct bounds *b)
{
    if (!b->has_low || !b->has_high)
        return false;
    return b->low > b->high || (b->low == b->high && (b->low_open || b->high_open));
}

/* Dates compare as microseconds, numbers as they are.  False: not comparable, so not looked at. */
static bool number_of(const struct search_field *f, struct str text, double *ret)
{
    int64_t us;
    if (f->value_type != VALUE_DATETIME)
        return str_to_double(str_trim(text), f->name, ret, ERR_IGNORED);
    if (!time_parse(text, &us, ERR_IGNORED))
        return false; /* the search itself complains */
    *ret = (double)us;
    return true;
}

/* All filters on one field together: those are what can contradict each other. */
static bool check_field(struct arena *a, const struct query *q, const struct search_field *f,
                        struct err *err)
{
    struct strs values = query_all(q, f->name);
    struct bounds b = {0};
    size_t nulls = 0;
    for (size_t i = 0; i < values.n; i++) {
        struct filter_value x = filter_split(f, values.v[i]);
        double number;
        nulls += is_null(x.op);
        if (is_range(x.op) && number_of(f, x.value, &number))
            narrow(&b, x.op, number);
    }
    if (nulls > 0 && values.n > nulls)
        return err_set(err, ERR_INVALID, "%s: Can't combine __null__ with other filters", f->name);
    if (!is_empty_range(&b))
        return true;
    const char *all = "";
    for (size_t i = 0; i < values.n && i < 4; i++)
        all = arena_printf(a, "%s%s" STR_FMT, all, i ? " and " : "",
                           STR_ARG(str_sub(values.v[i], 0, 40)));
    return err_set(err, ERR_INVALID, "Operator combination failed: %s %s can never hold", f->name,
                   all);
}

/* Whether this is the first parameter of its name, so that a field is looked at once. */
static bool is_first_of_name(const struct query *q, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (str_eq(q->v[k].name, q->v[i].name))
            return false;
    return true;
}

bool search_form_check(struct req *r, const struct query *q, struct err *err)
{
    for (size_t i = 0; i < q->n; i++) {
        const struct search_field *f = search_field_find(app_fields(r), q->v[i].name);
        if (f && is_first_of_name(q, i) && !check_field(req_arena(r), q, f, err))
            return false;
    }
    return true;
}

void search_form_warnings(struct req *r, const struct query *q, struct tpl_rows *rows)
{
    for (size_t i = 0; i < q->n; i++) {
        const struct search_field *f = search_field_find(app_fields(r), q->v[i].name);
        if (!f || !is_first_of_name(q, i))
            continue;
        struct strs values = query_all(q, f->name);
        size_t negated = 0;
        for (size_t k = 0; k < values.n; k++) {
            struct str op = filter_split(f, values.v[k]).op;
            negated += op.n > 1 && op.p[0] == '!';
        }
        if (negated > 0 && values.n > 1)
            tpl_col_cstr(
                tpl_row_add(rows), NOTE_TEXT,
                arena_printf(req_arena(r),
                             "Conditions on one field are joined by OR: with a negated one "
                             "beside another, nearly every report matches %s.",
                             f->name));
    }
}
