/*
 * A search, from the top.  Partitions whose week lies in the range of dates are taken, the columns
 * of the query mapped and checked; then, block by block, rows are selected and handed to the sorter
 * and to the aggregations, once for each level of them; then the answer is put together. Everything
 * below reports its costs to run->cost, and whatever ends the search ends it here.
 *
 * A block is 4096 rows, the same as a zone: its row numbers fit the first-level cache, and a search
 * of some days skips most blocks of a week by two comparisons, since rows lie in the order of
 * arrival.
 */
#include "lib/search/columns/run.h"

#include <assert.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/search/columns/agg.h"
#include "lib/search/columns/agg_marks.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/column_read.h"
#include "lib/search/columns/cost.h"
#include "lib/search/columns/hits.h"
#include "lib/search/columns/lanes.h"
#include "lib/search/columns/match.h"
#include "lib/search/columns/mfile.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/row_sort.h"
#include "lib/search/columns/sample_rows.h"
#include "lib/search/query.h"
#include "lib/search/sample.h"

/*
 * Nodes, filters and the page: kilobytes.  What grows with the data is held on the account of the
 * search and not in the arena.
 */
enum { RUN_ARENA_BYTES = 256 << 20 };

/* A field without a column in this week is absent in all its rows, which is nothing to map. */
static bool use_field(struct part *p, const struct search_field *f, struct err *err)
{
    struct column *c = p->by_field[f->id];
    return !c || column_use(c, err);
}

static bool use_aggs(struct part *p, const struct agg *a, struct err *err)
{
    for (; a; a = a->next)
        if (!use_field(p, a->field, err) || !use_aggs(p, a->children, err))
            return false;
    return true;
}

/*
 * Maps and checks all columns that the query needs.  Crash ids are the largest of them, and only
 * who shows reports, and sorts them, needs these.
 */
static bool use_part(const struct run *run, struct part *p, struct err *err)
{
    const struct search_query *q = run->query;
    bool shows_reports = q->number > 0 || run->each || run->sampler;
    if (!use_field(p, p->fields->date, err) ||
        (shows_reports && !use_field(p, p->fields->uuid, err)))
        return false;
    for (size_t i = 0; i < q->filter_count; i++)
        if (!use_field(p, q->filters[i].field, err))
            return false;
    for (size_t i = 0; shows_reports && i < q->column_count; i++)
        if (!use_field(p, q->columns[i], err))
            return false;
    for (size_t i = 0; shows_reports && i < q->sort_count; i++)
        if (!use_field(p, q->sort[i].field, err))
            return false;
    return (!q->installation || use_field(p, q->installation, err)) &&
           (!q->rate || use_field(p, q->rate, err)) && use_aggs(p, q->aggs, err);
}

/* A week is named once, though it may be both set aside and unreadable. */
static void note_missing(struct run *run, int32_t week)
{
    char name[16];
    part_name(week, name);
    for (size_t i = 0; i < run->missing.n; i++)
        if (str_eq(run->missing.v[i], str_of(name)))
            return;
    run->missing.v[run->missing.n++] = str_of(arena_strdup(&run->arena, name));
}

/*
 * False: a partition of the snapshot was replaced before all its columns were mapped, and its files
 * are gone.  Nothing is missing then; the question is asked again over a new snapshot.
 */
static bool choose_parts(struct run *run)
{
    int64_t from, to;
    struct root *root = run->root;
    run->missing.v = arena_array(&run->arena, PARTS_MAX + 1, sizeof(struct str));
    if (!root->h || !query_weeks(run->query, &from, &to))
        return true;
    for (size_t i = 0; i < root->part_count; i++) {
        struct table_entry e = table_entry(root->h, i);
        struct part *p = root->parts[i];
        int32_t week = p ? p->week : e.week;
        if (week < from || week > to)
            continue;
        if (root->is_damaged[i] || (e.flags & PART_DAMAGED))
            note_missing(run, week);
        if (!p || p->rows == 0)
            continue;
        struct err why = {0};
        run->part_used[i] = use_part(run, p, &why);
        if (!cost_look(&run->cost)) /* mapping a column for the first time reads all of it */
            return true;
        if (run->part_used[i])
            continue;
        if (table_entry(root->h, i).revision != p->revision)
            return false;
        note_missing(run, week);
    }
    return true;
}

