#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/report.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/crash/raw.h"
#include "lib/crash/reduce.h"

/*
 * Tabs of a report.  Strangers decide how long its lists are, so each shows a number that no honest
 * report comes near, says how many more there are, and leaves the rest to the downloads.
 */
enum {
    PART_MAX = 8 << 20,
    TREE_MAX = 256 << 10,
    MODULES_SHOWN = 4000,
    ANNOTATIONS_SHOWN = 1000, /* honest reports have up to 250 */
    EXTENSIONS_SHOWN = 1000,
    CHECKSUMS_SHOWN = 100,
    METADATA_SHOWN = 100,
    ANNOTATION_BYTES_SHOWN = 256 << 10,
};

static const char *more_text(struct arena *a, size_t all, size_t shown)
{
    return all > shown ? arena_printf(a, "and %zu more, in the raw data", all - shown) : "";
}

static void more_line(struct html_writer *w, size_t all, size_t shown)
{
    if (all > shown)
        html_printf(w, "<p class=\"muted\">and %zu more, in the raw data</p>", all - shown);
}

static void cell(struct html_writer *w, const char *text)
{
    html_raw(w, "<td class=\"mono\">");
    html_text(w, text ? str_of(text) : STR(""));
    html_raw(w, "</td>");
}

static void module_name(struct html_writer *w, const json_t *m)
{
    const char *name = jget_str(m, "filename"), *url = jget_str(m, "symbol_url");
    bool is_link = url && (str_starts(str_of(url), STR("http://")) ||
                           str_starts(str_of(url), STR("https://")));
    html_raw(w, "<td class=\"mono\">");
    if (is_link) {
        html_raw(w, "<a href=\"");
        html_url(w, str_of(url));
        html_raw(w, "\">");
    }
    html_text(w, name ? str_of(name) : STR("?"));
    if (is_link)
        html_raw(w, "</a>");
    if (jget_bool_or(m, "missing_symbols", false))
        html_raw(w, " <span class=\"no-symbols\" title=\"No symbols were found\">Ø</span>");
    else if (jget_bool_or(m, "corrupt_symbols", false))
        html_raw(w, " <span class=\"tag bad\">corrupt symbols</span>");
    else if (jget_bool_or(m, "loaded_symbols", false))
        html_raw(w, " <span class=\"tag good\">symbols</span>");
    html_raw(w, "</td>");
}

static void module_rows(struct html_writer *w, const json_t *modules, bool has_signers)
{
    size_t i;
    const json_t *m;
    json_array_foreach (modules, i, m) {
        if (i == MODULES_SHOWN)
            break;
        html_raw(w, "<tr>");
        module_name(w, m);
        cell(w, jget_str(m, "version"));
        cell(w, jget_str(m, "debug_id"));
        cell(w, jget_str(m, "debug_file"));
        if (has_signers)
            cell(w, jget_str(m, "cert_subject"));
        html_raw(w, "</tr>\n");
    }
}

static void unloaded_table(struct html_writer *w, const json_t *modules, bool has_signers)
{
    size_t i;
    const json_t *m;
    html_raw(
        w,
        "<section class=\"card\"><h2>Unloaded modules</h2><div class=\"table-wrap\" tabindex=\"0\">"
        "<table class=\"data\" data-sortable><thead><tr><th scope=\"col\">Filename</th>"
        "<th scope=\"col\">Code id</th>");
    if (has_signers)
        html_raw(w, "<th scope=\"col\">Signed by</th>");
    html_raw(w, "</tr></thead><tbody>");
    json_array_foreach (modules, i, m) {
        if (i == MODULES_SHOWN)
            break;
        html_raw(w, "<tr>");
        cell(w, jget_str(m, "filename"));
        cell(w, jget_str(m, "code_id"));
        if (has_signers)
            cell(w, jget_str(m, "cert_subject"));
        html_raw(w, "</tr>");
    }
    html_raw(w, "</tbody></table></div>");
    more_line(w, json_array_size(modules), MODULES_SHOWN);
    html_raw(w, "</section>");
}

