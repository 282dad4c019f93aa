#include <stdio.h>

#include "base/log.h"
#include "base/time.h"
#include "base/util.h"
#include "base/vec.h"
#include "queries.h"
#include "symbols.h"

enum {
    ENTRIES_MAX =
        1000, /* different symbols between two writes; beyond it the rest is not counted */
    FLUSH_AFTER_MS = 10000,
    PART_MAX = 150,
    ID_MIN = 9, /* digits of an id worth remembering */
};

struct entry {
    char *fields[5]; /* symbol, debug id, file name, code file, code id; owned */
    int64_t count;
};

struct missing {
    VEC(struct entry) entries;
    int64_t oldest_ms;
};

struct missing *missing_new(void)
{
    return xcalloc(1, sizeof(struct missing));
}

static void clear(struct missing *m)
{
    for (size_t i = 0; i < m->entries.n; i++)
        for (size_t f = 0; f < ARRAY_LEN(m->entries.v[i].fields); f++)
            free(m->entries.v[i].fields[f]);
    m->entries.n = 0;
}

void missing_free(struct missing *m)
{
    clear(m);
    VEC_RELEASE(&m->entries);
    free(m);
}

/* Is it the name of something that a walker would want?  Debuggers ask for .pdb, .pd_ too. */
static bool is_worth(const struct symkey *key, struct str code_file, struct str code_id)
{
    struct str file = str_of(key->file);
    bool kind =
        str_ends(file, STR(".sym")) || str_ends(file, STR(".pdb")) || str_ends(file, STR(".pd_"));
    const char *id = key->debug_id;
    return kind && strlen(id) >= ID_MIN && id[strspn(id, "0")] && file.n <= PART_MAX &&
           strlen(key->debug_file) <= PART_MAX && code_file.n <= PART_MAX && code_id.n <= PART_MAX;
}

static struct entry *find(struct missing *m, const struct str fields[5])
{
    for (size_t i = 0; i < m->entries.n; i++) {
        bool same = true;
        for (size_t f = 0; f < 5 && same; f++)
            same = str_eq(str_of(m->entries.v[i].fields[f]), fields[f]);
        if (same)
            return &m->entries.v[i];
    }
    return NULL;
}

void missing_record(struct missing *m, const struct symkey *key, struct str code_file,
                    struct str code_id)
{
    if (!is_worth(key, code_file, code_id))
        return;
    const struct str fields[5] = {str_of(key->debug_file), str_of(key->debug_id), str_of(key->file),
                                  code_file, code_id};
    struct entry *known = find(m, fields);
    if (known) {
        known->count++;
        return;
    }
    if (m->entries.n == ENTRIES_MAX)
        return;
    if (m->entries.n == 0)
        m->oldest_ms = mono_ms();
    struct entry e = {.count = 1};
    for (size_t f = 0; f < 5; f++)
        e.fields[f] = str_dup(fields[f]);
    VEC_PUSH(&m->entries, e);
}

static bool write_all(const struct missing *m, struct db *db, struct arena *a, struct err *err)
{
    size_t n = m->entries.n;
    struct strs columns[6];
    for (size_t c = 0; c < 6; c++) {
        columns[c] = (struct strs){.v = arena_array(a, n, sizeof(struct str)), .n = n};
        for (size_t i = 0; i < n; i++) {
            const struct entry *e = &m->entries.v[i];
            columns[c].v[i] = str_of(c < 5 ? e->fields[c] : db_int(a, e->count));
        }
    }
    return DB_EXEC(db, &q_missing_symbol_add, err, db_text_array(a, columns[0]),
                   db_text_array(a, columns[1]), db_text_array(a, columns[2]),
                   db_text_array(a, columns[3]), db_text_array(a, columns[4]),
                   db_text_array(a, columns[5]));
}

/* What cannot be written is lost: it is a wish list, not a ledger. */
void missing_flush(struct missing *m, struct db *db, bool now)
{
    bool due = m->entries.n == ENTRIES_MAX || mono_ms() - m->oldest_ms >= FLUSH_AFTER_MS;
    if (m->entries.n == 0 || !(now || due))
        return;
    struct arena a;
    struct err err = {0};
    arena_init(&a, 64 << 20);
    if (!write_all(m, db, &a, &err))
        log_event(LOG_WARN, "missing_symbols_lost", "cannot record missing symbols", LOG_E(&err));
    arena_release(&a);
    clear(m);
}

/* ---- the list as CSV --------------------------------------------------------------------------
 */
static void put_field(struct strbuf *b, const char *text, const char *behind)
{
    bool quote = strpbrk(text, "\",\r\n");
    sb_text(b, quote ? "\"" : "");
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            sb_char(b, '"');
        sb_char(b, *p);
    }
    sb_text(b, quote ? "\"" : "");
    sb_text(b, behind);
}

bool missing_csv_get(struct req *req, struct err *err)
{
    enum { CSV_MAX = 256 << 20 };
    static const int64_t DAY_US = 86400LL * 1000000;
    struct symbols *s = req_app(req);
    missing_flush(s->missing, req_db(req), true);
    bool today = req_param(req, "today").n > 0;
    int64_t now = req_now_us(req);
    int64_t since = today ? now - now % DAY_US : now - DAY_US;
    DB_ROWS rows = {0};
    if (!DB_RUN(req_db(req), &q_missing_symbol_recent, &rows, err, db_int(req_arena(req), since)))
        return err_wrap(err, "missing symbols");

    static const char *const columns[] = {"symbol", "debugid", "code_file", "code_id"};
    STRBUF_AUTO b;
    sb_init(&b, CSV_MAX);
    sb_text(&b, "debug_file,debug_id,code_file,code_id\r\n");
    for (int i = 0; i < rows.count; i++)
        for (size_t c = 0; c < ARRAY_LEN(columns); c++)
            put_field(&b, db_col(&rows, i, columns[c]), c + 1 < ARRAY_LEN(columns) ? "," : "\r\n");
    if (b.overflow || !arena_fits(req_arena(req), b.n, "the list", err))
        return err_set(err, ERR_TOO_LARGE, "the list of missing symbols is too long");
    struct civil day = civil_of_us(today ? now : now - DAY_US);
    const char *name =
        arena_printf(req_arena(req), "attachment; filename=\"missing-symbols-%04d-%02d-%02d.csv\"",
                     day.year, day.month, day.day);
    return resp_header(req, "Content-Disposition", str_of(name)) &&
           resp_bytes(req, 200, "text/csv; charset=utf-8", str_copy(req_arena(req), sb_view(&b)));
}
