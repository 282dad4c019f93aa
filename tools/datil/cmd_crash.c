/*
 * crash load, show, delete.  Loading reads one processed crash a line, from anywhere: a line that
 * is no such document is refused by its number and the others go on.  Batches share the waits for
 * the disk; a batch that is interrupted may be loaded again, since a crash replaces itself.
 *
 * Deleting is done in all places for each crash, one after the other, and may be repeated; the line
 * that is printed says where it was found, so a crash that was half deleted before is seen as well.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/crash/crash_id.h"
#include "lib/export/export.h"
#include "lib/json/json.h"
#include "lib/ledger/document.h"
#include "lib/ledger/ledger.h"
#include "lib/store/store.h"
#include "tools/datil/app.h"
#include "tools/datil/found_ids.h"

/* A batch holds its documents in memory, parsed, hence the limit in bytes of text as well. */
enum { LOAD_BATCH = LEDGER_BATCH_MAX, LOAD_BATCH_BYTES = 64 << 20, COMPLAINTS_MAX = 20 };

struct crash_loading {
    struct app *app;
    json_t *docs[LOAD_BATCH];
    size_t n, bytes;
    size_t loaded, refused, line;
};

static void forget_batch(struct crash_loading *l)
{
    for (size_t i = 0; i < l->n; i++)
        json_decref(l->docs[i]);
    l->n = l->bytes = 0;
}

/* Loading counts as processing: who reads exports has these crashes as well. */
static bool export_batch(struct crash_loading *l, struct err *err)
{
    const char *var = conf_text(&l->app->conf, CONF_DATIL_VAR);
    for (size_t i = 0; i < l->n; i++)
        if (!export_put_first(var, l->app->store, l->app->fields, jget_str(l->docs[i], "uuid"),
                              l->docs[i], err))
            return false;
    return true;
}

/*
 * After a failure none of the batch counts as loaded, although some may be: loading again is
 * harmless.
 */
static bool flush_batch(struct crash_loading *l, struct err *err)
{
    size_t n = l->n;
    bool ok = export_batch(l, err) &&
              ledger_load(l->app->db, l->app->store, l->app->writer, l->docs, n, err);
    forget_batch(l);
    l->loaded += ok ? n : 0;
    return ok;
}

static void refuse(struct crash_loading *l, const char *why)
{
    if (++l->refused <= COMPLAINTS_MAX)
        fprintf(stderr, "line %zu: %s\n", l->line, why);
    else if (l->refused == COMPLAINTS_MAX + 1)
        fputs("further lines are refused without a word\n", stderr);
}

static bool take_line(struct crash_loading *l, struct str line, struct err *err)
{
    struct err why = {0};
    json_t *doc = ledger_read_document(line, &why);
    if (!doc) {
        refuse(l, why.msg);
        return true;
    }
    l->docs[l->n++] = doc;
    l->bytes += line.n;
    return (l->n < LOAD_BATCH && l->bytes < LOAD_BATCH_BYTES) || flush_batch(l, err);
}

/* Lines of any length: one that is too long for a document is refused as one. */
static bool load_stream(struct crash_loading *l, FILE *in, struct err *err)
{
    FREE_LATER char *line = NULL;
    size_t cap = 0;
    ssize_t got;
    while ((got = getline(&line, &cap, in)) > 0) {
        l->line++;
        struct str text = str_trim(str_n(line, (size_t)got));
        if (text.n && !take_line(l, text, err))
            return err_wrap(err, "line %zu", l->line);
    }
    if (ferror(in))
        return err_errno(err, errno, "reading");
    return flush_batch(l, err);
}

static bool run_load(struct app *app, struct args args, struct err *err)
{
    if (!NO_OPTS(&args, 0, 1, err) || !app_db(app, err) || !app_store(app, err) ||
        !app_writer(app, err))
        return false;
    bool is_stdin = args.n == 0 || strcmp(args.v[0], "-") == 0;
    FILE *in = is_stdin ? stdin : fopen(args.v[0], "re");
    if (!in)
        return err_errno(err, errno, "opening %s", args.v[0]);
    struct crash_loading *l = xcalloc(1, sizeof *l);
    l->app = app;
    /*
     * The index is flushed once at the end, not per batch; what a power failure takes before that
     * is put again by the index keeper, which goes by the ledger.  The audit row tells what was
     * loaded even when the rest failed.
     */
    bool ok = load_stream(l, in, err) && ledger_sync(app->db, app->writer, err);
    forget_batch(l);
    const char *count = arena_printf(&app->arena, "%zu crashes", l->loaded);
    ok = (l->loaded == 0 || app_audit(app, "crash", "", "load", count, ok ? err : ERR_IGNORED)) &&
         ok;
    printf("loaded %zu crashes\n", l->loaded);
    if (l->refused) {
        printf("refused %zu lines\n", l->refused);
        app->exit_status = EXIT_FAILURE;
    }
    free(l);
    if (!is_stdin)
        fclose(in);
    return ok;
}

