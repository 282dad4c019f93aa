/*
 * The result of a walk as JSON: the "json_dump" that the rules of the processor, the pages and the
 * API read, and that scripts written for other walkers know.  Keys are written in sorted order by
 * hand, so the file reads like the document; a key whose value is unknown is there with null, so
 * that readers need not ask for its presence.
 *
 * Numbers that are addresses are hexadecimal texts of the dump's pointer width.  What a writer of
 * dumps may put in unbounded (soft errors, handles) is limited here, because the whole document has
 * a limit and the stacks matter more.
 */
#include "lib/unwind/report.h"

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/json/jw.h"
#include "lib/minidump/crashpad.h"
#include "lib/minidump/mdmp.h"
#include "lib/minidump/process.h"
#include "lib/unwind/facts.h"
#include "lib/unwind/walk_symbols.h"

/* Far beyond what honest dumps hold, and small beside REPORT_BYTES_MAX. */
enum { SOFT_ERRORS_MAX = 1 << 20, SOFT_ERRORS_DEPTH = 16, HANDLES_WRITTEN_MAX = 65536 };

/* 33 zeros: what symbol servers and other walkers take for "no debug id". */
static const char NO_DEBUG_ID[] = "000000000000000000000000000000000";

/* The functions below write a key and its value at once; p NULL of a text becomes null. */
static void key_text(struct jw *w, const char *key, struct str s)
{
    jw_key(w, key);
    jw_text(w, s);
}

/* The text, or "" where a reader expects a string. */
static void key_string(struct jw *w, const char *key, struct str s)
{
    key_text(w, key, s.p ? s : STR(""));
}

static void key_hex(struct jw *w, const char *key, uint64_t v, int digits)
{
    jw_key(w, key);
    jw_hex(w, v, digits);
}

static void key_int(struct jw *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_int(w, v);
}

static void key_bool(struct jw *w, const char *key, bool v)
{
    jw_key(w, key);
    jw_bool(w, v);
}

static void key_null(struct jw *w, const char *key)
{
    jw_key(w, key);
    jw_null(w);
}

/*
 * A dump without the stream gives null, one with an empty stream an empty list: the same for all
 * the parts that only some dumps have.
 */
static void write_handles(const struct walk_report *r, struct jw *w)
{
    struct mdmp_pool pool = r->facts->pool;
    struct mdmp_handles handles;
    if (!mdmp_handles_read(&r->facts->dump, &pool, &handles)) {
        jw_null(w);
        return;
    }
    jw_array(w);
    for (size_t i = 0; i < MIN(handles.n, (size_t)HANDLES_WRITTEN_MAX); i++) {
        jw_object(w);
        key_int(w, "handle", (int64_t)handles.v[i].handle);
        key_text(w, "object_name", handles.v[i].object_name);
        key_text(w, "type_name", handles.v[i].type_name);
        jw_end(w);
    }
    jw_end(w);
}

static void write_lsb_release(const struct walk_report *r, struct jw *w)
{
    struct mdmp_lsb lsb;
    if (!mdmp_lsb_read(&r->facts->dump, &lsb)) {
        jw_null(w);
        return;
    }
    jw_object(w);
    key_text(w, "codename", lsb.codename);
    key_text(w, "description", lsb.description);
    key_text(w, "id", lsb.id);
    key_text(w, "release", lsb.release);
    jw_end(w);
}

/* In records of macOS a zero, and an empty text below, stand for "not set". */
static void key_nonzero_hex(struct jw *w, const char *key, uint64_t v, int digits)
{
    jw_key(w, key);
    if (v)
        jw_hex(w, v, digits);
    else
        jw_null(w);
}

static void key_nonempty(struct jw *w, const char *key, struct str s)
{
    key_text(w, key, s.n ? s : STR_NONE);
}

/*
 * What libraries of macOS left for the crash reporter before they ended the process: often the only
 * sentence that says why.
 */