void report_set_modules(const struct report_page *c, struct tpl_values *v)
{
    const json_t *dump = jget_obj(c->doc, "json_dump");
    const json_t *modules = jget_arr(dump, "modules"),
                 *unloaded = jget_arr(dump, "unloaded_modules");
    bool has_signers = jget_bool_or(dump, "modules_contains_cert_info", false);
    HTML_WRITER_AUTO w;
    html_init(&w, PART_MAX);
    if (json_array_size(modules) == 0) {
        html_raw(&w,
                 "<section class=\"card\"><p class=\"empty\">No modules are known.</p></section>");
    } else {
        html_raw(&w, "<section class=\"card\"><div class=\"table-wrap\" tabindex=\"0\"><table "
                     "class=\"data\" "
                     "data-sortable><thead><tr><th scope=\"col\">Filename</th>"
                     "<th scope=\"col\">Version</th><th scope=\"col\">Debug Identifier</th>"
                     "<th scope=\"col\">Debug Filename</th>");
        if (has_signers)
            html_raw(&w, "<th scope=\"col\">Signed By</th>");
        html_raw(&w, "</tr></thead><tbody>\n");
        module_rows(&w, modules, has_signers);
        html_raw(&w, "</tbody></table></div>");
        more_line(&w, json_array_size(modules), MODULES_SHOWN);
        html_raw(&w, "</section>");
    }
    if (json_array_size(unloaded) > 0)
        unloaded_table(&w, unloaded, has_signers);
    tpl_html(v, "modules", html_done(&w, c->a));
}

struct shown {
    const char *name;
    const json_t *value;
    bool is_protected;
};

static int public_first_by_name(const void *x, const void *y)
{
    const struct shown *a = x, *b = y;
    if (a->is_protected != b->is_protected)
        return a->is_protected - b->is_protected;
    int d = strcasecmp(a->name, b->name);
    return d ? d : strcmp(a->name, b->name);
}

static bool is_of_collector(const char *name)
{
    static const char *const own[] = {"metadata", "uuid", "submitted_timestamp", "version"};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (strcmp(name, own[i]) == 0)
            return true;
    return false;
}

static struct str cut(struct arena *a, struct str text)
{
    if (text.n <= ANNOTATION_BYTES_SHOWN)
        return text;
    struct str start = str_sub(text, 0, utf8_prefix_bytes(text, ANNOTATION_BYTES_SHOWN));
    return str_of(arena_printf(a, STR_FMT "\n… (%zu bytes)", STR_ARG(start), text.n));
}

static void annotation_row(const struct report_page *c, struct tpl_rows *rows,
                           const struct shown *s)
{
    const struct annotation *known = annotation_find(app_fields(c->req), str_of(s->name));
    struct tpl_row *row = tpl_row_add(rows);
    tpl_row_cstr(row, s->name);
    if (json_is_string(s->value)) {
        tpl_row_text(row,
                     cut(c->a, str_n(json_string_value(s->value), json_string_length(s->value))));
    } else {
        FREE_LATER char *text = json_dumps(s->value, JSON_COMPACT | JSON_ENCODE_ANY);
        tpl_row_text(row, text ? str_copy(c->a, cut(c->a, str_of(text))) : STR(""));
    }
    tpl_row_int(row, s->is_protected);
    tpl_row_cstr(row, known ? known->description : "");
}

void report_set_annotations(const struct report_page *c, struct tpl_values *v)
{
    json_auto_t *open =
        c->raw ? reduce_raw(app_fields(c->req), c->raw, PERM_PUBLIC, NULL) : json_object();
    VEC(struct shown) all = {0};
    const char *name;
    json_t *value;
    json_object_foreach (c->annotations, name, value)
        if (!is_of_collector(name))
            VEC_PUSH(&all, ((struct shown){name, value, !json_object_get(open, name)}));
    if (all.n > 0)
        qsort(all.v, all.n, sizeof *all.v, public_first_by_name);
    struct tpl_rows *rows = tpl_rows(v, "annotations");
    for (size_t i = 0; i < all.n && i < ANNOTATIONS_SHOWN; i++)
        annotation_row(c, rows, &all.v[i]);
    tpl_cstr(v, "annotations_more", more_text(c->a, all.n, ANNOTATIONS_SHOWN));
    tpl_bool(v, "no_annotations", all.n == 0);
    VEC_RELEASE(&all);
}

