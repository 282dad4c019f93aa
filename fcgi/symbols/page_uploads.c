/*
 * Pages of uploads: the list with its filters, and one upload with its files.
 *
 * They show the documents of the JSON API (upload_lists.h), so a page can never say more than the
 * API gives the same reader. An upload that is not complete yet is looked at again by the browser
 * itself (the header Refresh), after pauses that grow by half: no script is needed, and a page left
 * open does not ask for ever, since an upload that is older than a few minutes is not on its way
 * any more but broken off.
 */
#include "fcgi/symbols/form_errors.h"
#include "fcgi/symbols/symbol_pages.h"
#include "fcgi/symbols/upload_lists.h"
#include "fcgi/symbols/upload_rows.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "rows.h"

enum {
    FILTER_DAYS = 30, /* what the list begins with */
    YOUNG_S = 180,    /* an upload of that age may still be on its way */
    /* How long a page of such an upload waits before it looks again: an archive is read in seconds;
     * one that takes minutes is not asked about all the time. */
    FIRST_REFRESH_S = 4,
    LAST_REFRESH_S = 60
};

/* Who may neither upload nor see uploads learns what to ask for. */
static bool check_uploads(struct req *r, struct err *err)
{
    return may_see_uploads(r) ||
           err_set(err, ERR_FORBIDDEN,
                   "Uploads are for those who may upload symbols or see all uploads. Ask an "
                   "administrator for the group Uploaders or Upload Auditors.");
}

static void set_filter(struct req *r, struct tpl_values *v, const char *created)
{
    tpl_text(v, "filter_user", req_text(r, &uploads_user));
    tpl_text(v, "filter_size", req_text(r, &list_size));
    tpl_text(v, "filter_created",
             req_is_sent(r, &list_created) ? req_text(r, &list_created) : str_of(created));
    tpl_text(v, "filter_completed", req_text(r, &list_completed));
}

/* A click on the column that the list is sorted by turns it round. */
static void set_sorting(struct req *r, struct tpl_values *v, const json_t *answer)
{
    static const char *const without[] = {"sort", "reverse", "page", NULL};
    const json_t *order = jget_obj(answer, "order_by");
    bool by_size = str_eq(jget_strn(order, "sort"), STR("size"));
    bool is_reversed = jget_bool_or(order, "reverse", false);
    tpl_url(v, "size_url",
            list_url(r, "/uploads", without,
                     by_size && !is_reversed ? "sort=size&reverse=true" : "sort=size"));
    tpl_url(
        v, "created_url",
        list_url(r, "/uploads", without,
                 !by_size && !is_reversed ? "sort=created_at&reverse=true" : "sort=created_at"));
    tpl_cstr(v, "size_order", !by_size ? "none" : is_reversed ? "ascending" : "descending");
    tpl_cstr(v, "created_order", by_size ? "none" : is_reversed ? "ascending" : "descending");
}

/* GET /uploads */
bool page_uploads_get(struct req *r, struct err *err)
{
    struct arena *a = req_arena(r);
    FORM_ERRORS_AUTO errors = {0};
    json_auto_t *answer = NULL;
    const char *created =
        arena_printf(a, ">=%s", human_day(a, req_now_us(r) - FILTER_DAYS * DAY_US));
    if (!check_uploads(r, err) || !uploads_load(r, created, &errors, &answer, err))
        return false;
    struct tpl_values *v = symbol_page_new(r, "Uploads", SYMBOL_NAV_UPLOADS);
    symbol_page_tabs(r, v,
                     str_eq(req_text(r, &uploads_user), str_of(req_user(r)->email))
                         ? UPLOAD_TAB_MINE
                         : UPLOAD_TAB_ALL);
    form_errors_show(r, &errors, v);
    set_filter(r, v, created);
    tpl_bool(v, "can_view_all", req_may(r, "view_all_uploads"));
    set_sorting(r, v, answer);
    list_set_pager(r, v, "/uploads", list_page_number(r), answer, "upload");
    upload_rows_fill(r, tpl_list(v, LIST_UPLOADS), jget_arr(answer, "uploads"));
    return resp_page(r, form_errors_any(&errors) ? 400 : 200, "symbols_uploads.html", v, err);
}

static void add_fact(struct tpl_rows *rows, const char *label, const char *text, struct str url)
{
    if (!text || !*text)
        return;
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, FACT_LABEL, label);
    tpl_col_cstr(row, FACT_TEXT, text);
    tpl_col_url(row, FACT_URL, url);
}

static const char *text_of(struct arena *a, const json_t *doc, const char *key)
{
    return str_adup(a, jget_strn(doc, key));
}

/*
 * In the order in which people ask: whose, how much, from where, when. Every redirect of an upload
 * by address is shown, because the first address is often a short one that says nothing.
 */
