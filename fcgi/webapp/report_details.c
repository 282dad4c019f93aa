#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/report.h"
#include "fcgi/webapp/results.h"
#include "lib/base/util.h"
#include "queries.h"

/*
 * The rows of the Details table, in order.  A row is shown when the reduced document has its
 * value; rows marked SHOW_ALWAYS also without.  Whether a value is protected comes from the field
 * table, not from here.
 */
enum how {
    AS_TEXT, /* string, number or boolean as it is */
    AS_SECONDS,
    AS_BYTES,
    AS_PERCENT,
    AS_EPOCH, /* seconds since 1970 */
    AS_DATE,  /* ISO text */
    AS_BLOCK, /* several lines */
    AS_LIST,
    AS_JSON, /* JSON text, indented */
    AS_TRUE, /* only when true */
};

enum { SHOW_ALWAYS = 1, SEARCHABLE = 2 };

struct detail {
    const char *label;
    const char *path; /* in the processed crash */
    enum how how;
    unsigned flags;
    /* For rows that are more than their value; NULL writer result means no row. */
    bool (*write)(const struct report_page *c, const struct detail *d, struct html_writer *w);
};

static void text_link(struct html_writer *w, struct str url, struct str text)
{
    html_raw(w, "<a href=\"");
    html_url(w, url);
    html_raw(w, "\">");
    html_text(w, text);
    html_raw(w, "</a>");
}

static void block(struct html_writer *w, struct str text)
{
    html_raw(w, "<pre tabindex=\"0\">");
    html_text(w, text);
    html_raw(w, "</pre>");
}

static void list(struct html_writer *w, const json_t *items)
{
    size_t i;
    const json_t *item;
    html_raw(w, "<ul>");
    json_array_foreach (items, i, item) {
        html_raw(w, "<li>");
        html_text(w, json_is_string(item) ? str_of(json_string_value(item)) : STR("?"));
        html_raw(w, "</li>");
    }
    html_raw(w, "</ul>");
}

static struct str scalar(struct arena *a, const json_t *v)
{
    if (json_is_string(v))
        return str_n(json_string_value(v), json_string_length(v));
    if (json_is_boolean(v))
        return json_is_true(v) ? STR("true") : STR("false");
    if (json_is_integer(v))
        return str_of(arena_printf(a, "%lld", (long long)json_integer_value(v)));
    if (json_is_real(v))
        return str_of(arena_printf(a, "%.15g", json_real_value(v)));
    return STR_NONE;
}

static void write_json_block(struct html_writer *w, struct str text)
{
    json_auto_t *tree = jparse(text, 1 << 20, ERR_IGNORED);
    FREE_LATER char *pretty = tree ? json_dumps(tree, JSON_INDENT(2) | JSON_ENCODE_ANY) : NULL;
    block(w, pretty ? str_of(pretty) : text);
}

/* Numbers that came as text (build ids, sizes of old clients) count as numbers. */
static bool number_of(const json_t *v, int64_t *ret)
{
    if (json_is_integer(v)) {
        *ret = json_integer_value(v);
        return true;
    }
    return json_is_string(v) && str_to_i64(str_of(json_string_value(v)), INT64_MIN, INT64_MAX,
                                           "number", ret, ERR_IGNORED);
}

static bool write_number(const struct report_page *c, enum how how, const json_t *v,
                         struct html_writer *w)
{
    int64_t n;
    if (!number_of(v, &n))
        return false;
    const char *text = "";
    if (how == AS_SECONDS)
        text = fmt_seconds(c->a, n);
    else if (how == AS_BYTES)
        text = fmt_bytes(c->a, n);
    else if (how == AS_PERCENT)
        text = arena_printf(c->a, "%lld%%", (long long)n);
    else if (how == AS_EPOCH && n > 0 && n < 100000000000)
        text = fmt_time(c->a, n * 1000000);
    html_text(w, str_of(text));
    return true;
}

/* What a filter on this field looks like, when the path is a search field of its own. */
static void searchable(const struct report_page *c, const struct detail *d, struct str text,
                       struct html_writer *w)
{
    const struct search_field *f = search_field_find(app_fields(c->req), str_of(d->path));
    html_text(w, text);
    if (!f || text.n == 0 || !(d->flags & SEARCHABLE))
        return;
    struct str value = str_of(arena_printf(c->a, "=" STR_FMT, STR_ARG(text)));
    html_raw(w, " <a class=\"refine\" href=\"");
    html_url(w, report_search_url(c->a, f->name, value));
    html_raw(w, "\">Search</a>");
}

