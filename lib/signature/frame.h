#ifndef SIGNATURE_FRAME_H
#define SIGNATURE_FRAME_H

#include "lib/json/json.h"
#include "lib/signature/lists.h"

/*
 * frame - the normalised one-line text of one stack frame.
 */
struct sig_frame {
    struct str module, function, file, offset; /* empty: absent */
    struct str line;                           /* text or printed number; empty: absent */
    bool is_line_zero;                         /* the number 0, which is no line for a file */
    char line_text[24];
    const json_t *unloaded_modules;
};

/* Names of C++ templates have kilobytes; a signature has 255 characters, so nothing behind
 * counts. */
enum { SIG_FUNCTION_BYTES_MAX = 64 << 10 };

/*
 * Reads a frame object, or an entry of its `inlines` with the frame it belongs to.
 * Borrows the JSON and *ret itself (line may point into it: do not copy the struct).
 */
void sig_frame_read(const json_t *frame, const json_t *inlined, struct sig_frame *ret);

/* Appends the frame text; nothing for a frame that tells nothing. */
void sig_frame_text(const struct siglists *l, const struct sig_frame *f, bool lower_module,
                    struct strbuf *out);

#endif
