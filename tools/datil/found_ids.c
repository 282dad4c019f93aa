/*
 * Crash ids of a search and of a file.
 *
 * A search is read to its end before anything is done with its crashes, since processing may
 * change what the search asked for: a crash that no longer fits while later pages are read would
 * move all behind it to places that were read already.  Ids take 37 MB for a million crashes,
 * so there is a bound (FOUND_IDS_MAX), and who has more goes by dates.
 *
 * Pages come in the order of date and crash id, and each begins at the date of the last hit, so
 * that any number of crashes costs the same for each page: an offset alone would have every page
 * sort all that was read before it, and ends at 10,000 (QUERY_WINDOW_MAX) where others ask.  The
 * end of the search is the moment it began: what comes in meanwhile is not read.
 *
 * A file is read whole, too: one that has a wrong line changes nothing.
 */
#include "tools/datil/found_ids.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/search/query.h"
#include "lib/search/search.h"
#include "lib/web/params.h"

/* For a page: a search of a whole year over a cold disk takes some, and nobody waits at a browser.
 */
enum { SEARCH_TIME_MS = 120000 };

bool found_add(struct found_ids *ids, const struct found_crash *crash, struct err *err)
{
    if (ids->list.n >= FOUND_IDS_MAX)
        return err_set(err, ERR_TOO_LARGE,
                       "more than %d crashes; nothing was done.  Ask for fewer, by their dates",
                       FOUND_IDS_MAX);
    VEC_PUSH(&ids->list, *crash);
    return true;
}

/*
 * "product=Firefox&signature=~foo" and what makes a page of ids of it.  What the address says about
 * pages, columns and facets is dropped: only the conditions matter.
 */
static bool parse_query(struct app *app, const char *text, int64_t page, struct search_query **ret,
                        struct err *err)
{
    const struct search_context ctx = {.now_us = now_us(), .reader = PERM_PROTECTED};
    struct param_list list = {0};
    const char *form_param = NULL;
    if (!params_parse(&app->arena, str_of(text[0] == '?' ? text + 1 : text), &list, err))
        return false;
    struct search_params p = {
        .v = arena_array(&app->arena, list.n + 8, sizeof(struct search_param)),
    };
    for (size_t i = 0; i < list.n; i++)
        if (!str_starts(list.v[i].name, STR("_")))
            p.v[p.n++] = (struct search_param){list.v[i].name, list.v[i].value};
    p.v[p.n++] = (struct search_param){STR("_columns"), STR("uuid")};
    p.v[p.n++] = (struct search_param){STR("_columns"), STR("date")};
    p.v[p.n++] = (struct search_param){STR("_facets_size"), STR("0")};
    p.v[p.n++] = (struct search_param){STR("_sort"), STR("date")};
    p.v[p.n++] = (struct search_param){STR("_results_number"), str_of(db_int(&app->arena, page))};
    if (search_parse(&app->arena, app->fields, &ctx, p, ret, &form_param, err))
        return true;
    return form_param ? err_wrap(err, "%s", form_param) : false;
}

/*
 * The query moves on behind a hit: it begins at the date of the hit, of which `offset` have been
 * read.  Crash ids order those of one date (query_parse.c, build_sort).
 */
static bool move_behind(struct search_query *q, const json_t *hit, struct err *err)
{
    const char *date = jget_str(hit, "date");
    int64_t us;
    if (!date || !time_parse(str_of(date), &us, err))
        return err_set(err, ERR_INTERNAL, "a hit without a date");
    q->offset = us == q->from_us ? q->offset + 1 : 1;
    q->from_us = us;
    return true;
}

static bool take_page(struct found_ids *ids, const json_t *hits, struct search_query *q,
                      struct err *err)
{
    for (size_t i = 0; i < json_array_size(hits); i++) {
        const json_t *hit = json_array_get(hits, i);
        struct found_crash crash = {0};
        if (!crash_id_parse(str_of(jget_str(hit, "uuid")), crash.id))
            return err_set(err, ERR_INTERNAL, "a hit without a crash id");
        if (!found_add(ids, &crash, err) || !move_behind(q, hit, err))
            return false;
    }
    return true;
}

bool found_by_search(struct app *app, const char *text, int64_t page, size_t most,
                     struct found_ids *ids, struct err *err)
{
    struct search_query *q;
    size_t got;
    if (!app_reader(app, err) || !parse_query(app, text, page, &q, err))
        return err_wrap(err, "search");
    do {
        const struct search_context ctx = {
            .now_us = now_us(),
            .reader = PERM_PROTECTED,
            .deadline_ms = mono_ms() + SEARCH_TIME_MS,
            .lanes = proc_cores(),
        };
        json_auto_t *answer = NULL;
        if (!search_run(app->reader, &ctx, q, &answer, err))
            return err_wrap(err, "search");
        const json_t *hits = jget_arr(answer, "hits");
        got = json_array_size(hits);
        if (!take_page(ids, hits, q, err))
            return false;
    } while (got == (size_t)page && ids->list.n < most);
    ids->list.n = MIN(ids->list.n, most);
    return true;
}

/* An id may have words behind it, as a list that people have annotated; "#" begins a comment. */
static bool take_line(struct str line, size_t number, struct found_ids *ids, struct err *err)
{
    struct found_crash crash = {0};
    const char *comment = memchr(line.p, '#', line.n);
    line = str_trim(comment ? str_n(line.p, (size_t)(comment - line.p)) : line);
    if (line.n == 0)
        return true;
    if (!crash_id_parse(line, crash.id))
        return err_set(err, ERR_INVALID, "line %zu: '%.*s' is not a crash id", number,
                       (int)MIN(line.n, (size_t)60), line.p);
    return found_add(ids, &crash, err);
}

static bool take_lines(FILE *in, struct found_ids *ids, struct err *err)
{
    FREE_LATER char *line = NULL;
    size_t room = 0;
    ssize_t n;
    for (size_t number = 1; (n = getline(&line, &room, in)) >= 0; number++)
        if (!take_line(str_n(line, (size_t)n), number, ids, err))
            return false;
    return !ferror(in) || err_errno(err, errno, "reading");
}

bool found_in_file(const char *path, struct found_ids *ids, struct err *err)
{
    if (strcmp(path, "-") == 0)
        return take_lines(stdin, ids, err) || err_wrap(err, "standard input");
    FILE *in = fopen(path, "re");
    if (!in)
        return err_errno(err, errno, "opening %s", path);
    bool ok = take_lines(in, ids, err) || err_wrap(err, "%s", path);
    fclose(in);
    return ok;
}