static bool write_value(const struct report_page *c, const struct detail *d, const json_t *v,
                        struct html_writer *w)
{
    struct str text = scalar(c->a, v);
    switch (d->how) {
    case AS_SECONDS:
    case AS_BYTES:
    case AS_PERCENT:
    case AS_EPOCH:
        if (write_number(c, d->how, v, w))
            return true;
        break;
    case AS_DATE:
        html_text(w, str_of(fmt_iso_time(c->a, json_string_value(v))));
        return true;
    case AS_BLOCK:
        block(w, text);
        return text.n > 0;
    case AS_LIST:
        list(w, v);
        return json_array_size(v) > 0;
    case AS_JSON:
        write_json_block(w, text);
        return text.n > 0;
    case AS_TRUE:
        html_raw(w, "true");
        return json_is_true(v);
    case AS_TEXT:
        break;
    }
    searchable(c, d, text, w);
    return text.p != NULL;
}

static bool write_signature(const struct report_page *c, const struct detail *d,
                            struct html_writer *w)
{
    (void)d;
    const char *signature = jget_str(c->doc, "signature");
    if (!signature)
        return false;
    struct query q = query_new(c->a);
    query_addc(&q, "signature", signature);
    html_raw(w, "<span class=\"mono\">");
    text_link(w, query_url(&q, "/signature/"), str_of(signature));
    html_raw(w, "</span> <a class=\"refine\" href=\"");
    html_url(w, report_search_url(c->a, "signature", str_of(arena_printf(c->a, "=%s", signature))));
    html_raw(w, "\">Search</a>");
    return true;
}

static bool write_build(const struct report_page *c, const struct detail *d, struct html_writer *w)
{
    struct str build = scalar(c->a, json_object_get(c->doc, d->path));
    if (build.n == 0)
        return false;
    const char *date = fmt_build_date(c->a, build);
    html_text(w, build);
    if (*date) {
        html_raw(w, " <span class=\"muted\">(");
        html_text(w, str_of(date));
        html_raw(w, ")</span>");
    }
    if (c->product && c->product->in_buildhub) {
        struct str id = url_encode(c->a, build);
        html_raw(w, " ");
        text_link(w,
                  str_of(arena_printf(c->a, "https://buildhub.moz.tools/?q=" STR_FMT, STR_ARG(id))),
                  STR("Buildhub"));
    }
    html_raw(w, " <a class=\"refine\" href=\"");
    html_url(w, report_search_url(c->a, "build_id", build));
    html_raw(w, "\">Search</a>");
    return true;
}

static bool write_os(const struct report_page *c, const struct detail *d, struct html_writer *w)
{
    (void)d;
    const char *pretty = jget_str(c->doc, "os_pretty_version"), *name = jget_str(c->doc, "os_name");
    const char *text = pretty && *pretty ? pretty : name;
    if (!text)
        return false;
    html_text(w, str_of(text));
    return true;
}

static bool write_cpu_info(const struct report_page *c, const struct detail *d,
                           struct html_writer *w)
{
    const char *info = jget_str(c->doc, d->path);
    if (!info || !*info)
        return false;
    html_text(w, str_of(info));
    if (results_has_dangerous_cpu(c->doc))
        html_raw(w, " <span class=\"tag warn\" title=\"This processor has a fault that crashes "
                    "programs at random\">processor with a known fault</span>");
    return true;
}

static bool write_process_type(const struct report_page *c, const struct detail *d,
                               struct html_writer *w)
{
    const char *type = jget_str(c->doc, d->path), *remote = jget_str(c->doc, "remote_type");
    html_text(w, str_of(type && *type ? type : "parent"));
    if (remote && *remote) { /* protected: absent for other readers */
        html_raw(w, " (");
        html_text(w, str_of(remote));
        html_raw(w, ") <span class=\"tag secret\">protected</span>");
    }
    static const char *const plugin[] = {"plugin_name", "plugin_version", "plugin_filename"};
    for (size_t i = 0; i < ARRAY_LEN(plugin); i++) {
        const char *text = jget_str(c->doc, plugin[i]);
        if (!text || !*text)
            continue;
        html_raw(w, " ");
        html_text(w, str_of(text));
    }
    return true;
}

/* The raw text where the reader may see it, else the sanitised one. */
static bool write_raw_or(const struct report_page *c, const struct detail *d, struct html_writer *w)
{
    const char *raw = jget_str(c->doc, arena_printf(c->a, "%s_raw", d->path));
    const char *text = raw && *raw ? raw : jget_str(c->doc, d->path);
    if (!text || !*text)
        return false;
    if (raw && *raw)
        html_raw(w, "<span class=\"tag secret\">protected</span> ");
    if (d->how == AS_BLOCK)
        block(w, str_of(text));
    else
        html_text(w, str_of(text));
    return true;
}

