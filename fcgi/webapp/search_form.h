#ifndef WEBAPP_SEARCH_FORM_H
#define WEBAPP_SEARCH_FORM_H

#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/operators.h"
#include "lib/web/param_spec.h"

/*
 * search_form - between what a form sends and Super Search parameters.
 *
 * A form without scripts cannot put an operator in front of a value.  So it sends helper
 * parameters (_form=1, _from, _to, lines of _f _o _v, lists of names in _c, _facet_list,
 * _sort_list), and the page answers with a redirect to the address that means the same in plain
 * Super Search parameters.  Only those addresses are ever shown or shared.
 */
extern const struct param_spec form_sent, form_from, form_to, form_fields, form_operators,
    form_values, form_columns, form_facets, form_sort;
/* For the lists of routes with the form. */
#define SEARCH_FORM_PARAMS                                                                         \
    &form_sent, &form_from, &form_to, &form_fields, &form_operators, &form_values, &form_columns,  \
        &form_facets, &form_sort

bool search_form_is_submitted(struct req *r);
struct str search_form_url(struct req *r, const struct query *sent, const char *path);

/* The choices of the form, filled in from a query: dates, lines, simple fields, lists. */
void search_form_set_dates(struct req *r, struct tpl_values *v, const struct query *q,
                           const char *path);
void search_form_set_lines(struct req *r, struct tpl_values *v, const struct query *q,
                           size_t blank_lines);
/* The same with every filter as a line. */
void search_form_set_all_lines(struct req *r, struct tpl_values *v, const struct query *q,
                               size_t blank_lines);
/* Whether the form has a list of values for the field: it shows filters without an operator
 * only. */
bool search_form_is_simple(const struct search_field *f);
bool search_form_set_simple(struct req *r, struct tpl_values *v, const struct query *q,
                            struct err *err);

/*
 * Fills ret with what the form's script asks for: field name to label, type, choices and
 * description, of the fields this reader may use, without the excluded ones.
 */
bool search_form_fields(struct req *r, struct strs exclude, json_t *ret, struct err *err);

/*
 * What a person surely did not mean: ranges that cannot overlap, "does not exist" beside another
 * value.  ERR_INVALID with the text.
 */
bool search_form_check(struct req *r, const struct query *q, struct err *err);
/* What they perhaps did not mean, as sentences. */
void search_form_warnings(struct req *r, const struct query *q, struct tpl_rows *rows);

/* Bounds of the search in microseconds, as the search itself decides them. */
struct date_bounds {
    int64_t from_us, to_us;
};
struct date_bounds search_form_bounds(struct req *r, const struct query *q);

#endif
