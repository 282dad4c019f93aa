/*
 * The way of pings into the database.  Three statements in one transaction: the step of the
 * journal; what arrives (ids, totals, cells), which answers how probable it is for each ping to be
 * kept; and the rows of those that are.
 *
 * The versions that people work on have cells of their own; all others of a product share one, so
 * that a thousand old versions do not cost a thousand times its size.
 */
#include "lib/ping/intake.h"

#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/ping/ping.h"
#include "lib/ping/sampling.h"
#include "queries.h"

/* So many pings a day are kept of all versions that are not active, whatever the settings say. */
enum { INACTIVE_TARGET = 1000, BATCH_BYTES = 256 << 20 };

struct take {
    const struct intake *in;
    const struct intake_step *step;
    const struct intake_ping *pings;
    size_t n;
    struct intake_result *result;
    struct arena arena;
};

static const char *day_of(struct arena *a, int64_t us)
{
    struct civil c = civil_of_us(us);
    return arena_printf(a, "%04d-%02d-%02d", c.year, c.month, c.day);
}

/* No list of versions, or one that somebody else keeps ("auto"): all are active. */
static bool is_active(const struct intake *in, struct str product, struct str major)
{
    const struct product *p = products_find(in->products, product);
    char **versions = p ? p->featured_versions : NULL;
    if (!versions || !versions[0])
        return true;
    for (; *versions; versions++) {
        struct str one = ping_major(str_of(*versions));
        if (one.n == 0 || str_eq(one, major))
            return true;
    }
    return false;
}

static void set_cell(const struct intake *in, const json_t *doc, json_t *row)
{
    struct str major = ping_major(jget_strn(doc, "version"));
    const char *channel = jget_str(doc, "channel");
    bool active = is_active(in, jget_strn(doc, "product"), major);
    bool is_release = strcmp(channel, "release") == 0;
    int64_t target = conf_int(in->conf, is_release ? CONF_PING_SAMPLE_TARGET_RELEASE
                                                   : CONF_PING_SAMPLE_TARGET_OTHER);
    const char *actor = json_string_value(json_array_get(jget_arr(doc, "utility_actors"), 0));
    jset_text(row, "major", active ? major : STR("*"));
    jset_cstr(row, "cell_channel", active ? channel : "*");
    jset_cstr(row, "cell_os", active ? jget_str(doc, "os") : "*");
    jset_cstr(row, "cell_process", active ? jget_str(doc, "process_type") : "*");
    jset_cstr(row, "actor", active && actor ? actor : "");
    jset_int(row, "target", active ? target : INACTIVE_TARGET);
}

static const char *arrivals(struct take *t)
{
    static const char *const copied[] = {"document_id", "product", "version",     "channel",
                                         "os",          "arch",    "process_type"};
    json_auto_t *rows = json_array();
    for (size_t i = 0; i < t->n; i++) {
        const json_t *doc = t->pings[i].doc;
        json_t *row = json_object();
        for (size_t c = 0; c < ARRAY_LEN(copied); c++)
            json_object_set(row, copied[c], json_object_get(doc, copied[c]));
        jset_int(row, "n", (int64_t)i);
        jset_cstr(row, "day", day_of(&t->arena, t->pings[i].received_us));
        jset_bool(row, "has_content", t->pings[i].has_content);
        set_cell(t->in, doc, row);
        json_array_append_new(rows, row);
    }
    FREE_LATER char *text = jdump(rows, NULL);
    return arena_strdup(&t->arena, text);
}

static json_t *kept_row(struct take *t, const struct intake_ping *p, const char *cell_id,
                        double weight)
{
    char at[TIME_TEXT_MAX];
    json_t *row = json_object();
    time_iso(p->received_us, true, at);
    json_object_set(row, "document_id", json_object_get(p->doc, "document_id"));
    jset_cstr(row, "day", day_of(&t->arena, p->received_us));
    jset_cstr(row, "received_at", at);
    json_object_set_new(row, "weight", json_real(weight));
    jset_cstr(row, "cell_id", cell_id);
    json_object_set(row, "doc", p->doc);
    return row;
}

