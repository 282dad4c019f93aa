#ifndef SIGNATURE_SIGNATURE_H
#define SIGNATURE_SIGNATURE_H

#include "base/err.h"
#include "json/json.h"

/*
 * signature - crash data in, signature out (the rules of the signature page).
 *
 * Ownership  A struct siglists holds the compiled lists: made once per process,
 *            replaced as a whole on reload.  Results own their JSON.
 * Errors     Generation itself never fails: a rule that cannot work adds a note.
 * Trust      Crash data is hostile: lengths and counts are bounded, regular
 *            expressions run with match limits.
 */
struct siglists;

/* Loads and compiles the lists: the built-in ones, or from a directory of the four text files. */
bool siglists_load(const char *dir_or_null, struct siglists **ret, struct err *err);
void siglists_free(struct siglists *l);

struct signature_result {
    json_t *signature;       /* string, never NULL */
    json_t *proto_signature; /* string, or NULL if there is none */
    json_t *notes;           /* array of strings */
    json_t *debug;           /* array of strings */
    json_t *extra;           /* object: further keys a rule sets */
};
void signature_result_release(struct signature_result *r);

/* crash_data: the object of the signature page, section 2 (as crashsig reads it). */
void signature_generate(const struct siglists *l, const json_t *crash_data,
                        struct signature_result *ret);

/* Crash data out of a processed crash (section 2, "From a processed crash").  New reference. */
json_t *signature_crash_data(const json_t *processed_crash);

#endif
