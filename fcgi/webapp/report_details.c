/*
 * The rows of the Details table, in order.  A row is shown when the reduced document has its
 * value; rows marked SHOW_ALWAYS also without.  Whether a value is protected comes from the field
 * table, not from here.
 *
 * Most rows are one value in one of ten forms (`how`).  The few that put several values together
 * have a function of their own, which fills in more of struct shown_value; the template
 * (templates/part/report-detail.html) decides how each of them looks.
 */
#include "fcgi/webapp/report_details.h"

#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/results.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

/*
 * Texts of a report may be as long as the document; nobody reads more than this of one.  It bounds
 * one row, and there are some seventy.
 */
enum { VALUE_BYTES_SHOWN = 4 << 20 };

enum how {
    AS_TEXT,  /* string, number or boolean as it is */
    AS_COUNT, /* of something that a machine has: 0 is not known */
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

/*
 * SHOW_ALWAYS is for what people look for first and want to see missing.  SEARCHABLE gives a link
 * to all reports with the same value.
 */
enum { SHOW_ALWAYS = 1, SEARCHABLE = 2 };

/* What a row shows, each part only where it is set. */
struct shown_value {
    struct str text;
    struct str url;      /* the text is a link there */
    bool is_block;       /* several lines */
    bool is_raw;         /* the protected text in the place of the sanitised one */
    const json_t *items; /* a list in the place of the text */
    const char *date;    /* of a build */
    struct str buildhub_url;
    bool has_faulty_cpu;
    const char *remote_type; /* protected */
    const char *plugin;      /* name, version and file, each with a blank before */
    struct str search_url;
};

struct detail {
    const char *label;
    const char *path; /* in the processed crash */
    enum how how;
    unsigned flags;
    /* For rows that are more than their value.  False: there is nothing to show. */
    bool (*read)(const struct report_page *c, const struct detail *d, struct shown_value *s);
};

/*
 * p NULL: lists, objects and null have no text of one line.  15 digits are what a double holds for
 * certain; a sixteenth would show its error.
 */
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

/*
 * Annotations that hold JSON are shown with a line for each member; what is no JSON, as it came.
 * "null" says that the writer of the report does not know: no row.
 */
static bool read_json(const struct report_page *c, struct str text, struct shown_value *s)
{
    enum { JSON_MAX = 1 << 20 }; /* chosen: a telemetry environment has 50 KB */
    json_auto_t *tree = jparse(text, JSON_MAX, ERR_IGNORED);
    FREE_LATER char *pretty = tree ? json_dumps(tree, JSON_INDENT(2) | JSON_ENCODE_ANY) : NULL;
    s->is_block = true;
    s->text = pretty ? str_of(arena_strdup(c->a, pretty)) : text;
    return text.n > 0 && !json_is_null(tree);
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

/*
 * False: no number, and the caller shows the text that is there.  A date out of range gives a row
 * without a text.
 */
static bool read_number(const struct report_page *c, enum how how, const json_t *v,
                        struct shown_value *s)
{
    static const int64_t LAST_EPOCH_S = 100000000000; /* the year 5138; clients send rubbish, too */
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
    else if (how == AS_EPOCH && n > 0 && n < LAST_EPOCH_S)
        text = human_time(c->a, n * 1000000);
    s->text = str_of(text);
    return true;
}

/*
 * What a filter on this field looks like, when the path is a search field of its own.  "=" asks for
 * exactly this value, where a plain one would search for words.
 */
static bool read_text(const struct report_page *c, const struct detail *d, struct str text,
                      struct shown_value *s)
{
    const struct search_field *f = search_field_find(app_fields(c->req), str_of(d->path));
    s->text = text;
    if (f && text.n > 0 && d->flags & SEARCHABLE)
        s->search_url = report_search_url(c->a, f->name,
                                          str_of(arena_printf(c->a, "=" STR_FMT, STR_ARG(text))));
    return text.p != NULL;
}

/* False: there is nothing to show, so no row, or an empty one with SHOW_ALWAYS. */
static bool read_value(const struct report_page *c, const struct detail *d, const json_t *v,
                       struct shown_value *s)
{
    struct str text = scalar(c->a, v);
    switch (d->how) {
    case AS_SECONDS:
    case AS_BYTES:
    case AS_PERCENT:
    case AS_EPOCH:
        if (read_number(c, d->how, v, s))
            return true;
        break;
    case AS_DATE:
        s->text = str_of(fmt_iso_time(c->a, json_string_value(v)));
        return true;
    case AS_BLOCK:
        s->is_block = true;
        s->text = text;
        return text.n > 0;
    case AS_LIST:
        s->items = v;
        return json_array_size(v) > 0;
    case AS_JSON:
        return read_json(c, text, s);
    case AS_TRUE:
        s->text = STR("true");
        return json_is_true(v);
    case AS_COUNT:
        return json_integer_value(v) > 0 && read_text(c, d, text, s);
    case AS_TEXT:
        break;
    }
    return read_text(c, d, text, s);
}

static bool read_signature(const struct report_page *c, const struct detail *d,
                           struct shown_value *s)
{
    const char *signature = jget_str(c->doc, d->path);
    if (!signature)
        return false;
    struct query q = query_new(c->a);
    query_addc(&q, "signature", signature);
    s->text = str_of(signature);
    s->url = query_url(&q, "/signature/");
    s->search_url =
        report_search_url(c->a, "signature", str_of(arena_printf(c->a, "=%s", signature)));
    return true;
}

/*
 * Build ids are times, YYYYMMDDhhmmss: the date beside them is what people look for.  Buildhub is
 * Mozilla's own list of builds, so only products that say they are in it get the link.
 */
static bool read_build(const struct report_page *c, const struct detail *d, struct shown_value *s)
{
    struct str build = scalar(c->a, json_object_get(c->doc, d->path));
    struct str id = url_encode(c->a, build);
    if (build.n == 0)
        return false;
    s->text = build;
    s->date = fmt_build_date(c->a, build);
    s->search_url = report_search_url(c->a, "build_id", build);
    if (c->product && c->product->in_buildhub)
        s->buildhub_url =
            str_of(arena_printf(c->a, "https://buildhub.moz.tools/?q=" STR_FMT, STR_ARG(id)));
    return true;
}

/* The text of a key, or where that is empty the text of another (NULL: none). */
static const char *text_or(const json_t *doc, const char *key, const char *other)
{
    const char *text = jget_str(doc, key);
    return (text && *text) || !other ? text : jget_str(doc, other);
}

/* "Windows 11" rather than "Windows NT", where the processor could tell. */
static bool read_os(const struct report_page *c, const struct detail *d, struct shown_value *s)
{
    const char *text = text_or(c->doc, "os_pretty_version", d->path);
    s->text = str_of(text ? text : "");
    return text != NULL;
}

/*
 * Some processors crash programs by themselves; who reads one report should know.  Which they are
 * stands in results.c, for search results mark them too.
 */
static bool read_cpu_info(const struct report_page *c, const struct detail *d,
                          struct shown_value *s)
{
    const char *info = jget_str(c->doc, d->path);
    s->text = str_of(info ? info : "");
    s->has_faulty_cpu = results_has_dangerous_cpu(c->doc);
    return s->text.n > 0;
}

/* The main process has no type in its report.  Other processes say for what site or plugin. */
static bool read_process_type(const struct report_page *c, const struct detail *d,
                              struct shown_value *s)
{
    static const char *const plugin[] = {"plugin_name", "plugin_version", "plugin_filename"};
    const char *type = jget_str(c->doc, d->path);
    s->text = str_of(type && *type ? type : "parent");
    s->remote_type = jget_str(c->doc, "remote_type"); /* absent for readers who may not see it */
    s->plugin = "";
    for (size_t i = 0; i < ARRAY_LEN(plugin); i++) {
        const char *text = jget_str(c->doc, plugin[i]);
        if (text && *text)
            s->plugin = arena_printf(c->a, "%s %s", s->plugin, text);
    }
    return true;
}

/*
 * The raw text where the reader may see it, else the sanitised one.  The key of the raw one is
 * protected, so the reduced document itself decides; the template says which of them it is.
 */
static bool read_raw_or(const struct report_page *c, const struct detail *d, struct shown_value *s)
{
    const char *raw = jget_str(c->doc, arena_printf(c->a, "%s_raw", d->path));
    s->is_raw = raw && *raw;
    const char *text = s->is_raw ? raw : jget_str(c->doc, d->path);
    s->text = str_of(text ? text : "");
    s->is_block = d->how == AS_BLOCK;
    return s->text.n > 0;
}

/* As text and never as a link: the address belongs to a person. */
static bool read_url(const struct report_page *c, const struct detail *d, struct shown_value *s)
{
    const char *url = jget_str(c->doc, d->path);
    s->text = str_of(url ? url : "");
    return s->text.n > 0;
}

/* Several adapters share a vendor; with `adapter` NULL any of them names it. */
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

static struct str cut(struct str text)
{
    return str_sub(text, 0, utf8_prefix_bytes(text, VALUE_BYTES_SHOWN));
}

/*
 * Every column is set in every row, empty where `s` has nothing: the template shows what is not
 * empty, and a row with a column unset would be an error of the page.
 */
static void add_row(struct tpl_rows *rows, const char *label, const struct shown_value *s,
                    bool is_protected)
{
    struct tpl_row *row = tpl_row_add(rows);
    struct tpl_rows *items = tpl_col_rows(row, DETAIL_ITEMS);
    const json_t *item;
    size_t i;
    tpl_col_cstr(row, DETAIL_LABEL, label);
    tpl_col_bool(row, DETAIL_IS_PROTECTED, is_protected);
    tpl_col_text(row, DETAIL_TEXT, cut(s->text));
    tpl_col_url(row, DETAIL_URL, s->url);
    tpl_col_bool(row, DETAIL_IS_BLOCK, s->is_block);
    tpl_col_bool(row, DETAIL_IS_RAW, s->is_raw);
    tpl_col_bool(row, DETAIL_HAS_ITEMS, s->items != NULL);
    json_array_foreach (s->items, i, item)
        tpl_col_cstr(tpl_row_add(items), DETAIL_ITEM_TEXT,
                     json_is_string(item) ? json_string_value(item) : "?");
    tpl_col_cstr(row, DETAIL_DATE, s->date);
    tpl_col_url(row, DETAIL_BUILDHUB_URL, s->buildhub_url);
    tpl_col_bool(row, DETAIL_HAS_FAULTY_CPU, s->has_faulty_cpu);
    tpl_col_cstr(row, DETAIL_REMOTE_TYPE, s->remote_type);
    tpl_col_cstr(row, DETAIL_PLUGIN, s->plugin);
    tpl_col_url(row, DETAIL_SEARCH_URL, s->search_url);
}

/* A number that graphics drivers know, with its name where the database has one. */
static void add_device(struct arena *a, struct tpl_rows *rows, const char *label, const char *name,
                       const char *hex)
{
    const char *text = name ? arena_printf(a, "%s (%s)", name, hex) : hex;
    add_row(rows, label, &(struct shown_value){.text = str_of(text)}, false);
}

/*
 * Two rows, looked up together: a number of a device means something with its vendor only.  Names
 * come from the table graphics_device; without a row there the numbers stand alone.
 */
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
    add_device(c->a, rows, "Adapter Vendor ID", name, vendor);
    if (!device)
        return true;
    name = NULL;
    device_name(&names, vendor, device, Q_WEB_GRAPHICS_COL_ADAPTER_NAME, &name);
    add_device(c->a, rows, "Adapter Device ID", name, device);
    return true;
}

/* clang-format off */
static const struct detail details[] = {
    {"Signature", "signature", AS_TEXT, SHOW_ALWAYS, read_signature},
    {"UUID", "uuid", AS_TEXT, SHOW_ALWAYS, NULL},
    {"Date Processed", "date_processed", AS_DATE, SHOW_ALWAYS, NULL},
    {"Uptime", "uptime", AS_SECONDS, SHOW_ALWAYS, NULL},
    {"Last Crash", "last_crash", AS_SECONDS, 0, NULL},
    {"Install Age", "install_age", AS_SECONDS, 0, NULL},
    {"Install Time", "install_time", AS_EPOCH, 0, NULL},
    {"Product", "product", AS_TEXT, SHOW_ALWAYS, NULL},
    {"Release Channel", "release_channel", AS_TEXT, SHOW_ALWAYS | SEARCHABLE, NULL},
    {"Version", "version", AS_TEXT, SHOW_ALWAYS, NULL},
    {"Build ID", "build", AS_TEXT, SHOW_ALWAYS, read_build},
    {"Application Build ID", "application_build_id", AS_TEXT, 0, read_build},
    {"Android PackageName", "android_packagename", AS_TEXT, SEARCHABLE, NULL},
    {"OS", "os_name", AS_TEXT, SHOW_ALWAYS, read_os},
    {"OS Version", "os_version", AS_TEXT, SHOW_ALWAYS, NULL},
    {"Android Version", "android_version", AS_TEXT, SEARCHABLE, NULL},
    {"Windows Error Reporting", "windows_error_reporting", AS_TRUE, 0, NULL},
    {"Build Architecture", "cpu_arch", AS_TEXT, SHOW_ALWAYS | SEARCHABLE, NULL},
    {"CPU Info", "cpu_info", AS_TEXT, 0, read_cpu_info},
    {"CPU Count", "cpu_count", AS_COUNT, 0, NULL},
    {"Android Manufacturer", "android_manufacturer", AS_TEXT, SEARCHABLE, NULL},
    {"Android Model", "android_model", AS_TEXT, SEARCHABLE, NULL},
    {"Android CPU ABI", "android_cpu_abi", AS_TEXT, SEARCHABLE, NULL},
    {"adapter", NULL, AS_TEXT, 0, NULL}, /* two rows with names from the database */
    {"Startup Crash", "startup_crash", AS_TEXT, 0, NULL},
    {"Likely Guard Page Access", "has_guard_page_access", AS_TEXT, 0, NULL},
    {"Possible Bit Flip Confidence", "possible_bit_flips_max_confidence", AS_PERCENT, 0, NULL},
    {"Crash Inconsistencies", "crash_inconsistencies", AS_LIST, 0, NULL},
    {"Process Type", "process_type", AS_TEXT, SHOW_ALWAYS, read_process_type},
    {"MOZ_CRASH Reason", "moz_crash_reason", AS_TEXT, 0, read_raw_or},
    {"Abort Message", "abort_message", AS_BLOCK, 0, NULL},
    {"Crash Reason", "reason", AS_TEXT, SHOW_ALWAYS | SEARCHABLE, NULL},
    {"Crash Address", "address", AS_TEXT, SHOW_ALWAYS | SEARCHABLE, NULL},
    {"Crashing Instruction", "json_dump.crash_info.instruction", AS_TEXT, 0, NULL},
    {"Last Error Value", "last_error_value", AS_TEXT, SEARCHABLE, NULL},
    {"Mac Crash Info", "mac_crash_info", AS_JSON, 0, NULL},
    {"Java Stack Trace", "java_stack_trace", AS_BLOCK, 0, read_raw_or},
    {"Thread Count", "thread_count", AS_COUNT, 0, NULL},
    {"URL", "url", AS_TEXT, 0, read_url},
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

/* A row that is shown empty is not marked as protected: there is nothing to protect. */
static void add_detail(const struct report_page *c, struct tpl_rows *rows, const struct detail *d)
{
    const json_t *value = jpath(c->doc, d->path);
    struct shown_value s = {0};
    if (d->read ? d->read(c, d, &s) : value && read_value(c, d, value, &s))
        add_row(rows, d->label, &s, report_is_protected(c, d->path));
    else if (d->flags & SHOW_ALWAYS)
        add_row(rows, d->label, &(struct shown_value){0}, false);
}

static void add_key(struct tpl_rows *rows, const char *label, const char *text)
{
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, REPORT_KEY_LABEL, label);
    tpl_col_cstr(row, REPORT_KEY_TEXT, text);
}

/* What people look at first; "unknown" where the report does not say. */
static void set_keys(const struct report_page *c, struct tpl_values *v)
{
    static const struct {
        const char *label, *path, *other_path, *fallback;
    } keys[] = {
        {"Reason", "reason", NULL, ""},
        {"Address", "address", NULL, ""},
        {"Process", "process_type", NULL, "parent"},
        {"System", "os_pretty_version", "os_name", ""},
        {"Architecture", "cpu_arch", NULL, ""},
    };
    struct tpl_rows *rows = tpl_list(v, LIST_REPORT_KEYS);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *text = text_or(c->doc, keys[i].path, keys[i].other_path);
        add_key(rows, keys[i].label, text && *text ? text : keys[i].fallback);
    }
    int64_t uptime;
    if (jget_int(c->doc, "uptime", &uptime))
        add_key(rows, "Uptime", human_duration(c->a, uptime));
    add_key(rows, "Received", fmt_iso_time(c->a, jget_str(c->doc, "date_processed")));
}