/* Most words of the bits are 0, and then no row of 64 is looked up. */
static size_t live_rows(const struct part *p, uint64_t from, uint64_t to, uint32_t *rows)
{
    const struct shared_u64 *dead = mfile_data(&p->dead);
    size_t n = 0;
    for (uint64_t row = from; row < to;) {
        uint64_t word = tomb_word(dead, row);
        uint64_t end = MIN(to, (row / 64 + 1) * 64);
        for (; row < end; row++) {
            rows[n] = (uint32_t)row;
            n += word == 0 || !part_is_dead(p, row);
        }
    }
    return n;
}

/* Only blocks at the edges of the range have to look at the dates themselves. */
static size_t in_dates(const struct run *run, const struct part *p, uint32_t *rows, size_t n,
                       uint64_t block)
{
    const struct search_query *q = run->query;
    const struct zone *z = (const struct zone *)mfile_data(&p->zones) + block;
    if (zone_min(z) >= q->from_us && zone_max(z) < q->to_us)
        return n;
    const struct column *c = part_dates(p);
    size_t kept = 0;
    struct column_numbers dates;
    if (c && n > 0)
        numbers_read(&dates, c, rows, n);
    for (size_t i = 0; c && i < n; i++) {
        int64_t date = numbers_int(&dates, rows[i]);
        rows[kept] = rows[i];
        kept += date >= q->from_us && date < q->to_us;
    }
    return kept;
}

/* The end of a range is exclusive.  Zones may be too wide, never too narrow (index-commit.md). */
static bool is_outside(const struct run *run, const struct part *p, uint64_t block)
{
    const struct zone *z = (const struct zone *)mfile_data(&p->zones) + block;
    return zone_max(z) < run->query->from_us || zone_min(z) >= run->query->to_us;
}

typedef bool block_function(struct run *run, size_t level, const struct block *b);

/*
 * The rows of a partition that match everything, a block at a time.  Filters run in the order of
 * the query; each shrinks the vector that the next one sees.
 */
static bool select_part(struct run *run, size_t part, size_t level, block_function *take,
                        struct err *err)
{
    struct part *p = run->root->parts[part];
    const struct search_query *q = run->query;
    uint32_t rows[BLOCK_ROWS];
    for (size_t i = 0; i < q->filter_count; i++) {
        if (!ready_filter_part(&run->filters[i], run->root, part, err))
            return false;
        if (run->filters[i].matches_nothing)
            return true;
    }
    for (uint64_t from = 0; from < p->rows; from += BLOCK_ROWS) {
        uint64_t block = from / BLOCK_ROWS;
        if (is_outside(run, p, block))
            continue;
        if (!cost_work(&run->cost, BLOCK_ROWS * run->row_units))
            return cost_error(&run->cost, err);
        size_t n = live_rows(p, from, MIN(p->rows, from + BLOCK_ROWS), rows);
        n = in_dates(run, p, rows, n, block);
        for (size_t i = 0; i < q->filter_count && n > 0; i++)
            n = ready_filter_rows(&run->filters[i], rows, n);
        struct block b = {part, rows, n};
        if (n > 0 && !take(run, level, &b))
            return cost_error(&run->cost, err);
    }
    return true;
}

/* Total and page need one pass; further levels are for the aggregations alone. */
static bool take_block(struct run *run, size_t level, const struct block *b)
{
    if (level == 0) {
        run->total += b->n;
        if (run->query->rate)
            run->weight += agg_weight_of_rows(run->query, run->root->parts[b->part], b->rows, b->n);
        if (!sort_block(run, b))
            return false;
    }
    return agg_block(run, level, b);
}

static bool sample_block(struct run *run, size_t level, const struct block *b)
{
    (void)level;
    return sampler_block(run->sampler, b);
}

static bool hand_on_block(struct run *run, size_t level, const struct block *b)
{
    (void)level;
    *run->each_missing = run->missing.n;
    return hits_of_block(run, b);
}

