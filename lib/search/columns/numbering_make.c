/*
 * When the index keeper writes the common numbers of a field to a file, and how.
 *
 * A file pays where a process would need a noticeable time for numbering the texts itself, and
 * where texts occur more than once.  It goes on being used while codes come that it does not know;
 * it is written again when they have become a sixteenth of what it covers, so that what a process
 * must add itself stays below that, and all the writing together stays below seventeen times the
 * last file.  The old file is read for it and what is new added, as a search does it; a file that
 * names a partition which is gone is no start, and its texts are numbered from the first one.
 *
 * Nobody is waited for: writers and searches go on, and what they add meanwhile is newer than the
 * file.  A kill leaves the file before it and a temporary one, which the next one to come removes.
 */
#include <limits.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/cost.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/format.h"
#include "lib/search/columns/keep.h"
#include "lib/search/columns/numbering.h"
#include "lib/search/columns/part.h"
#include "lib/search/columns/root.h"
#include "lib/search/columns/unify.h"
#include "lib/search/columns/unify_file.h"
#include "lib/search/engine.h"

/*
 * What CODES_MAX takes while the file is made: up to 130 MB for the table of texts, which grows by
 * doubling, 50 MB for ids and places, and all of it once more as the file.
 */
enum { CODES_MAX = 4 << 20, NEW_SHARE = 16 };

/* What the dictionaries of a field have at the moment. */
struct census {
    uint64_t codes, rows;
};

static struct census take_census(const struct root *r, const struct search_field *f)
{
    struct census all = {0};
    for (size_t i = 0; i < r->part_count; i++) {
        const struct column *c = r->parts[i] ? r->parts[i]->by_field[f->id] : NULL;
        all.codes += c && c->dict.h ? dict_entries(c->dict.h) : 0;
        all.rows += r->parts[i] ? r->parts[i]->rows : 0;
    }
    return all;
}

static bool pays(const struct root *r, const struct search_field *f, uint64_t codes_min)
{
    if (!unify_file_is_for(r->fields, f))
        return false;
    struct census all = take_census(r, f);
    return all.codes >= codes_min && all.codes <= CODES_MAX &&
           !unify_is_unique(all.codes, all.rows);
}

/* By the names of its parts and their sizes; that takes microseconds. */
static bool is_fresh(const struct root *r, const struct search_field *f, uint64_t codes_min)
{
    struct numbering n;
    if (!numbering_map(r->dir, f->name, &n, ERR_IGNORED))
        return false;
    bool has_parts = unify_file_has_parts(r, &n);
    uint64_t covered = numbering_codes(&n), now = take_census(r, f).codes;
    numbering_close(&n);
    return has_parts && covered <= now && now - covered <= MAX(covered / NEW_SHARE, codes_min);
}

/* A partition that cannot be read is left to whoever sets it aside; it is not in the file then. */
static bool number_parts(struct unify *u, struct cost *cost)
{
    if (!unify_file_begin(u, cost))
        return false;
    for (size_t i = 0; i < u->root->part_count; i++) {
        struct part *p = u->root->parts[i];
        struct column *c = p ? p->by_field[u->field->id] : NULL;
        if (c && column_map(c, ERR_IGNORED) && dict_check(&c->dict, ERR_IGNORED) &&
            !unify_add_part(u, i, cost))
            return false;
    }
    return true;
}

/* The file in memory, array by array. */
struct making {
    const struct unify *u;
    struct numbering_part *parts;
    const uint32_t **ids;
    uint64_t *places;
    uint32_t *index_of; /* by partition of the root: among parts */
    size_t part_count;
    struct tagmap texts;
};

static void list_parts(struct making *m)
{
    const struct root *r = m->u->root;
    for (size_t i = 0; i < r->part_count; i++) {
        const struct unify_part *p = &m->u->parts[i];
        if (p->n <= 1)
            continue;
        uint32_t codes = (uint32_t)p->n - 1;
        struct str last = dict_entry(&r->parts[i]->by_field[m->u->field->id]->dict, codes);
        m->index_of[i] = (uint32_t)m->part_count;
        m->ids[m->part_count] = p->starts;
        m->parts[m->part_count++] = (struct numbering_part){
            .generation = r->parts[i]->h->generation,
            .last = hash64(last.p, last.n),
            .codes = codes,
        };
    }
}

