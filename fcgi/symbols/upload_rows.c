/*
 * Uploads and their files as rows of pages.  Pages are made of the very documents that the JSON API
 * answers (list_uploads.c, list_files.c), so a page cannot show what the API would not give this
 * reader, and both say the same; here those documents only become words: how long it took, how many
 * files, in which area.
 */
#include "fcgi/symbols/upload_rows.h"

#include <stdio.h>

#include "fcgi/symbols/upload_lists.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/web/human.h"
#include "lib/web/site.h"
#include "rows.h"

/* 0: there is none, as of an upload that is not complete. */
int64_t list_time_us(const json_t *doc, const char *key)
{
    struct str text = jget_strn(doc, key);
    int64_t us;
    return text.n && time_parse(text, &us, ERR_IGNORED) ? us : 0;
}

/* Clocks may be set back between the two times: then it took no time. */
int64_t list_took_us(const json_t *doc)
{
    int64_t completed = list_time_us(doc, "completed_at");
    return completed ? MAX(completed - list_time_us(doc, "created_at"), (int64_t)0) : 0;
}

/* "12 files, 3 skipped, 1 ignored" */
static const char *summary(struct arena *a, const json_t *u)
{
    int64_t files = 0, incomplete = 0;
    jget_int(u, "files_count", &files);
    jget_int(u, "files_incomplete_count", &incomplete);
    size_t skipped = json_array_size(jget_arr(u, "skipped_keys"));
    size_t ignored = json_array_size(jget_arr(u, "ignored_keys"));
    const char *text = arena_printf(a, "%s file%s", human_count(a, files), files == 1 ? "" : "s");
    if (incomplete)
        text = arena_printf(a, "%s, %lld incomplete", text, (long long)incomplete);
    if (skipped)
        text = arena_printf(a, "%s, %zu skipped", text, skipped);
    if (ignored)
        text = arena_printf(a, "%s, %zu ignored", text, ignored);
    return text;
}

/* An upload without an end is either on its way or was broken off; nobody can tell which. */
static void fill_upload(struct req *r, struct tpl_row *row, const json_t *u)
{
    struct arena *a = req_arena(r);
    int64_t id = 0, size = 0, completed = list_time_us(u, "completed_at");
    jget_int(u, "id", &id);
    jget_int(u, "size", &size);
    tpl_col_url(row, UPLOAD_ROW_URL,
                site_path(r, arena_printf(a, "/uploads/upload/%lld", (long long)id)));
    tpl_col_cstr(row, UPLOAD_ROW_FILES, summary(a, u));
    tpl_col_bool(row, UPLOAD_ROW_IS_TRY, jget_bool_or(u, "try_symbols", false));
    tpl_col_text(row, UPLOAD_ROW_USER, jget_strn(jget_obj(u, "user"), "email"));
    tpl_col_cstr(row, UPLOAD_ROW_SIZE, human_size(a, size));
    tpl_col_cstr(row, UPLOAD_ROW_BY_URL, jget_strn(u, "download_url").n ? "yes" : "");
    tpl_col_cstr(row, UPLOAD_ROW_CREATED, human_time(a, list_time_us(u, "created_at")));
    tpl_col_bool(row, UPLOAD_ROW_IS_INCOMPLETE, completed == 0);
    tpl_col_cstr(row, UPLOAD_ROW_COMPLETED,
                 completed ? arena_printf(a, "%s after", human_span(a, list_took_us(u) / 1000000))
                           : "");
}

void upload_rows_fill(struct req *r, struct tpl_rows *rows, const json_t *uploads)
{
    size_t i;
    json_t *u;
    json_array_foreach (uploads, i, u)
        fill_upload(r, tpl_row_add(rows), u);
}

