/*
 * /siteadmin/reprocess/: crashes go into the queue once more, by id, by signature or search, or
 * because the signature lists have changed.  First somebody looks: how many there are, and what a
 * sample of them would be called now.  The form behind that look carries the ids themselves, so
 * what is queued is what was looked at, whatever a search would find by then.
 *
 * A page takes IDS_MAX crashes, which a search reaches (QUERY_WINDOW_MAX) and a form of a megabyte
 * holds; more are a matter for `datil reprocess`, which takes its time and goes on where it was
 * killed.  For the same reason lists that have changed are tried on the newest crashes alone here.
 */
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/url_query.h"
#include "fcgi/webapp/webapp.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/crash/field.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/ledger/ledger.h"
#include "lib/signature/signature.h"
#include "lib/signature/signature_preview.h"
#include "lib/store/store.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "lib/web/param_spec.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

/* SAMPLE: half a second of work, and the share is known to 5 %.  RELOAD_S without scripts. */
enum {
    IDS_MAX = 10000,
    PAGE_HITS = 1000,
    SAMPLE = 400,
    AFFECTED_SAMPLE = 1000,
    CHANGES_SHOWN = 20,
    SEARCH_TEXT_MAX = 20000,
    SIGNATURE_TEXT_MAX = 1020,
    RELOAD_S = 5
};

static const struct param_choice rulesets[] = {{"default", "everything, from the dump on"},
                                               {"regenerate_signature", "the signature alone"},
                                               {0}};

/* clang-format off */
static const struct param_spec
    ids_text = {"crash_ids", PARAM_TEXT, .help = "crash ids, one a line"},
    ids_file = {"file", PARAM_TEXT, .help = "the same as a file"},
    of_signature = {"signature", PARAM_TEXT, PARAM_TRIMMED, .max = SIGNATURE_TEXT_MAX,
                    .refusal = "A signature has at most 1,020 bytes", .help = "all crashes of this signature"},
    of_search = {"search", PARAM_TEXT, PARAM_TRIMMED, .max = SEARCH_TEXT_MAX,
                 .refusal = "The search is too long", .help = "what stands behind the question mark of a search page"},
    ruleset = {"ruleset", PARAM_CHOICE, .choices = rulesets, .refusal = "There is no such rule set", .help = "what is done again"},
    what_of = {"what", PARAM_TEXT, .max = SEARCH_TEXT_MAX, .refusal = "This says too much", .help = "what was looked for"};
/* clang-format on */
const struct param_spec *const admin_reprocess_params[] = {&ids_text,  &ids_file, &of_signature,
                                                           &of_search, &ruleset,  NULL};
const struct param_spec *const admin_reprocess_start_params[] = {&ids_text, &ruleset, &what_of,
                                                                 NULL};

/* What was found; ids have no duplicates only as far as the database cares (it does not). */
struct reprocess_look {
    struct strs ids; /* IDS_MAX at most */
    const char *what;
    bool has_more;
    size_t without_raw, seen, changed;
    json_t *changes; /* NULL: no look was taken */
};

static bool add_id(struct req *r, struct reprocess_look *l, struct str text)
{
    char id[CRASH_ID_SIZE];
    if (!crash_id_parse(text, id))
        return false;
    if (l->ids.n == IDS_MAX)
        l->has_more = true;
    else if (store_exists(app_of(r)->store, id, "raw_crash"))
        l->ids.v[l->ids.n++] = str_of(arena_strdup(req_arena(r), id));
    else
        l->without_raw++;
    return true;
}

/* Lines, also with commas and blanks between ids; # begins a comment. */
static bool take_ids(struct req *r, struct reprocess_look *l, struct str text, struct err *err)
{
    struct str line, word;
    for (size_t number = 1; str_split(&text, '\n', &line); number++) {
        size_t comment = str_find_char(line, '#', 0);
        line = str_sub(line, 0, comment);
        while (str_split(&line, ',', &word)) {
            word = str_trim(word);
            if (word.n && !add_id(r, l, word))
                return err_set(err, ERR_INVALID, "Line %zu is no crash id", number);
        }
    }
    return true;
}

static bool take_hits(struct req *r, struct reprocess_look *l, struct query *q, int64_t most,
                      struct err *err)
{
    size_t got;
    int64_t offset = 0;
    do {
        json_auto_t *answer = NULL;
        query_set(q, "_results_offset", str_of(db_int(req_arena(r), offset)));
        if (!app_search(r, q, (struct app_search){.is_unredacted = true}, &answer, NULL, err))
            return false;
        const json_t *hits = jget_arr(answer, "hits");
        got = json_array_size(hits);
        for (size_t i = 0; i < got; i++)
            add_id(r, l, jget_strn(json_array_get(hits, i), "uuid"));
        offset += PAGE_HITS;
        l->has_more |= jget_int_or(answer, "total", 0) > most;
    } while (got == PAGE_HITS && offset < most);
    return true;
}