/* The last ones: a program leaves dozens, and what came shortly before the crash counts. */
static void set_breadcrumbs(const struct report_page *c, struct tpl_values *v)
{
    enum { BREADCRUMBS_SHOWN = 10 }; /* a screen of rows */
    static const struct {
        const struct tpl_column *column;
        const char *key;
    } texts[] = {
        {BREADCRUMB_LEVEL, "level"},       {BREADCRUMB_TYPE, "type"},
        {BREADCRUMB_CATEGORY, "category"}, {BREADCRUMB_MESSAGE, "message"},
        {BREADCRUMB_TIME, "timestamp"},
    };
    const json_t *all = jget_arr(c->doc, "breadcrumbs");
    size_t n = json_array_size(all);
    struct tpl_rows *rows = tpl_list(v, LIST_BREADCRUMBS);
    tpl_bool(v, "has_breadcrumbs", n > 0);
    for (size_t i = n > BREADCRUMBS_SHOWN ? n - BREADCRUMBS_SHOWN : 0; i < n; i++) {
        const json_t *b = json_array_get(all, i);
        struct tpl_row *row = tpl_row_add(rows);
        for (size_t k = 0; k < ARRAY_LEN(texts); k++)
            tpl_col_cstr(row, texts[k].column, jget_str(b, texts[k].key));
        FREE_LATER char *data = json_dumps(jget_obj(b, "data"), JSON_COMPACT | JSON_ENCODE_ANY);
        tpl_col_cstr(row, BREADCRUMB_DATA, data);
    }
}

/* The row without a path is the place of the graphics rows, which are two and need the database. */
bool report_set_details(const struct report_page *c, struct tpl_values *v, struct err *err)
{
    struct tpl_rows *rows = tpl_list(v, LIST_DETAILS);
    for (size_t i = 0; i < ARRAY_LEN(details); i++)
        if (details[i].path)
            add_detail(c, rows, &details[i]);
        else if (!add_graphics(c, rows, err))
            return false;
    set_keys(c, v);
    set_breadcrumbs(c, v);
    return true;
}