static bool write_url(const struct report_page *c, const struct detail *d, struct html_writer *w)
{
    const char *url = jget_str(c->doc, d->path);
    if (!url || !*url)
        return false;
    html_text(w, str_of(url)); /* never a link: it belongs to a person */
    return true;
}

static bool device_name(const struct db_rows *rows, const char *vendor, const char *adapter,
                        enum q_web_graphics_col column, const char **ret)
{
    for (int i = 0; i < rows->count; i++) {
        const char *hex = db_col(rows, i, Q_WEB_GRAPHICS_COL_ADAPTER_HEX);
        if (strcmp(db_col(rows, i, Q_WEB_GRAPHICS_COL_VENDOR_HEX), vendor) != 0 ||
            (adapter && (!hex || strcmp(hex, adapter) != 0)))
            continue;
        const char *name = db_col(rows, i, column);
        if (name && *name) {
            *ret = name;
            return true;
        }
    }
    return false;
}

static void add_row(struct tpl_rows *rows, const char *label, struct html value, bool is_protected)
{
    struct tpl_row *row = tpl_row_add(rows);
    tpl_row_cstr(row, label);
    tpl_row_html(row, value);
    tpl_row_int(row, is_protected);
}

static struct html named_hex(struct arena *a, const char *name, const char *hex)
{
    HTML_WRITER_AUTO w;
    html_init(&w, 4096);
    if (name) {
        html_text(&w, str_of(name));
        html_raw(&w, " (");
    }
    html_text(&w, str_of(hex));
    if (name)
        html_raw(&w, ")");
    return html_done(&w, a);
}

static bool add_graphics(const struct report_page *c, struct tpl_rows *rows, struct err *err)
{
    const char *vendor = jget_str(c->doc, "adapter_vendor_id");
    const char *device = jget_str(c->doc, "adapter_device_id");
    if (!vendor)
        return true;
    DB_ROWS names = {0};
    struct str v = str_of(vendor);
    if (!DB_RUN(req_db(c->req), &q_web_graphics, &names, err,
                db_text_array(c->a, (struct strs){&v, 1})))
        return err_wrap(err, "looking up graphics devices");
    const char *name = NULL;
    device_name(&names, vendor, NULL, Q_WEB_GRAPHICS_COL_VENDOR_NAME, &name);
    add_row(rows, "Adapter Vendor ID", named_hex(c->a, name, vendor), false);
    if (!device)
        return true;
    name = NULL;
    device_name(&names, vendor, device, Q_WEB_GRAPHICS_COL_ADAPTER_NAME, &name);
    add_row(rows, "Adapter Device ID", named_hex(c->a, name, device), false);
    return true;
}