static bool search_for(struct req *r, struct reprocess_look *l, struct query q, int64_t most,
                       struct err *err)
{
    query_drop_meta(&q);
    l->what = arena_printf(req_arena(r), STR_FMT, STR_ARG(query_url(&q, "")));
    query_addc(&q, "_columns", "uuid");
    query_addc(&q, "_sort", "-date");
    query_addc(&q, "_facets_size", "0");
    query_addc(&q, "_results_number", db_int(req_arena(r), MIN(most, (int64_t)PAGE_HITS)));
    return take_hits(r, l, &q, most, err);
}

/* The lists as they are now, which need not be those that this worker began with. */
static bool try_sample(struct req *r, struct reprocess_look *l, size_t most, struct err *err)
{
    const char *dir = conf_text(req_conf(r), CONF_SIGNATURE_LISTS_DIR);
    struct siglists *lists;
    size_t n = MIN(l->ids.n, most);
    json_t *count;
    const char *text;
    l->changes = json_object();
    if (!siglists_load(dir && *dir ? dir : NULL, &lists, err))
        return err_wrap(err, "signature lists");
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = app_goes_on(r, err) &&
             signature_preview(app_of(r)->store, lists, l->ids.v[i * l->ids.n / n].p, l->changes,
                               &l->seen, err);
    siglists_free(lists);
    json_object_foreach (l->changes, text, count)
        l->changed += (size_t)json_integer_value(count);
    return ok;
}

static bool set_runs(struct req *r, struct tpl_values *v, struct err *err)
{
    struct arena *a = req_arena(r);
    DB_ROWS runs = {0};
    bool is_any_waiting = false;
    struct tpl_rows *rows = tpl_list(v, LIST_REPROCESS_RUNS);
    if (!DB_RUN(req_db(r), &q_reprocess_runs, &runs, err))
        return err_wrap(err, "runs");
    for (int i = 0; i < runs.count; i++) {
        struct tpl_row *row = tpl_row_add(rows);
        int64_t total = db_col_int(&runs, i, Q_REPROCESS_RUNS_COL_TOTAL, 0);
        int64_t waiting = db_col_int(&runs, i, Q_REPROCESS_RUNS_COL_WAITING, 0);
        tpl_col_cstr(row, REPROCESS_RUN_ID, db_col(&runs, i, Q_REPROCESS_RUNS_COL_RUN_ID));
        tpl_col_cstr(row, REPROCESS_RUN_WHAT, db_col(&runs, i, Q_REPROCESS_RUNS_COL_WHAT));
        tpl_col_cstr(row, REPROCESS_RUN_ASKED_BY, db_col(&runs, i, Q_REPROCESS_RUNS_COL_ASKED_BY));
        tpl_col_cstr(row, REPROCESS_RUN_STARTED, db_col(&runs, i, Q_REPROCESS_RUNS_COL_STARTED));
        tpl_col_cstr(row, REPROCESS_RUN_RULESET, db_col(&runs, i, Q_REPROCESS_RUNS_COL_RULESET));
        tpl_col_int(row, REPROCESS_RUN_TOTAL, total);
        tpl_col_int(row, REPROCESS_RUN_DONE, total - waiting);
        tpl_col_cstr(row, REPROCESS_RUN_TOTAL_TEXT, human_count(a, total));
        tpl_col_cstr(row, REPROCESS_RUN_DONE_TEXT, human_count(a, total - waiting));
        tpl_col_cstr(row, REPROCESS_RUN_FAILED, db_col(&runs, i, Q_REPROCESS_RUNS_COL_FAILED));
        is_any_waiting |= waiting > 0;
    }
    tpl_int(v, "reload_seconds", is_any_waiting ? RELOAD_S : 0);
    tpl_bool(v, "is_any_waiting", is_any_waiting);
    return true;
}

/* The commonest first would be better than the order of the sample; twenty are read anyhow. */
static void set_changes(struct req *r, struct tpl_values *v, const struct reprocess_look *l)
{
    struct tpl_rows *rows = tpl_list(v, LIST_REPROCESS_CHANGES);
    const char *text;
    json_t *count, *changes = l->changes;
    if (changes)
        json_object_foreach (changes, text, count) {
            if (tpl_rows_count(rows) == CHANGES_SHOWN)
                break;
            struct tpl_row *row = tpl_row_add(rows);
            tpl_col_cstr(row, REPROCESS_CHANGE_TEXT, text);
            tpl_col_cstr(row, REPROCESS_CHANGE_COUNT,
                         human_count(req_arena(r), json_integer_value(count)));
        }
}

