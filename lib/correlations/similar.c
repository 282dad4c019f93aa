/*
 * Nearest neighbours by what stacks have in common.  The index has the functions of each stack
 * (frame_function), so candidates are read as sets of numbers and compared exactly; nothing is
 * approximated but the choice of candidates where they are more than can be compared.
 *
 * Equal sets are compared once, for most crashes of a signature have one of a few stacks.
 */
#include "lib/correlations/similar.h"

#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/crash/field.h"
#include "lib/search/doc_frames.h"
#include "lib/search/engine.h"
#include "lib/search/sample.h"

enum {
    ARENA_BYTES = 64 << 20, /* forms of a million functions; what comes then is not compared */
    FORMS_AT_ONCE = 1024,   /* between two looks at the clock: a millisecond or two */
    SEED_FUNCTIONS = 10,    /* as many as make the key of a cluster (cluster_key.c) */
    SIGNATURES_SHOWN = 20,
    OVERLAP_PERMILLE_MIN = 250, /* two stacks of threads of one kind share a quarter below */
};

/* What is read of candidates; the places in the sample. */
enum { SAMPLED_UUID, SAMPLED_SIGNATURE, SAMPLED_FUNCTIONS, SAMPLED_COUNT };
static const char *const sampled[SAMPLED_COUNT] = {"uuid", "signature", "frame_function"};

struct neighbour {
    uint32_t row;
    uint32_t shared, either;
};

struct similar {
    struct index_reader *reader;
    const struct search_context *ctx;
    const struct siglists *lists;
    struct arena arena;
    struct strs functions; /* of the crash, as indexed, relevant ones, top first, each once */
    struct textmap texts;  /* their relevant forms, and those of candidates */
    size_t own;            /* of texts, those of the crash */
    struct sample_values *values;
    struct sample sample;
    uint32_t *text_of; /* by number of a function: that in texts + 1; 0: not relevant */
    struct neighbour *found;
    size_t found_n;
};

/* Without what differs between builds; p NULL: it says nothing. */
static struct str relevant_form(struct similar *s, struct str function)
{
    json_auto_t *frame = json_pack("{s:o}", "function", jtext(function));
    json_auto_t *text = signature_frame_text(s->lists, frame);
    struct str form = str_n(json_string_value(text), json_string_length(text));
    bool is_taken = signature_frame_is_relevant(s->lists, form) &&
                    arena_fits(&s->arena, form.n + 1, "functions", ERR_IGNORED);
    return is_taken ? str_copy(&s->arena, form) : STR_NONE;
}

static void take_functions(struct similar *s, const json_t *doc, const struct search_field *f)
{
    struct strs all = doc_frames(&s->arena, doc, f);
    s->functions.v = arena_array(&s->arena, all.n + 1, sizeof(struct str));
    for (size_t i = 0; i < all.n; i++) {
        struct str form = all.v[i].n > 0 ? relevant_form(s, all.v[i]) : STR_NONE;
        size_t before = s->texts.texts.n;
        if (form.p)
            textmap_number(&s->texts, NULL, form);
        if (s->texts.texts.n > before)
            s->functions.v[s->functions.n++] = all.v[i];
    }
    s->own = s->texts.texts.n;
}

/* A search among the crashes of the last weeks, parsed; `params` have room for one more. */
static bool parse(struct similar *s, struct search_params params, struct search_query **ret,
                  struct err *err)
{
    const char *form_param;
    params.v[params.n++] = (struct search_param){
        STR("date"), str_of(arena_printf(&s->arena, ">=-%dd", (int)SIMILAR_DAYS))};
    search_clean(s->reader->fields, s->ctx, &params);
    return search_parse(&s->arena, s->reader->fields, s->ctx, params, ret, &form_param, err);
}

static struct search_param is_text(struct similar *s, const char *field, struct str text)
{
    return (struct search_param){str_of(field),
                                 str_of(arena_printf(&s->arena, "=" STR_FMT, STR_ARG(text)))};
}

static bool read_candidates(struct similar *s, struct err *err)
{
    struct search_query *q;
    const struct search_field *fields[SAMPLED_COUNT];
    struct search_params params = {
        .v = arena_array(&s->arena, SEED_FUNCTIONS + 1, sizeof *params.v)};
    for (size_t i = 0; i < SAMPLED_COUNT; i++)
        fields[i] = search_field_find(s->reader->fields, str_of(sampled[i]));
    for (size_t i = 0; i < s->functions.n && i < SEED_FUNCTIONS; i++)
        params.v[params.n++] = is_text(s, "frame_function", s->functions.v[i]);
    s->values = sample_values_new(fields, SAMPLED_COUNT);
    return parse(s, params, &q, err) &&
           search_sample(s->reader, s->ctx, q, s->values, SIMILAR_CRASHES_MAX, &s->sample, err);
}