static void add_download(const struct report_page *c, struct tpl_rows *rows, const char *label,
                         const char *endpoint, const char *name, const char *note)
{
    struct query q = query_new(c->a);
    query_addc(&q, "crash_id", c->id);
    if (strcmp(endpoint, "/api/RawCrash/") == 0)
        query_addc(&q, "format", name ? "raw" : "meta");
    if (name)
        query_addc(&q, "name", name);
    struct tpl_row *row = tpl_row_add(rows);
    tpl_row_cstr(row, label);
    tpl_row_url(row, query_url(&q, endpoint));
    tpl_row_cstr(row, note);
}

bool report_set_downloads(const struct report_page *c, struct tpl_values *v, struct err *err)
{
    struct tpl_rows *rows = tpl_rows(v, "downloads");
    if (c->reader == PERM_PROTECTED) {
        add_download(c, rows, "Processed crash", "/api/ProcessedCrash/", NULL, "JSON, protected");
        if (c->raw)
            add_download(c, rows, "Crash annotations", "/api/RawCrash/", NULL, "JSON, protected");
    }
    if (req_may(c->req, "view_rawdump") && c->raw) {
        struct strs names = {0};
        if (!store_dump_names(app_of(c->req)->store, c->a, c->id, &names, err))
            return err_wrap(err, "listing the files of a report");
        for (size_t i = 0; i < names.n; i++) {
            const char *name = str_adup(c->a, names.v[i]);
            add_download(c, rows, name, "/api/RawCrash/", name,
                         strcmp(name, "memory_report") == 0 ? "compressed JSON" : "minidump");
        }
    }
    tpl_bool(v, "has_downloads", tpl_rows_count(rows) > 0);
    return true;
}

