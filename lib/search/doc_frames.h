#ifndef SEARCH_DOC_FRAMES_H
#define SEARCH_DOC_FRAMES_H

#include "lib/base/arena.h"
#include "lib/crash/field.h"
#include "lib/json/json.h"

/*
 * doc_frames - what stands in the stacks of a processed crash, as values of a field: functions,
 * source files or modules, by the field's source_key, whose last step is a key of a frame and whose
 * other steps lead to the frames.
 *
 *   FRAMES_OF_CRASH  one element for each frame of the crashing thread, top first, which is the
 *                    thread that the report names; a call that was inlined is a frame and comes
 *                    before the one it is in.  A frame that has no
 *                    such text, and the gap of a stack that was cut, is an empty text: places and
 *                    neighbours stay true.
 *   FRAMES_OF_ALL    each text of any frame of any thread once, sorted
 *
 * No frame that has one: no element at all.
 *
 * Ownership  Texts borrow from the document.
 * Trust      Documents are hostile: whatever is none of the expected type counts as absent.
 */
enum {
    /* The processor cuts stacks to 500 frames (FRAMES_MAX of rules_dump.c); calls that are inlined
     * come on top, and those at the lower end are left out. */
    DOC_FRAMES_MAX = 512,
    /*
     * Of all threads a report of a browser names some 300 functions, most of them by threads that
     * wait; those nearest to the tops are taken, the first five frames or so.  Lists of them are
     * nearly all different from report to report and take four bytes for each element: 256 of them
     * made half of an index and of the time of a put (tests/bench/search_stacks.c).
     */
    DOC_THREAD_TEXTS_MAX = 100,
    DOC_THREADS_MAX = 2000, /* as many as a report shows; servers have some hundred */
    /* Names of templates have kilobytes; what tells two of them apart by then is nothing that
     * people search for.  A dictionary keeps each of them once a week. */
    DOC_FRAME_BYTES_MAX = 1000,
};

struct strs doc_frames(struct arena *a, const json_t *processed_crash,
                       const struct search_field *f);

#endif
