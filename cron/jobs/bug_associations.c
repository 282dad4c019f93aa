/*
 * bugassociations: which bugs are about which signatures, as the bug tracker says.
 *
 * Bugzilla has a field of a bug in which people write signatures in brackets, [@ mozilla::Foo]. The
 * job asks for the bugs in which that field changed (or that were filed) since its last success and
 * makes the rows of each of them equal to the field; a bug that is not in the answer keeps its
 * rows.  So a run may be repeated, and one that breaks off half-way has only done less.
 *
 * A bug that Bugzilla shows to members of groups only is shown to people who are logged in.  Which
 * are such is asked for with a token alone: without one it sends none of them.
 *
 * Pages come until one is empty, as the tracker limits them by itself.  A tracker that never sends
 * an empty one is stopped after PAGES_MAX.
 */
#include <stdio.h>

#include "cron/job_context.h"
#include "cron/jobs/job_functions.h"
#include "cron/schedule.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/http/http.h"
#include "lib/json/json.h"
#include "queries.h"

enum {
    PAGE_BUGS = 500,       /* Bugzilla's own limit is 10,000; a page of 500 comes in a second */
    PAGES_MAX = 2000,      /* a million bugs: all that the largest tracker has */
    SIGNATURES_MAX = 1000, /* of one bug; the field has 64 KiB there */
    SIGNATURE_BYTES_MAX = 2000,
    BUG_ARENA_MAX = 8 << 20, /* the signatures of one bug, twice, as an array of the database */
    PAGE_BYTES_MAX = 64 << 20,
};

/* What a run has done so far; `seen` is also where the next page begins. */
struct sync {
    struct job_context *x;
    int64_t seen, added, removed;
};

/* Bracketed pieces: "[@ even::this[] ]" is even::this[], since the last bracket is the end. */
static struct strs signatures_of(struct arena *a, struct str field)
{
    struct strs found = {.v = arena_array(a, SIGNATURES_MAX, sizeof(struct str))};
    size_t at = str_find(field, STR("[@"), 0);
    while (at != SIZE_MAX && found.n < SIGNATURES_MAX) {
        size_t next = str_find(field, STR("[@"), at + 2);
        struct str piece = str_sub(field, at + 2, next == SIZE_MAX ? SIZE_MAX : next - at - 2);
        size_t end = str_rfind_char(piece, ']');
        struct str signature = end == SIZE_MAX ? STR_NONE : str_trim(str_sub(piece, 0, end));
        if (signature.n > 0 && signature.n <= SIGNATURE_BYTES_MAX)
            found.v[found.n++] = utf8_clean(a, signature);
        at = next;
    }
    return found;
}

/* One statement makes the rows of a bug equal to its field and answers what changed; a bug without
 * the field loses its rows. */
static bool sync_bug(struct sync *s, const json_t *bug, struct err *err)
{
    int64_t id;
    if (!jget_int(bug, "id", &id) || id <= 0)
        return err_set(err, ERR_UNAVAILABLE, "the bug tracker sends a bug without an id");
    struct arena a;
    DB_ROWS rows = {0};
    arena_init(&a, BUG_ARENA_MAX);
    struct strs signatures = signatures_of(&a, jget_strn(bug, "cf_crash_signature"));
    bool ok = DB_RUN(s->x->db, &q_bug_association_set, &rows, err, db_int(&a, id),
                     db_text_array(&a, signatures),
                     db_bool(json_array_size(jget_arr(bug, "groups")) == 0));
    for (int i = 0; ok && i < rows.count; i++) {
        bool is_new = db_col_bool(&rows, i, Q_BUG_ASSOCIATION_SET_COL_IS_NEW);
        printf("bug %lld: %s %s\n", (long long)id, is_new ? "added" : "removed",
               db_col(&rows, i, Q_BUG_ASSOCIATION_SET_COL_SIGNATURE));
        s->added += is_new;
        s->removed += !is_new;
    }
    arena_release(&a);
    return ok;
}

