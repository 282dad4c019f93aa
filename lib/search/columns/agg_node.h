#ifndef SEARCH_COLUMNS_AGG_NODE_H
#define SEARCH_COLUMNS_AGG_NODE_H

#include "lib/base/map.h"
#include "lib/search/columns/distinct.h"
#include "lib/search/columns/run_state.h"

/*
 * agg_node - aggregations while a query runs; private to agg*.c.
 *
 * Every aggregation turns a row into ids: of the unified numbering for strings, 1 and 2 for
 * false and true, numbers given in order of appearance for numeric values and bucket starts.
 * It counts pairs (slot, id), where the slot is the bucket of the parent that the row is in
 * (0 on the first level).  At the end of its level each slot's best ids become buckets; their
 * numbers are the slots of the level below.
 *
 * All tables here grow with what strangers ask for, so each byte is held on the account of the
 * search before it is allocated, each bucket counted, each loop over rows, ids or pairs told to
 * run->cost.  When it says stop, counting goes on with what room there is and the answer is
 * thrown away.
 */
enum { DENSE_MAX = 4 << 20 }; /* counters in an array rather than a hash table */

/* Numeric values -> ids from 1. */
struct interner {
    struct map ids;
    uint64_t *values; /* by id - 1 */
    size_t cap;
    uint64_t last; /* neighbours are often equal */
    uint32_t last_id;
};

struct pairs {
    uint32_t *rows, *slots, *ids;
    size_t n, cap;
};

struct bucket {
    uint32_t id;
    uint32_t count;
    uint32_t mark; /* agg_marks.h; 0: none */
};

/* What is known of pairs beside their count (agg_marks.c); all empty unless asked for. */
struct marks {
    bool wants_times, wants_weights;
    struct interner pairs;  /* slot << 32 | id -> mark */
    struct map seen;        /* mark << 32 | code of an install time */
    struct interner others; /* install times that are no code of their own */
    uint64_t *weights;      /* by mark - 1 */
    size_t weight_cap;
    uint32_t *installations; /* by mark - 1, at the end */
};

/* How a count of distinct values that are in no bucket is made; decided before the first row. */
enum distinct_kind {
    DISTINCT_NOT,     /* not such a count, or one that counts pairs like everything else */
    DISTINCT_NUMBERS, /* of a number field: exactly, as long as it can (distinct.h) */
    DISTINCT_TEXTS,   /* of more texts than it pays to number: by their hashes */
};

/* Of a slot, once it is known: the bits of the number. */
struct percentile {
    uint64_t value;
    bool has_value;
};

struct agg_node {
    const struct agg *spec;
    const struct search_query *query;
    struct cost *cost;
    struct marks marks;
    struct agg_node *next, *children;
    struct agg_node *lead; /* the same of the first lane; its own there */
    size_t level;
    size_t slot_count;
    bool is_counted;        /* its level is over: ids are looked up in the lead and not given */
    struct unify *unify;    /* string fields */
    struct interner values; /* numeric fields */
    enum distinct_kind distinct_kind;
    struct distinct distinct;
    struct slot_sums *sums;         /* AGG_SUMS, by slot (agg_numbers.c) */
    struct percentile *percentiles; /* AGG_PERCENTILES, by slot and number, at the end */
    bool is_rounded;                /* AGG_PERCENTILES: values are counted rounded */
    size_t id_count;                /* of a dense table, 0 included */
    uint32_t *dense;                /* slot * id_count + id */
    bool grows;        /* dense, one slot, ids still being given: numbers on the first level */
    struct map sparse; /* (slot << 32 | id) -> count, later bucket + 1 */
    uint32_t *local;   /* first level, strings: by code of the partition at hand */
    size_t local_n, local_cap;
    uint32_t *row_ids; /* of a list: its ids, each once */
    uint64_t *seen;    /* a bit for each id, 0 between two lists */
    size_t row_ids_cap;
    size_t lists_held; /* for lists of the partition at hand that are packed */
    struct pairs pairs;
    struct bucket *buckets; /* of slot s: first[s] .. first[s + 1] */
    size_t bucket_count, bucket_cap;
    size_t *first;
};

/* Fills node->pairs for rows with the given slots (NULL: all 0). */
void agg_pairs(struct agg_node *node, const struct part *p, size_t part, const uint32_t *rows,
               const uint32_t *slots, size_t n);
/* The value that all these rows of one block have for sure, by the zone alone. */
bool agg_block_value(const struct agg_node *node, const struct part *p, const uint32_t *rows,
                     size_t n, uint64_t *ret);
/*
 * The ids that a code stands for, each once, until the next call; none when the search must end.
 * Lists of packed weeks are unpacked for it, until agg_end_lists.
 */
const uint32_t *agg_ids_of(struct agg_node *node, size_t part, uint32_t code, size_t *ret_n);
bool agg_begin_lists(struct agg_node *node, const struct column *c);
void agg_end_lists(struct agg_node *node, struct column *c);
/* The id of a number of this node; 0: no room, or of a level that is over: none. */
uint32_t agg_id_of_number(struct agg_node *node, uint64_t value);
/* One more row of this slot with this id.  False: no room. */
bool agg_count_pair(struct agg_node *node, uint32_t slot, uint32_t id, uint32_t by);
/* Room for the counters of a node and those beside it.  False: the search must end. */
bool agg_begin_nodes(struct agg_node *n, size_t slot_count);
/* A larger table, on the account of the search.  False: the search must end. */
bool agg_grow_map(struct map *m, struct cost *cost);
/* The lead's id of what a lane has counted under this one; 0: no room. */
uint32_t agg_lead_id(struct agg_node *lead, const struct agg_node *n, uint32_t id);
void interner_release(struct interner *in);
/* The id of a value, a new one if need be; 0: no room, the search must end. */
uint32_t interner_id(struct interner *in, uint64_t value, struct cost *cost);
/* Adds the values of the rows. */
bool agg_distinct_numbers(struct agg_node *node, const struct column *c, const uint32_t *rows,
                          size_t n);
/* Adds the texts of a partition that occur, by node->local. */
bool agg_distinct_texts(struct agg_node *node, struct column *c);
/* The value of an id: bits of an int64_t or a double. */
static inline uint64_t interner_value(const struct interner *in, uint32_t id)
{
    return in->values[id - 1];
}

#endif
