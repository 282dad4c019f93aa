#ifndef SYMBOLS_UPSTREAM_H
#define SYMBOLS_UPSTREAM_H

#include "lib/base/conf.h"
#include "lib/symfile/symkey.h"

/*
 * upstream - files that nobody uploaded and other servers have (SYMBOLS_UPSTREAM_URLS): fetched
 * into the area cache, or said where they are (SYMBOLS_UPSTREAM_MODE).
 *
 * Ownership  One in each worker; upstream_free.
 * Time       A question takes at most a second: workers are few, and whoever asks for names that
 *            nobody has must not hold them all.
 */
struct upstream;

/* *ret is NULL when there are no such servers, or the mode is off. */
bool upstream_new(const struct conf *conf, struct upstream **ret, struct err *err);
void upstream_free(struct upstream *u);

enum upstream_answer {
    UPSTREAM_NONE,
    UPSTREAM_STORED,    /* in the area cache, under *ret_key */
    UPSTREAM_ELSEWHERE, /* at url */
    UPSTREAM_LATER,     /* being fetched: to be asked for again in some seconds */
};

/* k is what was asked for, by debug id or by code id; code_file and code_id may be empty. */
enum upstream_answer upstream_find(struct upstream *u, const struct symkey *k, struct str code_file,
                                   struct str code_id, struct symkey *ret_key, char url[2048]);

#endif