/* All lanes of a search, the lead first. */
struct crew {
    struct run *lanes[LANES_MAX];
    size_t n;
    size_t level;
    struct lane_work parts;
};

/* How many lanes may work at the moment: others may have come since the search began. */
static size_t lanes_now(const struct search_limits *limits)
{
    return limits->lanes_now ? limits->lanes_now(limits->asker) : limits->lanes;
}

/* Takes partitions until there are no more.  A lane that fails ends the search for all. */
static void pass_of_lane(void *arg, size_t lane)
{
    struct crew *crew = arg;
    struct run *run = crew->lanes[lane];
    size_t i;
    while (run->err.code == ERR_NONE && lane_work_take(&crew->parts, lane, &i)) {
        if (run == run->lead && crew->n > 1)
            lane_work_allow(&crew->parts, lanes_now(run->cost.limits));
        if (!run->lead->part_used[i])
            continue;
        if (select_part(run, i, crew->level, take_block, &run->err) &&
            !agg_end_part(run, crew->level, i))
            cost_error(&run->cost, &run->err);
    }
}

/* What the others have counted goes to the lead; nobody works at the moment. */
static bool join_lanes(struct crew *crew)
{
    struct run *lead = crew->lanes[0];
    for (size_t i = 1; i < crew->n; i++) {
        struct run *lane = crew->lanes[i];
        lead->total += lane->total;
        lead->weight += lane->weight;
        lane->total = lane->weight = 0;
        sort_join(lead, lane);
        if (!agg_join(lead, lane, crew->level))
            return false;
    }
    return true;
}

/* Once over all selected rows, for one level of the aggregations. */
static bool pass_over_rows(struct crew *crew, size_t level, struct err *err)
{
    struct run *lead = crew->lanes[0];
    crew->level = level;
    lane_work_init(&crew->parts, lead->root->part_count);
    lanes_do(crew->n, pass_of_lane, crew);
    lane_work_release(&crew->parts);
    for (size_t i = 0; i < crew->n; i++)
        if (crew->lanes[i]->err.code != ERR_NONE)
            return err_set(err, crew->lanes[i]->err.code, "%s", crew->lanes[i]->err.msg);
    if (!join_lanes(crew) || !agg_end_level(lead, level))
        return cost_error(&lead->cost, err);
    for (size_t i = 1; i < crew->n; i++)
        if (!agg_follow(crew->lanes[i], level))
            return cost_error(&lead->cost, err);
    return true;
}

/* Conditions that a row of a number field is held against; all others are one look-up. */
static size_t conds_of_row(const struct filter *f)
{
    size_t n = 1;
    for (size_t i = 0; column_kind_of(f->field) == COLUMN_NUMBER && i < f->n; i++)
        n += f->conds[i].n;
    return n;
}

static size_t regexes_of(const struct cond *c)
{
    size_t n = c->op == COND_REGEX ? c->n : 0;
    for (size_t i = 0; i < c->step_count; i++)
        n += regexes_of(&c->steps[i].cond);
    return n;
}

/* Expressions share one allowance of memory for their states. */
static size_t regex_count(const struct search_query *q)
{
    size_t n = 0;
    for (size_t i = 0; i < q->filter_count; i++)
        for (size_t k = 0; k < q->filters[i].n; k++)
            n += regexes_of(&q->filters[i].conds[k]);
    return n;
}

static bool prepare_filters(struct run *run)
{
    const struct search_query *q = run->query;
    size_t cache_bytes = REGEX_CACHE_BYTES / MAX(regex_count(q), (size_t)1);
    run->row_units = 1;
    run->filters = arena_array(&run->arena, q->filter_count + 1, sizeof *run->filters);
    for (size_t i = 0; i < q->filter_count; i++) {
        const struct search_field *f = q->filters[i].field;
        enum column_kind kind = column_kind_of(f);
        bool is_string = kind == COLUMN_DICT || kind == COLUMN_LIST;
        struct unify *u = is_string ? run_unify_of(run->lead, f) : NULL;
        run->row_units += conds_of_row(&q->filters[i]);
        if (!ready_filter_init(&run->arena, &run->filters[i], &q->filters[i], u, cache_bytes,
                               &run->cost))
            return false;
    }
    return true;
}

