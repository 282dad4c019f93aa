/*
 * The pages of the administration that are lists: GET /siteadmin/SUBJECT/, and the POSTs below it
 * (add/ and the actions of a row).  Who may is decided by the routes.
 *
 * Nothing that a form sends is shown anywhere but in its own fields, in the list and in the audit
 * log.  After a change the browser is sent back to the list, which reads in the audit log what this
 * account did a moment ago and says it; so a page that is loaded again changes nothing.
 */
#include "fcgi/webapp/admin_lists.h"

#include <string.h>

#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/results.h"
#include "fcgi/webapp/url_query.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

/*
 * A page of fifty rows is read in one look.  Ten thousand pages: whoever looks for one row among
 * half a million searches.  Ids are numbers, crash ids, or signatures, which are cut at 255.
 */
enum { ROWS_SHOWN = 50, PAGE_MAX = 10000, PART_MAX = 500, ID_MAX = 2000 };

/* clang-format off */
const struct param_spec
    admin_part = {"q", PARAM_TEXT, PARAM_TRIMMED | PARAM_LENIENT, .max = PART_MAX, .help = "part of a text"},
    admin_page_number = {"page", PARAM_INT, PARAM_LENIENT, .min = 1, .max = PAGE_MAX, .fallback = "1", .help = "from 1"},
    admin_done = {"done", PARAM_FLAG, .help = "says what was changed last"};
static const struct param_spec
    row_id = {"id", PARAM_TEXT, PARAM_REQUIRED, .max = ID_MAX, .refusal = "Which one?", .help = "which row"};
/* clang-format on */
const struct param_spec *const admin_list_params[] = {&admin_part, &admin_page_number, &admin_done,
                                                      NULL};
const struct param_spec *const admin_action_params[] = {&row_id, NULL};

static const struct admin_subject *subject_of(struct req *r, struct str *ret_rest)
{
    struct str rest = str_sub(req_path(r), strlen("/siteadmin/"), SIZE_MAX);
    for (size_t i = 0; i < admin_subject_count; i++)
        if (str_starts(rest, str_of(admin_subjects[i].path))) {
            *ret_rest = str_sub(rest, strlen(admin_subjects[i].path), SIZE_MAX);
            return &admin_subjects[i];
        }
    return NULL;
}

struct admin_table admin_table(struct tpl_rows *sections, const char *title, const char *empty,
                               const char *const *heads)
{
    struct tpl_row *s = tpl_row_add(sections);
    tpl_col_cstr(s, ADMIN_SECTION_TITLE, title);
    tpl_col_cstr(s, ADMIN_SECTION_EMPTY, empty);
    tpl_col_bool(s, ADMIN_SECTION_HAS_ACTIONS, false);
    struct admin_table t = {s, tpl_col_rows(s, ADMIN_SECTION_HEADS),
                            tpl_col_rows(s, ADMIN_SECTION_ROWS)};
    for (size_t i = 0; heads[i]; i++) {
        struct tpl_row *head = tpl_row_add(t.heads);
        bool is_number = heads[i][0] == '#';
        tpl_col_cstr(head, ADMIN_HEAD_TEXT, heads[i] + is_number);
        tpl_col_bool(head, ADMIN_HEAD_IS_NUMBER, is_number);
    }
    return t;
}

struct tpl_rows *admin_row(struct admin_table *t)
{
    struct tpl_row *row = tpl_row_add(t->rows);
    tpl_col_rows(row, ADMIN_ROW_ACTIONS);
    return tpl_col_rows(row, ADMIN_ROW_CELLS);
}

static struct tpl_row *cell_add(struct tpl_rows *cells, const char *text, const char *class)
{
    struct tpl_row *cell = tpl_row_add(cells);
    tpl_col_cstr(cell, ADMIN_CELL_TEXT, text);
    tpl_col_cstr(cell, ADMIN_CELL_CLASS, class);
    tpl_col_url(cell, ADMIN_CELL_URL, STR(""));
    return cell;
}

void admin_cell(struct tpl_rows *cells, const char *text, const char *class)
{
    cell_add(cells, text, class);
}

static void add_column_cell(struct req *r, struct tpl_rows *cells, enum admin_cell_kind kind,
                            const char *text)
{
    static const char *const classes[] = {
        [AS_TEXT] = "wrap",   [AS_MONO] = "mono small",         [AS_NUMBER] = "num",
        [AS_TIME] = "nowrap", [AS_CRASH] = "mono small nowrap", [AS_SIGNATURE] = "mono wrap"};
    struct tpl_row *cell = cell_add(cells, text, classes[kind]);
    struct query q = query_new(req_arena(r));
    if (kind == AS_CRASH)
        tpl_col_url(cell, ADMIN_CELL_URL, results_report_url(req_arena(r), text));
    if (kind == AS_SIGNATURE) {
        query_addc(&q, "signature", text);
        tpl_col_url(cell, ADMIN_CELL_URL, query_url(&q, "/signature/"));
    }
}

