#ifndef SIGNATURE_GEN_H
#define SIGNATURE_GEN_H

#include "lib/signature/lists.h"

/*
 * gen - one signature in the making: what the rules of this folder share.
 *
 * Ownership  Lives on the stack of signature_generate; the strbuf is its own, the JSON
 *            of `out` goes to the caller.
 */
struct sig_gen {
    const struct siglists *lists;
    const json_t *data;
    const char *rule; /* the one at work, for notes; NULL: notes carry no name */
    struct strbuf signature;
    struct signature_result *out;
};

/*
 * Frames and length are those of the signatures that exist (Socorro's).  A text in the making is at
 * most forty names of SIG_FUNCTION_BYTES_MAX and what joins them, 2.5 MiB, and three times that
 * with room for what rules put in front.
 */
enum { SIG_TEXT_MAX = 8 << 20, SIG_FRAMES_MAX = 40, SIG_LENGTH_MAX = 255 };

void sig_note(struct sig_gen *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sig_debug(struct sig_gen *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Replaces the signature; `text` may point into the old one. */
void sig_set(struct sig_gen *g, struct str text);
void sig_prefix(struct sig_gen *g, const char *prefix);

/* Index of the crashing thread as given; 0 if there is none. */
int64_t sig_thread_index(const json_t *data);
const json_t *sig_thread(const json_t *data, int64_t index); /* NULL outside */

/* The frames of one thread, and which of them count: proto signature, frames, signature. */
void sig_choose_frames(struct sig_gen *g, int64_t thread);

/* All rules, in order. */
void sig_run_rules(struct sig_gen *g);

/* The rules that are long enough for a file of their own. */
void sig_java_trace(struct sig_gen *g, struct str trace);
void sig_java_exception(struct sig_gen *g, const json_t *exception);
void sig_abort_message(struct sig_gen *g, struct str message);
void sig_shutdown_timeout(struct sig_gen *g, struct str json);

#endif