static void set_facts(struct req *r, struct tpl_rows *rows, const json_t *u)
{
    struct arena *a = req_arena(r);
    int64_t created = list_time_us(u, "created_at"), completed = list_time_us(u, "completed_at");
    int64_t size = 0;
    jget_int(u, "size", &size);
    add_fact(rows, "User", text_of(a, jget_obj(u, "user"), "email"), STR(""));
    add_fact(rows, "Size", human_size(a, size), STR(""));
    add_fact(rows, "File name", text_of(a, u, "filename"), STR(""));
    add_fact(rows, "Storage", text_of(a, u, "bucket_name"), STR(""));
    add_fact(rows, "Try symbols", jget_bool_or(u, "try_symbols", false) ? "yes" : "no", STR(""));
    add_fact(rows, "Download URL", text_of(a, u, "download_url"), jget_strn(u, "download_url"));
    size_t i;
    json_t *hop;
    json_array_foreach (jget_arr(u, "redirect_urls"), i, hop)
        add_fact(rows, "Redirected to", json_string_value(hop), str_of(json_string_value(hop)));
    add_fact(rows, "Uploaded", human_time(a, created), STR(""));
    add_fact(rows, "Completed", completed ? human_time(a, completed) : "Incomplete!", STR(""));
    if (completed)
        add_fact(rows, "Duration",
                 arena_printf(a, "%.1f seconds", (double)(completed - created) / 1e6), STR(""));
}

/* Files that were stored, and names that were not, with the reason. */
static void set_files(struct req *r, struct tpl_values *v, const json_t *u)
{
    struct arena *a = req_arena(r);
    struct tpl_rows *rows = tpl_list(v, LIST_UPLOAD_FILES);
    int64_t bytes = 0, took_us = 0;
    size_t i, stored = 0;
    json_t *f;
    json_array_foreach (jget_arr(u, "file_uploads"), i, f) {
        int64_t id = 0, size = 0;
        jget_int(f, "id", &id);
        jget_int(f, "size", &size);
        int64_t us = list_took_us(f);
        bytes += size;
        took_us += us;
        stored++;
        upload_row_file(r, tpl_row_add(rows), text_of(a, f, "key"),
                        site_path(r, arena_printf(a, "/uploads/files/file/%lld", (long long)id)), f,
                        "", "");
    }
    static const struct {
        const char *key, *state, *remark;
    } others[] = {
        {"skipped_keys", "Skipped", "not uploaded because existing file has the same size"},
        {"ignored_keys", "Ignored", "file OK in the archive but deliberately not uploaded"},
    };
    for (size_t k = 0; k < ARRAY_LEN(others); k++)
        json_array_foreach (jget_arr(u, others[k].key), i, f)
            upload_row_file(r, tpl_row_add(rows), json_string_value(f), STR(""), NULL,
                            others[k].state, others[k].remark);
    tpl_cstr(v, "files_total",
             arena_printf(a, "%s stored, %s in %.1f seconds; %zu skipped, %zu ignored.",
                          human_count(a, (int64_t)stored), human_size(a, bytes),
                          (double)took_us / 1e6, json_array_size(jget_arr(u, "skipped_keys")),
                          json_array_size(jget_arr(u, "ignored_keys"))));
    tpl_bool(v, "has_files", tpl_rows_count(rows) > 0);
}

static const struct param_spec wait_s = {
    "wait",
    PARAM_INT,
    PARAM_LENIENT,
    .min = FIRST_REFRESH_S,
    .max = LAST_REFRESH_S,
    .help = "seconds after which a page of an upload on its way is looked at again"};
const struct param_spec *const page_upload_params[] = {&wait_s, NULL};

/*
 * While the archive is on its way the page comes again by itself, each time after half as long
 * again; the header works without scripts.
 */
static bool refresh(struct req *r, const json_t *u)
{
    struct arena *a = req_arena(r);
    int64_t age_s = (req_now_us(r) - list_time_us(u, "created_at")) / 1000000;
    if (list_time_us(u, "completed_at") || age_s > YOUNG_S)
        return false;
    int64_t now_s = MAX(req_int(r, &wait_s), (int64_t)FIRST_REFRESH_S);
    int64_t next_s = MIN((now_s * 3 + 1) / 2, (int64_t)LAST_REFRESH_S);
    return resp_header(
        r, "Refresh",
        str_of(arena_printf(a, "%lld; url=?wait=%lld", (long long)now_s, (long long)next_s)));
}

/* GET /uploads/upload/ID */
bool page_upload_get(struct req *r, struct err *err)
{
    int64_t id;
    json_auto_t *u = NULL, *warnings = NULL;
    if (!check_uploads(r, err) || !list_path_id(r, &id, err) ||
        !upload_load(r, id, &u, &warnings, err))
        return false;
    struct arena *a = req_arena(r);
    struct tpl_values *v =
        symbol_page_new(r, arena_printf(a, "Upload %lld", (long long)id), SYMBOL_NAV_UPLOADS);
    tpl_int(v, "upload_id", id);
    set_facts(r, tpl_list(v, LIST_FACTS), u);
    set_files(r, v, u);
    struct tpl_rows *notes = tpl_list(v, LIST_WARNINGS);
    size_t i;
    json_t *w;
    json_array_foreach (warnings, i, w)
        tpl_col_cstr(tpl_row_add(notes), NOTE_TEXT, json_string_value(w));
    tpl_bool(v, "has_warnings", tpl_rows_count(notes) > 0);
    upload_rows_fill(r, tpl_list(v, LIST_RELATED_UPLOADS), jget_arr(u, "related"));
    tpl_bool(v, "has_related", json_array_size(jget_arr(u, "related")) > 0);
    tpl_bool(v, "is_refreshed", refresh(r, u));
    return resp_page(r, 200, "symbols_upload.html", v, err);
}