static const char *action_url(struct req *r, const struct admin_subject *s, const char *path)
{
    return arena_printf(req_arena(r), "/siteadmin/%s%s", s->path, path);
}

static void add_actions(struct req *r, const struct admin_subject *s, struct tpl_row *row,
                        const struct db_rows *found, int i)
{
    struct tpl_rows *actions = tpl_col_rows(row, ADMIN_ROW_ACTIONS);
    for (size_t k = 0; k < ARRAY_LEN(s->actions) && s->actions[k].path; k++) {
        const struct admin_action *a = &s->actions[k];
        if (!db_col_bool(found, i, a->offered))
            continue;
        struct tpl_row *out = tpl_row_add(actions);
        tpl_col_url(out, ADMIN_ACTION_URL, str_of(action_url(r, s, a->path)));
        tpl_col_cstr(out, ADMIN_ACTION_LABEL, a->label);
        tpl_col_cstr(out, ADMIN_ACTION_ASK, a->ask);
        tpl_col_cstr(out, ADMIN_ACTION_ID, db_col(found, i, s->id));
        tpl_col_cstr(out, ADMIN_ACTION_NAME, db_col(found, i, s->columns[0].from));
        tpl_col_cstr(out, ADMIN_ACTION_CLASS, a->is_dangerous ? "danger" : "primary");
    }
}

/* What a page was asked for; a form that was refused shows the whole list. */
struct list_wanted {
    struct str part;
    int64_t page;
    struct str filters[ARRAY_LEN(((struct admin_subject *)0)->filters)];
};

static bool run_list(struct req *r, const struct admin_subject *s, const struct list_wanted *w,
                     struct db_rows *ret, struct err *err)
{
    struct arena *a = req_arena(r);
    const char *params[3 + ARRAY_LEN(w->filters)] = {
        str_adup(a, w->part), db_int(a, ROWS_SHOWN + 1), db_int(a, (w->page - 1) * ROWS_SHOWN)};
    int n = 3;
    for (size_t i = 0; i < ARRAY_LEN(s->filters) && s->filters[i].param; i++)
        params[n++] = str_adup(a, w->filters[i]);
    return db_run(req_db(r), s->list, ret, err, n, params) || err_wrap(err, "list of %s", s->word);
}

static void set_pager(struct req *r, struct tpl_values *v, const struct admin_subject *s,
                      const struct list_wanted *w, int count)
{
    struct arena *a = req_arena(r);
    int64_t first = (w->page - 1) * ROWS_SHOWN + 1, shown = MIN(count, ROWS_SHOWN);
    const char *path = action_url(r, s, "");
    struct query q = query_new(a);
    if (w->part.n)
        query_add(&q, admin_part.name, w->part);
    for (size_t i = 0; i < ARRAY_LEN(s->filters) && s->filters[i].param; i++)
        if (w->filters[i].n)
            query_add(&q, s->filters[i].param->name, w->filters[i]);
    struct query next = query_copy(&q);
    query_addc(&q, admin_page_number.name, db_int(a, w->page - 1));
    query_addc(&next, admin_page_number.name, db_int(a, w->page + 1));
    tpl_cstr(v, "total_text",
             shown
                 ? arena_printf(a, "%lld to %lld", (long long)first, (long long)(first + shown - 1))
                 : "");
    tpl_url(v, "prev_url", w->page > 1 ? query_url(&q, path) : STR(""));
    tpl_url(v, "next_url", count > ROWS_SHOWN ? query_url(&next, path) : STR(""));
}

static bool set_list(struct req *r, struct tpl_values *v, const struct admin_subject *s,
                     const struct list_wanted *w, struct err *err)
{
    DB_ROWS found = {0};
    struct tpl_rows *sections = tpl_list(v, LIST_ADMIN_SECTIONS);
    if (!run_list(r, s, w, &found, err) || (s->sections && !s->sections(r, sections, err)))
        return false;
    const char *heads[ARRAY_LEN(s->columns) + 1] = {NULL};
    for (size_t k = 0; k < ARRAY_LEN(s->columns) && s->columns[k].title; k++)
        heads[k] = s->columns[k].title;
    struct admin_table t = admin_table(sections, s->word, "There is nothing of this kind.", heads);
    tpl_col_bool(t.section, ADMIN_SECTION_HAS_ACTIONS, s->actions[0].path != NULL);
    for (int i = 0; i < MIN(found.count, ROWS_SHOWN); i++) {
        struct tpl_row *row = tpl_row_add(t.rows);
        struct tpl_rows *cells = tpl_col_rows(row, ADMIN_ROW_CELLS);
        for (size_t k = 0; k < ARRAY_LEN(s->columns) && s->columns[k].title; k++)
            add_column_cell(r, cells, s->columns[k].kind, db_col(&found, i, s->columns[k].from));
        add_actions(r, s, row, &found, i);
    }
    set_pager(r, v, s, w, found.count);
    return true;
}