/* f NULL: a key that was not stored; the remark says why. */
void upload_row_file(struct req *r, struct tpl_row *row, const char *key, struct str url,
                     const json_t *f, const char *state, const char *remark)
{
    struct arena *a = req_arena(r);
    int64_t size = 0;
    jget_int(f, "size", &size);
    bool is_complete = list_time_us(f, "completed_at") != 0;
    tpl_col_cstr(row, UPLOAD_FILE_KEY, key);
    tpl_col_url(row, UPLOAD_FILE_URL, url);
    tpl_col_cstr(row, UPLOAD_FILE_SIZE, f ? human_size(a, size) : "");
    tpl_col_cstr(row, UPLOAD_FILE_IS_UPDATE, jget_bool_or(f, "update", false) ? "yes" : "");
    tpl_col_cstr(row, UPLOAD_FILE_IS_COMPRESSED, jget_bool_or(f, "compressed", false) ? "yes" : "");
    tpl_col_cstr(row, UPLOAD_FILE_TIME,
                 !f            ? ""
                 : is_complete ? arena_printf(a, "%.2f s", (double)list_took_us(f) / 1e6)
                               : "Incomplete!");
    tpl_col_cstr(row, UPLOAD_FILE_STATE, state);
    tpl_col_cstr(row, UPLOAD_FILE_REMARK, remark);
}

/* The parameters as they were sent, so that a link keeps what a page does not know about. */
struct str list_url(struct req *r, const char *path, const char *const *without, const char *extra)
{
    STRBUF_AUTO b;
    sb_init(&b, LOCATION_BYTES_MAX);
    sb_printf(&b, STR_FMT "%s", STR_ARG(req_mount(r)), path);
    char mark = '?';
    for (size_t i = 0; i < req_param_count(r); i++) {
        const struct req_param *p = req_param_at(r, i);
        bool is_dropped = false;
        for (size_t k = 0; without[k]; k++)
            is_dropped |= str_eq(p->name, str_of(without[k]));
        if (is_dropped)
            continue;
        sb_char(&b, mark);
        url_encode_to(&b, p->name);
        sb_char(&b, '=');
        url_encode_to(&b, p->value);
        mark = '&';
    }
    if (*extra)
        sb_printf(&b, "%c%s", mark, extra);
    return str_copy(req_arena(r), sb_view(&b));
}

/* Without filters nobody counts, and the page says where it is and not how many there are. */
void list_set_pager(struct req *r, struct tpl_values *v, const char *path, int64_t page,
                    const json_t *answer, const char *noun)
{
    static const char *const without[] = {"page", NULL};
    struct arena *a = req_arena(r);
    int64_t total = 0;
    jget_int(answer, "total", &total);
    bool is_counted = total != LIST_NOT_COUNTED;
    tpl_cstr(v, "total_text",
             !answer      ? ""
             : is_counted ? arena_printf(a, "%s %s%s found.", human_count(a, total), noun,
                                         total == 1 ? "" : "s")
                          : arena_printf(a, "Page %lld.", (long long)page));
    tpl_url(v, "prev_url",
            page > 1 ? list_url(r, path, without, arena_printf(a, "page=%lld", (long long)page - 1))
                     : STR(""));
    tpl_url(v, "next_url",
            jget_bool_or(answer, "has_next", false)
                ? list_url(r, path, without, arena_printf(a, "page=%lld", (long long)page + 1))
                : STR(""));
}

/* What a reader may not open is not there. */
void symbol_page_tabs(struct req *r, struct tpl_values *v, enum upload_tab tab)
{
    struct arena *a = req_arena(r);
    struct tpl_rows *tabs = tpl_list(v, LIST_UPLOAD_TABS);
    bool sees_all = req_may(r, "view_all_uploads");
    bool may_send = req_may(r, "upload_symbols") || req_may(r, "upload_try_symbols");
    struct str me = url_encode(a, str_of(req_user(r)->email));
    if (sees_all) {
        site_add_choice(tabs, "All Uploads", site_path(r, "/uploads"), tab == UPLOAD_TAB_ALL);
        site_add_choice(tabs, "Your Uploads",
                        site_path(r, arena_printf(a, "/uploads?user=" STR_FMT, STR_ARG(me))),
                        tab == UPLOAD_TAB_MINE);
        site_add_choice(tabs, "All Files", site_path(r, "/uploads/files"), tab == UPLOAD_TAB_FILES);
    } else {
        site_add_choice(tabs, "Your Uploads", site_path(r, "/uploads"),
                        tab == UPLOAD_TAB_ALL || tab == UPLOAD_TAB_MINE);
    }
    if (may_send)
        site_add_choice(tabs, "Upload Now", site_path(r, "/uploads/upload"),
                        tab == UPLOAD_TAB_SEND);
}