static bool parse_id(const char *text, char out[CRASH_ID_SIZE], struct err *err)
{
    return crash_id_parse(str_of(text), out) ||
           err_set(err, ERR_INVALID, "'%.60s' is not a crash id", text);
}

/*
 * Works without a database: the store alone has the document, and somebody whose database is down
 * may want to see it.
 */
static bool run_show(struct app *app, struct args args, struct err *err)
{
    bool is_raw = false;
    const struct opt opts[] = {{"--raw", OPT_FLAG, &is_raw}};
    char id[CRASH_ID_SIZE];
    if (!OPTS_PARSE(opts, &args, 1, 1, err) || !parse_id(args.v[0], id, err) ||
        !app_store(app, err))
        return false;
    json_auto_t *doc = store_get_json(app->store, id, is_raw ? "raw_crash" : "processed_crash",
                                      JSON_BYTES_MAX, err);
    if (!doc)
        return err->code == ERR_DAMAGED ? err_wrap(err, "crash %s", id) : false;
    if (json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_SORT_KEYS) != 0 || putchar('\n') == EOF)
        return err_set(err, ERR_IO, "cannot write the document");
    return true;
}

/* Parts that are missing are no failure: what is left of a crash goes, whatever that is. */
static bool delete_crash(struct app *app, const char *id, bool *ret_was_anywhere, struct err *err)
{
    struct ledger_removed r;
    struct str one = str_of(id);
    size_t rows;
    if (!ledger_delete(app->db, app->store, app->writer, id, &r, err) ||
        !export_remove(conf_text(&app->conf, CONF_DATIL_VAR), (struct strs){&one, 1}, &rows, err) ||
        !app_audit(app, "crash", id, "delete", "", err))
        return false;
    bool was_anywhere =
        r.store_objects || r.was_in_ledger || r.was_in_queue || r.was_in_index || rows;
    printf("%s: %zu objects%s%s%s%s%s\n", id, r.store_objects, r.was_in_ledger ? ", ledger" : "",
           r.was_in_queue ? ", queue" : "", r.was_in_index ? ", index" : "", rows ? ", export" : "",
           was_anywhere ? " deleted" : "; there was nothing to delete");
    *ret_was_anywhere = was_anywhere;
    return true;
}

static bool run_delete(struct app *app, struct args args, struct err *err)
{
    bool was_anywhere;
    if (!NO_OPTS(&args, 1, -1, err) || !app_db(app, err) || !app_store(app, err) ||
        !app_writer(app, err))
        return false;
    for (int i = 0; i < args.n; i++) {
        char id[CRASH_ID_SIZE];
        if (!parse_id(args.v[i], id, err) || !delete_crash(app, id, &was_anywhere, err))
            return false;
    }
    return true;
}

/*
 * Looked at anew after the deletion, since the report is for somebody who has to say that a crash
 * is gone.  A second run over the same list deletes what a first one, killed, has left.
 */
static bool delete_and_look(struct app *app, const char *id, size_t *deleted, size_t *left,
                            struct err *err)
{
    bool was_anywhere;
    if (!delete_crash(app, id, &was_anywhere, err))
        return false;
    *deleted += was_anywhere;
    if (store_exists(app->store, id, "raw_crash") ||
        store_exists(app->store, id, "processed_crash")) {
        printf("%s: is still in the store\n", id);
        ++*left;
    }
    return true;
}

static bool run_permadelete(struct app *app, struct args args, struct err *err)
{
    struct found_ids ids = {0};
    size_t deleted = 0, left = 0;
    if (!NO_OPTS(&args, 1, 1, err) || !app_db(app, err) || !app_store(app, err) ||
        !app_writer(app, err))
        return false;
    bool ok = found_in_file(args.v[0], &ids, err);
    for (size_t i = 0; ok && i < ids.list.n; i++)
        ok = delete_and_look(app, ids.list.v[i].id, &deleted, &left, err);
    if (ok)
        printf("%zu crashes listed: %zu deleted, %zu were nowhere, %zu are still there\n",
               ids.list.n, deleted, ids.list.n - deleted, left);
    if (left)
        app->exit_status = EXIT_FAILURE;
    VEC_RELEASE(&ids.list);
    return ok;
}

const struct command crash_commands[] = {
    {"crash load", "[FILE|-]",
     "Takes processed crashes, one JSON object a line, into store, ledger and index.\n"
     "Each needs a uuid that is a crash id.  Lines that cannot be used are named and left out.",
     run_load},
    {"crash show", "ID [--raw]", "Prints a processed crash, or the raw one.", run_show},
    {"crash delete", "ID…", "Deletes crashes everywhere: store, queue, ledger, index, export.",
     run_delete},
    {"permadelete", "FILE|-",
     "Deletes the crashes of a list everywhere and says of each what there was.\n"
     "FILE has an id a line, # begins a comment.  With a wrong line nothing is deleted.",
     run_permadelete},
    {0},
};