static bool share_filters(struct crew *crew, struct err *err)
{
    struct run *lead = crew->lanes[0];
    struct ready_filter *same[LANES_MAX];
    for (size_t i = 0; i < lead->query->filter_count; i++) {
        for (size_t k = 0; k < crew->n; k++)
            same[k] = &crew->lanes[k]->filters[i];
        if (!ready_filters_share(same, crew->n, lead->root, lead->part_used, err))
            return false;
    }
    return true;
}

/* Weeks that the answer lacks, in the form that clients know from a missing index. */
static json_t *errors_json(const struct run *run)
{
    json_t *errors = json_array();
    for (size_t i = 0; i < run->missing.n; i++)
        json_array_append_new(
            errors, json_pack("{s:s, s:s}", "type", "missing_index", "index", run->missing.v[i].p));
    return errors;
}

static struct run *run_new(struct reader *r, const struct search_query *q, struct run *lead)
{
    struct run *run = xcalloc(1, sizeof *run);
    run->lead = lead ? lead : run;
    run->reader = r;
    run->root = r->root;
    run->query = q;
    arena_init(&run->arena, RUN_ARENA_BYTES);
    if (lead)
        cost_share(&run->cost, &lead->cost);
    return run;
}

static void run_free(struct run *run)
{
    for (size_t i = 0; run->filters && i < run->query->filter_count; i++)
        ready_filter_release(&run->filters[i]);
    agg_release(run);
    sort_release(run);
    arena_release(&run->arena);
    free(run);
}

/* No more than there are partitions, and one where the rows are few. */
static size_t lanes_wanted(const struct run *lead)
{
    const struct search_limits *limits = lead->cost.limits;
    uint64_t rows = 0;
    size_t parts = 0;
    for (size_t i = 0; i < lead->root->part_count; i++)
        if (lead->part_used[i]) {
            rows += lead->root->parts[i]->rows;
            parts++;
        }
    size_t most = MIN(parts, (size_t)LANES_MAX);
    return rows < limits->lane_rows ? 1 : MIN(most, lanes_now(limits));
}

/* The lead makes what all use, the others what is their own. */
static bool prepare_lanes(struct crew *crew, struct err *err)
{
    struct run *lead = crew->lanes[0];
    size_t n = MAX(lanes_wanted(lead), (size_t)1);
    for (crew->n = 1; crew->n < n; crew->n++)
        crew->lanes[crew->n] = run_new(lead->reader, lead->query, lead);
    for (size_t i = 0; i < crew->n; i++)
        if (!prepare_filters(crew->lanes[i]))
            return cost_error(&lead->cost, err);
    if (!share_filters(crew, err))
        return false;
    if (!sort_prepare(lead) || !agg_prepare(lead))
        return cost_error(&lead->cost, err);
    for (size_t i = 1; i < crew->n; i++)
        if (!sort_prepare_lane(crew->lanes[i]) || !agg_prepare_lane(crew->lanes[i]))
            return cost_error(&lead->cost, err);
    return true;
}

static bool build_answer(struct run *run, json_t **ret, struct err *err)
{
    json_auto_t *answer =
        json_pack("{s:o, s:I, s:o, s:o}", "hits", hits_json(run), "total", (json_int_t)run->total,
                  "facets", agg_json(run), "errors", errors_json(run));
    if (!answer)
        return err_set(err, ERR_INTERNAL, "cannot build the answer");
    if (run->query->rate)
        json_object_set_new(answer, "estimated_total", json_integer(weight_reports(run->weight)));
    if (arena_is_over(&run->arena) && run->cost.end == COST_GOES_ON)
        run->cost.end = COST_BYTES;
    if (run->cost.end != COST_GOES_ON)
        return cost_error(&run->cost, err);
    *ret = json_incref(answer);
    return true;
}