static bool in_time(const struct similar *s, struct err *err)
{
    bool is_late = s->ctx->deadline_ms && mono_ms() > s->ctx->deadline_ms;
    return !is_late || err_set(err, ERR_INVALID, "Comparing stacks took too long.");
}

/* Each function of the candidates, once. */
static bool number_texts(struct similar *s, struct err *err)
{
    const struct sample_field *f = &s->values->fields[SAMPLED_FUNCTIONS];
    s->text_of = xcalloc(f->texts.texts.n + 1, sizeof *s->text_of);
    for (size_t i = 0; i < f->texts.texts.n; i++) {
        struct str form =
            f->texts.texts.v[i].n > 0 ? relevant_form(s, f->texts.texts.v[i]) : STR_NONE;
        if (form.p)
            s->text_of[i + 1] = textmap_number(&s->texts, NULL, form) + 1;
        if (i % FORMS_AT_ONCE == 0 && !in_time(s, err))
            return false;
    }
    return true;
}

/* Two functions may have one form: seen tells which forms of this stack were counted. */
static struct neighbour compare(const struct similar *s, uint32_t list, uint32_t *seen,
                                uint32_t turn)
{
    size_t n, all = 0;
    struct neighbour out = {0};
    const uint32_t *functions = sample_list(s->values, SAMPLED_FUNCTIONS, list, &n);
    for (size_t i = 0; i < n; i++) {
        uint32_t text = s->text_of[functions[i]];
        if (text == 0 || seen[text] == turn)
            continue;
        seen[text] = turn;
        all++;
        out.shared += text <= s->own;
    }
    out.either = (uint32_t)(s->own + all - out.shared);
    return out;
}

