/*
 * The entry points without services.  Each takes documents from a folder or from standard
 * input, gives them to the code that the workers run, and prints what comes out; nothing
 * here knows a rule, a schema or an order of its own.
 *
 * Golden cases and people who write rules use them; so the output is made to be compared: sorted
 * keys, ASCII, nothing of the clock of this machine but what a rule puts in.  A document that
 * cannot be read ends the run with an error and the line it stood on, since a list with a hole in
 * it would be compared as if it were whole.
 */
#include "processor/offline.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/crash/raw.h"
#include "lib/crash/reduce.h"
#include "lib/crash/telemetry.h"
#include "lib/crash/version_key.h"
#include "lib/json/json.h"
#include "processor/crash.h"
#include "processor/csv_versions.h"
#include "processor/job.h"
#include "processor/setup.h"

/* Twice the names that the collector gives to files of a report (DUMP_NAME_MAX), with their
 * zero. */
enum { NAME_MAX_BYTES = 64 };

/* The id of a crash that has none; only its date matters, and that is the last six digits. */
static const char no_id[] = "00000000-0000-4000-8000-000000000101";

/* Keys are sorted and all is ASCII, so that outputs can be compared with diff. */
static bool print_document(const struct offline_options *o, const json_t *doc, struct err *err)
{
    size_t flags =
        JSON_SORT_KEYS | JSON_ENSURE_ASCII | (o->is_jsonl ? JSON_COMPACT : (size_t)JSON_INDENT(2));
    if (json_dumpf(doc, stdout, flags) != 0 || putchar('\n') == EOF || fflush(stdout) != 0)
        return err_set(err, ERR_IO, "cannot write the result");
    return true;
}

typedef bool on_document(void *arg, json_t *doc, struct err *err);

/* Documents one a line: the first that fails ends the run, with its number. */
static bool run_each_document(on_document *each, void *arg, struct err *err)
{
    FREE_LATER char *line = NULL;
    size_t cap = 0, number = 0;
    ssize_t got;
    while ((got = getline(&line, &cap, stdin)) > 0) {
        number++;
        if (str_trim(str_n(line, (size_t)got)).n == 0)
            continue;
        json_auto_t *doc = jparse(str_n(line, (size_t)got), JSON_BYTES_MAX, err);
        if (!doc || !each(arg, doc, err))
            return err_wrap(err, "line %zu", number);
    }
    return true;
}

/* One document over any number of lines, or one a line. */
static bool each_document(const struct offline_options *o, on_document *each, void *arg,
                          struct err *err)
{
    if (o->is_jsonl)
        return run_each_document(each, arg, err);
    FREE_LATER char *text = NULL;
    size_t n;
    if (!fs_read_fd(STDIN_FILENO, "standard input", JSON_BYTES_MAX, &text, &n, err))
        return false;
    json_auto_t *doc = jparse(str_n(text, n), JSON_BYTES_MAX, err);
    return doc && each(arg, doc, err);
}

/* "upload_file_minidump.dmp" and "dump" are the main dump; false: not a dump. */
static bool dump_name(const char *file, char out[NAME_MAX_BYTES])
{
    struct str name = str_of(file);
    if (name.n == 0 || name.n >= NAME_MAX_BYTES || name.p[0] == '.' || str_ends(name, STR(".json")))
        return false;
    if (str_ends(name, STR(".dmp")))
        name.n -= 4;
    if (str_eq(name, STR("dump")))
        name = STR("upload_file_minidump");
    snprintf(out, NAME_MAX_BYTES, STR_FMT, STR_ARG(name));
    return true;
}

/* Every file of the folder that is no JSON is a dump, in the order of names. */
static bool add_files(struct crash *c, const char *dir, struct err *err)
{
    struct dirent **found = NULL;
    int n = scandir(dir, &found, NULL, alphasort);
    if (n < 0)
        return err_errno(err, errno, "%s", dir);
    bool ok = true;
    for (int i = 0; i < n; i++) {
        char name[NAME_MAX_BYTES], path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", dir, found[i]->d_name);
        if (ok && dump_name(found[i]->d_name, name)) {
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            ok = fd >= 0 ? crash_add_dump(c, name, fd, err) : err_errno(err, errno, "%s", path);
        }
        free(found[i]);
    }
    free(found);
    return ok;
}

/* A folder as the store has it, or a report that somebody has put together by hand: older forms of
 * raw crashes are brought to ours first. */
static bool load_dir(struct crash *c, const char *dir, struct err *err)
{
    char path[PATH_MAX];
    FREE_LATER char *text = NULL;
    size_t n;
    snprintf(path, sizeof path, "%s/raw_crash.json", dir);
    if (!fs_read(path, JSON_BYTES_MAX, &text, &n, err))
        return false;
    c->job.raw = jparse(str_n(text, n), JSON_BYTES_MAX, err);
    if (!c->job.raw)
        return err_wrap(err, "%s", path);
    raw_crash_upgrade(c->job.raw);
    const char *id = jget_str(c->job.raw, "uuid");
    if (id && crash_id_valid(str_of(id), false))
        c->job.crash_id = arena_strdup(&c->arena, id);
    return add_files(c, dir, err);
}