/* An answer that is no JSON is one of something before the tracker. */
static bool has_bugs(struct str answer, json_t **ret)
{
    json_auto_t *document = jparse(answer, PAGE_BYTES_MAX, ERR_IGNORED);
    if (!jget_arr(document, "bugs"))
        return false;
    *ret = TAKE(document);
    return true;
}

/* The token goes in a header and is never printed; nor is the body of a failure, which may echo
 * it. */
static bool ask_page(struct sync *s, const char *since, json_t **ret, struct err *err)
{
    const char *base = conf_text(s->x->conf, CONF_BZAPI_BASE_URL);
    const char *token = conf_text(s->x->conf, CONF_BZAPI_TOKEN);
    struct arena *a = s->x->arena;
    const char *url = arena_printf(
        a,
        "%s/bug?chfieldfrom=%s&chfieldto=Now&chfield=%%5BBug%%20creation%%5D"
        "&chfield=cf_crash_signature&include_fields=id&include_fields=cf_crash_signature"
        "%s&limit=%d&offset=%lld",
        base, since, token[0] ? "&include_fields=groups" : "", PAGE_BUGS, (long long)s->seen);
    const char *const headers[] = {token[0] ? arena_printf(a, "X-BUGZILLA-API-KEY: %s", token)
                                            : "Accept: application/json",
                                   NULL};
    const struct http_request q = {
        .url = url,
        .headers = headers,
        .may_reach_reserved = true, /* a tracker of the house, chosen by the administrator */
        .is_redirect_answer = true, /* the token is for this host alone */
        .timeout_ms = (int)conf_int(s->x->conf, CONF_BZAPI_TIMEOUT_MS),
        .max_bytes = PAGE_BYTES_MAX};
    struct http_response answer;
    if (!http_do(&q, &answer, err))
        return err_wrap(err, "the bug tracker");
    if (answer.status < 200 || answer.status > 299)
        err_set(err, ERR_UNAVAILABLE, "the bug tracker answers with status %d", answer.status);
    else if (!has_bugs(str_n(answer.body, answer.n), ret))
        err_set(err, ERR_UNAVAILABLE, "the bug tracker answers without a list of bugs");
    bool ok = err->code == ERR_NONE;
    http_response_release(&answer);
    return ok;
}

/* The offset counts bugs received, not bugs asked for: the tracker may send fewer than the
 * limit. */
static bool sync_page(struct sync *s, const char *since, bool *ret_more, struct err *err)
{
    json_t *page = NULL;
    *err = (struct err){0};
    if (!ask_page(s, since, &page, err))
        return false;
    const json_t *bugs = jget_arr(page, "bugs");
    bool ok = true;
    for (size_t i = 0; ok && i < json_array_size(bugs); i++)
        ok = sync_bug(s, json_array_get(bugs, i), err);
    s->seen += (int64_t)json_array_size(bugs);
    job_did(s->x, json_array_size(bugs));
    *ret_more = json_array_size(bugs) > 0;
    json_decref(page);
    return ok;
}

/* Changes are known to the day there, so the day of the last success is asked for as a whole. */
bool job_bugassociations(struct job_context *x, struct err *err)
{
    if (!conf_text(x->conf, CONF_BZAPI_BASE_URL)[0]) {
        puts("BZAPI_BASE_URL is not set: nothing to do");
        return true;
    }
    int64_t since_us =
        x->last_success_us == TIME_NEVER ? x->run_time_us - DAY_US : x->last_success_us;
    struct civil day = civil_of_us(since_us);
    const char *since = arena_printf(x->arena, "%04d-%02d-%02d", day.year, day.month, day.day);
    struct sync s = {.x = x};
    bool more = true;
    for (int page = 0; more; page++) {
        if (page == PAGES_MAX)
            return err_set(err, ERR_TOO_LARGE, "the bug tracker sends pages without end");
        if (!sync_page(&s, since, &more, err))
            return false;
    }
    printf("%lld bugs looked at, %lld signatures added, %lld removed\n", (long long)s.seen,
           (long long)s.added, (long long)s.removed);
    return true;
}
