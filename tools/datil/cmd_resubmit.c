/*
 * crash resubmit: reports of this installation sent to others, such as one for tests of the next
 * release, as their clients sent them and under their own crash ids.  The receiver takes an id of
 * its sender's for its own only with a token (BREAKPAD_STAGE_SUBMITTER_BEARER_TOKEN there,
 * RESUBMIT_BEARER_TOKEN here).
 *
 * A destination gets a share of the reports.  Which ones follows from crash id and address, so that
 * the same list sent once more is the same share, and two destinations get different ones.
 *
 * A receiver that is away, restarts (5xx) or says that it is too much (429) is asked again, after
 * pauses that double, or as long as it says itself; then the report counts as failed and the next
 * one begins, so a receiver that is gone costs each report the same.  The list sent once more
 * sends all of it: receivers know an id that they have.
 *
 * What is sent is everything, protected annotations and memory too: the receiver must be as much
 * guarded as this installation.  So the audit log says where to.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/crash/crash_id.h"
#include "lib/http/http.h"
#include "lib/search/query.h"
#include "lib/store/store.h"
#include "tools/datil/app.h"
#include "tools/datil/found_ids.h"
#include "tools/datil/resubmit_body.h"

/*
 * 1, 2 and 4 seconds are a restart of a collector; no receiver makes the command wait longer than a
 * minute for one attempt.
 */
enum {
    ATTEMPTS = 4,
    PAUSE_MS = 1000,
    PAUSE_LONGEST_MS = 60000,
    SAID_BYTES = 150, /* of an answer: a line on a screen */
};
enum {
    DESTINATIONS_MAX = 16,
    ANSWER_BYTES_MAX = 1 << 16, /* one line, or the error page of a proxy */
    CRASHES_MAX = 1000000,      /* of a search: more is no sample */
};

struct destination {
    const char *url;
    double percent;
};

struct resubmit {
    struct app *app;
    struct destination to[DESTINATIONS_MAX];
    size_t to_n;
    const char *authorization; /* the header, or NULL */
    bool is_dry_run;
    size_t sent, skipped, failed;
};

/* "URL" or "URL|PERCENT". */
static bool add_destination(struct resubmit *r, struct str text, struct err *err)
{
    struct http_url parts;
    size_t bar = str_find_char(text, '|', 0);
    struct destination d = {str_adup(&r->app->arena, str_sub(text, 0, bar)), 100};
    if (r->to_n == DESTINATIONS_MAX)
        return err_set(err, ERR_INVALID, "more than %d destinations", DESTINATIONS_MAX);
    if (bar != SIZE_MAX &&
        (!str_to_double(str_sub(text, bar + 1, SIZE_MAX), "share", &d.percent, ERR_IGNORED) ||
         d.percent < 0 || d.percent > 100))
        return err_set(err, ERR_INVALID, "%s: behind '|' stands a percentage", d.url);
    if (!http_url_split(d.url, &parts, err))
        return err_wrap(err, "%s", d.url);
    r->to[r->to_n++] = d;
    return true;
}

static bool set_destinations(struct resubmit *r, const struct opt_list *options, struct err *err)
{
    struct str rest = str_of(conf_text(&r->app->conf, CONF_RESUBMIT_DESTINATIONS)), one;
    for (size_t i = 0; i < options->n; i++)
        if (!add_destination(r, str_of(options->v[i]), err))
            return false;
    while (options->n == 0 && str_split(&rest, ',', &one))
        if (str_trim(one).n && !add_destination(r, str_trim(one), err))
            return false;
    return r->to_n || err_set(err, ERR_INVALID, "say where to: --to URL or --to 'URL|PERCENT'");
}

/* The upper 53 bits of a hash, as many as a double holds; 0 to 100, evenly. */
static bool is_of_share(const char *crash_id, const struct destination *d)
{
    uint64_t number = hash64_seed(crash_id, strlen(crash_id), hash64(d->url, strlen(d->url)));
    return (double)(number >> 11) / 9007199254740992.0 * 100 < d->percent;
}

static bool send_one(struct resubmit *r, const struct resubmit_body *b, const char *url,
                     struct http_response *answer, struct err *err)
{
    const char *headers[5], **h = headers;
    *h++ = b->content_type;
    *h++ = b->user_agent;
    if (b->is_gzip)
        *h++ = "Content-Encoding: gzip";
    if (r->authorization)
        *h++ = r->authorization;
    *h = NULL;
    const struct http_request q = {
        .url = url,
        .headers = headers,
        .body = str_n(b->bytes, b->n),
        .may_reach_reserved = true, /* who runs the command chooses the address */
        .max_bytes = ANSWER_BYTES_MAX,
    };
    return http_do(&q, answer, err);
}

static bool is_for_later(bool ok, const struct http_response *answer, const struct err *why)
{
    return ok ? answer->status == 429 || answer->status >= 500 : err_is_retryable(why->code);
}

/* False: the last attempt brought no answer. */
static bool send_patiently(struct resubmit *r, const struct resubmit_body *b, const char *url,
                           struct http_response *answer, struct err *err)
{
    for (int attempt = 1;; attempt++) {
        *err = (struct err){0};
        *answer = (struct http_response){.retry_after_s = -1};
        bool ok = send_one(r, b, url, answer, err);
        if (attempt == ATTEMPTS || !is_for_later(ok, answer, err))
            return ok;
        int64_t ms = (int64_t)PAUSE_MS << (attempt - 1);
        if (ok && answer->retry_after_s >= 0)
            ms = (int64_t)answer->retry_after_s * 1000;
        if (ok)
            http_response_release(answer);
        pause_ms(MIN(ms, (int64_t)PAUSE_LONGEST_MS));
    }
}

