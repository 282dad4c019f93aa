#ifndef SYMBOLS_FORM_ERRORS_H
#define SYMBOLS_FORM_ERRORS_H

#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/web.h"

/*
 * form_errors - what is wrong with the fields of a form: {"errors": {FIELD: [TEXT]}} to programs, a
 * list in a message box to people.
 *
 * Ownership  The texts are owned; form_errors_release frees them.
 */
struct form_errors {
    json_t *fields; /* NULL: nothing is wrong */
};
#define FORM_ERRORS_AUTO __attribute__((cleanup(form_errors_release))) struct form_errors
void form_errors_release(struct form_errors *e);

void form_errors_add(struct form_errors *e, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool form_errors_any(const struct form_errors *e);
/* 400 with all of them. */
bool form_errors_send(struct req *r, const struct form_errors *e, struct err *err);
/* Rows of LIST_ERRORS: "size: '…' is not a valid size". */
void form_errors_show(struct req *r, const struct form_errors *e, struct tpl_values *v);

#endif
