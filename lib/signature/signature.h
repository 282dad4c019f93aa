#ifndef SIGNATURE_SIGNATURE_H
#define SIGNATURE_SIGNATURE_H

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/json/json.h"

/*
 * signature - crash data in, signature out (docs/signatures.md).
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
    json_t *proto_signature; /* string, or NULL if there was no native stack */
    json_t *frames;          /* array of normalised frame texts, or NULL likewise */
    json_t *notes;           /* array of strings */
    json_t *debug;           /* array of strings */
    json_t *extra;           /* object: further keys a rule sets */
};
void signature_result_release(struct signature_result *r);

/* crash_data: the object that docs/signatures.md describes (as crashsig reads it). */
void signature_generate(const struct siglists *l, const json_t *crash_data,
                        struct signature_result *ret);

/* The part for native stacks alone: no rules, notes without a rule's name. */
void signature_of_stack(const struct siglists *l, const json_t *crash_data,
                        struct signature_result *ret);

/*
 * The key of a crash's cluster: equal for stacks that begin with the same relevant frames, whole
 * and in order.  frames: those of a result.  False: none of them is relevant.
 */
enum { SIGNATURE_CLUSTER_SIZE = 33 };
bool signature_cluster_key(const struct siglists *l, const json_t *frames,
                           char out[SIGNATURE_CLUSTER_SIZE]);
/* Whether a normalised frame text says something of the crash: it is no address, and the list of
 * irrelevant frames does not have it. */
bool signature_frame_is_relevant(const struct siglists *l, struct str frame);

/* The normalised text of one frame object.  New reference, a string. */
json_t *signature_frame_text(const struct siglists *l, const json_t *frame);

/* Crash data out of a processed crash.  New reference. */
json_t *signature_crash_data(const json_t *processed_crash);

#endif
