/*
 * Pages of stored files: the list, for those who see all uploads, and one file with a live answer
 * to whether it can be fetched.
 *
 * The answer is live because the row says what was stored, and not what is: retention, or a disk
 * that is not mounted, may have taken the file since, and whoever opens this page mostly wants to
 * know just that.
 */
#include "fcgi/symbols/form_errors.h"
#include "fcgi/symbols/symbol_pages.h"
#include "fcgi/symbols/upload_lists.h"
#include "fcgi/symbols/upload_rows.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "rows.h"

/*
 * A file need not have come with an upload: what an administrator put in has none, and its row no
 * link.
 */
static void fill_file(struct req *r, struct tpl_row *row, const json_t *f)
{
    struct arena *a = req_arena(r);
    const json_t *upload = jget_obj(f, "upload");
    int64_t id = 0, upload_id = 0, size = 0;
    jget_int(f, "id", &id);
    jget_int(f, "size", &size);
    jget_int(upload, "id", &upload_id);
    tpl_col_url(row, STORED_FILE_URL,
                site_path(r, arena_printf(a, "/uploads/files/file/%lld", (long long)id)));
    tpl_col_text(row, STORED_FILE_KEY, jget_strn(f, "key"));
    tpl_col_cstr(row, STORED_FILE_SIZE, human_size(a, size));
    tpl_col_text(row, STORED_FILE_BUCKET, jget_strn(f, "bucket_name"));
    tpl_col_bool(row, STORED_FILE_IS_TRY, jget_bool_or(upload, "try_symbols", false));
    tpl_col_cstr(row, STORED_FILE_UPLOADED, human_time(a, list_time_us(f, "created_at")));
    tpl_col_url(row, STORED_FILE_UPLOAD_URL,
                upload ? site_path(r, arena_printf(a, "/uploads/upload/%lld", (long long)upload_id))
                       : STR(""));
    tpl_col_text(row, STORED_FILE_USER, jget_strn(jget_obj(upload, "user"), "email"));
    tpl_col_cstr(row, STORED_FILE_IS_UPDATE, jget_bool_or(f, "update", false) ? "yes" : "");
    tpl_col_cstr(row, STORED_FILE_IS_COMPRESSED, jget_bool_or(f, "compressed", false) ? "yes" : "");
    tpl_col_cstr(row, STORED_FILE_TIME,
                 list_time_us(f, "completed_at")
                     ? arena_printf(a, "%.2f s", (double)list_took_us(f) / 1e6)
                     : "Incomplete!");
}

/* GET /uploads/files */
bool page_files_get(struct req *r, struct err *err)
{
    FORM_ERRORS_AUTO errors = {0};
    json_auto_t *answer = NULL;
    if (!req_may(r, "view_all_uploads"))
        return err_set(err, ERR_FORBIDDEN,
                       "The list of all files is for those who see all uploads. Ask an "
                       "administrator for the group Upload Auditors.");
    if (!files_load(r, &errors, &answer, err))
        return false;
    struct tpl_values *v = symbol_page_new(r, "Files", SYMBOL_NAV_UPLOADS);
    symbol_page_tabs(r, v, UPLOAD_TAB_FILES);
    form_errors_show(r, &errors, v);
    tpl_text(v, "filter_key", req_text(r, &files_key));
    tpl_text(v, "filter_size", req_text(r, &list_size));
    tpl_text(v, "filter_created", req_text(r, &list_created));
    tpl_text(v, "filter_completed", req_text(r, &list_completed));
    tpl_text(v, "filter_bucket", req_text(r, &files_bucket));
    struct tpl_rows *types = tpl_list(v, LIST_TYPE_OPTIONS);
    for (size_t i = 0; files_type.choices[i].value; i++) {
        const struct param_choice *c = &files_type.choices[i];
        struct tpl_row *row = tpl_row_add(types);
        tpl_col_cstr(row, OPTION_VALUE, c->value);
        tpl_col_cstr(row, OPTION_TEXT, c->label ? c->label : c->value);
        tpl_col_bool(row, OPTION_IS_CHOSEN, req_choice(r, &files_type) == i);
    }
    list_set_pager(r, v, "/uploads/files", list_page_number(r), answer, "file");
    struct tpl_rows *rows = tpl_list(v, LIST_STORED_FILES);
    size_t i;
    json_t *f;
    json_array_foreach (jget_arr(answer, "files"), i, f)
        fill_file(r, tpl_row_add(rows), f);
    return resp_page(r, form_errors_any(&errors) ? 400 : 200, "symbols_files.html", v, err);
}

/* A row of what is known; what is not known has none. */
static void add_known(struct tpl_rows *rows, const char *label, struct str text)
{
    if (text.n == 0)
        return;
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, FACT_LABEL, label);
    tpl_col_text(row, FACT_TEXT, text);
    tpl_col_url(row, FACT_URL, STR(""));
}

/* GET /uploads/files/file/ID */
bool page_file_get(struct req *r, struct err *err)
{
    static const struct {
        const char *label, *member;
    } header[] = {
        {"Storage", "bucket_name"}, {"Debug filename", "debug_filename"},
        {"Debug id", "debug_id"},   {"Code file", "code_file"},
        {"Code id", "code_id"},     {"Generator", "generator"},
    };
    struct arena *a = req_arena(r);
    int64_t id, size = 0;
    json_auto_t *f = NULL;
    bool exists;
    if (!list_path_id(r, &id, err) || !file_load(r, id, &f, &exists, err))
        return false;
    struct tpl_values *v = symbol_page_new(r, "File", SYMBOL_NAV_UPLOADS);
    struct str host = site_base(r);
    host.n -= req_mount(r).n; /* the address has the prefix itself */
    tpl_text(v, "key", jget_strn(f, "key"));
    tpl_url(v, "public_url", jget_strn(f, "url"));
    tpl_text(v, "public_text",
             str_of(arena_printf(a, STR_FMT STR_FMT, STR_ARG(host), STR_ARG(jget_strn(f, "url")))));
    tpl_bool(v, "exists", exists);
    struct tpl_rows *facts = tpl_list(v, LIST_FACTS);
    jget_int(f, "size", &size);
    add_known(facts, "Size", str_of(human_size(a, size)));
    for (size_t i = 0; i < ARRAY_LEN(header); i++)
        add_known(facts, header[i].label, jget_strn(f, header[i].member));
    add_known(facts, "Update of an older file",
              jget_bool_or(f, "update", false) ? STR("yes") : STR("no"));
    add_known(facts, "Compressed", jget_bool_or(f, "compressed", false) ? STR("yes") : STR("no"));
    add_known(facts, "Uploaded", str_of(human_time(a, list_time_us(f, "created_at"))));
    add_known(facts, "Time to complete",
              str_of(list_time_us(f, "completed_at")
                         ? arena_printf(a, "%.2f seconds", (double)list_took_us(f) / 1e6)
                         : "Incomplete!"));
    json_auto_t *uploads = json_array();
    if (jget_obj(f, "upload"))
        json_array_append(uploads, json_object_get(f, "upload"));
    upload_rows_fill(r, tpl_list(v, LIST_UPLOADS), uploads);
    tpl_bool(v, "has_upload", json_array_size(uploads) > 0);
    return resp_page(r, 200, "symbols_file.html", v, err);
}
