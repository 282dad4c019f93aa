#ifndef CORRELATIONS_CORRELATIONS_H
#define CORRELATIONS_CORRELATIONS_H

#include "lib/db/db.h"
#include "lib/search/search.h"

/*
 * correlations - what is special about the crashes of one search beside those of another; see
 * docs/correlations.md.
 *
 *     correlation_base_new(…)      the reference set is read
 *     correlation_group(…)         beside it the group, as often as wanted -> a document
 *     correlation_names(…)         names of graphics cards into the document
 *     correlation_text(…)          the document as text
 *
 * Document   {"total_reference": n, "total": n, "results": [{"item": {NAME: VALUE, …},
 * "count_group", "count_reference", "prior": null or {"item", "count_group", "count_reference",
 *            "total_group", "total_reference"}}]}, results in the order of reading.  Of sampled
 *            sets "crashes" and "crashes_reference" say how many there are.  "incomplete": weeks of
 *            the index are missing; "left_out": properties that were too many.
 * Ownership  A base borrows reader, context and phrases; documents are new references.
 * Errors     Those of a search: ERR_INVALID with the text for the asker, ERR_UNAVAILABLE.
 * Trust      Parameters come from strangers and are cleaned by the reader of the context; what is
 *            compared are public fields alone, whoever asks.
 * Time       Up to the deadline of the context, mining included.
 */
enum {
    CORRELATION_SAMPLE = 20000,   /* crashes of a set that is compared while somebody waits */
    CORRELATION_GROUP_MIN = 5,    /* smaller groups have no correlations */
    CORRELATION_VERSION_MIN = 50, /* crashes of a version that is in use */
};

struct correlation_base;

bool correlation_base_new(struct index_reader *r, const struct search_context *ctx,
                          struct search_params reference, size_t max, const char *phrases,
                          struct correlation_base **ret, struct err *err);
void correlation_base_free(struct correlation_base *b);
/* Crashes that are compared with. */
uint64_t correlation_base_size(const struct correlation_base *b);

bool correlation_group(struct correlation_base *b, struct search_params group, size_t max,
                       json_t **ret, struct err *err);

/* Vendor and device ids become names where the table graphics_device has them. */
bool correlation_names(struct db *db, json_t *document, struct err *err);

/*
 * One line per result, "(GG.GG% in signature vs RR.RR% overall) name = value ∧ name = value", and
 * how sure it is.  The line without its counts and significance is what old pages show.
 */
char *correlation_line(struct arena *a, const json_t *document, const json_t *result);
/* The property or pair alone: "name = value ∧ name = value". */
char *correlation_item_text(struct arena *a, const json_t *item);
/* "07.50", "100.0": percent as those lines have them. */
char *correlation_percent(struct arena *a, int64_t count, int64_t total);

struct correlation_certainty {
    double p;   /* that chance alone makes so large a difference */
    double phi; /* 0 to 1: how closely the two go together */
};
struct correlation_certainty correlation_certainty(const json_t *document, const json_t *result);

/*
 * For bug reports: what was compared, how many crashes, and a line for each of the first results.
 */
char *correlation_text(struct arena *a, const json_t *document, const char *title, size_t max);

/*
 * The sets of a product's channel as the nightly job takes them: crashes of the last days in
 * versions that are in use.  No version is: *ret has none and correlation_base_size will be 0.
 */
struct correlation_scope {
    struct str product, channel;
    int64_t days; /* CORRELATION_DAYS of the configuration */
};
bool correlation_channel(struct arena *a, struct index_reader *r, const struct search_context *ctx,
                         const struct correlation_scope *scope, struct search_params *ret,
                         struct err *err);
/* The bound of its dates, as a search has it. */
struct str correlation_since(struct arena *a, const struct search_context *ctx, int64_t days);
/* The same crashes, those of one signature. */
struct search_params correlation_signature(struct arena *a, struct search_params channel,
                                           struct str signature);

#endif
