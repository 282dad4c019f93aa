/*
 * Tabs of a report.  Strangers decide how long its lists are, so each shows a number that no honest
 * report comes near, says how many more there are, and leaves the rest to the downloads.
 *
 * Lists are rows of templates (templates/rows.tsv, templates/part/report-*.html).  Documents are
 * shown as text, indented and sorted, so that two reports can be compared by eye.
 */
#include "fcgi/webapp/report_parts.h"

#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/url_query.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/crash/field.h"
#include "lib/crash/raw.h"
#include "lib/crash/reduce.h"
#include "lib/json/json.h"
#include "lib/store/store.h"
#include "lib/tpl/tpl.h"
#include "lib/web/web.h"
#include "rows.h"

/*
 * Each is several times what honest reports have, which the comments say: modules are of the
 * largest dump that was at hand, annotations what clients send, the others what the collector
 * allows or writes.  Extensions are an estimate: people have tens.
 */
enum {
    TREE_MAX = 256 << 10,     /* see put_tree */
    MODULES_SHOWN = 4000,     /* 354 */
    ANNOTATIONS_SHOWN = 1000, /* 100 to 250 */
    EXTENSIONS_SHOWN = 1000,
    CHECKSUMS_SHOWN = 100,              /* 64: one for each file (REPORT_FILES_MAX) */
    METADATA_SHOWN = 100,               /* a dozen keys of the collector */
    ANNOTATION_BYTES_SHOWN = 256 << 10, /* of one: as much as of a tree */
    DEBUG_BYTES_SHOWN = 8 << 20,        /* of a log: those who see it want all of it */
};

/*
 * Whether there are symbols for a module, as the walker found out; empty: it did not ask, since it
 * asks only for modules that frames lie in.
 */
static const char *symbols_of(const json_t *m)
{
    if (jget_bool_or(m, "missing_symbols", false))
        return "missing";
    if (jget_bool_or(m, "corrupt_symbols", false))
        return "corrupt";
    return jget_bool_or(m, "loaded_symbols", false) ? "loaded" : "";
}

/*
 * Only what a browser can open.  The document says it, so it may be anything; a name without a link
 * is good enough.
 */
static struct str symbol_url(const json_t *m)
{
    struct str url = jget_strn(m, "symbol_url");
    bool is_link = str_starts(url, STR("http://")) || str_starts(url, STR("https://"));
    return is_link ? url : STR("");
}

static void add_module(struct tpl_rows *rows, const json_t *m)
{
    const char *name = jget_str(m, "filename");
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, MODULE_FILENAME, name ? name : "?");
    tpl_col_url(row, MODULE_URL, symbol_url(m));
    tpl_col_cstr(row, MODULE_SYMBOLS, symbols_of(m));
    tpl_col_cstr(row, MODULE_VERSION, jget_str(m, "version"));
    tpl_col_cstr(row, MODULE_DEBUG_ID, jget_str(m, "debug_id"));
    tpl_col_cstr(row, MODULE_DEBUG_FILE, jget_str(m, "debug_file"));
    tpl_col_cstr(row, MODULE_SIGNER, jget_str(m, "cert_subject"));
}

static void add_unloaded(struct tpl_rows *rows, const json_t *m)
{
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, UNLOADED_MODULE_FILENAME, jget_str(m, "filename"));
    tpl_col_cstr(row, UNLOADED_MODULE_CODE_ID, jget_str(m, "code_id"));
    tpl_col_cstr(row, UNLOADED_MODULE_SIGNER, jget_str(m, "cert_subject"));
}

/* Signers are a column only where the report says who signed its modules. */
void report_set_modules(const struct report_page *c, struct tpl_values *v)
{
    const json_t *dump = jget_obj(c->doc, "json_dump"), *m;
    const json_t *modules = jget_arr(dump, "modules"),
                 *unloaded = jget_arr(dump, "unloaded_modules");
    struct tpl_rows *rows = tpl_list(v, LIST_MODULES),
                    *unloaded_rows = tpl_list(v, LIST_UNLOADED_MODULES);
    size_t n = json_array_size(modules), unloaded_n = json_array_size(unloaded), i;
    tpl_bool(v, "has_signers", jget_bool_or(dump, "modules_contains_cert_info", false));
    tpl_bool(v, "has_modules", n > 0);
    tpl_bool(v, "has_unloaded_modules", unloaded_n > 0);
    tpl_cstr(v, "modules_more", report_more_text(c->a, n, MODULES_SHOWN));
    tpl_cstr(v, "unloaded_modules_more", report_more_text(c->a, unloaded_n, MODULES_SHOWN));
    json_array_foreach (modules, i, m)
        if (i < MODULES_SHOWN)
            add_module(rows, m);
    json_array_foreach (unloaded, i, m)
        if (i < MODULES_SHOWN)
            add_unloaded(unloaded_rows, m);
}

/* An annotation; protected ones are there only for readers who may see them. */
struct shown_annotation {
    const char *name;
    const json_t *value;
    bool is_protected;
};

