/*
 * export csv, export ndjson: all reports of a search, without the limit of pages and API, as a
 * table or as JSON lines on standard output.  Rows come in the order of arrival, straight from the
 * index, so a year of crashes takes no more memory than a day.
 *
 * What may be seen is what everybody may see; --protected is for who may read the files of the
 * installation anyway, and stands in the audit log.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/csv.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/search/query.h"
#include "lib/search/search.h"
#include "tools/datil/app.h"

enum { ROW_BYTES_MAX = 64 << 20, PROGRESS_MS = 2000 };

struct hits_out {
    const struct search_query *query;
    bool is_csv;
    struct strbuf row;
    uint64_t rows;
    int64_t told_ms;
};

/* Lists are joined by "; ", as tables on pages show them; "no value" is an empty field. */
static void put_cell(struct strbuf *row, const json_t *v)
{
    size_t i;
    const json_t *item;
    STRBUF_AUTO list = {.max = ROW_BYTES_MAX};
    if (json_is_string(v)) {
        csv_put(row, str_n(json_string_value(v), json_string_length(v)));
    } else if (json_is_array(v)) {
        json_array_foreach (v, i, item) {
            sb_text(&list, i ? "; " : "");
            sb_put(&list, json_string_value(item), json_string_length(item));
        }
        csv_put(row, sb_view(&list));
    } else if (v && !json_is_null(v)) {
        FREE_LATER char *text = jdump(v, NULL);
        csv_put(row, str_of(text));
    }
}

static void put_csv(struct hits_out *out, const json_t *hit)
{
    for (size_t i = 0; i < out->query->column_count; i++) {
        if (i)
            sb_char(&out->row, ',');
        put_cell(&out->row, json_object_get(hit, out->query->columns[i]->name));
    }
}

static bool put_hit(void *arg, const json_t *hit)
{
    struct hits_out *out = arg;
    sb_reset(&out->row);
    if (out->is_csv) {
        put_csv(out, hit);
    } else {
        size_t n;
        FREE_LATER char *text = jdump(hit, &n);
        sb_put(&out->row, text, n);
    }
    sb_char(&out->row, '\n');
    out->rows++;
    if (mono_ms() - out->told_ms >= PROGRESS_MS) {
        out->told_ms = mono_ms();
        fprintf(stderr, "%llu rows\n", (unsigned long long)out->rows);
    }
    return fwrite(sb_cstr(&out->row), 1, out->row.n, stdout) == out->row.n;
}

static void put_names(struct hits_out *out)
{
    for (size_t i = 0; i < out->query->column_count; i++)
        printf("%s%s", i ? "," : "", out->query->columns[i]->name);
    putchar('\n');
}

static bool export_hits(struct app *app, struct args args, bool is_csv, struct err *err)
{
    struct search_query *q;
    struct hits_out out = {.is_csv = is_csv, .told_ms = mono_ms()};
    struct search_context ctx = {.now_us = now_us(), .reader = PERM_PUBLIC};
    bool is_protected = false;
    size_t missing = 0;
    const struct opt opts[] = {{"--protected", OPT_FLAG, &is_protected}};
    if (!OPTS_PARSE(opts, &args, 1, 1, err) || !app_reader(app, err))
        return false;
    struct search_params params = app_query_of_word(&app->arena, args.v[0]);
    if (is_protected) {
        ctx.reader = PERM_PROTECTED;
        if (!app_db(app, err) ||
            !app_audit(app, "search", "", "export", "with protected fields", err))
            return false;
    }
    search_clean(app->fields, &ctx, &params);
    if (!search_parse(&app->arena, app->fields, &ctx, params, &q, NULL, err))
        return false;
    out.query = q;
    sb_init(&out.row, ROW_BYTES_MAX);
    if (is_csv)
        put_names(&out);
    bool ok = search_each(app->reader, &ctx, q, put_hit, &out, &missing, err);
    sb_release(&out.row);
    if (fflush(stdout) != 0)
        return err_set(err, ERR_IO, "cannot write to standard output");
    fprintf(stderr, "%llu rows\n", (unsigned long long)out.rows);
    if (ok && missing)
        return err_set(err, ERR_UNAVAILABLE, "%zu weeks of the index could not be read", missing);
    return ok;
}

static bool run_csv(struct app *app, struct args args, struct err *err)
{
    return export_hits(app, args, true, err);
}

static bool run_ndjson(struct app *app, struct args args, struct err *err)
{
    return export_hits(app, args, false, err);
}

const struct command export_commands[] = {
    {"export csv", "QUERY [--protected]",
     "Prints all reports of a search as a table, without limit; progress on standard error.\n"
     "QUERY as in 'product=Firefox&date=>=2026-01-01&_columns=uuid&_columns=signature'.\n"
     "--protected shows protected fields as well and is noted in the audit log.",
     run_csv},
    {"export ndjson", "QUERY [--protected]", "The same as one JSON object a line.", run_ndjson},
    {0},
};
