#ifndef WEBAPP_ANSWER_H
#define WEBAPP_ANSWER_H

#include "lib/web/param_spec.h"

/*
 * answer - JSON as the API promises it: UTF-8 named, "</" written "<\/" (so that no answer can
 * close a script element), `pretty=print`, cache headers.
 */
bool answer_json(struct req *r, int status, const json_t *body, struct err *err);
/* The same with Cache-Control: private, max-age=300. */
bool answer_json_cached(struct req *r, const json_t *body, struct err *err);
/* {"error": text} */
bool answer_error(struct req *r, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* 400 {"errors": {"NAME": [text]}} */
bool answer_param_error(struct req *r, const char *name, const char *text);
/* 400 for a parameter that does not fit; one that is missing in the form of answer_param_error. */
bool answer_param_problem(struct req *r, const struct param_problem *problem);

/* What clients read of a value that does not fit its parameter. */
#define API_BAD_VALUE(name) "Bad request: BadArgumentError: Bad value for parameter(s) '" name "'"

/* What every route takes: `pretty`. */
extern const struct param_spec *const answer_params[];

#endif
