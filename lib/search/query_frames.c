/*
 * Conditions on several frames of a stack, or on frames at certain places:
 *
 *     =malloc @0-4                   malloc is among the first five frames
 *     =malloc <- ^mozilla::          malloc, called by something that starts with mozilla::
 *     ~Alloc @0 <-- =main <- !~Run   … called, by way of others or not, by main, which is called by
 *                                    something whose name has no Run in it
 *
 * An operator stands before each text, as in any condition; the first one has been taken by the
 * time the text comes here.  Frames are counted from 0, the top, and calls that were inlined count.
 * The arrows have blanks around them, which keeps them apart from "operator<-" and from
 * expressions; no name of a function is known that has one.
 */
#include "lib/search/query_build.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/search/query.h"

static const struct str called_by = STR_INIT(" <- "), below = STR_INIT(" <-- ");

/* Where the next arrow begins; text.n: nowhere. */
static size_t find_arrow(struct str text, struct str *ret)
{
    for (size_t i = 0; i < text.n; i++) {
        struct str rest = str_sub(text, i, SIZE_MAX);
        if (str_starts(rest, called_by) || str_starts(rest, below)) {
            *ret = str_starts(rest, called_by) ? called_by : below;
            return i;
        }
    }
    return text.n;
}

/* "5" or "0-4" */
static bool read_places(struct str text, struct frame_step *step)
{
    struct str first;
    int64_t from, to;
    str_split(&text, '-', &first);
    if (!str_to_i64(first, 0, UINT32_MAX, "frame", &from, ERR_IGNORED))
        return false;
    to = from;
    if (text.n > 0 && !str_to_i64(text, 0, UINT32_MAX, "frame", &to, ERR_IGNORED))
        return false;
    step->first = (uint32_t)from;
    step->last = (uint32_t)to;
    return true;
}

/* Cuts " @0-4" off the end of a step; without it any place will do. */
static void take_places(struct str *text, struct frame_step *step)
{
    step->first = 0;
    step->last = UINT32_MAX;
    for (size_t i = text->n; i-- > 1;)
        if (text->p[i] == '@' && text->p[i - 1] == ' ') {
            if (read_places(str_sub(*text, i + 1, SIZE_MAX), step))
                text->n = i - 1;
            return;
        }
}

bool query_is_frames(const struct search_field *f, enum cond_op op, struct str text)
{
    struct frame_step step;
    struct str arrow, rest = text;
    if (f->frames == FRAMES_NONE || op == COND_MISSING)
        return false;
    take_places(&rest, &step);
    return rest.n < text.n || find_arrow(text, &arrow) < text.n;
}

static bool add_step(struct query_build *b, const struct search_field *f, struct frame_step *step,
                     enum cond_op op, struct str text)
{
    take_places(&text, step);
    if (step->first > step->last)
        return err_set(b->err, ERR_INVALID, "Bad value for parameter %s: frames %u-%u", f->name,
                       step->first, step->last);
    if (op == COND_MISSING)
        return err_set(b->err, ERR_INVALID,
                       "Bad value for parameter %s: a frame that does not exist", f->name);
    step->cond.op = op;
    step->cond.values = arena_alloc(b->arena, sizeof *step->cond.values);
    step->cond.n = 1;
    return query_read_value(b, f, op, text, step->cond.values);
}

/* *c has one value, for the whole text as it was written. */
bool query_build_frames(struct query_build *b, const struct search_field *f, enum cond_op op,
                        struct str text, struct cond *c)
{
    struct str arrow = called_by, rest = text;
    bool is_direct = false, is_negated = false;
    if (f->frames != FRAMES_OF_CRASH)
        return err_set(b->err, ERR_INVALID,
                       "Bad value for parameter %s: places and callers are known of the crashing "
                       "thread alone",
                       f->name);
    c->values[0].text = text;
    c->steps = arena_array(b->arena, QUERY_STEPS_MAX, sizeof *c->steps);
    for (;;) {
        size_t end = find_arrow(rest, &arrow);
        if (c->step_count == QUERY_STEPS_MAX)
            return err_set(b->err, ERR_INVALID,
                           "Bad value for parameter %s: more than %d frames in a row", f->name,
                           QUERY_STEPS_MAX);
        struct frame_step *step = &c->steps[c->step_count++];
        step->is_direct = is_direct;
        step->cond.is_negated = is_negated;
        if (!add_step(b, f, step, op, str_sub(rest, 0, end)))
            return false;
        if (end == rest.n)
            return true;
        is_direct = arrow.n == called_by.n;
        rest = str_sub(rest, end + arrow.n, SIZE_MAX);
        op = query_take_operator(f->value_type, &rest, &is_negated);
    }
}
