/*
 * datil-collector --throttle [--rules F]: what the rules and the files of products would say, for
 * tests of such files before they are put in place.  The same code decides as for reports; only the
 * clock and the draw can be set.  Quotas are not asked: they go by what else has come.
 *
 * Each line of standard input is {"annotations": {…}, "profile": "default" | "all_products" |
 * "all_packages" | "accept_all", "now": ISO time or absent, "random": 0 to 1 or absent, "token": of
 * the address or absent}; each line of output is {"result", "rule", "percentage"}.
 *
 * A line may have twice the bytes that all annotations of a report may have
 * (REPORT_ANNOTATIONS_MAX), which leaves room for their escapes.
 */
#include <stdio.h>

#include "fcgi/collector/conditions.h"
#include "fcgi/collector/product_terms.h"
#include "fcgi/collector/throttle.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/product.h"
#include "lib/json/json.h"

enum { LINE_BYTES_MAX = JSON_BYTES_MAX }; /* a raw crash */

struct dry_run {
    struct throttle_rules rules, accept_all;
    struct products products;
};

/*
 * A profile says what is known of products: without a list none is unsupported.  A draw below 0
 * leaves it to the rules; "random" is a share, theirs are per cent.
 */
static bool decide(struct dry_run *d, const json_t *in, struct throttle_result *ret,
                   struct err *err)
{
    const char *profile = jget_str(in, "profile");
    json_t *annotations = jget_obj(in, "annotations");
    struct str which = str_of(profile ? profile : "default");
    struct throttle_facts facts = {
        .annotations = annotations,
        .products = str_eq(which, STR("all_products")) ? NULL : &d->products,
        .all_packages = str_eq(which, STR("all_packages")),
        .now_us = now_us(),
        .draw = -1,
    };
    if (!annotations)
        return err_set(err, ERR_INVALID, "annotations: an object is needed");
    if (jget_str(in, "now") && !time_parse(str_of(jget_str(in, "now")), &facts.now_us, err))
        return err_wrap(err, "now");
    const json_t *draw = json_object_get(in, "random");
    if (json_is_number(draw))
        facts.draw = json_number_value(draw) * 100;
    struct str token = jget_strn(in, "token");
    const struct product *owner = token.n ? products_find_token(&d->products, token) : NULL;
    if (token.n && !owner)
        return err_set(err, ERR_INVALID, "token: no product has it");
    if (facts.products)
        terms_map_product(annotations, &d->products, owner ? owner->name : NULL);
    bool takes_all = str_eq(which, STR("accept_all"));
    throttle_decide(takes_all ? &d->accept_all : &d->rules, &facts, ret);
    if (facts.products)
        terms_apply(terms_product(annotations, &d->products), owner ? owner->name : NULL, ret);
    return true;
}

static bool judge_line(struct dry_run *d, struct str line, struct err *err)
{
    struct throttle_result result;
    json_auto_t *in = jparse(line, LINE_BYTES_MAX, err);
    if (!in || !decide(d, in, &result, err))
        return false;
    json_auto_t *out = json_pack("{s:s, s:s, s:o}", "result", throttle_code_name(result.code),
                                 "rule", result.rule, "percentage",
                                 result.percentage == (double)(int)result.percentage
                                     ? json_integer((int)result.percentage)
                                     : json_real(result.percentage));
    FREE_LATER char *text = json_dumps(out, 0);
    printf("%s\n", text);
    fflush(stdout); /* the asker may wait for it */
    return true;
}

static bool judge_all(struct dry_run *d, struct err *err)
{
    FREE_LATER char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    for (int number = 1; (n = getline(&line, &cap, stdin)) > 0; number++) {
        struct str text = str_trim(str_n(line, (size_t)n));
        if (text.n && !judge_line(d, text, err))
            return err_wrap(err, "line %d", number);
    }
    return true;
}

int throttle_dry_run(int argc, char **argv)
{
    struct dry_run d = {0};
    struct conf conf = {0};
    struct err err = {0};
    const char *rules = NULL;
    struct args args = {.n = argc, .v = argv};
    const struct opt opts[] = {{"--rules", OPT_TEXT, &rules}};
    if (!OPTS_PARSE(opts, &args, 0, 0, ERR_IGNORED)) {
        fprintf(stderr, "usage: datil-collector --throttle [--rules FILE]\n");
        return 2;
    }
    bool ok = conf_load(&conf, &err);
    if (ok && !rules)
        rules = conf_text(&conf, CONF_BREAKPAD_THROTTLER_RULES);
    ok = ok && throttle_load(rules, &d.rules, &err) &&
         throttle_load("accept_all", &d.accept_all, &err) &&
         products_load(conf_text(&conf, CONF_DATIL_VAR), &d.products, &err) && judge_all(&d, &err);
    if (!ok)
        fprintf(stderr, "datil-collector --throttle: %s\n", err.msg);
    throttle_release(&d.rules);
    throttle_release(&d.accept_all);
    products_release(&d.products);
    conf_release(&conf);
    return ok ? 0 : 1;
}