/* By name without case, as people look them up; those that must not be passed on come last. */
static int public_first_by_name(const void *x, const void *y)
{
    const struct shown_annotation *a = x, *b = y;
    if (a->is_protected != b->is_protected)
        return a->is_protected - b->is_protected;
    int d = strcasecmp(a->name, b->name);
    return d ? d : strcmp(a->name, b->name);
}

/*
 * What the collector added is on the tab Debug: the program did not send it.  The names are those
 * that the collector overwrites in every report.
 */
static bool is_of_collector(const char *name)
{
    static const char *const own[] = {"metadata", "uuid", "submitted_timestamp", "version"};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (strcmp(name, own[i]) == 0)
            return true;
    return false;
}

/*
 * Whole characters, with the length of the whole behind them, so that nobody takes a cut text for
 * the text.
 */
static struct str cut(struct arena *a, struct str text)
{
    if (text.n <= ANNOTATION_BYTES_SHOWN)
        return text;
    struct str start = str_sub(text, 0, utf8_prefix_bytes(text, ANNOTATION_BYTES_SHOWN));
    return str_of(arena_printf(a, STR_FMT "\n… (%zu bytes)", STR_ARG(start), text.n));
}

/* A value that is no text is shown as the JSON that it is. */
static void annotation_row(const struct report_page *c, struct tpl_rows *rows,
                           const struct shown_annotation *s)
{
    const struct annotation *known = annotation_find(app_fields(c->req), str_of(s->name));
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, ANNOTATION_NAME, s->name);
    if (json_is_string(s->value)) {
        tpl_col_text(row, ANNOTATION_VALUE,
                     cut(c->a, str_n(json_string_value(s->value), json_string_length(s->value))));
    } else {
        FREE_LATER char *text = json_dumps(s->value, JSON_COMPACT | JSON_ENCODE_ANY);
        tpl_col_text(row, ANNOTATION_VALUE, text ? cut(c->a, str_of(text)) : STR(""));
    }
    tpl_col_bool(row, ANNOTATION_IS_PROTECTED, s->is_protected);
    tpl_col_cstr(row, ANNOTATION_DESCRIPTION, known ? known->description : "");
}

/*
 * Whether an annotation is protected is seen from what the public gets of the same document: the
 * reducer decides that in one place, by table and by default for names that nobody knows.
 */
void report_set_annotations(const struct report_page *c, struct tpl_values *v)
{
    json_auto_t *open =
        c->raw ? reduce_raw(app_fields(c->req), c->raw, PERM_PUBLIC, NULL) : json_object();
    VEC(struct shown_annotation) all = {0};
    const char *name;
    json_t *value;
    json_object_foreach (c->annotations, name, value)
        if (!is_of_collector(name))
            VEC_PUSH(&all, ((struct shown_annotation){name, value, !json_object_get(open, name)}));
    if (all.n > 0)
        qsort(all.v, all.n, sizeof *all.v, public_first_by_name);
    struct tpl_rows *rows = tpl_list(v, LIST_REPORT_ANNOTATIONS);
    for (size_t i = 0; i < all.n && i < ANNOTATIONS_SHOWN; i++)
        annotation_row(c, rows, &all.v[i]);
    tpl_cstr(v, "annotations_more", report_more_text(c->a, all.n, ANNOTATIONS_SHOWN));
    tpl_bool(v, "no_annotations", all.n == 0);
    VEC_RELEASE(&all);
}

/* A file has a name; without one it is a document, and RawCrash gives the annotations. */
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
    tpl_col_cstr(row, DOWNLOAD_LABEL, label);
    tpl_col_url(row, DOWNLOAD_URL, query_url(&q, endpoint));
    tpl_col_cstr(row, DOWNLOAD_NOTE, note);
}

/*
 * Links only for those whom the API will answer: whole documents need view_pii, files need
 * view_rawdump.
 */
bool report_set_downloads(const struct report_page *c, struct tpl_values *v, struct err *err)
{
    struct tpl_rows *rows = tpl_list(v, LIST_DOWNLOADS);
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

/*
 * JSON as text, sorted and indented; the cut keeps a page of a large document usable: TREE_MAX is
 * some ten thousand lines.
 */
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

/* The walker's output as this reader may see it; a report without a minidump has none. */
void report_set_trees(const struct report_page *c, struct tpl_values *v)
{
    const json_t *dump = json_object_get(c->doc, "json_dump");
    const json_t *environment = jget_obj(c->doc, "telemetry_environment");
    tpl_cstr(v, "json_dump", json_is_object(dump) ? tree(c->a, dump) : "no output");
    tpl_bool(v, "has_telemetry", environment != NULL);
    tpl_cstr(v, "telemetry", tree(c->a, environment));
}

/* Empty where the environment does not say. */
static const char *yes_no(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_boolean(v) ? (json_is_true(v) ? "yes" : "no") : "";
}

/*
 * The telemetry environment knows names and states; numbers of states are Firefox's own, and shown
 * as they are rather than explained wrongly for some version.
 */
static void addon_from_environment(struct arena *a, struct tpl_rows *rows, const char *id,
                                   const json_t *addon)
{
    int64_t state;
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, EXTENSION_ID, id);
    tpl_col_cstr(row, EXTENSION_NAME, jget_str(addon, "name"));
    tpl_col_cstr(row, EXTENSION_VERSION, jget_str(addon, "version"));
    tpl_col_cstr(row, EXTENSION_IS_SYSTEM, yes_no(addon, "isSystem"));
    tpl_col_cstr(row, EXTENSION_SIGNED_STATE,
                 jget_int(addon, "signedState", &state) ? arena_printf(a, "%lld", (long long)state)
                                                        : "");
}

