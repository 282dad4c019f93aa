#ifndef SEARCH_COLUMNS_UNIFY_H
#define SEARCH_COLUMNS_UNIFY_H

#include "lib/base/map.h"
#include "lib/base/vec.h"
#include "lib/search/columns/cost.h"
#include "lib/search/columns/numbering.h"
#include "lib/search/columns/root.h"

/*
 * unify - one numbering of a string field's values over all partitions, made by a reader
 * on demand and kept between queries.
 *
 * Every partition has its own dictionary.  To count a facet over many, or to evaluate a
 * condition once per distinct value, a reader needs common numbers: for each partition an
 * array from its codes to common ids.  Codes never change their meaning, so only new ones
 * are added at the next query.  A code of a list stands for the ids of its elements, in their order
 * and as often as they come; one of a semi field for several ids, each once.
 *
 * Fields of one text per report begin with the numbers that the index keeper has left in a file
 * (numbering.h), if it fits the partitions; what is newer than the file is added in memory.
 *
 * Ownership  Texts borrow from the mapped dictionaries, except the pieces of semi fields,
 *            which are lower-cased copies.
 * Ids        From 1; 0 is "absent", also as an element of a list that is no value.
 */
enum unify_kind {
    UNIFY_PLAIN,
    UNIFY_LISTS,  /* what is numbered are elements: lists are nearly all different, and long */
    UNIFY_PIECES, /* of semi fields, lists of them too */
};

struct unify_part {
    /* plain: id of code; lists: id of an element's code; pieces: first index into ids, one entry
     * more */
    uint32_t *starts;
    size_t n, cap; /* codes covered, 0 included; cap 0: starts lies in the file */
    VEC(uint32_t) ids;
};

struct unify {
    const struct search_field *field;
    struct root *root;
    enum unify_kind kind;
    bool is_begun;          /* the file has been looked for */
    struct numbering file;  /* closed: there is none that fits */
    size_t file_ids;        /* ids up to here are of the file */
    uint16_t *part_of_file; /* by index among the file's parts: that in root */
    VEC(uint64_t) values;   /* by id - 1 - file_ids: where the text is */
    VEC(struct str) owned;  /* pieces of semi fields */
    struct tagmap ids;      /* texts -> ids */
    uint64_t seed;          /* of their hashes: the texts are strangers' */
    struct unify_part parts[PARTS_MAX];
    uint32_t *ranks; /* by id; valid for rank_count ids */
    size_t rank_count;
    size_t part_bytes, owned_bytes; /* for unify_bytes */
    size_t held;                    /* of them, on the account of the search that runs */
};

struct unify *unify_new(struct root *root, const struct search_field *f);
void unify_free(struct unify *u);
size_t unify_bytes(const struct unify *u);

/*
 * Covers the codes of this partition, whose column is in use.  The numbering counts among the
 * bytes of every search that uses it.  False: the search must end; what is there stays good.
 */
bool unify_add_part(struct unify *u, size_t part, struct cost *cost);

struct str unify_text(const struct unify *u, uint32_t id);
/* Where the text of an id of a plain field is: part << 32 | code. */
uint64_t unify_place(const struct unify *u, uint32_t id);
/* The id that a text has already; 0: none. */
uint32_t unify_find(const struct unify *u, struct str s);

/* How many ids there are. */
static inline size_t unify_count(const struct unify *u)
{
    return u->file_ids + u->values.n;
}

/*
 * Whether nearly every report has a text of its own (crash ids, URLs): then common numbers would
 * take memory for nearly every report and serve nobody.
 */
bool unify_is_unique(uint64_t codes, uint64_t rows);

/* Numbers that order ids as bytes order their texts. */
bool unify_rank(struct unify *u, struct cost *cost);

/* What a code stands for. */
struct unify_ids {
    const uint32_t *v; /* ids, or what unify_id_at looks up in `of` */
    const uint32_t *of;
    size_t n;
};
struct unify_ids unify_list_ids(const struct unify *u, size_t part, uint32_t code);

static inline struct unify_ids unify_ids(const struct unify *u, size_t part, uint32_t code)
{
    const struct unify_part *p = &u->parts[part];
    if (u->kind == UNIFY_PLAIN)
        return (struct unify_ids){&p->starts[code], NULL, p->starts[code] != 0};
    if (u->kind == UNIFY_LISTS)
        return unify_list_ids(u, part, code);
    return (struct unify_ids){p->ids.v + p->starts[code], NULL,
                              p->starts[code + 1] - p->starts[code]};
}

static inline uint32_t unify_id_at(const struct unify_ids *ids, size_t i)
{
    return ids->of ? ids->of[ids->v[i]] : ids->v[i];
}

#endif