static const char *summary(struct req *r, const struct reprocess_look *l)
{
    struct arena *a = req_arena(r);
    if (!l->changes)
        return "";
    return arena_printf(
        a, "%s crashes%s. This would change the signature of %s of %s sampled crashes.%s",
        human_count(a, (int64_t)l->ids.n),
        l->has_more ? ", and more that a page does not take" : "",
        human_count(a, (int64_t)l->changed), human_count(a, (int64_t)l->seen),
        l->without_raw ? arena_printf(a, " %s have no raw crash any more and are left out.",
                                      human_count(a, (int64_t)l->without_raw))
                       : "");
}

static bool send_reprocess(struct req *r, int status, const struct reprocess_look *l,
                           const char *problem, const char *done, struct err *err)
{
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "Reprocess"});
    struct strbuf ids;
    sb_init(&ids, IDS_MAX * CRASH_ID_SIZE);
    for (size_t i = 0; i < l->ids.n; i++)
        sb_printf(&ids, STR_FMT "\n", STR_ARG(l->ids.v[i]));
    tpl_text(v, "crash_ids", str_of(arena_strdup(req_arena(r), sb_cstr(&ids))));
    sb_release(&ids);
    tpl_cstr(v, "what", l->what ? l->what : "");
    tpl_cstr(v, "summary", summary(r, l));
    tpl_bool(v, "has_crashes", l->ids.n > 0);
    tpl_bool(v, "only_signatures", req_method(r) == METHOD_POST && req_choice(r, &ruleset) == 1);
    tpl_cstr(v, "problem", problem);
    tpl_cstr(v, "done", done);
    set_changes(r, v, l);
    resp_header(r, "Cache-Control", STR("no-store"));
    return set_runs(r, v, err) && layout_send(r, status, "admin_reprocess.html", v, err);
}

/* GET /siteadmin/reprocess/ */
bool admin_reprocess_get(struct req *r, struct err *err)
{
    return send_reprocess(r, 200, &(struct reprocess_look){0}, "", "", err);
}

/* A filter that is passed over would queue more than was meant. */
static bool knows_fields(struct req *r, const struct query *q, struct err *err)
{
    for (size_t i = 0; i < q->n; i++)
        if (!str_starts(q->v[i].name, STR("_")) && !str_eq(q->v[i].name, STR("page")) &&
            !search_field_find(app_fields(r), q->v[i].name))
            return err_set(err, ERR_INVALID, "There is no field '" STR_FMT "'",
                           STR_ARG(str_sub(q->v[i].name, 0, 60)));
    return true;
}

static bool collect(struct req *r, struct reprocess_look *l, struct err *err)
{
    struct str text = req_text(r, &ids_text), file = req_text(r, &ids_file);
    struct str signature = req_text(r, &of_signature), search = req_text(r, &of_search);
    struct query q = query_new(req_arena(r));
    l->what = "a list";
    if (text.n || file.n)
        return take_ids(r, l, text, err) && take_ids(r, l, file, err);
    if (!signature.n && !search.n)
        return err_set(err, ERR_INVALID, "Name crash ids, a signature or a search");
    size_t mark = str_find_char(search, '?', 0);
    if (!query_of_text(req_arena(r),
                       mark == SIZE_MAX ? search : str_sub(search, mark + 1, SIZE_MAX), &q, err) ||
        !knows_fields(r, &q, err))
        return false;
    if (signature.n)
        query_addf(&q, "signature", "=" STR_FMT, STR_ARG(signature));
    return search_for(r, l, q, IDS_MAX, err);
}

/* A mistake of who asks is told on the page; whatever else fails is an error as elsewhere. */
static bool preview(struct req *r, struct reprocess_look *l, bool ok, size_t sample,
                    struct err *why, struct err *err)
{
    ok = ok && try_sample(r, l, sample, why);
    bool sent = ok ? send_reprocess(r, 200, l, "", "", err)
                : why->code == ERR_INVALID
                    ? send_reprocess(r, 400, &(struct reprocess_look){0}, why->msg, "", err)
                    : err_set(err, why->code, "%s", why->msg);
    json_decref(l->changes);
    return sent;
}

static struct reprocess_look new_look(struct req *r)
{
    return (struct reprocess_look){.ids.v = arena_array(req_arena(r), IDS_MAX, sizeof(struct str))};
}

/* POST /siteadmin/reprocess/: crash_ids, file, signature, search, ruleset. */
bool admin_reprocess_post(struct req *r, struct err *err)
{
    struct err why = {0};
    struct reprocess_look l = new_look(r);
    bool ok = req_params_fit(r, &why) && collect(r, &l, &why);
    return preview(r, &l, ok, SAMPLE, &why, err);
}

