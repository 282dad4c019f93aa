/*
 * Filters at work: each condition is evaluated once for each distinct value and the result kept as
 * one byte, so that the loop over rows is a look-up.  The cost of comparing is told to the search
 * as it arises, since a regular expression over a million distinct URLs is work although no row
 * was looked at.
 *
 * Which of four tables a text condition gets, in string_part: if it only asks for equality, the
 * texts that it names are looked up in the hash, and all other codes share one result
 * (equality_table); if nearly every row has a text of its own, each entry of this partition is
 * compared (local_table), since numbering them would cost more than it saves; else each id of the
 * common numbering is compared once for all partitions (unified_table), before the first row and by
 * all lanes together: an expression over a hundred thousand signatures is most of its search.
 * Stacks are lists that are nearly all different: match_frames.c.
 *
 * A filter has several conditions which are joined from left to right, without precedence, as the
 * rules of query_filter.c give them; a condition may be negated.  Rows without a value match what
 * the fold gives for "missing", so each table has an entry for code 0.
 */
#include "lib/search/columns/match.h"

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/search/columns/column_read.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/lanes.h"
#include "lib/search/columns/match_frames.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/unify_file.h"
#include "lib/search/regex.h"

/* What is known of an id and a condition. */
enum memo_state { MEMO_NONE, MEMO_NO, MEMO_YES, MEMO_WANTED };

enum table_kind { TABLE_EQUALITY, TABLE_LOCAL, TABLE_UNIFIED, TABLE_FRAMES };

static bool is_string(const struct search_field *f)
{
    return column_kind_of(f) == COLUMN_DICT || column_kind_of(f) == COLUMN_LIST;
}

/* Wildcards and automata are made once for a search and not for each partition. */
bool ready_filter_init(struct arena *a, struct ready_filter *r, const struct filter *f,
                       struct unify *u, size_t cache_bytes, struct cost *cost)
{
    *r = (struct ready_filter){.filter = f, .unify = u, .cost = cost};
    r->conds = arena_array(a, f->n, sizeof *r->conds);
    r->memos.of_cond = arena_array(a, f->n, sizeof *r->memos.of_cond);
    for (size_t i = 0; i < f->n; i++) {
        r->conds[i] = (struct ready_cond){.cond = &f->conds[i], .field = f->field};
        if (is_string(f->field) && !ready_cond_init(a, &r->conds[i], cache_bytes, cost))
            return false;
    }
    return true;
}

void ready_filter_release(struct ready_filter *r)
{
    for (size_t i = 0; r->filter && i < r->filter->n; i++) {
        ready_cond_release(&r->conds[i]);
        if (r->owns_memos)
            free(r->memos.of_cond[i]);
    }
    free(r->table);
}

/* The table of codes is kept from partition to partition and grows to the largest dictionary. */
static bool make_room(struct ready_filter *r, size_t n)
{
    if (r->table_cap >= n)
        return true;
    size_t cap = MAX(n, r->table_cap * 2);
    if (!cost_hold(r->cost, cap - r->table_cap))
        return false;
    r->table_cap = cap;
    free(r->table);
    r->table = xmalloc(cap);
    return true;
}

/* A condition that only asks whether the whole value is one of some texts. */
static bool is_equality(const struct search_field *f, const struct cond *c)
{
    return c->op == COND_EXACT || c->op == COND_MISSING ||
           (c->op == COND_MATCHES && f->index == INDEX_KEYWORD);
}

static bool is_all_equality(const struct filter *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (!is_equality(f->field, &f->conds[i]))
            return false;
    return true;
}

/* The codes of all texts that the conditions name, with the result for each. */
struct named_code {
    uint32_t code;
    bool yes;
};

static bool find_named(struct ready_filter *r, bool *results, struct named_code *named, size_t *n,
                       struct err *err)
{
    const struct filter *f = r->filter;
    for (size_t i = 0; i < f->n; i++)
        for (size_t k = 0; k < f->conds[i].n && f->conds[i].op != COND_MISSING; k++) {
            uint32_t code;
            struct str text = f->conds[i].values[k].text;
            if (!dict_find(&r->column->dict, text, false, &code, err))
                return false;
            if (code == 0 || code > r->column->dict.checked)
                continue;
            for (size_t j = 0; j < f->n; j++)
                results[j] = ready_cond_text(&r->conds[j], text, r->cost);
            if (r->cost->end != COST_GOES_ON)
                return cost_error(r->cost, err);
            named[(*n)++] = (struct named_code){code, filter_fold(f, results)};
        }
    return true;
}

