/*
 * One condition against one text.  What a search holds against texts is prepared once and not for
 * each of them: wildcards are decoded, expressions have an automaton whose states are made while it
 * runs.  The work is told to the search by what is compared, since some conditions are dear.
 */
#include "lib/search/columns/ready_cond.h"

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/search/columns/cost.h"
#include "lib/search/module_version.h"
#include "lib/search/query.h"
#include "lib/search/regex.h"
#include "lib/search/text.h"

static bool match_goes_on(void *cost, size_t units)
{
    return cost_work(cost, units);
}

/*
 * The automaton's states are made while it runs, up to cache_bytes; the most it may take is held at
 * once.
 */
static bool add_matcher(struct ready_cond *rc, size_t value, size_t cache_bytes, struct cost *cost)
{
    const struct regex *re = rc->cond->values[value].regex;
    if (!cost_hold(cost, regex_matcher_most(re, cache_bytes)))
        return false;
    rc->matchers[value] = regex_matcher_new(re, cache_bytes, match_goes_on, cost);
    return true;
}

static bool prepare_steps(struct arena *a, struct ready_cond *rc, size_t cache_bytes,
                          struct cost *cost)
{
    const struct cond *c = rc->cond;
    rc->steps = arena_array(a, c->step_count, sizeof *rc->steps);
    for (size_t i = 0; i < c->step_count; i++) {
        rc->steps[i] = (struct ready_cond){.cond = &c->steps[i].cond, .field = rc->field};
        if (!ready_cond_init(a, &rc->steps[i], cache_bytes, cost))
            return false;
    }
    return true;
}

bool ready_cond_init(struct arena *a, struct ready_cond *rc, size_t cache_bytes, struct cost *cost)
{
    const struct cond *c = rc->cond;
    if (c->op == COND_FRAMES)
        return prepare_steps(a, rc, cache_bytes, cost);
    rc->wildcards = arena_array(a, c->n, sizeof *rc->wildcards);
    rc->matchers = arena_array(a, c->n, sizeof(struct regex_matcher *));
    for (size_t k = 0; k < c->n; k++) {
        if (c->op == COND_CONTAINS || c->op == COND_PREFIX || c->op == COND_SUFFIX)
            wildcard_init(a, &rc->wildcards[k], c->values[k].text);
        if (c->op == COND_REGEX && !add_matcher(rc, k, cache_bytes, cost))
            return false;
    }
    return true;
}

void ready_cond_release(struct ready_cond *rc)
{
    for (size_t k = 0; rc->matchers && k < rc->cond->n; k++)
        regex_matcher_free(rc->matchers[k]);
    for (size_t i = 0; rc->steps && i < rc->cond->step_count; i++)
        ready_cond_release(&rc->steps[i]);
}

static bool has_token(const struct strs *wanted, struct str token)
{
    for (size_t i = 0; i < wanted->n; i++)
        if (str_eq(wanted->v[i], token))
            return true;
    return false;
}

/* Analysed text matches if any of the wanted words is one of its words. */
static bool has_word(const struct strs *wanted, struct str text)
{
    struct text_tokens t;
    struct str token;
    if (wanted->n == 0)
        return false;
    text_tokens_init(&t, text);
    while (text_tokens_next(&t, &token))
        if (has_token(wanted, token))
            return true;
    return false;
}

/* COND_MATCHES; for semi fields text is one token already. */
static bool matches_plain(const struct search_field *f, const struct cond_value *v, struct str text)
{
    switch (f->index) {
    case INDEX_TEXT:
        return has_word(&v->tokens, text);
    case INDEX_SEMI:
        return has_token(&v->tokens, text);
    default:
        return str_eq(v->text, text);
    }
}

/*
 * Whether there is time for holding one more text against one value.  Wildcards cost pattern times
 * text, so the clock is looked at by work, not by texts.
 */
static bool in_time(struct cost *cost, const struct cond *c, size_t value, struct str text)
{
    const struct cond_value *v = &c->values[value];
    size_t by = c->op == COND_MATCHES ? v->tokens.n : v->text.n / 4;
    return cost_work(cost, (text.n + 16) * (1 + by));
}

bool ready_cond_text(const struct ready_cond *rc, struct str text, struct cost *cost)
{
    const struct cond *c = rc->cond;
    for (size_t i = 0; i < c->n && in_time(cost, c, i, text); i++) {
        bool yes = false;
        switch (c->op) {
        case COND_MATCHES:
            yes = matches_plain(rc->field, &c->values[i], text);
            break;
        case COND_EXACT:
            yes = str_eq(c->values[i].text, text);
            break;
        case COND_CONTAINS:
            yes = wildcard_contains(&rc->wildcards[i], text);
            break;
        case COND_PREFIX:
            yes = wildcard_prefix(&rc->wildcards[i], text);
            break;
        case COND_SUFFIX:
            yes = wildcard_suffix(&rc->wildcards[i], text);
            break;
        case COND_REGEX:
            yes = regex_matches(rc->matchers[i], text);
            break;
        case COND_VERSION:
            yes = module_version_holds(&c->values[i], text);
            break;
        default:
            break;
        }
        if (yes)
            return true;
    }
    return false;
}

bool filter_fold(const struct filter *f, const bool *results)
{
    bool acc = false;
    for (size_t i = 0; i < f->n; i++) {
        bool yes = results[i] != f->conds[i].is_negated;
        if (i == 0)
            acc = yes;
        else
            acc = f->conds[i].joins_with_and ? acc && yes : acc || yes;
    }
    return acc;
}

bool filter_of_absent(const struct filter *f, bool *results)
{
    for (size_t i = 0; i < f->n; i++)
        results[i] = f->conds[i].op == COND_MISSING;
    return filter_fold(f, results);
}
