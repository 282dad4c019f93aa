/*
 * The cluster of a crash: what its signature would be if it were not a text for people.  A
 * signature ends at the first frame that says enough, and at 255 characters; crashes with one
 * signature may come by ways that have nothing to do with each other.  The key stands for the first
 * relevant frames, each of them whole.
 *
 * It is the same for the same code in another build, since the texts of frames are (frame.c): no
 * line of it is an address or an offset.  It changes with the lists that say what is relevant, as
 * signatures do, and is made anew with them.
 */
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/signature/lists.h"
#include "lib/signature/patterns.h"
#include "lib/signature/signature.h"

/*
 * Ten frames reach from where it broke to what was being done; below come event loops and main,
 * which all crashes share.
 */
enum { FRAMES_IN_KEY = 10 };

/* A bare address says nothing about another crash. */
bool signature_frame_is_relevant(const struct siglists *l, struct str frame)
{
    return frame.n > 0 && frame.p[0] != '@' && !patterns_match(l->patterns[LIST_IRRELEVANT], frame);
}

bool signature_cluster_key(const struct siglists *l, const json_t *frames,
                           char out[SIGNATURE_CLUSTER_SIZE])
{
    size_t i, taken = 0;
    const json_t *frame;
    struct str last = STR("");
    struct sha256 h;
    uint8_t digest[SHA256_BYTES];
    sha256_init(&h);
    json_array_foreach (frames, i, frame) {
        struct str text = str_n(json_string_value(frame), json_string_length(frame));
        bool is_again = str_eq(text, last); /* how deep a recursion is says nothing */
        if (taken == FRAMES_IN_KEY)
            break;
        if (is_again || !json_is_string(frame) || !signature_frame_is_relevant(l, text))
            continue;
        sha256_add(&h, text.p, text.n);
        sha256_add(&h, "\n", 1);
        last = text;
        taken++;
    }
    sha256_finish(&h, digest);
    for (i = 0; i < SIGNATURE_CLUSTER_SIZE / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return taken > 0;
}
