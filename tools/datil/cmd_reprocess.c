/*
 * reprocess …, fetch_crashids: crashes into the queue once more, by id, from a list or by a
 * search.  They go behind newly received ones (QUEUE_REPROCESSING), so that a million of them
 * holds up nobody; groups and the pauses between them are those of Socorro's command, and give time
 * to see what the first ones become.  With --host the queue is that of another installation.
 *
 * Killed in the middle, a list can be given again: a message that still waits stays one message,
 * but what was processed meanwhile would be so twice.  With --note FILE the file says behind each
 * group how far the list was read; a run that finds it goes on there.  The group and the note are
 * two writes, so at most one group is queued twice.  The note has the last id beside the number,
 * by which a note of another list is noticed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/crash/crash_id.h"
#include "lib/ledger/ledger.h"
#include "lib/search/query.h"
#include "lib/store/store.h"
#include "lib/tpl/tpl.h"
#include "tools/datil/affected.h"
#include "tools/datil/app.h"
#include "tools/datil/found_ids.h"
#include "tools/datil/progress.h"
#include "tools/datil/reprocess_preview.h"
#include "tools/datil/reprocess_remote.h"

/*
 * Group and pause are those of Socorro's command of this name.  A database or server that is away
 * is asked again for five minutes, in which it restarts; behind that somebody has to look anyway.
 */
enum {
    GROUP = 50,
    PAUSE_S = 1,
    PAUSE_MAX_S = 3600,
    AGAIN_MS = 10000,
    AGAIN_MAX = 30,
    NOTE_BYTES = 100
};

static const char *const rulesets[] = {"default", "regenerate_signature"};

struct reprocess {
    struct app *app;
    const char *ruleset, *note;
    int64_t group, pause_s;
    bool is_patient; /* waits for a database that is away */
    size_t queued;
    struct reprocess_remote remote; /* host NULL: this installation */
    struct progress progress;
};

/* One transaction for the group: all of its crashes are queued, or none. */
static bool publish(struct reprocess *r, const struct ledger_entry *entries, size_t n,
                    struct err *err)
{
    for (int attempt = 1;; attempt++) {
        struct err why = {0};
        if (r->remote.host ? reprocess_remote_publish(&r->remote, entries, n, &why)
                           : ledger_publish_all(r->app->db, entries, n, &why)) {
            r->queued += n;
            return true;
        }
        if (why.code != ERR_UNAVAILABLE || !r->is_patient || attempt == AGAIN_MAX)
            return err_set(err, why.code, "%s", why.msg);
        fprintf(stderr, "%s; again in %d s\n", why.msg, AGAIN_MS / 1000);
        pause_ms(AGAIN_MS);
    }
}

/* A crash whose raw crash is gone cannot be processed and is left out. */
static bool queue_group(struct reprocess *r, const struct found_crash *ids, size_t n,
                        struct err *err)
{
    struct ledger_entry entries[LEDGER_BATCH_MAX];
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (r->remote.host || store_exists(r->app->store, ids[i].id, "raw_crash"))
            entries[kept++] = (struct ledger_entry){
                .crash_id = ids[i].id,
                .ruleset = r->ruleset,
                .queue = QUEUE_REPROCESSING,
            };
        progress_step(&r->progress, 0);
    }
    return kept == 0 || publish(r, entries, kept, err);
}

/* How many of the list an earlier run has done; none without a note. */
static bool read_note(const struct reprocess *r, const struct found_ids *ids, size_t *ret,
                      struct err *err)
{
    FREE_LATER char *text = NULL;
    size_t n;
    uint64_t done;
    struct err why = {0};
    if (!r->note)
        return true;
    if (!fs_read(r->note, NOTE_BYTES, &text, &n, &why))
        return why.code == ERR_NOT_FOUND || err_set(err, why.code, "%s: %s", r->note, why.msg);
    struct str rest = str_n(text, n), count = {0};
    if (!str_split(&rest, ' ', &count) ||
        !str_to_u64(count, 10, ids->list.n, "count", &done, err) || done == 0 ||
        !str_eq(str_trim(rest), str_of(ids->list.v[done - 1].id)))
        return err_set(err, ERR_INVALID, "%s is no note of this list; remove it to begin anew",
                       r->note);
    *ret = (size_t)done;
    return true;
}

static bool write_note(const struct reprocess *r, size_t done, const char *id, struct err *err)
{
    char text[NOTE_BYTES];
    int n = snprintf(text, sizeof text, "%zu %s\n", done, id);
    return !r->note || fs_write_atomic(r->note, text, (size_t)n, FS_FILE_MODE, err);
}

static bool queue_list(struct reprocess *r, const struct found_ids *ids, struct err *err)
{
    size_t at = 0;
    if (!read_note(r, ids, &at, err))
        return false;
    if (at)
        printf("%zu of %zu were done by an earlier run\n", at, ids->list.n);
    r->progress =
        (struct progress){.what = "reprocess", .unit = "crashes", .total = ids->list.n - at};
    while (at < ids->list.n) {
        size_t n = MIN(ids->list.n - at, (size_t)r->group);
        if (!queue_group(r, ids->list.v + at, n, err) ||
            !write_note(r, at + n, ids->list.v[at + n - 1].id, err))
            return false;
        at += n;
        if (at < ids->list.n && r->pause_s)
            pause_ms(r->pause_s * 1000);
    }
    progress_clear(&r->progress);
    if (r->note && unlink(r->note) != 0 && errno != ENOENT)
        return err_errno(err, errno, "removing %s", r->note);
    return true;
}