static void add_field(struct tpl_rows *fields, const struct admin_field *f, struct str value)
{
    const struct param_spec *p = f->param;
    struct tpl_row *row = tpl_row_add(fields);
    tpl_col_cstr(row, ADMIN_FIELD_NAME, p->name);
    tpl_col_cstr(row, ADMIN_FIELD_LABEL, f->label);
    tpl_col_cstr(row, ADMIN_FIELD_HINT, f->hint);
    tpl_col_cstr(row, ADMIN_FIELD_TYPE, p->type == PARAM_DATE ? "date" : "text");
    tpl_col_text(row, ADMIN_FIELD_VALUE, value);
    tpl_col_int(row, ADMIN_FIELD_MAX, p->max ? p->max : PART_MAX);
    tpl_col_bool(row, ADMIN_FIELD_IS_REQUIRED, p->flags & PARAM_REQUIRED);
    tpl_col_bool(row, ADMIN_FIELD_IS_CHOICE, p->type == PARAM_CHOICE);
    struct tpl_rows *options = tpl_col_rows(row, ADMIN_FIELD_OPTIONS);
    for (size_t i = 0; p->type == PARAM_CHOICE && p->choices[i].value; i++) {
        struct tpl_row *o = tpl_row_add(options);
        const struct param_choice *c = &p->choices[i];
        tpl_col_cstr(o, OPTION_VALUE, c->value);
        tpl_col_cstr(o, OPTION_TEXT, c->label ? c->label : c->value);
        tpl_col_bool(o, OPTION_IS_CHOSEN, str_eq(value, str_of(c->value)));
    }
}

static struct str field_text(struct req *r, const struct param_spec *p)
{
    int64_t us;
    if (p->type == PARAM_CHOICE)
        return str_of(p->choices[req_choice(r, p)].value);
    if (p->type == PARAM_DATE)
        return req_date(r, p, &us) ? str_of(human_day(req_arena(r), us)) : STR("");
    return req_text(r, p);
}

struct tpl_values *admin_page(struct req *r, const char *word, const char *lead)
{
    struct tpl_values *v = layout_new(r, &(struct layout){.title = word});
    tpl_cstr(v, "heading", word);
    tpl_cstr(v, "lead", lead);
    tpl_cstr(v, "done", "");
    tpl_cstr(v, "problem", "");
    tpl_cstr(v, "part", "");
    tpl_cstr(v, "add_url", "");
    tpl_cstr(v, "total_text", "");
    tpl_bool(v, "has_list_search", false);
    tpl_url(v, "prev_url", STR(""));
    tpl_url(v, "next_url", STR(""));
    tpl_list(v, LIST_ADMIN_FILTERS);
    tpl_list(v, LIST_ADMIN_FIELDS);
    tpl_list(v, LIST_ADMIN_SECTIONS);
    resp_header(r, "Cache-Control", STR("no-store"));
    return v;
}

/* "Deleted"-like words are made of what the audit log has: "delete: 0x10de 0x1234". */
static bool set_done(struct req *r, struct tpl_values *v, const struct admin_subject *s,
                     struct err *err)
{
    DB_ROWS last = {0};
    if (!DB_RUN(req_db(r), &q_admin_audit_last, &last, err, db_int(req_arena(r), req_user(r)->id),
                s->object))
        return err_wrap(err, "audit log");
    if (last.count > 0)
        tpl_cstr(v, "done",
                 arena_printf(req_arena(r), "Done: %s %s %s",
                              db_col(&last, 0, Q_ADMIN_AUDIT_LAST_COL_ACTION), s->object,
                              db_col(&last, 0, Q_ADMIN_AUDIT_LAST_COL_OBJECT_ID)));
    return true;
}