/* Texts are looked up in the hash; all other codes have one common result. */
static bool equality_table(struct ready_filter *r, bool absent, bool *results, struct err *err)
{
    const struct filter *f = r->filter;
    size_t count = 0, max = 0, yes = 0;
    for (size_t i = 0; i < f->n; i++)
        max += f->conds[i].n;
    memset(results, 0, f->n * sizeof *results);
    bool others = filter_fold(f, results);
    FREE_LATER struct named_code *named = xcalloc(max + 1, sizeof *named);
    if (!find_named(r, results, named, &count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (named[i].yes) {
            yes++;
            r->only_code = named[i].code;
        }
    if (!others && !absent && yes <= 1) {
        r->matches_nothing = yes == 0;
        return true;
    }
    r->only_code = 0;
    memset(r->table, others, r->column->dict.checked + 1);
    for (size_t i = 0; i < count; i++)
        r->table[named[i].code] = named[i].yes;
    return true;
}

/*
 * One lane compares an id when it is first met; several have compared all that occur before the
 * first row (ready_filters_share), and then only read.
 */
static bool cond_of_id(struct ready_filter *r, size_t cond, uint32_t id)
{
    uint8_t *memo = &r->memos.of_cond[cond][id];
    if (*memo == MEMO_NONE)
        *memo = ready_cond_text(&r->conds[cond], unify_text(r->unify, id), r->cost) ? MEMO_YES
                                                                                    : MEMO_NO;
    return *memo == MEMO_YES;
}

/*
 * A list matches if one of its elements does; "is missing" is about the whole value and never about
 * an element.
 */
static bool unified_table(struct ready_filter *r, size_t part, bool *results, struct err *err)
{
    const struct filter *f = r->filter;
    for (uint32_t code = 1; code <= r->column->dict.checked; code++) {
        struct unify_ids ids = unify_ids(r->unify, part, code);
        for (size_t i = 0; i < f->n; i++) {
            results[i] = false;
            for (size_t k = 0; k < ids.n && !results[i]; k++) {
                uint32_t id = unify_id_at(&ids, k);
                results[i] = id != 0 && f->conds[i].op != COND_MISSING && cond_of_id(r, i, id);
            }
        }
        r->table[code] = filter_fold(f, results);
        if (!cost_work(r->cost, f->n * (ids.n + 1)))
            return cost_error(r->cost, err);
    }
    return cost_look(r->cost) || cost_error(r->cost, err);
}

/*
 * The texts of this partition alone. ready_cond_text looks at the clock by the length of what it
 * compares.
 */
static bool local_table(struct ready_filter *r, bool *results, struct err *err)
{
    const struct filter *f = r->filter;
    for (uint32_t code = 1; code <= r->column->dict.checked; code++) {
        struct str text = dict_entry(&r->column->dict, code);
        for (size_t i = 0; i < f->n; i++)
            results[i] = ready_cond_text(&r->conds[i], text, r->cost);
        r->table[code] = filter_fold(f, results);
        if (r->cost->end != COST_GOES_ON)
            break;
    }
    column_forget(r->column); /* nobody else reads this partition's rows during this pass */
    return cost_look(r->cost) || cost_error(r->cost, err);
}

/* Which of the three tables this partition gets. */
static enum table_kind table_kind(const struct ready_filter *r, const struct column *c)
{
    if (r->filter->field->frames != FRAMES_NONE)
        return TABLE_FRAMES;
    bool is_plain = c->kind == COLUMN_DICT && r->filter->field->index != INDEX_SEMI;
    if (is_plain && is_all_equality(r->filter))
        return TABLE_EQUALITY;
    bool is_unique = is_plain && unify_is_unique(c->dict.checked, c->part->rows);
    return is_unique ? TABLE_LOCAL : TABLE_UNIFIED;
}

static bool string_part(struct ready_filter *r, size_t part, struct err *err)
{
    const struct filter *f = r->filter;
    const struct column *c = r->column;
    bool ok;
    FREE_LATER bool *results = xcalloc(f->n + 1, sizeof *results);
    bool absent = filter_of_absent(f, results);
    if (!make_room(r, (size_t)c->dict.checked + 1))
        return cost_error(r->cost, err);
    switch (table_kind(r, c)) {
    case TABLE_EQUALITY:
        ok = equality_table(r, absent, results, err);
        break;
    case TABLE_LOCAL:
        ok = local_table(r, results, err);
        break;
    case TABLE_FRAMES:
        ok = frames_table(f, r->conds, r->column, r->table, r->cost, err);
        break;
    default:
        ok = unified_table(r, part, results, err);
    }
    r->table[0] = absent;
    return ok;
}

/* Codes of a truth field: 0 absent, 1 false, 2 true. */
static bool bool_part(struct ready_filter *r, struct err *err)
{
    const struct filter *f = r->filter;
    if (!make_room(r, 3))
        return cost_error(r->cost, err);
    FREE_LATER bool *results = xcalloc(f->n + 1, sizeof *results);
    for (uint8_t code = 0; code < 3; code++) {
        for (size_t i = 0; i < f->n; i++) {
            const struct cond *c = &f->conds[i];
            results[i] = (c->op == COND_MISSING && code == 0) || (c->op == COND_TRUE && code == 2);
            for (size_t k = 0; c->op == COND_MATCHES && k < c->n; k++)
                results[i] = results[i] || code == (c->values[k].i ? 2 : 1);
        }
        r->table[code] = filter_fold(f, results);
    }
    return true;
}

/* Ids that occur in the partitions asked, of those that are compared by id. */
static bool mark_wanted(struct ready_filter *r, size_t part, uint8_t *wanted)
{
    const struct column *c = r->unify->root->parts[part]->by_field[r->filter->field->id];
    for (uint32_t code = 1; code <= c->dict.checked; code++) {
        struct unify_ids ids = unify_ids(r->unify, part, code);
        for (size_t i = 0; i < ids.n; i++)
            wanted[unify_id_at(&ids, i)] = MEMO_WANTED;
        if (!cost_work(r->cost, ids.n + 1))
            return false;
    }
    return true;
}

static bool has_unified_table(const struct ready_filter *r, const struct part *p)
{
    const struct column *c = p->by_field[r->filter->field->id];
    return c && table_kind(r, c) == TABLE_UNIFIED;
}

static bool has_any_unified_table(const struct ready_filter *r, const struct root *root,
                                  const bool *is_used)
{
    for (size_t i = 0; i < root->part_count; i++)
        if (is_used[i] && has_unified_table(r, root->parts[i]))
            return true;
    return false;
}

/* All numbers first: the memos are as long as there are ids. */
static bool number_parts(struct ready_filter *r, const struct root *root, const bool *is_used)
{
    if (!unify_file_begin(r->unify, r->cost))
        return false;
    for (size_t i = 0; i < root->part_count; i++) {
        if (!is_used[i] || !has_unified_table(r, root->parts[i]))
            continue;
        if (!unify_add_part(r->unify, i, r->cost))
            return false;
        const struct column *c = root->parts[i]->by_field[r->filter->field->id];
        if (!cost_hold(r->cost, column_text_bytes_left(c)))
            return false;
    }
    return true;
}

/* False: the search must end. */
static bool make_memos(struct ready_filter *r, const struct root *root, const bool *is_used)
{
    const struct filter *f = r->filter;
    if (!has_any_unified_table(r, root, is_used))
        return true;
    if (!number_parts(r, root, is_used))
        return false;
    size_t n = unify_count(r->unify) + 1;
    if (!cost_hold(r->cost, n * f->n))
        return false;
    for (size_t i = 0; i < f->n; i++)
        r->memos.of_cond[i] = xcalloc(n, 1);
    r->memos.id_count = n;
    return true;
}

static bool mark_all_wanted(struct ready_filter *r, const struct root *root, const bool *is_used)
{
    for (size_t i = 0; i < root->part_count; i++)
        if (is_used[i] && has_unified_table(r, root->parts[i]) &&
            !mark_wanted(r, i, r->memos.of_cond[0]))
            return false;
    for (size_t i = 1; i < r->filter->n; i++)
        memcpy(r->memos.of_cond[i], r->memos.of_cond[0], r->memos.id_count);
    return true;
}

/* Ids are compared in pieces of this many, a millisecond or so of a dear expression. */
enum { MEMO_PIECE = 4096 };

struct memo_task {
    struct ready_filter *const *lanes;
    struct lane_work pieces;
};

static void compare_ids(struct ready_filter *r, size_t from, size_t to)
{
    for (size_t i = 0; i < r->filter->n; i++) {
        uint8_t *memo = r->memos.of_cond[i];
        bool is_text = r->filter->conds[i].op != COND_MISSING;
        for (size_t id = from; id < to && r->cost->end == COST_GOES_ON; id++)
            if (memo[id] == MEMO_WANTED)
                memo[id] = is_text && ready_cond_text(&r->conds[i],
                                                      unify_text(r->unify, (uint32_t)id), r->cost)
                               ? MEMO_YES
                               : MEMO_NO;
    }
}

/* Each lane has matchers of its own and writes other ids. */
static void compare_pieces(void *arg, size_t lane)
{
    struct memo_task *t = arg;
    struct ready_filter *r = t->lanes[lane];
    size_t piece;
    while (r->cost->end == COST_GOES_ON && lane_work_take(&t->pieces, lane, &piece)) {
        size_t from = piece * MEMO_PIECE;
        compare_ids(r, MAX(from, (size_t)1), MIN(from + MEMO_PIECE, r->memos.id_count));
    }
}

bool ready_filters_share(struct ready_filter *const *lanes, size_t lane_count, struct root *root,
                         const bool *is_used, struct err *err)
{
    struct ready_filter *first = lanes[0];
    if (!first->unify)
        return true;
    first->owns_memos = true;
    if (!make_memos(first, root, is_used))
        return cost_error(first->cost, err);
    if (lane_count == 1 || first->memos.id_count == 0)
        return true;
    if (!mark_all_wanted(first, root, is_used))
        return cost_error(first->cost, err);
    for (size_t i = 1; i < lane_count; i++)
        lanes[i]->memos = first->memos;
    struct memo_task t = {.lanes = lanes};
    size_t pieces = (first->memos.id_count + MEMO_PIECE - 1) / MEMO_PIECE;
    lane_work_init(&t.pieces, pieces);
    lanes_do(MIN(lane_count, pieces), compare_pieces, &t);
    lane_work_release(&t.pieces);
    return cost_look(first->cost) || cost_error(first->cost, err);
}

bool ready_filter_part(struct ready_filter *r, struct root *root, size_t part, struct err *err)
{
    const struct filter *f = r->filter;
    r->column = root->parts[part]->by_field[f->field->id];
    r->only_code = 0;
    r->matches_nothing = r->matches_all = false;
    if (!r->column) { /* absent in every row */
        FREE_LATER bool *results = xcalloc(f->n + 1, sizeof *results);
        r->matches_all = filter_of_absent(f, results);
        r->matches_nothing = !r->matches_all;
        return true;
    }
    if (r->column->kind == COLUMN_BOOL)
        return bool_part(r, err);
    if (r->column->kind != COLUMN_NUMBER)
        return string_part(r, part, err);
    return true;
}

/* One condition and one row.  Several values of a condition are alternatives. */
static bool number_matches(const struct column_numbers *numbers, const struct cond *cond,
                           uint64_t row)
{
    bool has = numbers_has(numbers, row);
    if (cond->op == COND_MISSING)
        return !has;
    if (!has)
        return false;
    for (size_t k = 0; k < cond->n; k++) {
        int compared;
        if (numbers->c->h->index == INDEX_DOUBLE) {
            double x = numbers_double(numbers, row), y = cond->values[k].d;
            compared = x < y ? -1 : x > y;
        } else {
            int64_t x = numbers_int(numbers, row), y = cond->values[k].i;
            compared = x < y ? -1 : x > y;
        }
        if (cond_range_holds(cond->op, compared))
            return true;
    }
    return false;
}

/*
 * Numbers have no dictionary, so every row is compared; the loop is short, since zones and earlier
 * filters have left few rows in most searches.
 */
static bool number_row(const struct ready_filter *r, const struct column_numbers *numbers,
                       uint64_t row)
{
    const struct filter *f = r->filter;
    bool acc = false;
    for (size_t i = 0; i < f->n; i++) {
        bool yes = number_matches(numbers, &f->conds[i], row) != f->conds[i].is_negated;
        if (i == 0)
            acc = yes;
        else
            acc = f->conds[i].joins_with_and ? acc && yes : acc || yes;
    }
    return acc;
}

static size_t keep_numbers(const struct ready_filter *r, uint32_t *rows, size_t n)
{
    size_t kept = 0;
    struct column_numbers numbers;
    numbers_read(&numbers, r->column, rows, n);
    for (size_t i = 0; i < n; i++)
        if (number_row(r, &numbers, rows[i]))
            rows[kept++] = rows[i];
    return kept;
}

/* One loop per width, without branches: the row is always stored, the count moves on or not. */
#define KEEP(type, condition)                                                                      \
    do {                                                                                           \
        const type *codes = block;                                                                 \
        for (size_t i = 0; i < n; i++) {                                                           \
            uint32_t row = rows[i];                                                                \
            uint32_t code = codes[row - first];                                                    \
            rows[kept] = row;                                                                      \
            kept += (condition);                                                                   \
        }                                                                                          \
    } while (0)

/*
 * The rows of one block that match move to the front, in order.  A table of the whole dictionary is
 * not even read when one code is all that can match.
 */
size_t ready_filter_rows(const struct ready_filter *r, uint32_t *rows, size_t n)
{
    size_t kept = 0;
    if (r->matches_all)
        return n;
    if (r->matches_nothing || n == 0)
        return 0;
    if (r->column->kind == COLUMN_NUMBER)
        return keep_numbers(r, rows, n);
    struct code_room room;
    uint32_t first = rows[0] / BLOCK_ROWS * BLOCK_ROWS;
    const void *block = column_codes(r->column, rows, n, &room);
    uint32_t only = r->only_code;
    if (r->column->width == 1)
        KEEP(uint8_t, only ? code == only : r->table[code]);
    else if (r->column->width == 2)
        KEEP(uint16_t, only ? code == only : r->table[code]);
    else if (only)
        KEEP(uint32_t, code == only);
    else
        KEEP(uint32_t, r->table[code]);
    return kept;
}
