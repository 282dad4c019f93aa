/*
 * Extracts: what a search finds as CSV or NDJSON, without the 10,000 reports that a page or the API
 * may show.  The index is walked once and each piece of text leaves as soon as it is made, so a
 * worker holds some kilobytes of it; the walk ends when nobody reads on, and after
 * SEARCH_EXTRACT_TIMEOUT_S.  It holds a turn like any search.
 *
 * A file has no place for warnings.  What was ignored and what could not be read stands in the head
 * of the answer; what goes wrong behind that cuts the answer off, so that no client takes a part
 * for the whole.
 *
 * Somebody who takes protected fields out of the installation this way is in the audit log.
 */
#include "fcgi/webapp/extract_answer.h"

#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/url_query.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/extract.h"
#include "lib/search/search.h"
#include "lib/web/site.h"
#include "lib/web/web.h"

enum { FORMAT_JSON, FORMAT_CSV, FORMAT_NDJSON };
static const struct param_choice formats[] = {{"json", NULL}, {"csv", NULL}, {"ndjson", NULL}, {0}};

/* clang-format off */
const struct param_spec
    extract_format = {"_format", PARAM_CHOICE, .choices = formats, .refusal = API_BAD_VALUE("_format"), .help = "csv or ndjson: all reports as a file, without limit, in the order of arrival; with _results_number the page of a search"},
    extract_facet = {"_facet", PARAM_LIST, PARAM_OF_SEARCH, .help = "With _format: all values of this field with their counts instead of reports"};
/* clang-format on */

static const struct {
    const char *name, *content_type;
    enum extract_format format;
} files[] = {
    [FORMAT_CSV] = {"csv", "text/csv; charset=utf-8", EXTRACT_CSV},
    [FORMAT_NDJSON] = {"ndjson", "application/x-ndjson; charset=utf-8", EXTRACT_NDJSON},
};

bool extract_is_wanted(struct req *r)
{
    return req_choice(r, &extract_format) != FORMAT_JSON;
}

struct sending {
    struct req *r;
    size_t wanted; /* of `files` */
    bool is_begun;
    int64_t deadline_ms; /* looked at with each piece: the client's pace is none of the search's */
    size_t told_missing; /* weeks that the head has named as missing */
};

static bool begin_file(struct sending *s, const struct extract_done *so_far)
{
    struct arena *a = req_arena(s->r);
    struct civil day = civil_of_us(req_now_us(s->r));
    const char *name = arena_printf(a, "attachment; filename=\"crashes-%04d-%02d-%02d.%s\"",
                                    day.year, day.month, day.day, files[s->wanted].name);
    s->is_begun = true;
    s->told_missing = so_far->missing_weeks;
    if (s->told_missing > 0)
        resp_header(s->r, "X-Datil-Missing-Weeks", str_of(arena_printf(a, "%zu", s->told_missing)));
    resp_header(s->r, "Cache-Control", STR("private, max-age=300"));
    return resp_header(s->r, "Content-Disposition", str_of(name)) &&
           resp_stream(s->r, 200, files[s->wanted].content_type);
}

static bool send_piece(void *arg, struct str piece, const struct extract_done *so_far,
                       struct err *err)
{
    struct sending *s = arg;
    if (!s->is_begun && !begin_file(s, so_far))
        return err_set(err, ERR_INTERNAL, "the head of an extract does not fit");
    if (so_far->missing_weeks > s->told_missing)
        return err_set(err, ERR_UNAVAILABLE, "weeks of the index could not be read");
    if (mono_ms() >= s->deadline_ms)
        return err_set(err, ERR_UNAVAILABLE, "SEARCH_EXTRACT_TIMEOUT_S is over");
    return resp_write(s->r, piece, err);
}

/* What a stranger could not have had. */
static void note_protected(struct req *r, const struct query *q)
{
    const struct search_context stranger = {.now_us = req_now_us(r), .reader = PERM_PUBLIC};
    struct arena *a = req_arena(r);
    if (app_reader(r) != PERM_PROTECTED)
        return;
    struct strs names = search_ignored(a, app_fields(r), &stranger, query_params(q));
    const char *text = "";
    for (size_t i = 0; i < names.n; i++)
        text = arena_printf(a, "%s%s" STR_FMT, text, i ? ", " : "", STR_ARG(names.v[i]));
    if (names.n > 0)
        site_audit(r, "search", "", "export", text);
}

bool extract_answer(struct req *r, const struct query *q, bool is_unredacted,
                    const char **ret_form_param, struct err *err)
{
    struct sending s = {.r = r, .wanted = req_choice(r, &extract_format)};
    struct index_reader *index = NULL;
    struct search_context ctx;
    struct extract_done done;
    const struct app_search how = {.is_unredacted = is_unredacted, .is_extract = true};
    if (!app_search_begin(r, how, &index, &ctx, err))
        return false;
    s.deadline_ms = ctx.deadline_ms;
    note_protected(r, q);
    bool ok = extract_run(req_arena(r), index, &ctx, query_params(q), files[s.wanted].format,
                          send_piece, &s, &done, ret_form_param, err);
    if (!ok && s.is_begun && err->code == ERR_INVALID)
        err->code = ERR_UNAVAILABLE; /* too late for a refusal: the answer is cut off */
    return ok;
}

struct str extract_url(const struct query *q, const char *format, const char *facet)
{
    struct query file = query_copy(q);
    static const char *const of_pages[] = {"page",   "_dont_run",       "_format",
                                           "_facet", "_results_number", "_results_offset"};
    for (size_t i = 0; i < ARRAY_LEN(of_pages); i++)
        query_drop(&file, of_pages[i]);
    query_addc(&file, "_format", format);
    if (facet)
        query_addc(&file, "_facet", facet);
    return query_url(&file, "/search/results/");
}