/* Somebody else's bytes on a terminal: a control character shows as its code. */
static void print_said(struct str words)
{
    for (size_t i = 0; i < MIN(words.n, (size_t)SAID_BYTES); i++) {
        unsigned char c = (unsigned char)words.p[i];
        if (c < ' ' || c >= 0x7f)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
    putchar('\n');
}

/* The body of an answer is said and not judged: a rule of the receiver may throw a report away. */
static void submit_to(struct resubmit *r, const char *crash_id, const struct resubmit_body *b,
                      const struct destination *d)
{
    struct http_response answer = {0};
    struct err err = {0};
    if (r->is_dry_run) {
        printf("%s %s would be sent, %zu bytes%s\n", crash_id, d->url, b->n,
               b->is_gzip ? " compressed" : "");
        r->sent++;
        return;
    }
    bool ok = send_patiently(r, b, d->url, &answer, &err);
    struct str words = ok ? str_trim(str_n(answer.body, answer.n)) : str_of(err.msg);
    printf("%s %s %d ", crash_id, d->url, ok ? answer.status : 0);
    print_said(words);
    if (ok && answer.status == 200)
        r->sent++;
    else
        r->failed++;
    http_response_release(&answer);
}

/* The body is made once for all destinations, and not at all when none wants it. */
static void resubmit_crash(struct resubmit *r, const char *crash_id)
{
    struct resubmit_body b = {0};
    struct err err = {0};
    bool is_made = false;
    for (size_t i = 0; i < r->to_n; i++) {
        if (!is_of_share(crash_id, &r->to[i])) {
            r->skipped++;
            continue;
        }
        if (!is_made && !resubmit_body_make(r->app->store, crash_id, &b, &err)) {
            printf("%s cannot be read: %s\n", crash_id, err.msg);
            r->failed++;
            break;
        }
        is_made = true;
        submit_to(r, crash_id, &b, &r->to[i]);
    }
    resubmit_body_release(&b);
    fflush(stdout);
}

static bool find_crashes(struct app *app, const struct args *args, const char *search,
                         const char *file, struct found_ids *ids, struct err *err)
{
    if (search)
        return found_by_search(app, search, QUERY_HITS_MAX, CRASHES_MAX, ids, err);
    if (file || args->n == 0)
        return found_in_file(file ? file : "-", ids, err);
    for (int i = 0; i < args->n; i++) {
        struct found_crash crash = {0};
        if (!crash_id_parse(str_of(args->v[i]), crash.id))
            return err_set(err, ERR_INVALID, "%.60s is no crash id", args->v[i]);
        VEC_PUSH(&ids->list, crash);
    }
    return true;
}

static bool audit_destinations(struct resubmit *r, size_t crashes, struct err *err)
{
    char detail[200];
    for (size_t i = 0; i < r->to_n; i++) {
        snprintf(detail, sizeof detail, "%g %% of %zu crashes", r->to[i].percent, crashes);
        if (!app_audit(r->app, "crash", r->to[i].url, "resubmit", detail, err))
            return false;
    }
    return true;
}

static bool run_resubmit(struct app *app, struct args args, struct err *err)
{
    struct resubmit r = {.app = app};
    struct opt_list to = {0};
    const char *search = NULL, *file = NULL;
    const struct opt opts[] = {{"--to", OPT_LIST, &to},
                               {"--search", OPT_TEXT, &search},
                               {"--file", OPT_TEXT, &file},
                               {"--dry-run", OPT_FLAG, &r.is_dry_run}};
    struct found_ids ids = {0};
    const char *token = conf_text(&app->conf, CONF_RESUBMIT_BEARER_TOKEN);
    if (!OPTS_PARSE(opts, &args, 0, -1, err) || !set_destinations(&r, &to, err))
        return false;
    if (*token)
        r.authorization = arena_printf(&app->arena, "Authorization: Bearer %s", token);
    bool ok = app_db(app, err) && app_store(app, err) &&
              find_crashes(app, &args, search, file, &ids, err) &&
              (r.is_dry_run || audit_destinations(&r, ids.list.n, err));
    for (size_t i = 0; ok && i < ids.list.n; i++)
        resubmit_crash(&r, ids.list.v[i].id);
    VEC_RELEASE(&ids.list);
    if (!ok)
        return false;
    printf("%zu %s, %zu left out by their share, %zu failed\n", r.sent,
           r.is_dry_run ? "would be sent" : "sent", r.skipped, r.failed);
    app->exit_status = r.failed != 0;
    return true;
}

const struct command resubmit_commands[] = {
    {"crash resubmit", "ID…|--search QUERY|--file FILE [--to URL[|PERCENT]]… [--dry-run]",
     "Sends stored reports to other installations, as their clients sent them.\n"
     "Without ids they are read from standard input.  Destinations are RESUBMIT_DESTINATIONS "
     "unless\n"
     "--to names some; each gets its share of the reports, always the same ones.  The token that\n"
     "lets a report keep its crash id is RESUBMIT_BEARER_TOKEN.  --dry-run sends nothing.",
     run_resubmit},
    {0},
};
