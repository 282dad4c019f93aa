#ifndef CORRELATIONS_SIMILAR_H
#define CORRELATIONS_SIMILAR_H

#include "lib/search/search.h"
#include "lib/signature/signature.h"

/*
 * similar - crashes whose stacks have much in common with that of one crash, whatever their
 * signatures are.
 *
 *     similar_find(reader, ctx, lists, processed crash, n, &document, err)
 *
 * Document   {"crash_id", "cluster_key": text or null, "in_cluster": crashes of that key,
 * "functions": how many of its stack are compared, "candidates": crashes that share one,
 * "compared": how many of them, "hits": [{"uuid", "date", "product", "version", "signature",
 * "cluster_key", "shared", "overlap"}], "signatures": [{"signature", "count", "overlap", "uuid"}],
 * "errors": as of a search}. overlap: functions that both stacks have, divided by those that one of
 * them has, from 0 to 1; the largest first.  Of a signature it is that of its nearest crash.
 * Compared   Relevant functions of the crashing threads, without what differs between builds, each
 *            once: their order does not count.  Candidates are the crashes of SIMILAR_DAYS days
 * that share one of the topmost functions; all of them, or SIMILAR_CRASHES_MAX with the same chance
 * for each. Ownership  The document is a new reference. Errors     Those of a search. Trust The
 * processed crash is hostile.  Only public fields are read and answered.
 */
enum {
    SIMILAR_DAYS = 28,
    SIMILAR_CRASHES_MAX = 20000, /* as correlations; their stacks take some 20 MB */
    SIMILAR_HITS_MAX = 100,
    SIMILAR_HITS_DEFAULT = 20,
};

bool similar_find(struct index_reader *r, const struct search_context *ctx,
                  const struct siglists *lists, const json_t *processed_crash, size_t n,
                  json_t **ret, struct err *err);

#endif
