/*
 * Data dictionary: annotations as they are sent, fields as they are stored and searched; a page for
 * each.  Everything comes from the field table, so what an installation adds in its own fields.tsv
 * is described here as well.
 *
 * Everybody may read it, the names of protected fields too: that a report has a field is no secret,
 * its values are.  So common values are shown of public fields only, and counted with public eyes
 * whoever asks.
 *
 * Addresses are those of Crash Stats (dataset/annotation/field/NAME), because bugs link to them.
 */
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/url_query.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/crash/reduce.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/web.h"
#include "rows.h"

static struct str field_url(struct arena *a, const char *dataset, const char *name)
{
    struct str n = url_encode(a, str_of(name));
    return str_of(arena_printf(a, "/documentation/datadictionary/dataset/%s/field/" STR_FMT,
                               dataset, STR_ARG(n)));
}

/* A row of the index, with a link to the page of its own. */
static void index_row(struct arena *a, struct tpl_rows *rows, const char *dataset, const char *name,
                      bool is_protected, const char *text)
{
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, DESCRIBED_FIELD_NAME, name);
    tpl_col_url(row, DESCRIBED_FIELD_URL, field_url(a, dataset, name));
    tpl_col_bool(row, DESCRIBED_FIELD_IS_PROTECTED, is_protected);
    tpl_col_cstr(row, DESCRIBED_FIELD_DESCRIPTION, text);
}

/* GET /documentation/datadictionary/ */
bool dictionary_get(struct req *r, struct err *err)
{
    struct arena *a = req_arena(r);
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "Data dictionary"});
    struct tpl_rows *sent = tpl_list(v, LIST_ANNOTATION_INDEX);
    struct tpl_rows *stored = tpl_list(v, LIST_FIELD_INDEX);
    const struct field_table *fields = app_fields(r);
    for (size_t i = 0; i < fields->annotation_count; i++) {
        const struct annotation *x = &fields->annotations[i];
        index_row(a, sent, "annotation", x->name, x->perm != PERM_PUBLIC, x->description);
    }
    for (size_t i = 0; i < fields->search_count; i++) {
        const struct search_field *f = &fields->search[i];
        index_row(a, stored, "processed", f->source_key, f->perm != PERM_PUBLIC, f->description);
    }
    return layout_send(r, 200, "dictionary.html", v, err);
}

/*
 * A row of a field's page; without a text there is nothing to tell.  An empty url gives plain text.
 */
static void fact(struct tpl_rows *rows, const char *label, struct str text, struct str url)
{
    if (text.n == 0)
        return;
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, FACT_LABEL, label);
    tpl_col_text(row, FACT_TEXT, text);
    tpl_col_url(row, FACT_URL, url);
}

/* Who may see a field, with the way to access for those who may not. */
static void permission(struct tpl_rows *rows, bool is_protected)
{
    fact(rows, "Who may see it",
         is_protected ? STR("people with access to protected data") : STR("everybody"),
         is_protected ? STR("/documentation/protected_data_access/") : STR(""));
}

/*
 * The five commonest values of the last week, which is the search's default period; only of public
 * fields, with public eyes.  Five show what a field looks like; the search is for more.
 */
static bool set_values(struct req *r, struct tpl_values *v, const struct search_field *f,
                       struct err *err)
{
    struct tpl_rows *rows = tpl_list(v, LIST_COMMON_VALUES);
    struct query q = query_new(req_arena(r));
    json_auto_t *answer = NULL;
    tpl_bool(v, "has_values", false);
    if (!f || f->perm != PERM_PUBLIC)
        return true;
    query_addc(&q, "_facets", f->name);
    query_addc(&q, "_facets_size", "5");
    query_addc(&q, "_results_number", "0");
    if (!app_search(r, &q, (struct app_search){.as_public = true}, &answer, NULL, err))
        return false;
    size_t i;
    const json_t *bucket;
    json_array_foreach (app_facet(answer, f->name), i, bucket) {
        const json_t *term = json_object_get(bucket, "term");
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_text(row, COMMON_VALUE_TEXT,
                     json_is_string(term)
                         ? str_of(json_string_value(term))
                         : str_of(arena_printf(q.a, "%.15g", json_number_value(term))));
        tpl_col_cstr(row, COMMON_VALUE_COUNT, human_count(q.a, jget_int_or(bucket, "count", 0)));
    }
    tpl_bool(v, "has_values", i > 0);
    return true;
}