static int by_overlap(const void *pa, const void *pb)
{
    const struct neighbour *a = pa, *b = pb;
    uint64_t x = (uint64_t)a->shared * b->either, y = (uint64_t)b->shared * a->either;
    if (x != y)
        return x > y ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static void compare_all(struct similar *s, struct str crash_id)
{
    size_t lists = s->values->fields[SAMPLED_FUNCTIONS].lists.texts.n;
    const uint32_t *of_row = sample_column(&s->sample, SAMPLED_FUNCTIONS);
    const uint32_t *ids = sample_column(&s->sample, SAMPLED_UUID);
    FREE_LATER struct neighbour *of_list = xcalloc(lists + 1, sizeof *of_list);
    FREE_LATER uint32_t *seen = xcalloc(s->texts.texts.n + 1, sizeof *seen);
    for (uint32_t list = 1; list <= lists; list++)
        of_list[list] = compare(s, list, seen, list);
    s->found = xcalloc(s->sample.n + 1, sizeof *s->found);
    for (size_t i = 0; i < s->sample.n; i++) {
        struct neighbour one = of_list[of_row[i]];
        one.row = (uint32_t)i;
        if ((uint64_t)one.shared * 1000 < (uint64_t)one.either * OVERLAP_PERMILLE_MIN ||
            str_eq(sample_text(s->values, SAMPLED_UUID, ids[i]), crash_id))
            continue;
        s->found[s->found_n++] = one;
    }
    if (s->found_n > 0)
        qsort(s->found, s->found_n, sizeof *s->found, by_overlap);
}

static double overlap_of(const struct neighbour *n)
{
    return n->either ? (double)n->shared / n->either : 0;
}

static json_t *uuid_json(const struct similar *s, const struct neighbour *n)
{
    uint32_t id = sample_column(&s->sample, SAMPLED_UUID)[n->row];
    return jtext(sample_text(s->values, SAMPLED_UUID, id));
}

/* The signatures of all that are near, that with the nearest crash first. */
static json_t *signatures_json(const struct similar *s)
{
    json_t *out = json_array();
    size_t count = s->values->fields[SAMPLED_SIGNATURE].texts.texts.n;
    const uint32_t *of_row = sample_column(&s->sample, SAMPLED_SIGNATURE);
    FREE_LATER int64_t *counts = xcalloc(count + 1, sizeof *counts);
    for (size_t i = 0; i < s->found_n; i++)
        counts[of_row[s->found[i].row]]++;
    for (size_t i = 0; i < s->found_n && json_array_size(out) < SIGNATURES_SHOWN; i++) {
        const struct neighbour *n = &s->found[i];
        uint32_t id = of_row[n->row];
        if (id == 0 || counts[id] == 0)
            continue;
        json_array_append_new(out, json_pack("{s:o, s:I, s:f, s:o}", "signature",
                                             jtext(sample_text(s->values, SAMPLED_SIGNATURE, id)),
                                             "count", (json_int_t)counts[id], "overlap",
                                             overlap_of(n), "uuid", uuid_json(s, n)));
        counts[id] = 0; /* shown */
    }
    return out;
}

/* What people want to know of the nearest ones, by crash id. */
static bool describe(struct similar *s, size_t n, json_t *hits, struct err *err)
{
    static const char *const columns[] = {"uuid",    "date",      "product",
                                          "version", "signature", "cluster_key"};
    struct search_query *q;
    struct search_params params = {
        .v = arena_array(&s->arena, n + ARRAY_LEN(columns) + 3, sizeof *params.v)};
    if (n == 0)
        return true;
    for (size_t i = 0; i < n; i++) {
        uint32_t id = sample_column(&s->sample, SAMPLED_UUID)[s->found[i].row];
        params.v[params.n++] = is_text(s, "uuid", sample_text(s->values, SAMPLED_UUID, id));
    }
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        params.v[params.n++] = (struct search_param){STR("_columns"), str_of(columns[i])};
    params.v[params.n++] = (struct search_param){STR("_facets_size"), STR("0")};
    json_auto_t *answer = NULL;
    if (!parse(s, params, &q, err) || !search_run(s->reader, s->ctx, q, &answer, err))
        return false;
    json_auto_t *by_id = json_object();
    size_t i;
    json_t *hit;
    json_array_foreach (jget_arr(answer, "hits"), i, hit)
        json_object_set(by_id, jget_str(hit, "uuid"), hit);
    for (i = 0; i < n; i++) {
        json_auto_t *uuid = uuid_json(s, &s->found[i]);
        hit = json_object_get(by_id, json_string_value(uuid));
        if (!hit)
            continue; /* deleted a moment ago */
        jset_int(hit, "shared", s->found[i].shared);
        json_object_set_new(hit, "overlap", json_real(overlap_of(&s->found[i])));
        json_array_append(hits, hit);
    }
    return true;
}

static bool count_cluster(struct similar *s, struct str key, json_t *out, struct err *err)
{
    struct search_query *q;
    struct search_params params = {.v = arena_array(&s->arena, 4, sizeof *params.v)};
    json_auto_t *answer = NULL;
    if (key.n == 0)
        return jset_int(out, "in_cluster", 0);
    params.v[params.n++] = is_text(s, "cluster_key", key);
    params.v[params.n++] = (struct search_param){STR("_results_number"), STR("0")};
    params.v[params.n++] = (struct search_param){STR("_facets_size"), STR("0")};
    return parse(s, params, &q, err) && search_run(s->reader, s->ctx, q, &answer, err) &&
           jset_int(out, "in_cluster", jget_int_or(answer, "total", 0)) &&
           json_object_set(out, "errors", json_object_get(answer, "errors")) == 0;
}

static bool find(struct similar *s, const json_t *doc, size_t n, json_t *out, struct err *err)
{
    struct str key = jget_strn(doc, "cluster_key");
    json_t *hits = json_array();
    json_object_set_new(out, "hits", hits);
    json_object_set_new(out, "errors", json_array());
    json_object_set_new(out, "cluster_key", key.n ? jtext(key) : json_null());
    take_functions(s, doc, search_field_find(s->reader->fields, STR("frame_function")));
    bool ok = count_cluster(s, key, out, err) && (s->own == 0 || read_candidates(s, err));
    if (ok && s->sample.n > 0) {
        if (!number_texts(s, err))
            return false;
        compare_all(s, jget_strn(doc, "uuid"));
        ok = describe(s, MIN(n, s->found_n), hits, err);
    }
    jset_int(out, "functions", (int64_t)s->own);
    jset_int(out, "candidates", (int64_t)s->sample.total);
    jset_int(out, "compared", (int64_t)s->sample.n);
    json_object_set_new(out, "signatures", s->found_n ? signatures_json(s) : json_array());
    return ok;
}

bool similar_find(struct index_reader *r, const struct search_context *ctx,
                  const struct siglists *lists, const json_t *processed_crash, size_t n,
                  json_t **ret, struct err *err)
{
    struct similar s = {.reader = r, .ctx = ctx, .lists = lists};
    json_auto_t *out = json_pack("{s:o}", "crash_id", jtext(jget_strn(processed_crash, "uuid")));
    arena_init(&s.arena, ARENA_BYTES);
    textmap_init(&s.texts, (size_t)TEXTMAP_FULL - 1);
    bool ok = find(&s, processed_crash, n, out, err);
    if (ok)
        *ret = TAKE(out);
    sample_release(&s.sample);
    sample_values_free(s.values);
    textmap_release(&s.texts);
    arena_release(&s.arena);
    free(s.text_of);
    free(s.found);
    return ok;
}
