/*
 * Whether a file of common numbers is the one for the partitions that are open.  A partition is
 * known by its generation, which a compaction, a rebuild or a new week gives anew, and which goes
 * with a week that is dropped; the codes of one never change their meaning.  So a file fits if each
 * of its partitions is there and has at least the codes that it numbers.  One that does not fit is
 * not there: a search numbers the texts itself, as it would without the index keeper.
 *
 * The one way in which codes do change their meaning is a failure of the machine, after which a
 * partition may have gone back to fewer of them.  Whoever takes it back removes all files first
 * (recover.c); the last text that each part names is compared besides, for folders that were put
 * back by hand.
 *
 * Texts of ids may lie in any partition of the file, also in one whose week the search does not ask
 * for, so the dictionaries of all of them are mapped and checked here.
 */
#include "lib/search/columns/unify_file.h"

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/search/columns/cost.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/numbering.h"
#include "lib/search/columns/part.h"

/* The sum reads some ten bytes in a nanosecond, the rest compares one number in each four or eight
 * bytes. */
enum { BYTES_PER_UNIT = 4 };

bool unify_file_is_for(const struct field_table *fields, const struct search_field *f)
{
    return column_kind_of(f) == COLUMN_DICT && f->index != INDEX_SEMI && f != fields->uuid;
}

static bool find_part(const struct root *r, uint64_t generation, size_t *ret_part)
{
    for (size_t i = 0; i < r->part_count; i++)
        if (r->parts[i] && r->parts[i]->h->generation == generation) {
            *ret_part = i;
            return true;
        }
    return false;
}

bool unify_file_has_parts(const struct root *r, const struct numbering *n)
{
    size_t part, i = 0;
    while (i < n->h.part_count && find_part(r, n->parts[i].generation, &part))
        i++;
    return i == n->h.part_count;
}

/* A partition of a search has been checked already, as of its snapshot. */
static bool has_codes(struct column *c, uint32_t codes)
{
    return c->dict.checked >= codes ||
           (column_map(c, ERR_IGNORED) && dict_check(&c->dict, ERR_IGNORED) &&
            c->dict.checked >= codes);
}

/* ERR_NOT_FOUND: there is no such partition (any more). */
static bool part_fits(const struct unify *u, const struct numbering_part *p, size_t *ret_part,
                      struct err *err)
{
    if (!find_part(u->root, p->generation, ret_part))
        return err_set(err, ERR_NOT_FOUND, "it is of other weeks");
    struct column *c = u->root->parts[*ret_part]->by_field[u->field->id];
    if (!c || c->kind != COLUMN_DICT || p->codes == 0 || !has_codes(c, p->codes))
        return err_set(err, ERR_DAMAGED, "a week has less than the %u texts that are numbered",
                       p->codes);
    struct str last = dict_entry(&c->dict, p->codes);
    return hash64(last.p, last.n) == p->last ||
           err_set(err, ERR_DAMAGED, "a week has another text %u", p->codes);
}

/* Two parts of one generation would be one partition twice. */
static bool file_fits(struct unify *u, const struct numbering *n, struct err *err)
{
    bool is_taken[PARTS_MAX] = {false};
    for (size_t i = 0; i < n->h.part_count; i++) {
        size_t part = 0;
        if (!part_fits(u, &n->parts[i], &part, err))
            return false;
        if (is_taken[part])
            return err_set(err, ERR_DAMAGED, "a week is there twice");
        is_taken[part] = true;
        u->part_of_file[i] = (uint16_t)part;
    }
    return true;
}

/* The arrays of the file become those of the partitions, until one of them gets a new code. */
static void take(struct unify *u, const struct numbering *n)
{
    const uint32_t *ids = n->ids;
    for (size_t i = 0; i < n->h.part_count; i++) {
        u->parts[u->part_of_file[i]] =
            (struct unify_part){.starts = (uint32_t *)(uintptr_t)ids, .n = n->parts[i].codes + 1};
        ids += n->parts[i].codes + 1;
    }
    u->file = *n;
    u->file_ids = n->h.id_count;
    u->seed = n->h.seed;
}

bool unify_file_try(struct unify *u, struct err *err)
{
    struct numbering n;
    if (!numbering_map(u->root->dir, u->field->name, &n, err))
        return false;
    u->part_of_file = xcalloc(n.h.part_count + 1, sizeof *u->part_of_file);
    if (numbering_check(&n, err) && file_fits(u, &n, err)) {
        take(u, &n);
        return true;
    }
    numbering_close(&n);
    return err_wrap(err, "the numbering of %s", u->field->name);
}

bool unify_file_is_in_place(const struct unify *u)
{
    return u->file_ids == 0 || numbering_is_in_place(&u->file, u->root->dir);
}

bool unify_file_begin(struct unify *u, struct cost *cost)
{
    struct err why = {0};
    if (u->is_begun || !unify_file_is_for(u->root->fields, u->field))
        return true;
    u->is_begun = true;
    if (!unify_file_try(u, &why) && why.code != ERR_NOT_FOUND)
        log_event(LOG_WARN, "index_numbering_unusable", "a search numbers the texts itself",
                  LOG_E(&why));
    return cost_work(cost, u->file.file.bytes / BYTES_PER_UNIT);
}

/* The clock is looked at now and then, each text counted as 64 bytes. */
static bool pace_texts(const struct index_pace *pace, uint32_t n, struct err *err)
{
    enum { EVERY = 4096, TEXT_BYTES = 64 };
    if (!pace || n % EVERY != 0 || pace->go_on(pace->arg, EVERY * TEXT_BYTES))
        return true;
    return err_set(err, ERR_UNAVAILABLE, "told to stop");
}

/* Each id has a text of its own that is found, so no text has two. */
static bool check_ids(const struct unify *u, const struct index_pace *pace, struct err *err)
{
    for (uint32_t id = 1; id <= u->file_ids; id++) {
        struct str s = unify_text(u, id);
        if (unify_find(u, s) != id)
            return err_set(err, ERR_DAMAGED, "the numbering of %s does not find text %u",
                           u->field->name, id);
        if (!pace_texts(pace, id, err))
            return false;
    }
    return true;
}

static bool check_part(const struct unify *u, size_t part, const struct index_pace *pace,
                       struct err *err)
{
    const struct column *c = u->root->parts[part]->by_field[u->field->id];
    const struct unify_part *p = &u->parts[part];
    for (uint32_t code = 1; code < p->n; code++) {
        struct str s = dict_entry(&c->dict, code);
        if (!str_eq(s, unify_text(u, p->starts[code])))
            return err_set(err, ERR_DAMAGED, "the numbering of %s takes one text for another",
                           u->field->name);
        if (!pace_texts(pace, code, err))
            return false;
    }
    return true;
}

bool unify_file_check(const struct unify *u, const struct index_pace *pace, struct err *err)
{
    if (!check_ids(u, pace, err))
        return false;
    for (size_t i = 0; i < u->file.h.part_count; i++)
        if (!check_part(u, u->part_of_file[i], pace, err))
            return false;
    return true;
}