/* The search field made of a key of the processed crash; NULL: none is. */
static const struct search_field *by_source(const struct field_table *fields, struct str key)
{
    for (size_t i = 0; i < fields->search_count; i++)
        if (str_eq(key, str_of(fields->search[i].source_key)))
            return &fields->search[i];
    return NULL;
}

/*
 * What both kinds of fields end with: text and common values.  f NULL: the field cannot be
 * searched, so there are no values.
 */
static bool send_field(struct req *r, struct str name, const char *text, struct tpl_values *v,
                       const struct search_field *f, struct err *err)
{
    tpl_text(v, "name", name);
    tpl_cstr(v, "text", text);
    return set_values(r, v, f, err) && layout_send(r, 200, "dictionary_field.html", v, err);
}

/* What a program sends: who may see it, and what becomes of it. */
static bool send_annotation(struct req *r, struct str name, struct err *err)
{
    const struct field_table *fields = app_fields(r);
    const struct annotation *x = annotation_find(fields, name);
    if (!x)
        return err_set(err, ERR_NOT_FOUND, "Field not found");
    struct tpl_values *v = layout_new(r, &(struct layout){.title = x->name});
    struct tpl_rows *facts = tpl_list(v, LIST_FACTS);
    const char *key = x->processed_key;
    fact(facts, "Dataset", STR("annotation"), STR(""));
    permission(facts, x->perm != PERM_PUBLIC);
    fact(facts, "Processed field", str_of(key ? key : ""),
         key ? field_url(req_arena(r), "processed", key) : STR(""));
    fact(facts, "When absent", str_of(x->fallback ? x->fallback : ""), STR(""));
    return send_field(r, name, x->description, v, key ? by_source(fields, str_of(key)) : NULL, err);
}

/*
 * A key of the processed crash.  Keys without a search field have a page as well, if the field
 * table knows them for anybody; what it does not know has none.
 */
static bool send_processed(struct req *r, struct str name, struct err *err)
{
    const struct field_table *fields = app_fields(r);
    const struct search_field *f = by_source(fields, name);
    bool is_protected = !reduce_may_see(fields, name, PERM_PUBLIC);
    if (!f && is_protected && !reduce_may_see(fields, name, PERM_PROTECTED))
        return err_set(err, ERR_NOT_FOUND, "Field not found");
    struct tpl_values *v = layout_new(r, &(struct layout){.title = str_adup(req_arena(r), name)});
    struct tpl_rows *facts = tpl_list(v, LIST_FACTS);
    fact(facts, "Dataset", STR("processed"), STR(""));
    permission(facts, is_protected);
    for (size_t i = 0; i < fields->annotation_count; i++) {
        const struct annotation *x = &fields->annotations[i];
        if (x->processed_key && str_eq(name, str_of(x->processed_key)))
            fact(facts, "Annotation", str_of(x->name),
                 field_url(req_arena(r), "annotation", x->name));
    }
    if (f)
        fact(facts, "Search field", str_of(f->name), STR("/documentation/supersearch/"));
    return send_field(r, name, f ? f->description : "", v, f, err);
}

/*
 * GET /documentation/datadictionary/dataset/DATASET/field/PATH.  PATH is all of the rest: names of
 * nested keys may hold slashes.
 */
bool dictionary_field_get(struct req *r, struct err *err)
{
    struct str rest = req_path_rest(r), dataset, word;
    if (!str_split(&rest, '/', &dataset) || !str_split(&rest, '/', &word) ||
        !str_eq(word, STR("field")))
        return err_set(err, ERR_NOT_FOUND, "Field not found");
    if (str_ends(rest, STR("/")))
        rest.n--;
    if (str_eq(dataset, STR("annotation")))
        return send_annotation(r, rest, err);
    if (str_eq(dataset, STR("processed")))
        return send_processed(r, rest, err);
    return err_set(err, ERR_NOT_FOUND, "Dataset not found");
}
