/*
 * correlations: what is special about a signature, or about any search beside any other, as text
 * for a terminal or a bug report.  It is the operator's command and still compares public fields
 * alone, so that what it prints may be pasted anywhere.
 */
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/correlations/correlations.h"
#include "lib/json/json.h"
#include "lib/search/search.h"
#include "tools/datil/app.h"

/* Lines; a bug report has a handful of them. */
enum { LINES_DEFAULT = 50 };

struct wanted {
    const char *product, *channel, *signature, *group, *reference;
    bool is_json;
};

static bool find_sets(struct app *app, const struct search_context *ctx, const struct wanted *w,
                      struct search_params *group, struct search_params *reference, struct err *err)
{
    struct arena *a = &app->arena;
    if (w->group && w->reference) {
        *group = app_query_of_word(a, w->group);
        *reference = app_query_of_word(a, w->reference);
        return true;
    }
    if (!w->product || !w->channel || !w->signature)
        return err_set(err, ERR_INVALID,
                       "wanted are --product, --channel and --signature, or "
                       "--group and --reference");
    const struct correlation_scope scope = {str_of(w->product), str_of(w->channel),
                                            conf_int(&app->conf, CONF_CORRELATION_DAYS)};
    if (!correlation_channel(a, app->reader, ctx, &scope, reference, err))
        return false;
    *group = correlation_signature(a, *reference, str_of(w->signature));
    return true;
}

static bool print_document(struct app *app, const struct wanted *w, json_t *document,
                           struct err *err)
{
    if (!app_db(app, err) || !correlation_names(app->db, document, err))
        return false;
    if (w->is_json) {
        FREE_LATER char *text = jdump(document, NULL);
        puts(text);
        return true;
    }
    const char *title =
        w->group ? arena_printf(&app->arena, "Correlations of %s beside %s", w->group, w->reference)
                 : arena_printf(&app->arena, "Correlations of %s in %s %s", w->signature,
                                w->product, w->channel);
    fputs(correlation_text(&app->arena, document, title, LINES_DEFAULT), stdout);
    return true;
}

static bool run_correlations(struct app *app, struct args args, struct err *err)
{
    struct wanted w = {0};
    const struct opt opts[] = {
        {"--product", OPT_TEXT, &w.product},     {"--channel", OPT_TEXT, &w.channel},
        {"--signature", OPT_TEXT, &w.signature}, {"--group", OPT_TEXT, &w.group},
        {"--reference", OPT_TEXT, &w.reference}, {"--json", OPT_FLAG, &w.is_json},
    };
    const struct search_context ctx = {.now_us = now_us(), .reader = PERM_PUBLIC};
    struct search_params group, reference;
    struct correlation_base *base = NULL;
    json_auto_t *document = NULL;
    if (!OPTS_PARSE(opts, &args, 0, 0, err) || !app_reader(app, err) ||
        !find_sets(app, &ctx, &w, &group, &reference, err))
        return false;
    bool ok = correlation_base_new(app->reader, &ctx, reference, CORRELATION_SAMPLE,
                                   conf_text(&app->conf, CONF_CORRELATION_PHRASES), &base, err) &&
              correlation_group(base, group, CORRELATION_SAMPLE, &document, err) &&
              print_document(app, &w, document, err);
    correlation_base_free(base);
    return ok;
}

const struct command correlation_commands[] = {
    {"correlations",
     "--product P --channel C --signature S | --group QUERY --reference QUERY [--json]",
     "Prints what is special about the crashes of a signature, or of any search.\n"
     "A signature is compared with the crashes of its product and channel of the last five days, "
     "in\n"
     "versions that are in use; QUERY is a search: 'product=Firefox&version=128.0&date=>=-7d'.\n"
     "Only public fields are compared.",
     run_correlations},
    {0},
};
