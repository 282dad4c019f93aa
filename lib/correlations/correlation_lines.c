/*
 * Correlations for people: the line that pages and bug reports have shown for years, beside it what
 * it stands on.  A share without the number of crashes behind it misleads, so every text that
 * leaves here says both totals; and how sure a difference is comes from the four counts alone, so a
 * document from a file of last night says the same as one that was made just now.
 */
#include <math.h>

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/correlations/correlations.h"
#include "lib/correlations/significance.h"
#include "lib/json/json.h"

static void put_value(struct strbuf *b, const json_t *v)
{
    if (json_is_string(v))
        sb_str(b, str_n(json_string_value(v), json_string_length(v)));
    else
        sb_text(b, json_is_null(v) ? "null" : json_is_true(v) ? "true" : "false");
}

/* A pair is one item with two members: "platform = Linux ∧ cpu_arch = amd64". */
static void put_item(struct strbuf *b, const json_t *item)
{
    const char *name;
    json_t *value;
    size_t n = 0;
    json_object_foreach ((json_t *)(uintptr_t)item, name, value) {
        sb_text(b, n++ ? " \u2227 " : "");
        sb_text(b, name);
        sb_text(b, " = ");
        put_value(b, value);
    }
}

char *correlation_item_text(struct arena *a, const json_t *item)
{
    STRBUF_AUTO b;
    sb_init(&b, SIZE_MAX / 2);
    put_item(&b, item);
    return str_adup(a, sb_view(&b));
}

/* Two digits before the point as far as that goes, so that lines stand below one another. */
char *correlation_percent(struct arena *a, int64_t count, int64_t total)
{
    double percent = total > 0 ? 100.0 * (double)count / (double)total : 0;
    if (count == total && total > 0)
        return arena_strdup(a, "100.0");
    return arena_printf(a, "%05.2f", percent);
}

/* "12.00% vs 03.00%".  The crashes with the item, and those that are looked at: of the whole
 * document, or of what a prior narrows them down to. */
static void put_shares(struct strbuf *b, struct arena *a, const json_t *counts, int64_t group,
                       const char *in_group, int64_t reference, const char *in_reference)
{
    sb_printf(b, "%s%%%s vs %s%%%s ",
              correlation_percent(a, jget_int_or(counts, "count_group", 0), group), in_group,
              correlation_percent(a, jget_int_or(counts, "count_reference", 0), reference),
              in_reference);
}

/*
 * One result as bug reports have it.  What stands in brackets is the prior: a result that explains
 * this one in part, with the shares among the crashes that have it, so that a reader sees what is
 * left of the difference then.
 */
char *correlation_line(struct arena *a, const json_t *document, const json_t *result)
{
    STRBUF_AUTO b;
    sb_init(&b, SIZE_MAX / 2);
    const json_t *prior = jget_obj(result, "prior");
    sb_text(&b, "(");
    put_shares(&b, a, result, jget_int_or(document, "total", 0), " in signature",
               jget_int_or(document, "total_reference", 0), " overall)");
    put_item(&b, jget_obj(result, "item"));
    if (prior) {
        sb_text(&b, " [");
        put_shares(&b, a, prior, jget_int_or(prior, "total_group", 0), "",
                   jget_int_or(prior, "total_reference", 0), " if");
        put_item(&b, jget_obj(prior, "item"));
        sb_text(&b, "]");
    }
    return str_adup(a, sb_view(&b));
}

struct correlation_certainty correlation_certainty(const json_t *document, const json_t *result)
{
    double n_group = (double)jget_int_or(document, "total", 0),
           n_reference = (double)jget_int_or(document, "total_reference", 0),
           group = (double)jget_int_or(result, "count_group", 0),
           reference = (double)jget_int_or(result, "count_reference", 0);
    const struct fourfold t = {group, reference, n_group - group, n_reference - reference};
    double chi2 = chi_square(&t), n = n_group + n_reference;
    return (struct correlation_certainty){chi_square_p(chi2), n > 0 ? sqrt(chi2 / n) : 0};
}

static void put_totals(struct strbuf *b, const json_t *document)
{
    int64_t crashes, n = jget_int_or(document, "total", 0),
                     reference = jget_int_or(document, "total_reference", 0);
    sb_printf(b, "%lld crashes", (long long)n);
    if (jget_int(document, "crashes", &crashes))
        sb_printf(b, " (chosen from %lld)", (long long)crashes);
    sb_printf(b, " against %lld", (long long)reference);
    if (jget_int(document, "crashes_reference", &crashes))
        sb_printf(b, " (chosen from %lld)", (long long)crashes);
    if (jget_str(document, "date"))
        sb_printf(b, ", data of %s", jget_str(document, "date"));
    sb_char(b, '\n');
}

char *correlation_text(struct arena *a, const json_t *document, const char *title, size_t max)
{
    STRBUF_AUTO b;
    sb_init(&b, SIZE_MAX / 2);
    const json_t *results = jget_arr(document, "results"), *r;
    size_t i;
    sb_printf(&b, "%s\n", title);
    put_totals(&b, document);
    sb_char(&b, '\n');
    json_array_foreach (results, i, r) {
        if (i == max)
            break;
        struct correlation_certainty c = correlation_certainty(document, r);
        sb_printf(&b, "%s  (%lld and %lld crashes, p %.1g)\n", correlation_line(a, document, r),
                  (long long)jget_int_or(r, "count_group", 0),
                  (long long)jget_int_or(r, "count_reference", 0), c.p);
    }
    if (json_array_size(results) > max)
        sb_printf(&b, "and %zu more\n", json_array_size(results) - max);
    if (json_array_size(results) == 0)
        sb_text(&b, "No correlations found.\n");
    return str_adup(a, sb_view(&b));
}