static const char *tree(struct arena *a, const json_t *value)
{
    if (!value)
        return "";
    FREE_LATER char *text = json_dumps(value, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    size_t n = text ? strlen(text) : 0;
    if (n <= TREE_MAX)
        return arena_strdup(a, text ? text : "");
    struct str cut = str_sub(str_of(text), 0, utf8_prefix_bytes(str_of(text), TREE_MAX));
    return arena_printf(a, STR_FMT "\n… cut after %d KiB; the API has it all", STR_ARG(cut),
                        TREE_MAX >> 10);
}

void report_set_trees(const struct report_page *c, struct tpl_values *v)
{
    const json_t *dump = json_object_get(c->doc, "json_dump");
    const json_t *environment = jget_obj(c->doc, "telemetry_environment");
    tpl_cstr(v, "json_dump", json_is_object(dump) ? tree(c->a, dump) : "no output");
    tpl_bool(v, "has_telemetry", environment != NULL);
    tpl_cstr(v, "telemetry", tree(c->a, environment));
}

static const char *yes_no(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_boolean(v) ? (json_is_true(v) ? "yes" : "no") : "";
}

static void addon_from_environment(struct arena *a, struct tpl_rows *rows, const char *id,
                                   const json_t *addon)
{
    int64_t state;
    struct tpl_row *row = tpl_row_add(rows);
    tpl_row_cstr(row, id);
    tpl_row_cstr(row, jget_str(addon, "name"));
    tpl_row_cstr(row, jget_str(addon, "version"));
    tpl_row_cstr(row, yes_no(addon, "isSystem"));
    tpl_row_cstr(row, jget_int(addon, "signedState", &state)
                          ? arena_printf(a, "%lld", (long long)state)
                          : "");
}

/* "id:version" as the annotation has it. */
static void addon_from_list(struct tpl_rows *rows, struct str entry)
{
    size_t colon = str_rfind_char(entry, ':');
    struct tpl_row *row = tpl_row_add(rows);
    tpl_row_text(row, str_sub(entry, 0, colon));
    tpl_row_cstr(row, "");
    tpl_row_text(row, colon == SIZE_MAX ? STR("") : str_sub(entry, colon + 1, SIZE_MAX));
    tpl_row_cstr(row, "");
    tpl_row_cstr(row, "");
}

void report_set_extensions(const struct report_page *c, struct tpl_values *v)
{
    struct tpl_rows *rows = tpl_rows(v, "extensions");
    const char *id;
    json_t *addon;
    size_t i;
    json_t *active = jpath(c->doc, "telemetry_environment.addons.activeAddons");
    const json_t *listed = jget_arr(c->doc, "addons");
    json_object_foreach (active, id, addon)
        if (tpl_rows_count(rows) < EXTENSIONS_SHOWN)
            addon_from_environment(c->a, rows, id, addon);
    size_t all = json_object_size(active);
    if (all == 0) {
        all = json_array_size(listed);
        json_array_foreach (listed, i, addon)
            if (json_is_string(addon) && tpl_rows_count(rows) < EXTENSIONS_SHOWN)
                addon_from_list(rows, str_of(json_string_value(addon)));
    }
    tpl_cstr(v, "extensions_more", more_text(c->a, all, EXTENSIONS_SHOWN));
    tpl_bool(v, "has_extensions", tpl_rows_count(rows) > 0);
}

static void debug_row(struct arena *a, struct tpl_rows *rows, const char *label,
                      const json_t *value)
{
    struct tpl_row *row;
    HTML_WRITER_AUTO w;
    html_init(&w, PART_MAX);
    if (!value || json_is_null(value))
        return;
    if (json_is_string(value)) {
        struct str text = str_n(json_string_value(value), json_string_length(value));
        bool is_block = str_find_char(text, '\n', 0) != SIZE_MAX;
        if (is_block)
            html_raw(&w, "<pre tabindex=\"0\">");
        html_text(&w, text);
        if (is_block)
            html_raw(&w, "</pre>");
    } else if (json_array_size(value) > 0 || json_object_size(value) > 0) {
        html_raw(&w, "<pre tabindex=\"0\">");
        html_text(&w, str_of(tree(a, value)));
        html_raw(&w, "</pre>");
    } else {
        html_text(&w, str_of(tree(a, value)));
    }
    row = tpl_row_add(rows);
    tpl_row_cstr(row, label);
    tpl_row_html(row, html_done(&w, a));
}

static void checksum_rows(struct tpl_rows *rows, struct arena *a, const json_t *checksums)
{
    static const char nothing[] =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const char *name;
    json_t *sum;
    size_t shown = 0;
    json_object_foreach ((json_t *)checksums, name, sum) {
        if (shown++ == CHECKSUMS_SHOWN)
            return;
        HTML_WRITER_AUTO w;
        html_init(&w, 4096);
        html_raw(&w, "<span class=\"mono\">");
        html_text(&w, str_of(json_is_string(sum) ? json_string_value(sum) : ""));
        html_raw(&w, "</span>");
        if (json_is_string(sum) && strcmp(json_string_value(sum), nothing) == 0)
            html_raw(&w, " <span class=\"tag warn\">an empty file</span>");
        bool is_md5 = json_is_string(sum) && raw_checksum_is_md5(str_of(json_string_value(sum)));
        struct tpl_row *row = tpl_row_add(rows);
        tpl_row_cstr(row, arena_printf(a, "%s of %s", is_md5 ? "MD5" : "SHA-256", name));
        tpl_row_html(row, html_done(&w, a));
    }
}

/*
 * Whole documents are read here: the page has it only for readers with both view_pii and
 * view_rawdump, and nothing is filled in for others.
 */
void report_set_debug(const struct report_page *c, struct tpl_values *v)
{
    static const struct {
        const char *label, *path;
    } processed[] = {
        {"Collected", "submitted_timestamp"},
        {"Processing began", "started_datetime"},
        {"Processing ended", "completed_datetime"},
        {"Stack walker", "stackwalk_version"},
        {"Return code", "mdsw_return_code"},
        {"Status", "mdsw_status_string"},
        {"Success", "success"},
        {"Log", "mdsw_stderr"},
        {"Signature log", "signature_debug"},
        {"Notes", "processor_notes"},
        {"Earlier processings", "processor_history"},
    };
    struct tpl_rows *rows = tpl_rows(v, "debug");
    if (c->reader != PERM_PROTECTED || !req_may(c->req, "view_rawdump"))
        return;
    for (size_t i = 0; i < ARRAY_LEN(processed); i++)
        debug_row(c->a, rows, processed[i].label, jpath(c->stored, processed[i].path));
    const json_t *metadata = jget_obj(c->raw, "metadata");
    const char *name;
    json_t *value;
    checksum_rows(rows, c->a, jget_obj(metadata, "dump_checksums"));
    size_t shown = 0;
    json_object_foreach ((json_t *)metadata, name, value)
        if (strcmp(name, "dump_checksums") != 0 && shown++ < METADATA_SHOWN)
            debug_row(c->a, rows, arena_printf(c->a, "Collector: %s", name), value);
}
