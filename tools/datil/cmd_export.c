/*
 * search, export csv, export ndjson: any search of the web, on the command line.  As JSON it is the
 * answer of the API; as CSV or NDJSON it is all reports or all values of a facet, without the limit
 * of pages and API, made by the same code (lib/search/extract.h) in the same memory however many.
 *
 * What may be seen is what everybody may see; --protected is for who may read the files of the
 * installation anyway, and stands in the audit log.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/search/extract.h"
#include "lib/search/search.h"
#include "lib/web/params.h"
#include "tools/datil/app.h"

enum {
    PROGRESS_MS = 500,   /* on a terminal, in place */
    LOG_EVERY_MS = 2000, /* elsewhere, a line each */
    WORDS_MAX = 200,     /* more conditions than a search of a page may have */
};

struct search_words {
    struct search_params params;
    struct search_context ctx;
    const char *format;
    bool is_protected;
};

struct written {
    bool is_terminal;
    int64_t total; /* -1: nobody knows */
    int64_t told_ms;
};

static void tell_rows(struct written *w, uint64_t rows, bool is_end)
{
    int64_t pause_ms = w->is_terminal ? PROGRESS_MS : LOG_EVERY_MS;
    if (!is_end && mono_ms() - w->told_ms < pause_ms)
        return;
    w->told_ms = mono_ms();
    fprintf(stderr, "%s%llu rows", w->is_terminal ? "\r" : "", (unsigned long long)rows);
    if (w->total > 0 && !is_end)
        fprintf(stderr, " of %lld, %lld %%", (long long)w->total,
                (long long)(rows * 100 / (uint64_t)w->total));
    fputs(w->is_terminal && !is_end ? "" : "\n", stderr);
}

static bool write_piece(void *arg, struct str piece, const struct extract_done *so_far,
                        struct err *err)
{
    if (fwrite(piece.p, 1, piece.n, stdout) != piece.n)
        return err_set(err, ERR_IO, "cannot write to standard output");
    tell_rows(arg, so_far->rows, false);
    return true;
}

/* The reports that match, for the progress alone; a mistake in the question is told later. */
static int64_t count_all(struct app *app, const struct search_words *q)
{
    json_auto_t *answer = NULL;
    struct search_params p = {
        .v = arena_array(&app->arena, q->params.n + 2, sizeof(struct search_param))};
    for (size_t i = 0; i < q->params.n; i++)
        if (!str_starts(q->params.v[i].name, STR("_")))
            p.v[p.n++] = q->params.v[i];
    p.v[p.n++] = (struct search_param){STR("_results_number"), STR("0")};
    p.v[p.n++] = (struct search_param){STR("_facets_size"), STR("0")};
    return search_answer(&app->arena, app->reader, &q->ctx, p, &answer, NULL, ERR_IGNORED)
               ? jget_int_or(answer, "total", -1)
               : -1;
}

static bool write_rows(struct app *app, const struct search_words *q, enum extract_format format,
                       struct err *err)
{
    struct written w = {.is_terminal = isatty(STDERR_FILENO), .told_ms = mono_ms()};
    struct extract_done done;
    w.total = count_all(app, q);
    bool ok = extract_run(&app->arena, app->reader, &q->ctx, q->params, format, write_piece, &w,
                          &done, NULL, err);
    if (fflush(stdout) != 0 && ok)
        ok = err_set(err, ERR_IO, "cannot write to standard output");
    tell_rows(&w, done.rows, true);
    if (ok && done.missing_weeks)
        return err_set(err, ERR_UNAVAILABLE, "%zu weeks of the index could not be read",
                       done.missing_weeks);
    return ok;
}

static bool write_answer(struct app *app, const struct search_words *q, struct err *err)
{
    json_auto_t *answer = NULL;
    if (!search_answer(&app->arena, app->reader, &q->ctx, q->params, &answer, NULL, err))
        return false;
    return (json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_SORT_KEYS) == 0 &&
            putchar('\n') != EOF && fflush(stdout) == 0) ||
           err_set(err, ERR_IO, "cannot write to standard output");
}

static void tell_ignored(struct app *app, const struct search_words *q)
{
    struct strs names = search_ignored(&app->arena, app->fields, &q->ctx, q->params);
    for (size_t i = 0; i < names.n; i++)
        fprintf(stderr, "%s" STR_FMT "%s",
                i ? ", " : "Ignored without --protected: ", STR_ARG(names.v[i]),
                i + 1 < names.n ? "" : "\n");
}

