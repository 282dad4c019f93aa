#ifndef SEARCH_QUERY_BUILD_H
#define SEARCH_QUERY_BUILD_H

#include "lib/search/query.h"

/*
 * query_build - a query while it is being made, and what its parts share.
 *
 * search_parse (query_parse.c) reads the numbers, columns and sort keys itself and then has the
 * three larger parts made, each by the file of its name.  A part reads all parameters, takes
 * those that are its own and adds to *query; what is none of its business it leaves alone.
 *
 * Errors     false with b->err: ERR_INVALID has the text for the user, ERR_FORBIDDEN names a
 *            field that clean-up should have removed.
 */
struct query_build {
    struct arena *arena;
    const struct field_table *fields;
    const struct search_context *ctx;
    struct search_params params;
    struct search_query *query;
    const char **ret_form_param;
    struct err *err;
    size_t regex_states; /* of all expressions so far */
};

bool query_build_filters(struct query_build *b); /* query_filter.c */
bool query_build_dates(struct query_build *b);   /* query_date.c */
bool query_build_aggs(struct query_build *b);    /* query_aggs.c */

/* "Unknown field 'x'", or ERR_FORBIDDEN for one that clean-up should have removed. */
const struct search_field *query_field(struct query_build *b, struct str name);
bool query_may_see(const struct search_context *ctx, const struct search_field *f);

/* The last non-empty value, as HTML forms have it; STR_NONE if there is none. */
struct str query_last_value(struct search_params params, struct str name);

/* An error of one parameter at form level. */
bool query_form_error(struct query_build *b, struct str param, const char *text);

/* The text for searches that would take too much memory. */
bool query_too_complex(struct query_build *b);

/*
 * Takes '!' and the operator of the field's value type off the front of *value.
 * COND_MATCHES if there is none.
 */
enum cond_op query_take_operator(enum value_type type, struct str *value, bool *ret_is_negated);

/*
 * What stands behind an operator, by the type of the field (query_filter.c); and conditions on
 * several frames, or on frames at certain places (query_frames.c).
 */
bool query_read_value(struct query_build *b, const struct search_field *f, enum cond_op op,
                      struct str text, struct cond_value *v);
bool query_is_frames(const struct search_field *f, enum cond_op op, struct str text);
bool query_build_frames(struct query_build *b, const struct search_field *f, enum cond_op op,
                        struct str text, struct cond *c);

/* What people and clients write for true; everything else is false. */
bool query_is_yes(struct str s);

#endif
