#ifndef WEBAPP_ANSWER_H
#define WEBAPP_ANSWER_H

#include "lib/web/web.h"

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
/* False and answered with 400 when a parameter is absent. */
bool answer_required(struct req *r, const char *name, struct str *ret);

#endif
