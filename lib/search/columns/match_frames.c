/*
 * Conditions on stacks.  Stacks are lists that are nearly all different from report to report, so
 * numbering them for all weeks would take memory by the report and serve nobody; what repeats are
 * the frames.  Each condition, and each frame of one that names several, is therefore compared once
 * with every distinct text of this partition that a list at hand has, the result kept as a byte,
 * and lists are walked over these bytes.  A condition that names a whole text finds it in the hash;
 * a week that does not have it needs no walk.  Packed lists that are large are given back at the
 * end.
 *
 * An empty text stands for a frame that has none (doc_frames.h): it matches nothing, and anything
 * that is negated.
 */
#include "lib/search/columns/match_frames.h"

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/search/columns/cost.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/ready_cond.h"
#include "lib/search/doc_frames.h"
#include "lib/search/query.h"

/* What a partition may keep unpacked for the next question: with 26 weeks, a third of what one
 * search may hold. */
enum { KEPT_BYTES = 4 << 20 };

enum frame_memo { FRAME_UNKNOWN, FRAME_NO, FRAME_YES };

/* A text condition with what is known of it by code of an element. */
struct frame_test {
    const struct ready_cond *cond;
    uint8_t *memo;   /* enum frame_memo */
    bool is_nowhere; /* no text here holds */
};

struct frames_match {
    const struct filter *f;
    const struct ready_cond *conds;
    struct column *c;
    struct cost *cost;
    struct frame_test *tests; /* in the order of conditions and their steps */
    size_t test_count;
    uint8_t *memos;
    size_t memo_bytes, text_bytes; /* on the account */
};

static size_t tests_of(const struct cond *c)
{
    return c->op == COND_FRAMES ? c->step_count : 1;
}

static bool is_equality(const struct search_field *f, const struct cond *c)
{
    return c->op == COND_EXACT || (c->op == COND_MATCHES && f->index == INDEX_KEYWORD);
}

/* The texts that a condition names, of those of this partition. */
static bool find_named(struct frames_match *m, struct frame_test *t, struct err *err)
{
    const struct cond *c = t->cond->cond;
    struct dict *d = &m->c->elements;
    if (!is_equality(m->f->field, c))
        return true;
    memset(t->memo, FRAME_NO, (size_t)d->checked + 1);
    t->is_nowhere = true;
    for (size_t i = 0; i < c->n; i++) {
        uint32_t code = 0;
        if (c->values[i].text.n > 0 && !dict_find(d, c->values[i].text, false, &code, err))
            return false;
        if (code == 0 || code > d->checked)
            continue;
        t->memo[code] = FRAME_YES;
        t->is_nowhere = false;
    }
    return true;
}

static bool find_all_named(struct frames_match *m, struct err *err)
{
    for (size_t i = 0; i < m->test_count; i++)
        if (!find_named(m, &m->tests[i], err))
            return false;
    return true;
}

/* Whether a condition holds for no list at all. */
static bool holds_nowhere(const struct cond *c, const struct frame_test *tests)
{
    if (c->op == COND_MISSING)
        return true;
    if (c->op != COND_FRAMES)
        return tests[0].is_nowhere;
    for (size_t k = 0; k < c->step_count; k++)
        if (tests[k].is_nowhere && !c->steps[k].cond.is_negated)
            return true;
    return false;
}

static bool all_hold_nowhere(const struct frames_match *m)
{
    const struct frame_test *t = m->tests;
    for (size_t i = 0; i < m->f->n; i++) {
        if (!holds_nowhere(&m->f->conds[i], t))
            return false;
        t += tests_of(&m->f->conds[i]);
    }
    return true;
}

/* Room for the results. */
static bool begin(struct frames_match *m)
{
    const struct filter *f = m->f;
    size_t per_test = (size_t)m->c->elements.checked + 1, n = 0;
    for (size_t i = 0; i < f->n; i++)
        m->test_count += tests_of(&f->conds[i]);
    m->memo_bytes = m->test_count * (per_test + sizeof *m->tests);
    if (!cost_hold(m->cost, m->memo_bytes))
        return false;
    m->tests = xcalloc(m->test_count + 1, sizeof *m->tests);
    m->memos = xcalloc(m->test_count + 1, per_test);
    for (size_t i = 0; i < f->n; i++) {
        const struct ready_cond *rc = &m->conds[i];
        for (size_t k = 0; k < tests_of(rc->cond); k++, n++)
            m->tests[n] = (struct frame_test){.cond = rc->steps ? &rc->steps[k] : rc,
                                              .memo = m->memos + n * per_test};
    }
    return true;
}