/*
 * "id:version" as the annotation has it.  The last colon counts: ids may hold one, versions do not.
 */
static void addon_from_list(struct tpl_rows *rows, struct str entry)
{
    size_t colon = str_rfind_char(entry, ':');
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_text(row, EXTENSION_ID, str_sub(entry, 0, colon));
    tpl_col_cstr(row, EXTENSION_NAME, "");
    tpl_col_text(row, EXTENSION_VERSION,
                 colon == SIZE_MAX ? STR("") : str_sub(entry, colon + 1, SIZE_MAX));
    tpl_col_cstr(row, EXTENSION_IS_SYSTEM, "");
    tpl_col_cstr(row, EXTENSION_SIGNED_STATE, "");
}

/* From the telemetry environment, or where a report has none from the annotation Add-ons. */
void report_set_extensions(const struct report_page *c, struct tpl_values *v)
{
    struct tpl_rows *rows = tpl_list(v, LIST_EXTENSIONS);
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
    tpl_cstr(v, "extensions_more", report_more_text(c->a, all, EXTENSIONS_SHOWN));
    tpl_bool(v, "has_extensions", tpl_rows_count(rows) > 0);
}

/* The caller changes what differs; a row with a column unset is an error of the page. */
static struct tpl_row *add_debug(struct tpl_rows *rows, const char *label, struct str text,
                                 bool is_block)
{
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_cstr(row, DEBUG_FACT_LABEL, label);
    tpl_col_text(row, DEBUG_FACT_TEXT, text);
    tpl_col_bool(row, DEBUG_FACT_IS_BLOCK, is_block);
    tpl_col_bool(row, DEBUG_FACT_IS_CHECKSUM, false);
    tpl_col_bool(row, DEBUG_FACT_IS_EMPTY_FILE, false);
    return row;
}

/*
 * Texts of one line as they are; longer ones and lists keep their lines.  What a report lacks has
 * no row: an empty one would look like a value.
 */
static void add_debug_value(struct arena *a, struct tpl_rows *rows, const char *label,
                            const json_t *value)
{
    if (!value || json_is_null(value))
        return;
    if (json_is_string(value)) {
        struct str text = str_n(json_string_value(value), json_string_length(value));
        add_debug(rows, label, str_sub(text, 0, DEBUG_BYTES_SHOWN),
                  str_find_char(text, '\n', 0) != SIZE_MAX);
        return;
    }
    bool is_list = json_array_size(value) > 0 || json_object_size(value) > 0;
    add_debug(rows, label, str_of(tree(a, value)), is_list);
}

/* Checksums of the files that came with a report; old collectors took MD5. */
static void add_checksums(struct tpl_rows *rows, struct arena *a, const json_t *checksums)
{
    static const char nothing[] = /* SHA-256 of no bytes: the upload broke off, or was empty */
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const char *name;
    json_t *value;
    size_t shown = 0;
    json_object_foreach ((json_t *)checksums, name, value) {
        if (shown++ == CHECKSUMS_SHOWN)
            return;
        struct str sum = str_of(json_is_string(value) ? json_string_value(value) : "");
        const char *kind = raw_checksum_is_md5(sum) ? "MD5" : "SHA-256";
        struct tpl_row *row = add_debug(rows, arena_printf(a, "%s of %s", kind, name), sum, false);
        tpl_col_bool(row, DEBUG_FACT_IS_CHECKSUM, true);
        tpl_col_bool(row, DEBUG_FACT_IS_EMPTY_FILE, str_eq(sum, str_of(nothing)));
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
    struct tpl_rows *rows = tpl_list(v, LIST_DEBUG);
    if (c->reader != PERM_PROTECTED || !req_may(c->req, "view_rawdump"))
        return;
    for (size_t i = 0; i < ARRAY_LEN(processed); i++)
        add_debug_value(c->a, rows, processed[i].label, jpath(c->stored, processed[i].path));
    const json_t *metadata = jget_obj(c->raw, "metadata");
    const char *name;
    json_t *value;
    add_checksums(rows, c->a, jget_obj(metadata, "dump_checksums"));
    size_t shown = 0;
    json_object_foreach ((json_t *)metadata, name, value)
        if (strcmp(name, "dump_checksums") != 0 && shown++ < METADATA_SHOWN)
            add_debug_value(c->a, rows, arena_printf(c->a, "Collector: %s", name), value);
}