/* clang-format off */
static const struct detail details[] = {
    {"Signature", "signature", AS_TEXT, SHOW_ALWAYS, write_signature},
    {"UUID", "uuid", AS_TEXT, SHOW_ALWAYS, NULL},
    {"Date Processed", "date_processed", AS_DATE, SHOW_ALWAYS, NULL},
    {"Uptime", "uptime", AS_SECONDS, SHOW_ALWAYS, NULL},
    {"Last Crash", "last_crash", AS_SECONDS, 0, NULL},
    {"Install Age", "install_age", AS_SECONDS, 0, NULL},
    {"Install Time", "install_time", AS_EPOCH, 0, NULL},
    {"Product", "product", AS_TEXT, SHOW_ALWAYS, NULL},
    {"Release Channel", "release_channel", AS_TEXT, SHOW_ALWAYS | SEARCHABLE, NULL},
    {"Version", "version", AS_TEXT, SHOW_ALWAYS, NULL},
    {"Build ID", "build", AS_TEXT, SHOW_ALWAYS, write_build},
    {"Application Build ID", "application_build_id", AS_TEXT, 0, write_build},
    {"Android PackageName", "android_packagename", AS_TEXT, SEARCHABLE, NULL},
    {"OS", "os_name", AS_TEXT, SHOW_ALWAYS, write_os},
    {"OS Version", "os_version", AS_TEXT, SHOW_ALWAYS, NULL},
    {"Android Version", "android_version", AS_TEXT, SEARCHABLE, NULL},
    {"Windows Error Reporting", "windows_error_reporting", AS_TRUE, 0, NULL},
    {"Build Architecture", "cpu_arch", AS_TEXT, SHOW_ALWAYS | SEARCHABLE, NULL},
    {"CPU Info", "cpu_info", AS_TEXT, 0, write_cpu_info},
    {"CPU Count", "cpu_count", AS_TEXT, 0, NULL},
    {"Android Manufacturer", "android_manufacturer", AS_TEXT, SEARCHABLE, NULL},
    {"Android Model", "android_model", AS_TEXT, SEARCHABLE, NULL},
    {"Android CPU ABI", "android_cpu_abi", AS_TEXT, SEARCHABLE, NULL},
    {"adapter", NULL, AS_TEXT, 0, NULL}, /* two rows with names from the database */
    {"Startup Crash", "startup_crash", AS_TEXT, 0, NULL},
    {"Likely Guard Page Access", "has_guard_page_access", AS_TEXT, 0, NULL},
    {"Possible Bit Flip Confidence", "possible_bit_flips_max_confidence", AS_PERCENT, 0, NULL},
    {"Crash Inconsistencies", "crash_inconsistencies", AS_LIST, 0, NULL},
    {"Process Type", "process_type", AS_TEXT, SHOW_ALWAYS, write_process_type},
    {"MOZ_CRASH Reason", "moz_crash_reason", AS_TEXT, 0, write_raw_or},
    {"Abort Message", "abort_message", AS_BLOCK, 0, NULL},
    {"Crash Reason", "reason", AS_TEXT, SHOW_ALWAYS | SEARCHABLE, NULL},
    {"Crash Address", "address", AS_TEXT, SHOW_ALWAYS | SEARCHABLE, NULL},
    {"Crashing Instruction", "json_dump.crash_info.instruction", AS_TEXT, 0, NULL},
    {"Last Error Value", "last_error_value", AS_TEXT, SEARCHABLE, NULL},
    {"Mac Crash Info", "mac_crash_info", AS_JSON, 0, NULL},
    {"Java Stack Trace", "java_stack_trace", AS_BLOCK, 0, write_raw_or},
    {"Thread Count", "thread_count", AS_TEXT, 0, NULL},
    {"URL", "url", AS_TEXT, 0, write_url},
    {"User Comments", "user_comments", AS_BLOCK, 0, NULL},
    {"Total Virtual Memory", "total_virtual_memory", AS_BYTES, 0, NULL},
    {"Available Virtual Memory", "available_virtual_memory", AS_BYTES, 0, NULL},
    {"Available Page File", "available_page_file", AS_BYTES, 0, NULL},
    {"Available Physical Memory", "available_physical_memory", AS_BYTES, 0, NULL},
    {"System Memory Use Percentage", "system_memory_use_percentage", AS_PERCENT, 0, NULL},
    {"OOM Allocation Size", "oom_allocation_size", AS_BYTES, 0, NULL},
    {"PHC Kind", "phc_kind", AS_TEXT, 0, NULL},
    {"PHC Base Address", "phc_base_address", AS_TEXT, 0, NULL},
    {"PHC Usable Size", "phc_usable_size", AS_BYTES, 0, NULL},
    {"PHC Alloc Stack", "phc_alloc_stack", AS_BLOCK, 0, NULL},
    {"PHC Free Stack", "phc_free_stack", AS_BLOCK, 0, NULL},
    {"MR: explicit", "memory_measures.explicit", AS_BYTES, 0, NULL},
    {"MR: gfx-textures", "memory_measures.gfx_textures", AS_BYTES, 0, NULL},
    {"MR: ghost-windows", "memory_measures.ghost_windows", AS_TEXT, 0, NULL},
    {"MR: heap-allocated", "memory_measures.heap_allocated", AS_BYTES, 0, NULL},
    {"MR: heap-overhead", "memory_measures.heap_overhead", AS_BYTES, 0, NULL},
    {"MR: heap-unclassified", "memory_measures.heap_unclassified", AS_BYTES, 0, NULL},
    {"MR: host-object-urls", "memory_measures.host_object_urls", AS_TEXT, 0, NULL},
    {"MR: images", "memory_measures.images", AS_BYTES, 0, NULL},
    {"MR: js-main-runtime", "memory_measures.js_main_runtime", AS_BYTES, 0, NULL},
    {"MR: private", "memory_measures.private", AS_BYTES, 0, NULL},
    {"MR: resident", "memory_measures.resident", AS_BYTES, 0, NULL},
    {"MR: resident-unique", "memory_measures.resident_unique", AS_BYTES, 0, NULL},
    {"MR: system-heap-allocated", "memory_measures.system_heap_allocated", AS_BYTES, 0, NULL},
    {"MR: top(none)/detached", "memory_measures.top_none_detached", AS_BYTES, 0, NULL},
    {"MR: vsize", "memory_measures.vsize", AS_BYTES, 0, NULL},
    {"MR: vsize-max-contiguous", "memory_measures.vsize_max_contiguous", AS_BYTES, 0, NULL},
    {"Accessibility", "accessibility", AS_TEXT, 0, NULL},
    {"EMCheckCompatibility", "em_check_compatibility", AS_TEXT, 0, NULL},
    {"Soft Errors", "soft_errors", AS_JSON, 0, NULL},
    {"App Notes", "app_notes", AS_BLOCK, 0, NULL},
    {"Processor Notes", "processor_notes", AS_BLOCK, 0, NULL},
};
/* clang-format on */