static void end(struct frames_match *m)
{
    free(m->tests);
    free(m->memos);
    cost_give_back(m->cost, m->memo_bytes);
    if (column_text_bytes(m->c) <= KEPT_BYTES)
        return;
    column_forget(m->c); /* nobody else reads this partition's rows during this pass */
    cost_give_back(m->cost, m->text_bytes);
}

static bool test_holds(const struct frames_match *m, const struct frame_test *t, uint32_t code)
{
    uint8_t *memo = &t->memo[code];
    if (*memo == FRAME_UNKNOWN) {
        struct str text = dict_entry(&m->c->elements, code);
        bool yes = text.n > 0 && ready_cond_text(t->cond, text, m->cost);
        *memo = yes ? FRAME_YES : FRAME_NO;
    }
    return *memo == FRAME_YES;
}

static bool any_holds(const struct frames_match *m, const struct frame_test *t,
                      const uint32_t *codes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (test_holds(m, t, codes[i]))
            return true;
    return false;
}

/*
 * Which places the frame of step k may have, given those of the step before: all at once, so that
 * time is frames times steps whatever repeats in a stack.
 */
static bool take_step(const struct frames_match *m, const struct frame_test *t,
                      const struct frame_step *step, const uint32_t *codes, size_t n,
                      const bool *before, bool *now)
{
    bool any = false, is_below = false;
    for (size_t i = 0; i < n; i++) {
        bool fits = !before || (step->is_direct ? i > 0 && before[i - 1] : is_below);
        is_below = is_below || (before && before[i]);
        now[i] = fits && i >= step->first && i <= step->last &&
                 test_holds(m, t, codes[i]) != step->cond.is_negated;
        any = any || now[i];
    }
    return any;
}

static bool steps_hold(const struct frames_match *m, const struct frame_test *tests,
                       const struct cond *c, const uint32_t *codes, size_t n)
{
    bool places[2][DOC_FRAMES_MAX];
    n = MIN(n, (size_t)DOC_FRAMES_MAX); /* more only if it is damaged */
    for (size_t k = 0; k < c->step_count; k++) {
        const bool *before = k > 0 ? places[(k - 1) % 2] : NULL;
        if (!take_step(m, &tests[k], &c->steps[k], codes, n, before, places[k % 2]))
            return false;
    }
    return true;
}

/* One list: of each condition whether it holds. */
static bool list_holds(const struct frames_match *m, uint32_t code, bool *results)
{
    const struct filter *f = m->f;
    const struct frame_test *t = m->tests;
    size_t n;
    const uint32_t *codes = column_list(m->c, code, &n);
    for (size_t i = 0; i < f->n; i++) {
        const struct cond *c = &f->conds[i];
        if (holds_nowhere(c, t))
            results[i] = false;
        else if (c->op == COND_FRAMES)
            results[i] = steps_hold(m, t, c, codes, n);
        else
            results[i] = any_holds(m, t, codes, n);
        t += tests_of(c);
    }
    return cost_work(m->cost, (n + 1) * m->test_count);
}

bool frames_table(const struct filter *f, const struct ready_cond *conds, struct column *c,
                  uint8_t *table, struct cost *cost, struct err *err)
{
    struct frames_match m = {.f = f, .conds = conds, .c = c, .cost = cost};
    FREE_LATER bool *results = xcalloc(f->n + 1, sizeof *results);
    if (!begin(&m))
        return cost_error(cost, err);
    if (!find_all_named(&m, err)) {
        end(&m);
        return false;
    }
    if (all_hold_nowhere(&m)) {
        memset(table + 1, filter_fold(f, results), c->dict.checked);
        end(&m);
        return true;
    }
    m.text_bytes = column_text_bytes_left(c);
    bool has_room = cost_hold(cost, m.text_bytes);
    for (uint32_t code = 1; has_room && code <= c->dict.checked; code++) {
        bool goes_on = list_holds(&m, code, results);
        table[code] = filter_fold(f, results);
        if (!goes_on || cost->end != COST_GOES_ON)
            break;
    }
    end(&m);
    return cost_look(cost) || cost_error(cost, err);
}
