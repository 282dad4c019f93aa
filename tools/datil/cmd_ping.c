/*
 * Crash pings for administrators: loading those of another system, making signatures anew, and
 * asking which ids sampling keeps.  All three use the code of the receiver and the workers, so what
 * they do is what happens to pings that come over the network.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/crash/product.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/ping/intake.h"
#include "lib/ping/ping.h"
#include "lib/ping/sampling.h"
#include "queries.h"
#include "tools/datil/app.h"

/* STALL_S: as long as nothing of what was loaded gets a signature, no worker is there. */
enum { POLL_MS = 100, STALL_S = 120, LINE_ARENA_BYTES = 256 << 20, LOAD_BATCH = 100 };

struct ping_load {
    struct app *app;
    struct products products;
    struct intake_ping pings[LOAD_BATCH];
    size_t n;
    size_t lines, kept, counted, duplicates;
    VEC(struct str) ids; /* of those with work, in the app's arena */
};

static void drop_loaded(struct ping_load *l)
{
    for (size_t i = 0; i < l->n; i++)
        json_decref(l->pings[i].doc);
    l->n = 0;
}

static bool load_batch(struct ping_load *l, struct err *err)
{
    const struct intake in = {l->app->db, &l->app->conf, &l->products, NULL};
    const struct intake_step none = {0};
    struct intake_result result = {0};
    bool ok = l->n == 0 || intake_take(&in, &none, l->pings, l->n, &result, err);
    l->kept += result.kept;
    l->counted += result.counted;
    l->duplicates += result.duplicates;
    drop_loaded(l);
    return ok;
}

/* When it came, and what it stands for: the two members that a ping of the network does not have.
 */
static bool read_load_members(const json_t *body, struct intake_ping *p, struct err *err)
{
    const char *at = jget_str(body, "received_at");
    const json_t *weight = json_object_get(body, "weight");
    p->received_us = now_us();
    p->weight = weight && json_is_number(weight) ? json_number_value(weight) : 1;
    if (at && !time_parse(str_of(at), &p->received_us, err))
        return err_wrap(err, "received_at");
    if (p->received_us > now_us() + DAY_US)
        return err_set(err, ERR_INVALID, "received_at is in the future");
    return (p->weight >= 1 && p->weight <= 1e9) ||
           err_set(err, ERR_INVALID, "weight is a number from 1 on");
}

static bool read_line(struct ping_load *l, struct str line, struct err *err)
{
    struct arena a;
    const struct ping_given given = {0};
    struct intake_ping p = {0};
    json_auto_t *body = jparse(line, JSON_BYTES_MAX, err);
    arena_init(&a, LINE_ARENA_BYTES);
    bool ok = body && read_load_members(body, &p, err) &&
              ping_read(&a, body, &given, &p.doc, &p.has_content, err);
    arena_release(&a);
    if (!ok)
        return false;
    struct str name = jget_strn(p.doc, "product");
    const struct product *product = products_find(&l->products, name);
    product = product ? product : products_find_alias(&l->products, name);
    if (!product) {
        json_decref(p.doc);
        return err_set(err, ERR_INVALID, "the product is not configured");
    }
    jset_cstr(p.doc, "product", product->name);
    if (p.has_content)
        VEC_PUSH(&l->ids, str_copy(&l->app->arena, jget_strn(p.doc, "document_id")));
    l->pings[l->n++] = p;
    return l->n < LOAD_BATCH || load_batch(l, err);
}

static bool load_lines(struct ping_load *l, FILE *in, struct err *err)
{
    FREE_LATER char *line = NULL;
    size_t cap = 0;
    ssize_t got;
    while ((got = getline(&line, &cap, in)) > 0) {
        l->lines++;
        struct str text = str_trim(str_n(line, (size_t)got));
        if (text.n && !read_line(l, text, err))
            return err_wrap(err, "line %zu", l->lines);
    }
    return load_batch(l, err);
}

/* Until each has its signature.  Pings that were there before are done already. */
static bool wait_for_work(struct ping_load *l, struct err *err)
{
    int64_t pending = -1, moved_ms = mono_ms();
    const char *ids = db_text_array(&l->app->arena, (struct strs){l->ids.v, l->ids.n});
    proc_block_signals();
    while (!proc_stopping()) {
        DB_ROWS rows = {0};
        if (!DB_RUN(l->app->db, &q_ping_pending, &rows, err, ids))
            return false;
        int64_t now = db_col_int(&rows, 0, Q_PING_PENDING_COL_PENDING, 0);
        if (now == 0)
            return true;
        if (now != pending)
            moved_ms = mono_ms();
        pending = now;
        if (mono_ms() - moved_ms > STALL_S * 1000)
            return err_set(err, ERR_UNAVAILABLE, "%lld pings wait; does the processor run?",
                           (long long)pending);
        proc_wait(NULL, 0, POLL_MS);
    }
    return err_set(err, ERR_ABANDONED, "interrupted; the workers go on");
}