/*
 * An id that was typed wrong stops everything before a message is written.  Those of the command
 * line must have a raw crash: somebody named them one by one and is told.
 */
static bool named_ids(const struct reprocess *r, struct args args, struct found_ids *ids,
                      struct err *err)
{
    for (int i = 0; i < args.n; i++) {
        struct found_crash crash = {0};
        if (!crash_id_parse(str_of(args.v[i]), crash.id))
            return err_set(err, ERR_INVALID, "'%.60s' is not a crash id", args.v[i]);
        if (!r->remote.host && !store_exists(r->app->store, crash.id, "raw_crash"))
            return err_set(err, ERR_NOT_FOUND, "there is no raw crash of %s", crash.id);
        VEC_PUSH(&ids->list, crash);
    }
    return true;
}

/* A row for each crash that was named, one for all of a search or a list. */
static bool audit(const struct reprocess *r, const struct found_ids *ids, size_t named,
                  const char *source, struct err *err)
{
    for (size_t i = 0; i < named; i++)
        if (!app_audit(r->app, "crash", ids->list.v[i].id, "reprocess", r->ruleset, err))
            return false;
    const char *count = arena_printf(&r->app->arena, "%s, %zu crashes of a %s", r->ruleset,
                                     r->queued - MIN(r->queued, named), source ? source : "");
    return !source || app_audit(r->app, "crash", "", "reprocess", count, err);
}

static bool is_ruleset(const char *name, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(rulesets); i++)
        if (strcmp(name, rulesets[i]) == 0)
            return true;
    return err_set(err, ERR_INVALID, "there is no rule set '%.60s'; there are %s and %s", name,
                   rulesets[0], rulesets[1]);
}

struct reprocess_source {
    const char *search, *file;
    bool is_affected; /* whose signatures would change */
    int64_t page;
};

static bool collect_ids(const struct reprocess *r, struct args args,
                        const struct reprocess_source *s, struct found_ids *ids, struct err *err)
{
    return named_ids(r, args, ids, err) &&
           (!s->search || found_by_search(r->app, s->search, s->page, SIZE_MAX, ids, err)) &&
           (!s->file || found_in_file(s->file, ids, err)) &&
           (!s->is_affected || affected_by_signatures(r->app, ids, err));
}

/* Everything is read and checked before the first crash is queued. */
static bool do_reprocess(struct reprocess *r, struct args args, const struct reprocess_source *s,
                         bool is_preview, struct err *err)
{
    struct found_ids ids = {0};
    bool ok = collect_ids(r, args, s, &ids, err);
    if (ok && is_preview && s->is_affected) {
        if (ids.list.n)
            puts("to queue them: datil reprocess --affected");
    } else if (ok && is_preview) {
        ok = reprocess_preview(r->app, &ids, err);
    } else if (ok) {
        /* The audit row tells what was queued even when the rest failed. */
        const char *source = s->search        ? "search"
                             : s->file        ? "list"
                             : s->is_affected ? "change of signatures"
                                              : NULL;
        ok = queue_list(r, &ids, err);
        ok = (r->queued == 0 || r->remote.host || /* there it is noted */
              audit(r, &ids, (size_t)args.n, source, ok ? err : ERR_IGNORED)) &&
             ok;
        printf("%zu crashes queued for processing\n", r->queued);
    }
    VEC_RELEASE(&ids.list);
    return ok;
}

static bool check_options(const struct reprocess *r, const struct reprocess_source *s,
                          const char *host, bool is_preview, struct err *err)
{
    if (!is_ruleset(r->ruleset, err))
        return false;
    if (host && (s->search || s->is_affected || is_preview))
        return err_set(err, ERR_INVALID,
                       "--host takes ids: --search, --affected and --preview look into this "
                       "installation");
    if (s->is_affected && (s->search || s->file))
        return err_set(err, ERR_INVALID, "--affected finds crashes by itself");
    if (r->note && (s->search || !s->file))
        return err_set(err, ERR_INVALID,
                       "--note needs a list that stays as it is: --file, without --search");
    return true;
}