/* The partition of the month must be there before its first row. */
static bool prepare_day(struct take *t, const char *day, struct str *ret_salt, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_EXEC(t->in->db, &q_ping_month, err, day) ||
        !DB_RUN(t->in->db, &q_ping_salt, &rows, err, day))
        return false;
    *ret_salt = STR("");
    if (rows.count)
        *ret_salt = str_copy(&t->arena, str_of(db_col(&rows, 0, Q_PING_SALT_COL_SALT)));
    return true;
}

/* Batches are of one day but for those at midnight and those that are loaded. */
static bool choose(struct take *t, const struct db_rows *rows, json_t *kept, struct err *err)
{
    const char *day = "";
    struct str salt = STR("");
    for (int r = 0; r < rows->count; r++) {
        const struct intake_ping *p =
            &t->pings[db_col_int(rows, r, Q_PING_ARRIVE_COL_N, 0) % (int64_t)t->n];
        const char *cell_id = db_col(rows, r, Q_PING_ARRIVE_COL_CELL_ID);
        const char *probability = db_col(rows, r, Q_PING_ARRIVE_COL_PROBABILITY);
        const char *own_day = day_of(&t->arena, p->received_us);
        double share = 1;
        if (!cell_id)
            continue;
        if (strcmp(day, own_day) != 0 && !prepare_day(t, own_day, &salt, err))
            return false;
        day = own_day;
        if (!str_to_double(str_of(probability), "probability", &share, err))
            return false;
        if (p->weight == 0 && !sampling_keeps(jget_strn(p->doc, "document_id"), salt, share))
            continue;
        double weight = p->weight > 0 ? p->weight : 1 / share;
        json_array_append_new(kept, kept_row(t, p, cell_id, weight));
    }
    return true;
}

static bool step_journal(struct take *t, struct err *err)
{
    DB_ROWS rows = {0};
    if (!t->step->file)
        return true;
    if (!DB_RUN(t->in->db, &q_ping_journal_step, &rows, err, t->step->file,
                db_int(&t->arena, (int64_t)t->step->from), db_int(&t->arena, (int64_t)t->step->to)))
        return false;
    return rows.count == 1 || err_set(err, ERR_CONFLICT, "%s was read further", t->step->file);
}

static bool take_body(struct db *db, void *arg, struct err *err)
{
    struct take *t = arg;
    DB_ROWS rows = {0};
    json_auto_t *kept = json_array();
    if (!step_journal(t, err))
        return false;
    if (t->n == 0)
        return true;
    if (!DB_RUN(db, &q_ping_arrive, &rows, err, arrivals(t)) || !choose(t, &rows, kept, err))
        return false;
    t->result->counted = (size_t)rows.count;
    t->result->duplicates = t->n - (size_t)rows.count;
    t->result->kept = json_array_size(kept);
    if (t->result->kept == 0)
        return true;
    FREE_LATER char *text = jdump(kept, NULL);
    return DB_EXEC(db, &q_ping_keep, err, text);
}

bool intake_take(const struct intake *in, const struct intake_step *step,
                 const struct intake_ping *pings, size_t n, struct intake_result *ret,
                 struct err *err)
{
    struct take t = {in, step, pings, n, ret, {0}};
    *ret = (struct intake_result){0};
    arena_init(&t.arena, BATCH_BYTES);
    bool ok = db_tx(in->db, take_body, &t, err);
    arena_release(&t.arena);
    return ok;
}

bool intake_read_to(struct db *db, const char *file, uint64_t *ret, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_ping_journal_read, &rows, err, file))
        return false;
    *ret = rows.count ? (uint64_t)db_col_int(&rows, 0, Q_PING_JOURNAL_READ_COL_READ_TO, 0) : 0;
    return true;
}

char *intake_record(const struct intake_ping *p, size_t *ret_n)
{
    json_auto_t *record = json_object();
    jset_int(record, "received_us", p->received_us);
    jset_bool(record, "has_content", p->has_content);
    json_object_set(record, "doc", p->doc);
    return jdump(record, ret_n);
}

bool intake_of_record(struct str record, struct intake_ping *ret, struct err *err)
{
    json_auto_t *v = jparse(record, JSON_BYTES_MAX, err);
    json_t *doc = jget_obj(v, "doc");
    *ret = (struct intake_ping){.received_us = jget_int_or(v, "received_us", 0),
                                .has_content = jget_bool_or(v, "has_content", false)};
    if (!doc)
        return err_set(err, ERR_DAMAGED, "a record of the journal is no ping");
    ret->doc = json_incref(doc);
    return true;
}
