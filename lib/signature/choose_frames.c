/*
 * From the frames of one thread to its signature.  All texts of the first frames are the proto
 * signature.  The signature itself begins at the first sentinel (a frame that says more than all
 * those above it), or else at the youngest frame; it leaves out irrelevant frames and goes on as
 * long as the frame it has just taken is a prefix, one that says too little to stand alone.  The
 * lists decide which frame is what (lists/, docs/signatures.md).
 *
 * Every decision is written to the debug log in words that people who maintain the lists know: it
 * is how they see which entry of which list a signature is due to.
 */
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/signature/frame.h"
#include "lib/signature/gen.h"
#include "lib/signature/patterns.h"
#include "lib/signature/sig_text.h"

static bool is_windows(const json_t *data)
{
    return str_eq(text_of(data, "os"), STR("Windows NT"));
}

/*
 * An inlined call has function, file and line of its own; module and offset are those of the frame
 * it was inlined into.
 */
static void add_frame(struct sig_gen *g, const json_t *frame, const json_t *inlined, json_t *list)
{
    struct sig_frame f;
    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_TEXT_MAX);
    sig_frame_read(frame, inlined, &f);
    sig_frame_text(g->lists, &f, is_windows(g->data), &text);
    json_array_append_new(list, jtext(sb_view(&text)));
}

/* The texts of the first 40 frames; calls that were inlined count and come before their frame. */
static json_t *list_frames(struct sig_gen *g, const json_t *frames)
{
    json_t *list = json_array();
    size_t i, k;
    const json_t *frame, *inlined;
    json_array_foreach (frames, i, frame) {
        if (!json_is_object(frame))
            continue;
        json_array_foreach (jget_arr(frame, "inlines"), k, inlined) {
            if (json_array_size(list) == SIG_FRAMES_MAX)
                return list;
            if (json_is_object(inlined))
                add_frame(g, frame, inlined, list);
        }
        if (json_array_size(list) == SIG_FRAMES_MAX)
            return list;
        add_frame(g, frame, NULL, list);
    }
    return list;
}

/* Texts of the list are ours, made by add_frame(). */
static struct str frame_at(const json_t *list, size_t i)
{
    const json_t *v = json_array_get(list, i);
    return str_n(json_string_value(v), json_string_length(v));
}

/*
 * The proto signature: every frame, whatever the lists say of it. Searches use it to find crashes
 * by any function near the top.
 */
static json_t *proto_signature_of(const json_t *list)
{
    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_FRAMES_MAX * (size_t)SIG_TEXT_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (i > 0)
            sb_text(&text, " | ");
        sb_str(&text, frame_at(list, i));
    }
    return jtext(sb_view(&text));
}

/* Exact texts, twenty of them: a list is as fast as anything. */
static bool is_sentinel(const struct siglists *l, struct str frame)
{
    for (size_t i = 0; i < l->sentinel_count; i++)
        if (str_eq(frame, l->sentinels[i]))
            return true;
    return false;
}

/* Index of the first frame to look at. */
static size_t find_start(struct sig_gen *g, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct str frame = frame_at(list, i);
        if (is_sentinel(g->lists, frame)) {
            sig_debug(g, "sentinel; starting at \"" STR_FMT "\" index %zu", STR_ARG(frame), i);
            return i;
        }
    }
    return 0;
}

static bool ends_nocase(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq_nocase(str_sub(s, s.n - suffix.n, SIZE_MAX), suffix);
}

/* Frames without a name of their own, which say nothing new when they come again. */
static bool is_anonymous(struct str f)
{
    if (str_starts(f, STR("(unloaded")))
        return false;
    return ends_nocase(f, STR(".dll")) || ends_nocase(f, STR(".so")) || str_eq(f, STR("XUL")) ||
           str_eq(f, STR("<name omitted>")) || str_starts(f, STR("<unknown in"));
}

static void add_frames(struct sig_gen *g, const json_t *list, size_t start, struct strbuf *out)
{
    struct str last = STR_NONE;
    for (size_t i = start; i < json_array_size(list); i++) {
        struct str f = frame_at(list, i);
        if (f.n == 0) {
            sig_debug(g, "empty string; ignoring: \"\"");
            continue;
        }
        if (patterns_match(g->lists->patterns[LIST_IRRELEVANT], f)) {
            sig_debug(g, "irrelevant; ignoring: \"" STR_FMT "\"", STR_ARG(f));
            continue;
        }
        if (is_anonymous(f) && last.p && str_eq(f, last))
            continue;
        if (last.p)
            sb_text(out, " | ");
        sb_str(out, f);
        last = f;
        if (!patterns_match(g->lists->patterns[LIST_PREFIX], f)) {
            sig_debug(g, "not a prefix; stop: \"" STR_FMT "\"", STR_ARG(f));
            return;
        }
        sig_debug(g, "prefix; continue iterating: \"" STR_FMT "\"", STR_ARG(f));
    }
}

void sig_choose_frames(struct sig_gen *g, int64_t thread)
{
    json_auto_t *list = list_frames(g, jget_arr(sig_thread(g->data, thread), "frames"));
    if (json_array_size(list) > 0) {
        json_decref(g->out->proto_signature);
        json_decref(g->out->frames);
        g->out->proto_signature = proto_signature_of(list);
        g->out->frames = json_incref(list);
    }

    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_TEXT_MAX);
    sig_debug(g, "using %s", g->lists->origin);
    size_t start = find_start(g, list);
    add_frames(g, list, start, &text);
    if (text.n == 0) {
        sig_note(g, "CSignatureTool: no frame data for crashing thread (%lld)", (long long)thread);
        if (json_array_size(list) > 0)
            sb_str(&text, frame_at(list, start));
        else
            sb_text(&text, "EMPTY: no frame data available");
    }
    if (text.n > 0)
        sig_set(g, sb_view(&text));
}

json_t *signature_frame_text(const struct siglists *l, const json_t *frame)
{
    struct sig_frame f;
    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_TEXT_MAX);
    sig_frame_read(frame, NULL, &f);
    sig_frame_text(l, &f, false, &text);
    return jtext(sb_view(&text));
}
