/*
 * What is asked about a signature.  Parameters are those of Super Search and are kept in every
 * link, so that a narrowed page stays narrowed from tab to tab; a few that say what the page itself
 * shows stand beside them.  A field that this reader may not use is passed over and named, as in a
 * search.
 */
#include "fcgi/webapp/signature_params.h"

#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/results.h"
#include "fcgi/webapp/search_form.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"

static const char *const default_columns[] = {
    "date",   "product", "version",      "build_id",      "platform",
    "reason", "address", "install_time", "startup_crash",
};
static const char *const default_aggregations[] = {"release_channel", "reason", "cpu_info"};

/*
 * Filters are any search fields, and lib/search's.  That there is just one signature is looked at
 * by hand (signature_read): it has words of its own for none and for several, and other refusals
 * come before them.
 */
/* clang-format off */
static const struct param_spec
    asked_signature = {"signature", PARAM_LIST, PARAM_SKIP_EMPTY, .help = "the signature; required, and only one"},
    asked_columns = {"_columns", PARAM_LIST, PARAM_SKIP_EMPTY, .help = "columns of the table of reports, also separated by commas"},
    asked_aggregations = {"_aggregations", PARAM_LIST, PARAM_SKIP_EMPTY, .help = "fields to count, also separated by commas"},
    asked_correlations = {"_correlations", PARAM_TEXT, .max = 100, .refusal = "Not the name of a channel", .help = "a channel: compare with its crashes; page: with those that the filters leave"},
    asked_graph = {"_graph", PARAM_TEXT, .fallback = "platform", .help = "field of the graph"};
const struct param_spec *const signature_params[] = {
    &asked_signature, SEARCH_FORM_PARAMS, &asked_columns, &asked_aggregations, &asked_correlations, &asked_graph, &results_page_param, NULL};
/* clang-format on */

/* Field names of a parameter (repeated or separated by commas) that this reader may use. */
static struct strs field_list(struct req *r, const struct param_spec *fields,
                              const char *const *fallback, size_t fallback_count)
{
    struct strs given = req_list(r, fields), out = {0};
    size_t most = fallback_count;
    for (size_t i = 0; i < given.n; i++)
        most += given.v[i].n / 2 + 1;
    out.v = arena_array(req_arena(r), most + 1, sizeof *out.v);
    for (size_t i = 0; i < given.n; i++) {
        struct str rest = given.v[i], part;
        while (str_split(&rest, ',', &part)) {
            const struct search_field *f = search_field_find(app_fields(r), str_trim(part));
            if (f && f->perm <= app_reader(r) && strcmp(f->name, "uuid") != 0)
                out.v[out.n++] = str_of(f->name);
        }
    }
    for (size_t i = 0; out.n == 0 && i < fallback_count; i++)
        out.v[i] = str_of(fallback[i]);
    if (out.n == 0)
        out.n = fallback_count;
    return out;
}

/* The parameters with those of this page alone as the search calls such: fields, one in each. */
static struct query as_of_search(struct req *r)
{
    const struct param_spec *const lists[] = {&asked_columns, &asked_aggregations};
    struct query q = query_of_request(r);
    struct str part;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct strs given = req_list(r, lists[i]);
        for (size_t k = 0; k < given.n; k++)
            while (str_split(&given.v[k], ',', &part))
                query_add(&q, "_columns", str_trim(part));
    }
    query_add(&q, "_columns", req_text(r, &asked_graph));
    return q;
}

static const char *graph_field(struct req *r)
{
    const struct search_field *f = search_field_find(app_fields(r), req_text(r, &asked_graph));
    return f && f->perm <= app_reader(r) ? f->name : asked_graph.fallback;
}

bool signature_read(struct req *r, struct signature_page *ret, struct err *err)
{
    struct strs given = req_list(r, &asked_signature);
    if (given.n == 0)
        return err_set(err, ERR_INVALID, "\"signature\" parameter is mandatory");
    if (given.n > 1)
        return err_set(err, ERR_INVALID,
                       "Invalid value for \"signature\" parameter, only one value is accepted");
    struct query asked = as_of_search(r);
    *ret = (struct signature_page){
        .req = r,
        .a = req_arena(r),
        .signature = given.v[0],
        .query = query_of_request(r),
        .columns = field_list(r, &asked_columns, default_columns, ARRAY_LEN(default_columns)),
        .aggregations = field_list(r, &asked_aggregations, default_aggregations,
                                   ARRAY_LEN(default_aggregations)),
        .graph_field = graph_field(r),
        .ignored = app_ignored(r, &asked),
        .correlations = req_text(r, &asked_correlations),
        .page = (size_t)req_int(r, &results_page_param),
    };
    return req_params_fit(r, err);
}

struct query signature_filters(const struct signature_page *p)
{
    struct query q = query_copy(&p->query);
    query_drop_meta(&q);
    query_drop(&q, "signature");
    query_add(&q, "signature", str_of(arena_printf(p->a, "=" STR_FMT, STR_ARG(p->signature))));
    query_count_once(&q);
    return q;
}