enum { ROW_MAX = 4 << 20 };

static void add_detail(const struct report_page *c, struct tpl_rows *rows, const struct detail *d)
{
    HTML_WRITER_AUTO w;
    html_init(&w, ROW_MAX);
    const json_t *value = jpath(c->doc, d->path);
    bool shown = d->write ? d->write(c, d, &w) : value && write_value(c, d, value, &w);
    if (shown)
        add_row(rows, d->label, html_done(&w, c->a), report_is_protected(c, d->path));
    else if (d->flags & SHOW_ALWAYS)
        add_row(rows, d->label, (struct html){STR("")}, false);
}

static void add_key(struct arena *a, struct tpl_rows *rows, const char *label, struct str text)
{
    HTML_WRITER_AUTO w;
    html_init(&w, 1 << 16);
    if (text.n == 0)
        html_raw(&w, "<span class=\"muted\">unknown</span>");
    html_text(&w, text);
    struct tpl_row *row = tpl_row_add(rows);
    tpl_row_cstr(row, label);
    tpl_row_html(row, html_done(&w, a));
}

static void set_keys(const struct report_page *c, struct tpl_values *v)
{
    static const struct {
        const char *label, *path, *fallback;
    } keys[] = {
        {"Reason", "reason", ""},
        {"Address", "address", ""},
        {"Process", "process_type", "parent"},
        {"System", "os_pretty_version", ""},
        {"Architecture", "cpu_arch", ""},
    };
    struct tpl_rows *rows = tpl_rows(v, "keys");
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *text = jget_str(c->doc, keys[i].path);
        if ((!text || !*text) && strcmp(keys[i].path, "os_pretty_version") == 0)
            text = jget_str(c->doc, "os_name");
        add_key(c->a, rows, keys[i].label, str_of(text && *text ? text : keys[i].fallback));
    }
    int64_t uptime;
    if (jget_int(c->doc, "uptime", &uptime))
        add_key(c->a, rows, "Uptime", str_of(fmt_duration(c->a, uptime)));
    add_key(c->a, rows, "Received", str_of(fmt_iso_time(c->a, jget_str(c->doc, "date_processed"))));
}

static void set_breadcrumbs(const struct report_page *c, struct tpl_values *v)
{
    enum { BREADCRUMBS_SHOWN = 10 };
    static const char *const keys[] = {"level", "type", "category", "message"};
    const json_t *all = jget_arr(c->doc, "breadcrumbs");
    size_t n = json_array_size(all);
    struct tpl_rows *rows = tpl_rows(v, "breadcrumbs");
    tpl_bool(v, "has_breadcrumbs", n > 0);
    for (size_t i = n > BREADCRUMBS_SHOWN ? n - BREADCRUMBS_SHOWN : 0; i < n; i++) {
        const json_t *b = json_array_get(all, i);
        struct tpl_row *row = tpl_row_add(rows);
        for (size_t k = 0; k < ARRAY_LEN(keys); k++)
            tpl_row_cstr(row, jget_str(b, keys[k]));
        FREE_LATER char *data = json_dumps(jget_obj(b, "data"), JSON_COMPACT | JSON_ENCODE_ANY);
        tpl_row_cstr(row, data);
        tpl_row_cstr(row, jget_str(b, "timestamp"));
    }
}

bool report_set_details(const struct report_page *c, struct tpl_values *v, struct err *err)
{
    struct tpl_rows *rows = tpl_rows(v, "details");
    for (size_t i = 0; i < ARRAY_LEN(details); i++)
        if (details[i].path)
            add_detail(c, rows, &details[i]);
        else if (!add_graphics(c, rows, err))
            return false;
    set_keys(c, v);
    set_breadcrumbs(c, v);
    return true;
}
