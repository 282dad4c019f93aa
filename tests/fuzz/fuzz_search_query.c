#include "lib/base/util.h"
#include "lib/search/query.h"
#include "lib/search/text.h"

/*
 * A query string (not percent-decoded) for a reader without view_pii.  It parses or is refused;
 * what parses shows no protected field and can be shown as JSON.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_aggs(const struct agg *a)
{
    for (; a; a = a->next) {
        if (a->field->perm != PERM_PUBLIC)
            abort();
        check_aggs(a->children);
    }
}

static void check(const struct search_query *q)
{
    for (size_t i = 0; i < q->filter_count; i++)
        if (q->filters[i].field->perm != PERM_PUBLIC)
            abort();
    for (size_t i = 0; i < q->column_count; i++)
        if (q->columns[i]->perm != PERM_PUBLIC)
            abort();
    for (size_t i = 0; i < q->sort_count; i++)
        if (q->sort[i].field->perm != PERM_PUBLIC)
            abort();
    check_aggs(q->aggs);
    json_decref(search_query_json(q));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct search_param v[200];
    struct search_params params = {.v = v};
    struct str rest = str_n((const char *)data, size), part;
    while (params.n < ARRAY_LEN(v) && str_split(&rest, '&', &part)) {
        size_t eq = str_find_char(part, '=', 0);
        v[params.n++] = (struct search_param){
            str_sub(part, 0, eq), eq == SIZE_MAX ? STR("") : str_sub(part, eq + 1, SIZE_MAX)};
    }
    static const char *const products[] = {"Firefox", NULL};
    struct search_context ctx = {.now_us = 1714564800 * (int64_t)1000000,
                                 .is_html = size % 2,
                                 .products = size % 3 ? products : NULL};
    struct arena a;
    struct search_query *q;
    const char *form;
    struct err err = {0};
    arena_init(&a, 8 << 20);
    search_clean(&fields_builtin, &ctx, &params);
    if (search_parse(&a, &fields_builtin, &ctx, params, &q, &form, &err))
        check(q);
    else if (err.code == ERR_FORBIDDEN)
        abort(); /* clean-up has let something through */
    for (size_t i = 0; i < params.n; i++) {
        struct wildcard w;
        struct str value = str_sub(params.v[i].value, 0, 1000);
        wildcard_init(&a, &w, value);
        wildcard_contains(&w, value);
        text_words(&a, value);
    }
    arena_release(&a);
    return 0;
}