/* Of the newest crashes of the last week those whose signatures the lists of today change. */
static bool keep_changed(struct req *r, struct reprocess_look *l, struct err *err)
{
    const char *dir = conf_text(req_conf(r), CONF_SIGNATURE_LISTS_DIR);
    struct siglists *lists;
    struct reprocess_look all = *l;
    l->ids.n = l->seen = l->changed = 0;
    l->ids.v = arena_array(req_arena(r), IDS_MAX, sizeof(struct str));
    if (!siglists_load(dir && *dir ? dir : NULL, &lists, err))
        return err_wrap(err, "signature lists");
    bool ok = true;
    for (size_t i = 0; ok && i < all.ids.n; i++) {
        json_auto_t *changes = json_object();
        size_t seen = 0;
        ok = app_goes_on(r, err) &&
             signature_preview(app_of(r)->store, lists, all.ids.v[i].p, changes, &seen, err);
        if (json_object_size(changes))
            l->ids.v[l->ids.n++] = all.ids.v[i];
    }
    siglists_free(lists);
    return ok;
}

/* POST /siteadmin/reprocess/affected/ */
bool admin_reprocess_affected_post(struct req *r, struct err *err)
{
    struct err why = {0};
    struct reprocess_look l = new_look(r);
    bool ok = search_for(r, &l, query_new(req_arena(r)), AFFECTED_SAMPLE, &why) &&
              keep_changed(r, &l, &why);
    l.what = "affected by changed lists";
    l.has_more = false;
    return preview(r, &l, ok, AFFECTED_SAMPLE, &why, err);
}

static bool publish(struct req *r, const struct strs *ids, const char *rules, struct err *err)
{
    for (size_t at = 0; at < ids->n;) {
        struct ledger_entry entries[LEDGER_BATCH_MAX];
        size_t n = MIN(ids->n - at, (size_t)LEDGER_BATCH_MAX);
        for (size_t i = 0; i < n; i++)
            entries[i] = (struct ledger_entry){
                .crash_id = ids->v[at + i].p, .ruleset = rules, .queue = QUEUE_REPROCESSING};
        if (!ledger_publish_all(req_db(r), entries, n, err))
            return err_wrap(err, "queueing crashes");
        at += n;
    }
    return true;
}

/*
 * POST /siteadmin/reprocess/start/: crash_ids, ruleset, what.  The run is written down first; when
 * the queue fails behind that, what is queued is shown with it, and the form may be sent again: a
 * message that still waits stays one.
 */
bool admin_reprocess_start_post(struct req *r, struct err *err)
{
    struct arena *a = req_arena(r);
    struct err why = {0};
    DB_ROWS run = {0};
    struct reprocess_look l = new_look(r);
    if (!req_params_fit(r, &why) || !take_ids(r, &l, req_text(r, &ids_text), &why))
        return send_reprocess(r, 400, &(struct reprocess_look){0}, why.msg, "", err);
    if (l.ids.n == 0)
        return send_reprocess(r, 400, &(struct reprocess_look){0}, "There is nothing to reprocess",
                              "", err);
    const char *rules = rulesets[req_choice(r, &ruleset)].value;
    const char *count = arena_printf(a, "%s, %zu crashes", rules, l.ids.n);
    if (!DB_RUN(req_db(r), &q_reprocess_begin, &run, err, req_user(r)->email, rules,
                str_adup(a, req_text(r, &what_of)), db_text_array(a, l.ids)))
        return err_wrap(err, "writing down a run");
    site_audit(r, "crash", "", "reprocess", count);
    return publish(r, &l.ids, rules, err) && resp_redirect(r, 303, STR("/siteadmin/reprocess/"));
}

/* GET /siteadmin/reprocess/progress/: how far the runs are (JSON), for the page. */
bool admin_reprocess_progress_get(struct req *r, struct err *err)
{
    DB_ROWS runs = {0};
    if (!DB_RUN(req_db(r), &q_reprocess_runs, &runs, err))
        return err_wrap(err, "runs");
    json_auto_t *body = json_object();
    json_t *list = json_array();
    json_object_set_new(body, "runs", list);
    for (int i = 0; i < runs.count; i++) {
        json_t *run = json_object();
        jset_int(run, "id", db_col_int(&runs, i, Q_REPROCESS_RUNS_COL_RUN_ID, 0));
        jset_int(run, "total", db_col_int(&runs, i, Q_REPROCESS_RUNS_COL_TOTAL, 0));
        jset_int(run, "waiting", db_col_int(&runs, i, Q_REPROCESS_RUNS_COL_WAITING, 0));
        jset_int(run, "failed", db_col_int(&runs, i, Q_REPROCESS_RUNS_COL_FAILED, 0));
        json_array_append_new(list, run);
    }
    resp_header(r, "Cache-Control", STR("no-store"));
    return resp_json(r, 200, body, err);
}