static bool print_search(struct app *app, const struct search_words *q, struct err *err)
{
    if (q->is_protected && (!app_db(app, err) ||
                            !app_audit(app, "search", "", "export", "with protected fields", err)))
        return false;
    tell_ignored(app, q);
    if (strcmp(q->format, "json") == 0)
        return write_answer(app, q, err);
    if (strcmp(q->format, "csv") == 0 || strcmp(q->format, "ndjson") == 0)
        return write_rows(app, q, q->format[0] == 'c' ? EXTRACT_CSV : EXTRACT_NDJSON, err);
    return err_set(err, ERR_INVALID, "--format is json, csv or ndjson, not %s", q->format);
}

/*
 * Every word is a part of the query.  One that begins with "?" is what stands in the address of a
 * page, with percent signs; in others a character is what it is.
 */
static bool read_words(struct app *app, struct args words, const char *facet,
                       struct search_words *q, struct err *err)
{
    size_t room = 1;
    for (int i = 0; i < words.n; i++)
        room += strlen(words.v[i]) + 1;
    q->params.v = arena_array(&app->arena, room, sizeof *q->params.v);
    for (int i = 0; i < words.n; i++) {
        if (words.v[i][0] != '?') {
            struct search_params p = app_query_of_word(&app->arena, words.v[i]);
            for (size_t k = 0; k < p.n; k++)
                q->params.v[q->params.n++] = p.v[k];
            continue;
        }
        struct param_list list = {0};
        if (!params_parse(&app->arena, str_of(words.v[i] + 1), &list, err))
            return false;
        for (size_t k = 0; k < list.n; k++)
            q->params.v[q->params.n++] = (struct search_param){list.v[k].name, list.v[k].value};
    }
    if (facet)
        q->params.v[q->params.n++] = (struct search_param){STR("_facet"), str_of(facet)};
    return true;
}

/* `format` is what the command is for; NULL: the option says it. */
static bool search_as(struct app *app, struct args args, const char *format, struct err *err)
{
    struct search_words q = {.ctx = {.now_us = now_us(), .reader = PERM_PUBLIC}, .format = "json"};
    const char *facet = NULL;
    const struct opt opts[] = {
        {"--protected", OPT_FLAG, &q.is_protected},
        {"--format", OPT_TEXT, &q.format},
        {"--facet", OPT_TEXT, &facet},
    };
    if (!OPTS_PARSE(opts, &args, format ? 1 : 0, WORDS_MAX, err) ||
        !read_words(app, args, facet, &q, err) || !app_reader(app, err))
        return false;
    if (format)
        q.format = format;
    if (facet && strcmp(q.format, "json") == 0)
        return err_set(err, ERR_INVALID, "--facet is for --format csv and ndjson");
    if (q.is_protected)
        q.ctx.reader = PERM_PROTECTED;
    return print_search(app, &q, err);
}

static bool run_search(struct app *app, struct args args, struct err *err)
{
    return search_as(app, args, NULL, err);
}

static bool run_csv(struct app *app, struct args args, struct err *err)
{
    return search_as(app, args, "csv", err);
}

static bool run_ndjson(struct app *app, struct args args, struct err *err)
{
    return search_as(app, args, "ndjson", err);
}

const struct command export_commands[] = {
    {"search", "[QUERY]… [--format json|csv|ndjson] [--facet FIELD] [--protected]",
     "Searches as the page and the API do; without --format, the JSON of the API.\n"
     "QUERY as in 'product=Firefox&date=>=-3d&_facets=signature', in one word or several, or\n"
     "what stands behind the ? of an address, with the ?.\n"
     "csv and ndjson are all reports without limit, in the order of arrival, or with --facet all\n"
     "values of a field with their counts; progress on standard error.\n"
     "--protected shows protected fields as well and is noted in the audit log.",
     run_search},
    {"export csv", "QUERY [--facet FIELD] [--protected]",
     "Prints all reports of a search as a table: `search --format csv`.", run_csv},
    {"export ndjson", "QUERY [--facet FIELD] [--protected]",
     "The same as one JSON object a line: `search --format ndjson`.", run_ndjson},
    {0},
};
