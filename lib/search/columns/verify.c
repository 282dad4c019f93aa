#include "search/columns/keep.h"

#include <limits.h>
#include <stdarg.h>

#include "base/util.h"

/*
 * Everything that readers rely on, looked at once: sizes, codes, dictionaries, zones, the
 * rows of crashes, and that no crash is there twice.
 */
struct check {
    struct root *root;
    void (*report)(void *arg, const char *line);
    void *arg;
    size_t problems;
};

__attribute__((format(printf, 2, 3))) static void tell(struct check *c, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    c->report(c->arg, line);
}

__attribute__((format(printf, 2, 3))) static void problem(struct check *c, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    c->problems++;
    c->report(c->arg, line);
}

static void check_columns(struct check *c, struct part *p)
{
    for (size_t i = 0; i < p->column_count; i++) {
        struct err err = {0};
        struct column *col = p->columns[i];
        if (!col) {
            tell(c, "%s: column %.*s is not in the field table", p->folder, COLUMN_NAME_MAX,
                 p->h->columns[i].name);
            continue;
        }
        if (!column_use(col, &err)) {
            problem(c, "%s", err.msg);
            continue;
        }
        for (uint32_t code = 1; col->kind == COLUMN_LIST && code <= col->dict.checked; code++) {
            size_t n;
            if (dict_entry(&col->dict, code).n > 0 && !column_list(col, code, &n))
                problem(c, "%s: list %u of %s is damaged", p->folder, code, col->h->name);
        }
    }
}

static void check_zones(struct check *c, const struct part *p)
{
    const struct column *dates = p->by_field[search_field_find(STR("date")) - search_fields];
    const struct zone *zones = mfile_data(&p->zones);
    for (uint64_t row = 0; row < p->rows; row++) {
        int64_t date = dates ? column_int(dates, row) : 0;
        const struct zone *z = &zones[row / BLOCK_ROWS];
        if (!dates || !column_has(dates, row) || date < z->min_us || date > z->max_us) {
            problem(c, "%s: date of row %llu lies outside its zone", p->folder,
                    (unsigned long long)row);
            return;
        }
    }
}

/* Is there a live row of this crash in another partition? */
static void check_elsewhere(struct check *c, const struct part *p, struct str uuid)
{
    size_t field = (size_t)(search_field_find(STR("uuid")) - search_fields);
    for (size_t i = 0; i < c->root->part_count; i++) {
        struct part *other = c->root->parts[i];
        uint32_t code;
        if (!other || other == p || other->rows == 0 || !other->by_field[field] ||
            !column_use(other->by_field[field], NULL) ||
            !dict_find(&other->by_field[field]->dict, uuid, false, &code, NULL) || code == 0)
            continue;
        uint32_t row = ((const uint32_t *)mfile_data(&other->row_of))[code - 1];
        if (row > 0 && row <= other->rows && !part_is_dead(other, row - 1) && other->week > p->week)
            problem(c, "crash " STR_FMT " is in %s and in %s", STR_ARG(uuid), p->folder,
                    other->folder);
    }
}

static void check_crashes(struct check *c, struct part *p, uint64_t *ret_live)
{
    const struct column *ids = p->by_field[search_field_find(STR("uuid")) - search_fields];
    const uint32_t *row_of = mfile_data(&p->row_of);
    uint64_t n = mfile_elements(&p->row_of, 4);
    for (uint64_t row = 0; row < p->rows; row++) {
        uint32_t code = ids ? column_code(ids, row) : 0;
        bool is_dead = part_is_dead(p, row);
        *ret_live += !is_dead;
        if (code == 0 || code > n)
            problem(c, "%s: row %llu has no crash id", p->folder, (unsigned long long)row);
        else if (!is_dead && row_of[code - 1] != row + 1)
            problem(c, "%s: row %llu is not found by its crash id", p->folder,
                    (unsigned long long)row);
        else if (!is_dead)
            check_elsewhere(c, p, dict_entry(&ids->dict, code));
    }
}

static void check_part(struct check *c, struct part *p)
{
    size_t before = c->problems;
    uint64_t live = 0;
    check_columns(c, p);
    if (c->problems == before) {
        check_zones(c, p);
        check_crashes(c, p, &live);
    }
    tell(c, "%s: %llu rows, %llu live, %zu columns, %s", p->folder, (unsigned long long)p->rows,
         (unsigned long long)live, p->column_count, c->problems == before ? "good" : "DAMAGED");
}

bool keep_verify(const char *dir, void (*report)(void *arg, const char *line), void *arg,
                 struct err *err)
{
    struct check c = {.report = report, .arg = arg};
    if (!root_open(dir, false, &c.root, err))
        return false;
    bool ok = root_snapshot(c.root, err);
    for (size_t i = 0; ok && i < c.root->part_count; i++) {
        char name[16];
        const struct root_part *e = &c.root->h->parts[i];
        part_name(e->week, name);
        if (e->flags & PART_DAMAGED)
            problem(&c, "%s: a damaged partition of this week was set aside", name);
        if (c.root->is_damaged[i])
            problem(&c, "%s: cannot be opened", name);
        if (c.root->parts[i])
            check_part(&c, c.root->parts[i]);
    }
    root_free(c.root);
    if (ok && c.problems > 0)
        return err_set(err, ERR_INVALID, "%zu problems in the index", c.problems);
    return ok;
}