/* The same steps as for a crash from the store, except that there is no old processed crash. */
static bool process_dir(const struct offline_options *o, const struct crash_setup *setup,
                        const char *dir, struct err *err)
{
    struct crash c;
    crash_begin(&c, setup, no_id, o->ruleset);
    bool ok = load_dir(&c, dir, err) && crash_make_tmp(&c, setup->tmp_base, err) &&
              crash_process(&c, err) && print_document(o, c.job.processed, err);
    crash_release(&c);
    return ok || err_wrap(err, "%s", dir);
}

struct offline_context {
    const struct offline_options *o;
    struct setup setup;
    struct csv_versions *csv;
    struct version_source versions;
    struct crash_setup crash;
    const char *rule;
};

/* What the workers share, made once for all documents; versions come from a file instead of the
 * database. */
static bool context_open(struct offline_context *x, const struct conf *conf,
                         const struct offline_options *o, struct err *err)
{
    *x = (struct offline_context){.o = o};
    if (!setup_open_offline(conf, o->fields, o->symbol_dirs, &x->setup, err))
        return false;
    if (o->product_versions && !csv_versions_load(o->product_versions, &x->csv, err))
        return false;
    if (x->csv)
        x->versions = csv_versions_source(x->csv);
    x->crash = setup_for_crash(&x->setup, x->csv ? &x->versions : NULL);
    return true;
}

static void context_release(struct offline_context *x)
{
    csv_versions_free(x->csv);
    setup_release(&x->setup);
}

bool offline_process(const struct conf *conf, const struct offline_options *o,
                     const char *const *dirs, size_t dir_count, struct err *err)
{
    struct offline_context x;
    if (!rules_has_set(o->ruleset))
        return err_set(err, ERR_INVALID, "no rule set '%.100s'", o->ruleset);
    bool ok = context_open(&x, conf, o, err);
    for (size_t i = 0; ok && i < dir_count; i++)
        ok = process_dir(o, &x.crash, dirs[i], err);
    context_release(&x);
    return ok;
}

/* Rules may be tried on anything: a part that is missing is empty. */
static json_t *copy_or_empty(const json_t *doc, const char *key)
{
    json_t *part = jget_obj(doc, key);
    return part ? json_deep_copy(part) : json_object();
}

static bool add_named_dumps(struct crash *c, const json_t *names, struct err *err)
{
    size_t i;
    json_t *name;
    json_array_foreach (names, i, name) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* the rules see that it exists */
        if (!json_is_string(name) || !crash_add_dump(c, json_string_value(name), fd, err))
            return err_set(err, ERR_INVALID, "dump_names: not a list of at most %d texts",
                           CRASH_DUMPS_MAX);
    }
    return true;
}

/*
 * {"raw_crash", "processed_crash", "dump_names"} in, the first two and the notes out: what golden
 * cases of single rules are made of.
 */
static bool apply_rule(void *arg, json_t *doc, struct err *err)
{
    struct offline_context *x = arg;
    struct crash c;
    const char *id = jpath_str(doc, "raw_crash.uuid");
    crash_begin(&c, &x->crash, id && crash_id_valid(str_of(id), false) ? id : no_id, x->o->ruleset);
    c.job.raw = copy_or_empty(doc, "raw_crash");
    json_decref(c.job.processed);
    c.job.processed = copy_or_empty(doc, "processed_crash");
    bool ok = add_named_dumps(&c, jget_arr(doc, "dump_names"), err) &&
              crash_make_tmp(&c, x->crash.tmp_base, err) && rules_apply_one(&c.job, x->rule, err);
    if (ok) {
        json_auto_t *out = json_pack("{s:O, s:O, s:O}", "raw_crash", c.job.raw, "processed_crash",
                                     c.job.processed, "notes", c.job.notes);
        ok = print_document(x->o, out, err);
    }
    crash_release(&c);
    return ok;
}

bool offline_apply_rule(const struct conf *conf, const struct offline_options *o, const char *rule,
                        struct err *err)
{
    struct offline_context x;
    bool ok = context_open(&x, conf, o, err);
    x.rule = rule;
    ok = ok && each_document(o, apply_rule, &x, err);
    context_release(&x);
    return ok;
}

/* What a reader without rights would see: the same reducer that every way out uses. */
static bool reduce_one(void *arg, json_t *doc, struct err *err)
{
    const struct offline_options *o = arg;
    json_auto_t *public_doc = reduce_processed(o->fields, doc, PERM_PUBLIC, NULL);
    return print_document(o, public_doc, err);
}

bool offline_public(const struct offline_options *o, struct err *err)
{
    struct offline_options copy = *o;
    return each_document(o, reduce_one, &copy, err);
}

/* The record of the export, as the job writes it. */
static bool export_one(void *arg, json_t *doc, struct err *err)
{
    const struct offline_options *o = arg;
    json_auto_t *record = telemetry_record(o->fields, doc, NULL);
    return print_document(o, record, err);
}

bool offline_telemetry(const struct offline_options *o, struct err *err)
{
    struct offline_options copy = *o;
    return each_document(o, export_one, &copy, err);
}

/* A line for a line, "null" for what is no version. */
bool offline_version_keys(struct err *err)
{
    FREE_LATER char *line = NULL;
    size_t cap = 0;
    ssize_t got;
    bool ok = true;
    while (ok && (got = getline(&line, &cap, stdin)) > 0) {
        char key[VERSION_KEY_MAX];
        ok = puts(version_key(str_trim(str_n(line, (size_t)got)), key) ? key : "null") >= 0;
    }
    return (ok && !ferror(stdin) && fflush(stdout) == 0) ||
           err_set(err, ERR_IO, "cannot read the versions or write their keys");
}