static void write_mac_crash_info(const struct walk_report *r, struct jw *w)
{
    struct mdmp_mac_info info;
    if (!mdmp_mac_info_read(&r->facts->dump, &info)) {
        jw_null(w);
        return;
    }
    int digits = facts_address_digits(r->facts);
    jw_object(w);
    key_int(w, "num_records", (int64_t)info.n);
    jw_key(w, "records");
    jw_array(w);
    for (size_t i = 0; i < info.n; i++) {
        const struct mdmp_mac_record *rec = &info.v[i];
        jw_object(w);
        key_nonzero_hex(w, "abort_cause", rec->abort_cause, digits);
        key_nonempty(w, "backtrace", rec->backtrace);
        key_nonzero_hex(w, "dialog_mode", rec->dialog_mode, digits);
        key_nonempty(w, "message", rec->message);
        key_nonempty(w, "message2", rec->message2);
        key_nonempty(w, "module", rec->module);
        key_nonempty(w, "signature_string", rec->signature_string);
        key_nonzero_hex(w, "thread", rec->thread, digits);
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
}

/*
 * In the order of the dump, because "main_module" is a place in this list: the first module is the
 * program.  Of the three states of symbols none is true where nobody asked, which is where no frame
 * lies.
 */
static void write_modules(const struct walk_report *r, const struct certs *certs, struct jw *w)
{
    int digits = facts_address_digits(r->facts);
    jw_array(w);
    for (size_t i = 0; i < r->facts->modules.n && !w->out->overflow; i++) {
        const struct mdmp_module *m = &r->facts->modules.v[i];
        const struct module_symbols *symbols = walk_symbols_state(r->symbols, i);
        /* Found by its code id: the symbols know what the dump does not. */
        bool is_resolved = !m->debug_id && symbols->is_open;
        jw_object(w);
        key_hex(w, "base_addr", m->base, digits);
        key_text(w, "cert_subject", report_signer(certs, m->file));
        key_string(w, "code_id", str_of(m->code_id));
        key_bool(w, "corrupt_symbols", symbols->is_corrupt);
        key_string(w, "debug_file", is_resolved ? symbols->csym.debug_file : m->debug_file);
        key_string(w, "debug_id",
                   is_resolved ? symbols->csym.debug_id
                               : str_of(m->debug_id ? m->debug_id : NO_DEBUG_ID));
        key_hex(w, "end_addr", m->base + m->size, digits);
        key_string(w, "filename", m->file);
        key_bool(w, "loaded_symbols", symbols->is_loaded);
        key_bool(w, "missing_symbols", symbols->is_missing);
        key_text(w, "symbol_url", str_of(symbols->url));
        key_text(w, "version", str_of(m->version));
        jw_end(w);
    }
    jw_end(w);
}

/*
 * So that pages know whether a column of signers is worth showing, without looking through all
 * modules.
 */
static bool any_signed(const struct walk_report *r, const struct certs *certs)
{
    for (size_t i = 0; certs->n && i < r->facts->modules.n; i++)
        if (report_signer(certs, r->facts->modules.v[i].file).p)
            return true;
    return false;
}

/*
 * Modules that were unloaded before the crash.  Their symbols are not asked for: what ran there is
 * gone, and only a name is left to tell.
 */
static void write_unloaded_modules(const struct walk_report *r, const struct certs *certs,
                                   struct jw *w)
{
    int digits = facts_address_digits(r->facts);
    jw_array(w);
    for (size_t i = 0; i < r->facts->unloaded.n && !w->out->overflow; i++) {
        const struct mdmp_unloaded *m = &r->facts->unloaded.v[i];
        jw_object(w);
        key_hex(w, "base_addr", m->base, digits);
        key_text(w, "cert_subject", report_signer(certs, mdmp_base_name(m->path)));
        key_text(w, "code_id", str_of(m->code_id));
        key_hex(w, "end_addr", m->base + m->size, digits);
        key_text(w, "filename", m->path);
        jw_end(w);
    }
    jw_end(w);
}

/* A limit is a number, "unlimited", or "err" where the file said something else. */
static void key_limit(struct jw *w, const char *key, struct str value)
{
    uint64_t n;
    jw_key(w, key);
    if (str_eq(value, STR("unlimited")))
        jw_text(w, value);
    else if (str_to_u64(value, 10, INT64_MAX, "limit", &n, ERR_IGNORED))
        jw_int(w, (int64_t)n);
    else
        jw_text(w, STR("err"));
}

static void write_proc_limits(const struct walk_report *r, struct jw *w)
{
    struct mdmp_limits limits;
    if (!mdmp_limits_read(&r->facts->dump, r->arena, &limits)) {
        jw_null(w);
        return;
    }
    jw_object(w);
    jw_key(w, "limits");
    jw_array(w);
    for (size_t i = 0; i < limits.n; i++) {
        jw_object(w);
        key_limit(w, "hard", limits.v[i].hard);
        key_text(w, "name", limits.v[i].name);
        key_limit(w, "soft", limits.v[i].soft);
        key_text(w, "unit", limits.v[i].unit);
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
}

/* Whether containers are nested at most `levels` deep. */
static bool is_shallow(const json_t *v, int levels)
{
    const char *key;
    const json_t *item;
    size_t i;
    if (levels == 0)
        return !json_is_array(v) && !json_is_object(v);
    json_array_foreach (v, i, item)
        if (!is_shallow(item, levels - 1))
            return false;
    json_object_foreach ((json_t *)v, key, item)
        if (!is_shallow(item, levels - 1))
            return false;
    return true;
}

/* The writer's JSON as it is, if it is JSON.  Deep nesting would make our own unreadable. */
static void write_soft_errors(const struct walk_report *r, struct jw *w)
{
    struct str text;
    json_auto_t *v = NULL;
    if (mdmp_soft_errors_read(&r->facts->dump, &text))
        v = jparse(str_trim(text), SOFT_ERRORS_MAX, ERR_IGNORED);
    jw_tree(w, v && is_shallow(v, SOFT_ERRORS_DEPTH) ? v : NULL);
}

/* What the dump holds, for those who ask why something is missing from a report. */
static void write_streams(const struct walk_report *r, struct jw *w)
{
    jw_array(w);
    uint32_t n = MIN(r->facts->dump.stream_count, (uint32_t)MDMP_STREAMS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        struct mdmp_dir_entry e = mdmp_dir_entry(&r->facts->dump, i);
        jw_object(w);
        key_text(w, "name", str_of(mdmp_stream_name(e.type)));
        key_int(w, "size", e.size_bytes);
        key_int(w, "type", e.type);
        jw_end(w);
    }
    jw_end(w);
}

/*
 * The microcode has no leading zeros (one digit at least): it is compared with lists of versions.
 */
static void write_system_info(const struct walk_report *r, struct jw *w)
{
    const struct mdmp_system *s = &r->facts->system;
    uint64_t microcode;
    jw_object(w);
    key_text(w, "cpu_arch", str_of(s->cpu_arch));
    key_int(w, "cpu_count", s->cpu_count);
    key_text(w, "cpu_info", s->cpu_info);
    jw_key(w, "cpu_microcode_version");
    if (report_microcode(r, &microcode))
        jw_hex(w, microcode, 1);
    else
        jw_null(w);
    key_text(w, "os", str_of(s->os_name));
    key_text(w, "os_ver", s->os_ver);
    jw_end(w);
}

/* What the walk did not do for want of room. */
static void write_notes(const struct walk_report *r, struct jw *w)
{
    const struct {
        bool is_true;
        const char *text;
    } notes[] = {
        {r->walk->was_cut, "stacks were cut at the limit of frames"},
        {r->symbols->was_limited, "symbol files were left out at the limit of their size"},
        {r->facts->threads.is_cut, "threads were left out at their limit"},
        {r->facts->modules.is_cut, "modules were left out at their limit"},
        {r->facts->dump.stream_count > MDMP_STREAMS_MAX, "streams were left out at their limit"},
    };
    jw_array(w);
    for (size_t i = 0; i < ARRAY_LEN(notes); i++)
        if (notes[i].is_true)
            jw_text(w, str_of(notes[i].text));
    jw_end(w);
}

/* About the walk and not about the crash, so rules and signatures do not read it. */
static void write_walker(const struct walk_report *r, struct jw *w)
{
    jw_object(w);
    key_int(w, "elapsed_ms", r->elapsed_ms);
    key_bool(w, "frames_truncated", r->walk->was_cut);
    jw_key(w, "notes");
    write_notes(r, w);
    key_int(w, "symbol_ms", r->symbols->load_us / 1000);
    key_text(w, "version", STR("datil-stackwalk " DATIL_VERSION));
    jw_end(w);
}

static void write_pid(const struct walk_report *r, struct jw *w)
{
    if (r->facts->process.has_pid)
        key_int(w, "pid", r->facts->process.pid);
    else
        key_null(w, "pid");
}

/*
 * By the clock of the machine that crashed, twice, so it does not matter how wrong it was; 0 where
 * it was set back in between.
 */
static void write_uptime(const struct walk_report *r, struct jw *w)
{
    const struct facts *f = r->facts;
    if (f->process.has_create_time)
        key_int(w, "process_uptime",
                MAX((int64_t)f->dump.time_s - (int64_t)f->process.create_time_s, INT64_C(0)));
    else
        key_null(w, "process_uptime");
}

static void write_boot_args(const struct walk_report *r, struct jw *w)
{
    struct mdmp_pool pool = r->facts->pool;
    struct str args = STR_NONE;
    mdmp_mac_bootargs_read(&r->facts->dump, &pool, &args);
    key_text(w, "mac_boot_args", args);
}

/*
 * Parts that are absent and not null: the copy of the crashing thread where there is none, and what
 * only Crashpad writes.
 */
bool report_json(const struct walk_report *r, struct strbuf *out, struct err *err)
{
    const struct facts *f = r->facts;
    struct certs certs = report_certs(r);
    struct jw writer, *w = &writer;
    jw_init(w, out, r->is_pretty);
    jw_object(w);
    jw_key(w, "crash_info");
    report_crash_info(r, w);
    if (f->crashing_thread != SIZE_MAX && r->walk->stacks[f->crashing_thread].n) {
        jw_key(w, "crashing_thread");
        report_crashing_thread(r, w);
    }
    json_auto_t *crashpad = crashpad_json(&f->dump);
    if (crashpad) {
        jw_key(w, "crashpad_info");
        jw_tree(w, crashpad);
    }
    jw_key(w, "handles");
    write_handles(r, w);
    if (f->maps.has_linux_maps)
        key_int(w, "linux_memory_map_count", (int64_t)f->maps.linux_map_count);
    else
        key_null(w, "linux_memory_map_count");
    jw_key(w, "lsb_release");
    write_lsb_release(r, w);
    write_boot_args(r, w);
    jw_key(w, "mac_crash_info");
    write_mac_crash_info(r, w);
    key_int(w, "main_module", 0);
    jw_key(w, "modules");
    write_modules(r, &certs, w);
    key_bool(w, "modules_contains_cert_info", any_signed(r, &certs));
    write_pid(r, w);
    jw_key(w, "proc_limits");
    write_proc_limits(r, w);
    write_uptime(r, w);
    jw_key(w, "soft_errors");
    write_soft_errors(r, w);
    key_text(w, "status", STR("OK"));
    jw_key(w, "streams");
    write_streams(r, w);
    jw_key(w, "system_info");
    write_system_info(r, w);
    key_int(w, "thread_count", (int64_t)f->threads.n);
    jw_key(w, "threads");
    report_threads(r, w);
    jw_key(w, "unloaded_modules");
    write_unloaded_modules(r, &certs, w);
    jw_key(w, "walker");
    write_walker(r, w);
    jw_end(w);
    if (out->overflow)
        return err_set(err, ERR_TOO_LARGE, "OutputTooLarge - more than %zu bytes", out->max);
    return true;
}