static void list_places(struct making *m)
{
    size_t n = unify_count(m->u);
    for (size_t i = 0; i < n; i++) {
        uint64_t place = unify_place(m->u, (uint32_t)i + 1);
        m->places[i] = (uint64_t)m->index_of[place >> 32] << 32 | (uint32_t)place;
    }
}

/* A tag is the upper half of its text's hash, which is all that adding it again takes. */
static void join_tables(struct making *m)
{
    const struct tagmap *const from[] = {&m->u->file.texts, &m->u->ids};
    for (size_t i = 0; i < ARRAY_LEN(from); i++)
        for (size_t at = 0; at < from[i]->cap; at++)
            if (from[i]->places[at])
                tagmap_add(&m->texts, from[i]->places[at], (uint32_t)from[i]->places[at]);
}

static bool write_file(const struct unify *u, struct err *err)
{
    size_t n = unify_count(u);
    struct making m = {.u = u};
    if (n == 0)
        return true;
    m.parts = xcalloc(PARTS_MAX, sizeof *m.parts);
    m.ids = xcalloc(PARTS_MAX, sizeof *m.ids);
    m.index_of = xcalloc(PARTS_MAX, sizeof *m.index_of);
    m.places = xcalloc(n, sizeof *m.places);
    list_parts(&m);
    list_places(&m);
    join_tables(&m);
    bool ok = numbering_write(u->root->dir,
                              &(struct numbering_plan){
                                  .field = u->field->name,
                                  .seed = u->seed,
                                  .parts = m.parts,
                                  .part_count = m.part_count,
                                  .places = m.places,
                                  .id_count = n,
                                  .texts = &m.texts,
                                  .ids = m.ids,
                              },
                              err);
    tagmap_release(&m.texts);
    free(m.places);
    free(m.index_of);
    free(m.ids);
    free(m.parts);
    return ok;
}

static bool make_file(struct root *r, const struct search_field *f, struct err *err)
{
    const struct search_limits no_limits = {.deadline_ms = INT64_MAX, .max_bytes = SIZE_MAX};
    struct unify *u = unify_new(r, f);
    struct cost cost;
    cost_begin(&cost, &no_limits);
    bool ok = number_parts(u, &cost) ? write_file(u, err) : cost_error(&cost, err);
    unify_free(u);
    return ok;
}

struct numbered {
    const struct root *root;
    uint64_t codes_min;
};

/* Fields that have got too few texts or too many, that are no more, and what a kill has left. */
static bool is_unwanted(const char *name, const void *arg)
{
    const struct numbered *n = arg;
    const struct search_field *f = search_field_find(n->root->fields, str_of(name));
    return !f || !pays(n->root, f, n->codes_min);
}

static bool number_fields(struct root *r, uint64_t codes_min, const struct index_pace *pace,
                          size_t *ret_written, struct err *err)
{
    const struct numbered wanted = {r, codes_min};
    if (!numbering_remove(r->dir, is_unwanted, &wanted, err))
        return false;
    for (size_t i = 0; i < r->fields->search_count; i++) {
        const struct search_field *f = &r->fields->search[i];
        if (!pays(r, f, codes_min) || is_fresh(r, f, codes_min))
            continue;
        if (!make_file(r, f, err))
            return err_wrap(err, "numbering the values of %s", f->name);
        ++*ret_written;
        if (pace && !pace->go_on(pace->arg, take_census(r, f).codes * sizeof(uint32_t)))
            return true;
    }
    return true;
}

/* Two at a time would do the same work twice. */
bool keep_number(const char *dir, const struct field_table *fields, uint64_t codes_min,
                 const struct index_pace *pace, size_t *ret_written, struct err *err)
{
    struct root *r;
    struct err why = {0};
    int fd;
    *ret_written = 0;
    if (!keep_claim(dir, CLAIM_NUMBERING, NULL, 0, &fd, &why))
        return why.code == ERR_CONFLICT || err_set(err, why.code, "%s", why.msg);
    bool ok = root_open(dir, fields, false, &r, err);
    if (ok) {
        ok =
            root_snapshot(r, err) && (!r->h || number_fields(r, codes_min, pace, ret_written, err));
        root_free(r);
    }
    close(fd);
    return ok;
}
