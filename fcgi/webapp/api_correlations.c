/*
 * Correlations for programs: the endpoint, and the files of last night as scripts fetch them.
 */
#include <stdlib.h>
#include <unistd.h>

#include "fcgi/webapp/answer.h"
#include "fcgi/webapp/correlations_found.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/webapp.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/correlations/correlation_files.h"
#include "lib/correlations/correlations.h"
#include "lib/json/json.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"

/* More lines than a bug report takes. */
enum { TEXT_LINES_MAX = 200 };
enum { FORMAT_JSON, FORMAT_TEXT };
static const struct param_choice formats[] = {{"json", NULL}, {"text", NULL}, {0}};

/* clang-format off */
static const struct param_spec
    product = {"product", PARAM_TEXT, .help = "Product; default: the first"},
    channel = {"channel", PARAM_TEXT, .fallback = "release", .help = "Release channel"},
    signature = {"signature", PARAM_TEXT, .help = "Signature whose crashes are compared with all of the channel, of the last days"},
    group = {"group", PARAM_TEXT, .help = "Instead of these three: a search, as the query of an address (product=Firefox&version=1.0)"},
    reference = {"reference", PARAM_TEXT, .help = "The search that `group` is compared with; default: the same without its signature"},
    format = {"format", PARAM_CHOICE, .choices = formats, .refusal = API_BAD_VALUE("format"), .help = "text: lines for a bug report"};
/* clang-format on */
const struct param_spec *const api_correlations_params[] = {
    &product, &channel, &signature, &group, &reference, &format, NULL};

static const char *title_of(struct req *r, const struct correlations_wanted *w)
{
    if (!w->group)
        return arena_printf(req_arena(r), "Correlations of " STR_FMT " in " STR_FMT " " STR_FMT,
                            STR_ARG(w->signature), STR_ARG(w->product), STR_ARG(w->channel));
    struct str a = query_url(w->group, ""), b = query_url(w->reference, "");
    return arena_printf(req_arena(r), "Correlations of " STR_FMT " beside " STR_FMT, STR_ARG(a),
                        STR_ARG(b));
}

static bool answer_document(struct req *r, const struct correlations_wanted *w, json_t *document,
                            const char *message, struct err *err)
{
    if (req_choice(r, &format) == FORMAT_TEXT) {
        const char *title = title_of(r, w);
        const char *text = message
                               ? arena_printf(req_arena(r), "%s\n%s\n", title, message)
                               : correlation_text(req_arena(r), document, title, TEXT_LINES_MAX);
        return resp_bytes(r, 200, "text/plain; charset=utf-8", str_of(text));
    }
    json_auto_t *shown = json_copy(document);
    if (message)
        jset_cstr(shown, "message", message);
    return answer_json_cached(r, shown, err);
}

/* The first product stands for none, as everywhere. */
static struct str product_name(struct req *r)
{
    const struct products *all = app_products(r);
    struct str given = req_text(r, &product);
    return given.n == 0 && all->n > 0 ? str_of(all->v[0].name) : given;
}

/* GET /api/Correlations/ */
bool api_correlations_get(struct req *r, struct err *err)
{
    struct query group_query, reference_query;
    struct correlations_wanted w = {.product = product_name(r),
                                    .channel = req_text(r, &channel),
                                    .signature = req_text(r, &signature)};
    if (req_text(r, &group).n > 0) {
        if (!query_of_text(req_arena(r), req_text(r, &group), &group_query, err) ||
            !query_of_text(req_arena(r), req_text(r, &reference), &reference_query, err))
            return false;
        if (req_text(r, &reference).n == 0) {
            reference_query = query_copy(&group_query);
            query_drop(&reference_query, "signature");
        }
        struct query both = query_copy(&group_query);
        for (size_t i = 0; i < reference_query.n; i++)
            query_add(&both, str_adup(both.a, reference_query.v[i].name),
                      reference_query.v[i].value);
        app_ignored(r, &both);
        w.group = &group_query;
        w.reference = &reference_query;
    } else if (w.signature.n == 0) {
        return answer_param_error(r, "signature", "This field is required.");
    }
    json_auto_t *document = NULL;
    const char *message;
    struct err why = {0};
    if (correlations_find(r, &w, &document, &message, &why))
        return answer_document(r, &w, document, message, err);
    if (why.code == ERR_INVALID)
        return answer_error(r, 400, "Bad request: BadArgumentError: %s", why.msg);
    *err = why;
    return false;
}

/*
 * GET /correlations/data/…: PRODUCT/all.json.gz and PRODUCT/CHANNEL/SHA1.json.gz as they are on
 * disk.  all.json and CHANNEL/SHA1.json, unpacked, are those of the first product: scripts were
 * written when there was one.
 */
bool correlations_file_get(struct req *r, struct err *err)
{
    const char *var = conf_text(req_conf(r), CONF_DATIL_VAR);
    struct str rest = req_path_rest(r);
    const struct products *all = app_products(r);
    resp_header(r, "Access-Control-Allow-Origin", STR("*"));
    if (str_ends(rest, STR(".json.gz"))) {
        int fd;
        return correlation_file_open(var, rest, &fd, err) &&
               resp_file(r, 200, "application/gzip", fd, err);
    }
    if (!str_ends(rest, STR(".json")) || all->n == 0)
        return err_set(err, ERR_NOT_FOUND, "There is no such file");
    FREE_LATER char *text = NULL;
    size_t n;
    const char *packed =
        arena_printf(req_arena(r), "%s/" STR_FMT ".gz", all->v[0].name, STR_ARG(rest));
    return correlation_file_text(var, str_of(packed), &text, &n, err) &&
           resp_bytes(r, 200, "application/json", str_copy(req_arena(r), str_n(text, n)));
}