static bool run_reprocess(struct app *app, struct args args, struct err *err)
{
    struct reprocess r = {.app = app, .group = GROUP, .pause_s = PAUSE_S};
    struct reprocess_source s = {.page = QUERY_HITS_MAX};
    const char *host = NULL, *ruleset = NULL;
    bool is_preview = false;
    struct opt_range page = {&s.page, 1, QUERY_HITS_MAX}, group = {&r.group, 1, LEDGER_BATCH_MAX},
                     pause = {&r.pause_s, 0, PAUSE_MAX_S};
    const struct opt opts[] = {
        {"--search", OPT_TEXT, &s.search}, {"--file", OPT_TEXT, &s.file},
        {"--ruleset", OPT_TEXT, &ruleset}, {"--page", OPT_RANGE, &page},
        {"--group", OPT_RANGE, &group},    {"--sleep", OPT_RANGE, &pause},
        {"--note", OPT_TEXT, &r.note},     {"--preview", OPT_FLAG, &is_preview},
        {"--host", OPT_TEXT, &host},       {"--affected", OPT_FLAG, &s.is_affected}};
    if (!OPTS_PARSE(opts, &args, 0, -1, err))
        return false;
    r.ruleset = ruleset ? ruleset : rulesets[0];
    if (!check_options(&r, &s, host, is_preview, err))
        return false;
    if (s.is_affected && !ruleset)
        r.ruleset = "regenerate_signature"; /* no dump and no symbols are needed */
    if (!s.search && !s.file && !s.is_affected && args.n == 0) {
        if (isatty(STDIN_FILENO))
            return err_set(err, ERR_INVALID,
                           "name crash ids, --search QUERY or --file FILE, or pipe ids in");
        s.file = "-";
    }
    r.is_patient = args.n == 0 || host;
    if (host ? !reprocess_remote_init(&r.remote, host, err)
             : !app_db(app, err) || !app_store(app, err))
        return false;
    return do_reprocess(&r, args, &s, is_preview, err);
}

/* A search address may be a whole page's; what is before the question mark says nothing. */
static const char *fetch_query(struct app *app, const char *url, const char *signature,
                               const char *product, const char *date)
{
    const char *mark = url ? strchr(url, '?') : NULL;
    if (url)
        return mark ? mark + 1 : url;
    int64_t us = 0;
    if (!date || !time_parse(str_of(date), &us, ERR_IGNORED))
        us = now_us() - DAY_US;
    struct civil from = civil_of_us(us), to = civil_of_us(us + DAY_US);
    STRBUF_AUTO b = {0};
    sb_init(&b, 1 << 20); /* the command line is shorter */
    sb_printf(&b, "date=%%3E%%3D%04d-%02d-%02d&date=%%3C%04d-%02d-%02d", from.year, from.month,
              from.day, to.year, to.month, to.day);
    if (strcmp(product, "all") != 0) {
        sb_text(&b, "&product=%3D");
        url_encode_to(&b, str_of(product));
    }
    if (signature) {
        sb_text(&b, "&signature=~");
        url_encode_to(&b, str_of(signature));
    }
    return arena_strdup(&app->arena, sb_cstr(&b));
}

static bool run_fetch(struct app *app, struct args args, struct err *err)
{
    const char *url = NULL, *signature = NULL, *product = "Firefox", *date = NULL, *num = "100";
    const struct opt opts[] = {{"--url", OPT_TEXT, &url},
                               {"--signature-contains", OPT_TEXT, &signature},
                               {"--product", OPT_TEXT, &product},
                               {"--date", OPT_TEXT, &date},
                               {"--num", OPT_TEXT, &num}};
    int64_t us;
    uint64_t most = SIZE_MAX;
    struct found_ids ids = {0};
    if (!OPTS_PARSE(opts, &args, 0, 0, err) ||
        (strcmp(num, "all") != 0 && !str_to_u64(str_of(num), 10, INT32_MAX, "--num", &most, err)) ||
        (date && !time_parse(str_of(date), &us, err)))
        return false;
    bool ok = found_by_search(app, fetch_query(app, url, signature, product, date), QUERY_HITS_MAX,
                              (size_t)most, &ids, err);
    for (size_t i = 0; ok && i < ids.list.n; i++)
        puts(ids.list.v[i].id);
    VEC_RELEASE(&ids.list);
    return ok;
}

const struct command reprocess_commands[] = {
    {"reprocess",
     "[ID…|--search QUERY|--file FILE|--affected] [--ruleset NAME] [--preview] [--group N] "
     "[--sleep SECONDS] "
     "[--note FILE] [--host URL] [--page N]",
     "Queues crashes for processing again.\n"
     "QUERY is what stands behind the question mark of a Super Search page, such as\n"
     "'product=Firefox&signature=~oom&date=>=2026-01-01'.  It is read N crashes at a time (1000).\n"
     "FILE has an id a line, - or nothing at all is standard input.  --preview changes nothing: "
     "it\n"
     "says what a sample of the crashes would be called with the lists as they are now.  Groups "
     "(50)\n"
     "are followed by a pause (1 s); --note keeps in a file how far a list was read, for a run "
     "that\n"
     "is killed.  --affected: crashes whose signatures the lists and rules as they are now would\n"
     "change, by samples of each signature; see them with --preview first.  --host sends ids to "
     "another installation, with the API token in AUTH_TOKEN.",
     run_reprocess},
    {"fetch_crashids",
     "[--url SEARCH] [--signature-contains TEXT] [--product NAME|all] [--date DAY] [--num N|all]",
     "Prints crash ids of a search, oldest first, for `datil reprocess --file -`.\n"
     "Without options: 100 crashes of Firefox of yesterday.  --url takes the address of a search\n"
     "page instead of the other conditions.",
     run_fetch},
    {0},
};
