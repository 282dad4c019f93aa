#ifndef SEARCH_QUERY_BUILD_H
#define SEARCH_QUERY_BUILD_H

#include "lib/search/query.h"

/*
 * query_build - what the query_*.c files share while a query is being made.
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

/* "Unknown field 'x'", or ERR_FORBIDDEN for one that clean-up should have removed. */
const struct search_field *query_field(struct query_build *b, struct str name);
bool query_may_see(const struct search_context *ctx, const struct search_field *f);

/* An error of one parameter at form level. */
bool query_form_error(struct query_build *b, struct str param, const char *text);

/* The text for searches that would take too much memory. */
bool query_too_complex(struct query_build *b);

bool query_build_filters(struct query_build *b);
bool query_build_dates(struct query_build *b);
bool query_build_aggs(struct query_build *b);

/*
 * Takes '!' and the operator of the field's value type off the front of *value.
 * COND_MATCHES if there is none.
 */
enum cond_op query_take_operator(enum value_type type, struct str *value, bool *ret_is_negated);

#endif