static bool execute(struct crew *crew, bool *ret_outdated, json_t **ret, struct err *err)
{
    struct run *lead = crew->lanes[0];
    if (!choose_parts(lead)) {
        *ret_outdated = true;
        return false;
    }
    if (!prepare_lanes(crew, err))
        return false;
    size_t levels = MAX(agg_depth(lead), (size_t)1);
    for (size_t level = 0; level < levels; level++)
        if (!pass_over_rows(crew, level, err))
            return false;
    return build_answer(lead, ret, err);
}

bool run_query(struct reader *r, const struct search_query *q, const struct search_limits *limits,
               bool *ret_outdated, json_t **ret, struct err *err)
{
    reader_begin_search(r);
    struct crew crew = {.n = 1, .lanes = {run_new(r, q, NULL)}};
    cost_begin(&crew.lanes[0]->cost, limits);
    bool ok = execute(&crew, ret_outdated, ret, err);
    for (size_t i = crew.n; i > 0; i--)
        run_free(crew.lanes[i - 1]);
    reader_end_search(r);
    return ok;
}

/* One pass over the rows, in one lane: it is short beside the reading of the values. */
static bool execute_pass(struct crew *crew, block_function *take, bool *ret_outdated,
                         struct err *err)
{
    struct run *lead = crew->lanes[0];
    if (!choose_parts(lead)) {
        *ret_outdated = true;
        return false;
    }
    if (!prepare_filters(lead))
        return cost_error(&lead->cost, err);
    if (!share_filters(crew, err))
        return false;
    for (size_t i = 0; i < lead->root->part_count; i++)
        if (lead->part_used[i] && !select_part(lead, i, 0, take, err))
            return false;
    return true;
}

static bool execute_sample(struct crew *crew, bool *ret_outdated, struct sample *ret,
                           struct err *err)
{
    struct run *lead = crew->lanes[0];
    if (!execute_pass(crew, sample_block, ret_outdated, err))
        return false;
    if (!sampler_end(lead->sampler, lead->root, ret))
        return cost_error(&lead->cost, err);
    ret->missing_weeks = lead->missing.n;
    return true;
}

bool run_each(struct reader *r, const struct search_query *q, const struct search_limits *limits,
              search_each_hit *each, void *arg, size_t *ret_missing_weeks, bool *ret_outdated,
              struct err *err)
{
    struct search_query rows = *q;
    rows.aggs = NULL;
    rows.sort_count = 0;
    reader_begin_search(r);
    struct crew crew = {.n = 1, .lanes = {run_new(r, &rows, NULL)}};
    struct run *lead = crew.lanes[0];
    cost_begin(&lead->cost, limits);
    lead->each = each;
    lead->each_arg = arg;
    lead->each_missing = ret_missing_weeks;
    bool ok = execute_pass(&crew, hand_on_block, ret_outdated, err);
    *ret_missing_weeks = lead->missing.n;
    run_free(lead);
    reader_end_search(r);
    return ok;
}

/* The columns of the query become the fields of the sample, so that they are mapped and checked. */
bool run_sample(struct reader *r, const struct search_query *q, const struct search_limits *limits,
                struct sample_values *values, size_t max, bool *ret_outdated, struct sample *ret,
                struct err *err)
{
    struct search_query rows = *q;
    struct sampler sampler;
    reader_begin_search(r);
    struct crew crew = {.n = 1, .lanes = {run_new(r, &rows, NULL)}};
    struct run *lead = crew.lanes[0];
    cost_begin(&lead->cost, limits);
    rows.aggs = NULL;
    rows.sort_count = 0;
    rows.column_count = values->n;
    rows.columns = arena_array(&lead->arena, values->n + 1, sizeof *rows.columns);
    for (size_t i = 0; i < values->n; i++)
        rows.columns[i] = values->fields[i].field;
    sampler_init(&sampler, values, max, &lead->cost);
    lead->sampler = &sampler;
    bool ok = execute_sample(&crew, ret_outdated, ret, err);
    sampler_release(&sampler);
    if (!ok)
        sample_release(ret);
    run_free(lead);
    reader_end_search(r);
    return ok;
}
