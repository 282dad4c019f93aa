/*
 * The numberings that a reader keeps between searches.  Making one is the dear part of a facet over
 * many weeks (decision 050), so it stays until a partition is closed that it points into, or until
 * all of them together take more than a worker may keep.
 */
#include "lib/search/columns/run_state.h"

#include "lib/search/columns/root_parts.h"
#include "lib/search/columns/unify.h"
#include "lib/search/columns/unify_file.h"

/*
 * A worker keeps UNIFY_KEPT_BYTES of numberings between searches: those of a million reports' usual
 * facets (signature, version, platform …) take 20 MB together, a field with a value of its own in
 * every report 40 MB.  The largest go first.
 */
enum { UNIFY_KEPT_BYTES = 64 << 20 };

static void drop_unify(struct reader *r, size_t field)
{
    unify_free(r->unify[field]);
    r->unify[field] = NULL;
}

/*
 * Numberings point into partitions: they go when one is closed.  They also go with the file that
 * they began with, which a scrub removes when it is damaged.
 */
void reader_begin_search(struct reader *r)
{
    for (size_t i = 0; i < r->root->fields->search_count; i++) {
        struct unify *u = r->unify[i];
        if (u && (r->parts_epoch != r->root->parts_epoch || !unify_file_is_in_place(u)))
            drop_unify(r, i);
        else if (u)
            u->held = 0;
    }
    r->parts_epoch = r->root->parts_epoch;
}

/* What a search has made large does not stay. */
void reader_end_search(struct reader *r)
{
    root_forget_texts(r->root);
    for (;;) {
        size_t bytes = 0, largest = 0, most = 0;
        for (size_t i = 0; i < r->root->fields->search_count; i++) {
            size_t one = r->unify[i] ? unify_bytes(r->unify[i]) : 0;
            bytes += one;
            if (one > most) {
                most = one;
                largest = i;
            }
        }
        if (bytes <= UNIFY_KEPT_BYTES)
            return;
        drop_unify(r, largest);
    }
}

struct unify *run_unify_of(struct run *run, const struct search_field *f)
{
    struct unify **u = &run->reader->unify[f->id];
    if (!*u)
        *u = unify_new(run->root, f);
    return *u;
}

struct unify *run_unify(struct run *run, const struct search_field *f)
{
    struct unify *u = run_unify_of(run, f);
    if (!unify_file_begin(u, &run->cost))
        return NULL;
    for (size_t i = 0; i < run->root->part_count; i++)
        if (run->part_used[i] && !unify_add_part(u, i, &run->cost))
            return NULL;
    return u;
}
