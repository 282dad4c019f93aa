#ifndef LEDGER_RECOUNT_DOCUMENTS_H
#define LEDGER_RECOUNT_DOCUMENTS_H

#include "lib/base/str.h"
#include "lib/crash/field.h"
#include "lib/db/db.h"
#include "lib/search/index.h"
#include "lib/store/store.h"

/*
 * recount_documents - one recount of the statistics (recount.h), and its last word: some crashes by
 * their stored documents.
 */
struct recount {
    struct db *db;
    struct store *store;
    struct index_reader *index; /* NULL: from the documents of all crashes */
    const struct field_table *fields;
    int days;        /* only what was counted in the last so many days; 0: everything */
    bool is_mending; /* else it only tells */
    void (*on_difference)(void *arg, const char *line);
    void (*on_progress)(void *arg, size_t done, size_t total);
    void *arg;
    /* What came of it. */
    size_t looked, differ, without_document;
    size_t otherwise_indexed; /* counted as their documents say, but not as the index has them */
    size_t missing_weeks;     /* of the index, that could not be read */
};

/* Tells, or mends, what is counted otherwise than the documents of these crashes say. */
bool recount_by_documents(struct recount *r, struct strs ids, struct err *err);

#endif