static bool run_ping_load(struct app *app, struct args args, struct err *err)
{
    struct ping_load l = {.app = app};
    if (!NO_OPTS(&args, 0, 1, err) || !app_db(app, err) ||
        !products_load(conf_text(&app->conf, CONF_DATIL_VAR), &l.products, err))
        return false;
    bool is_file = args.n && strcmp(args.v[0], "-") != 0;
    FILE *in = is_file ? fopen(args.v[0], "re") : stdin;
    if (!in)
        err_errno(err, errno, "opening %s", args.v[0]);
    bool ok = in && load_lines(&l, in, err) && wait_for_work(&l, err);
    if (in && is_file)
        fclose(in);
    drop_loaded(&l);
    products_release(&l.products);
    VEC_RELEASE(&l.ids);
    if (ok)
        printf("%zu pings loaded, %zu of them with work, %zu were there before\n", l.counted,
               l.kept, l.duplicates);
    return ok;
}

static bool run_ping_reprocess(struct app *app, struct args args, struct err *err)
{
    const char *signature = NULL, *day = NULL, *build = NULL, *module = NULL;
    int64_t day_us;
    const struct opt opts[] = {{"--signature", OPT_TEXT, &signature},
                               {"--day", OPT_TEXT, &day},
                               {"--build", OPT_TEXT, &build},
                               {"--module", OPT_TEXT, &module}};
    if (!OPTS_PARSE(opts, &args, 0, 0, err))
        return false;
    if (!signature && !day && !build && !module)
        return err_set(err, ERR_INVALID, "say which: --signature, --day, --build or --module");
    if (day && (strlen(day) != 10 || !time_parse(str_of(day), &day_us, err)))
        return err_set(err, ERR_INVALID, "--day is YYYY-MM-DD");
    DB_ROWS rows = {0};
    if (!app_db(app, err) ||
        !DB_RUN(app->db, &q_ping_requeue, &rows, err, signature, day, build, module))
        return false;
    int64_t queued = db_col_int(&rows, 0, Q_PING_REQUEUE_COL_QUEUED, 0);
    printf("%lld pings are queued again\n", (long long)queued);
    return app_audit(app, "ping", day ? day : "", "reprocess",
                     arena_printf(&app->arena, "%lld pings", (long long)queued), err);
}

static bool run_ping_sample(struct app *app, struct args args, struct err *err)
{
    const char *p_text = NULL, *salt = "";
    double p;
    FREE_LATER char *line = NULL;
    size_t cap = 0;
    ssize_t got;
    const struct opt opts[] = {{"--p", OPT_TEXT, &p_text}, {"--salt", OPT_TEXT, &salt}};
    (void)app;
    if (!OPTS_PARSE(opts, &args, 0, 0, err))
        return false;
    if (!p_text || !str_to_double(str_of(p_text), "--p", &p, err) || !(p > 0) || p > 1)
        return err_set(err, ERR_INVALID, "--p is a share above 0 and up to 1");
    while ((got = getline(&line, &cap, stdin)) > 0) {
        struct str text = str_trim(str_n(line, (size_t)got));
        char id[PING_ID_SIZE];
        if (text.n == 0)
            continue;
        if (!ping_id_read(text, id))
            return err_set(err, ERR_INVALID, "a line is no document id");
        if (sampling_keeps(str_of(id), str_of(salt), p))
            printf("%s keep %.10g\n", id, 1 / p);
        else
            printf("%s drop 0\n", id);
    }
    return true;
}

const struct command ping_commands[] = {
    {"ping load", "[FILE|-]",
     "Loads crash pings, one JSON object a line, and returns when they have signatures.\n"
     "Members are those of docs/crash-pings.md, and received_at (default: now) and weight "
     "(default:\n"
     "1).  Nothing is sampled; a document id that is there already is left out.",
     run_ping_load},
    {"ping reprocess", "[--signature S] [--day D] [--build B] [--module M]",
     "Makes the signatures of pings anew, those that fit all that is given.\n"
     "Counters move with them.",
     run_ping_reprocess},
    {"ping sample", "--p P --salt TEXT",
     "Says of document ids on standard input which of them a share P keeps.\n"
     "Prints ID keep WEIGHT or ID drop 0.",
     run_ping_sample},
    {0},
};