/* `w` has the filters; `is_refused`: the fields of the form have what was sent. */
static bool send_list(struct req *r, const struct admin_subject *s, int status,
                      const struct list_wanted *w, const char *problem, bool is_refused,
                      bool says_done, struct err *err)
{
    struct tpl_values *v = admin_page(r, s->word, s->lead);
    if ((says_done && !set_done(r, v, s, err)) || !set_list(r, v, s, w, err))
        return false;
    tpl_cstr(v, "problem", problem);
    tpl_text(v, "part", w->part);
    tpl_bool(v, "has_list_search", true);
    tpl_cstr(v, "add_url", s->add ? action_url(r, s, "add/") : "");
    struct tpl_rows *filters = tpl_list(v, LIST_ADMIN_FILTERS);
    for (size_t i = 0; i < ARRAY_LEN(s->filters) && s->filters[i].param; i++)
        add_field(filters, &s->filters[i], w->filters[i]);
    struct tpl_rows *fields = tpl_list(v, LIST_ADMIN_FIELDS);
    for (size_t i = 0; i < ARRAY_LEN(s->fields) && s->fields[i].param; i++)
        add_field(fields, &s->fields[i], is_refused ? field_text(r, s->fields[i].param) : STR(""));
    return layout_send(r, status, "admin_list.html", v, err);
}

/* GET /siteadmin/SUBJECT/ */
bool admin_list_get(struct req *r, struct err *err)
{
    struct str rest;
    const struct admin_subject *s = subject_of(r, &rest);
    struct list_wanted w = {.part = req_text(r, &admin_part),
                            .page = req_int(r, &admin_page_number)};
    for (size_t i = 0; i < ARRAY_LEN(s->filters) && s->filters[i].param; i++)
        w.filters[i] = field_text(r, s->filters[i].param);
    return send_list(r, s, 200, &w, "", false, req_flag(r, &admin_done), err);
}

static bool refuse(struct req *r, const struct admin_subject *s, int status, const char *problem,
                   struct err *err)
{
    return send_list(r, s, status, &(struct list_wanted){.part = STR(""), .page = 1}, problem,
                     status == 400, false, err);
}

static bool changed(struct req *r, const struct admin_subject *s, const char *name,
                    const char *action, const char *message)
{
    site_audit(r, s->object, name, action, message);
    if (s->changed)
        s->changed(r);
    return resp_redirect(r, 303,
                         str_of(arena_printf(req_arena(r), "/siteadmin/%s?done=1", s->path)));
}

/* POST /siteadmin/SUBJECT/add/ */
bool admin_add_post(struct req *r, struct err *err)
{
    struct str rest;
    struct err why = {0};
    DB_ROWS rows = {0};
    const struct admin_subject *s = subject_of(r, &rest);
    const char *params[ARRAY_LEN(s->fields)];
    int n = 0;
    if (!req_params_fit(r, &why))
        return refuse(r, s, 400, why.msg, err);
    for (; n < (int)ARRAY_LEN(s->fields) && s->fields[n].param; n++)
        params[n] = str_adup(req_arena(r), field_text(r, s->fields[n].param));
    if (!db_run(req_db(r), s->add, &rows, err, n, params))
        return err_wrap(err, "adding to %s", s->word);
    if (rows.count == 0)
        return refuse(r, s, 400, s->add_refused, err);
    return changed(r, s, db_col(&rows, 0, s->added_name), "add", "");
}

static const struct admin_action *action_of(const struct admin_subject *s, struct str path)
{
    for (size_t i = 0; i < ARRAY_LEN(s->actions) && s->actions[i].path; i++)
        if (str_eq(path, str_of(s->actions[i].path)))
            return &s->actions[i];
    return NULL;
}

/* POST /siteadmin/SUBJECT/ACTION/: id. */
bool admin_action_post(struct req *r, struct err *err)
{
    static const char gone[] = "This one is gone, or in another state by now.";
    struct str rest;
    struct err why = {0};
    DB_ROWS rows = {0};
    const struct admin_subject *s = subject_of(r, &rest);
    const struct admin_action *a = action_of(s, rest);
    const char *id = str_adup(req_arena(r), req_text(r, &row_id));
    if (!req_params_fit(r, &why))
        return refuse(r, s, 409, why.msg, err);
    if (a->act) {
        if (a->act(r, id, &why))
            return changed(r, s, id, a->label, "");
        return why.code == ERR_NOT_FOUND ? refuse(r, s, 409, why.msg, err)
                                         : err_set(err, why.code, "%s", why.msg);
    }
    if (!DB_RUN(req_db(r), a->query, &rows, err, id))
        return err_wrap(err, "%s of %s", a->label, s->word);
    if (rows.count == 0)
        return refuse(r, s, 409, gone, err);
    return changed(r, s, db_col(&rows, 0, a->name), a->label, "");
}
