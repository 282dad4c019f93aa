#ifndef SYMFILE_SYMVERIFY_H
#define SYMFILE_SYMVERIFY_H

#include "lib/db/db.h"
#include "lib/symfile/symstore.h"

/*
 * symverify - whether the rows of symbols files and the files themselves agree, in both directions,
 * and whether compiled files are whole; puts right what can be.
 *
 * Errors     A difference is a finding and no error.  ERR_IO, ERR_UNAVAILABLE as store and
 *            database.
 * Trust      Stored files are read by symreader alone.
 */
enum symverify_finding {
    SYMVERIFY_NO_FILE, /* a row whose file is gone; mended: the row goes */
    SYMVERIFY_NO_ROW,  /* a file without a row, not found by downloads; mended: it gets rows */
    SYMVERIFY_SIZE,    /* another size than its row says; mended: rows of what is there */
    SYMVERIFY_CONTENT, /* with `content`: other bytes, or damaged; only an upload mends that */
    SYMVERIFY_CSYM,    /* a compiled file is damaged; mended: removed, made again when wanted */
    SYMVERIFY_FINDINGS
};
extern const char *const symverify_words[]; /* what each means, for people */

struct symverify {
    const struct symstore *store;
    struct db *db;
    const char *temp_dir; /* scratch files */
    bool wants_content;   /* unpack and hash each file: as long as reading all of them takes */
    bool is_fixing;
    void (*found)(void *arg, enum symverify_finding finding, const char *name, bool is_mended);
    void (*step)(void *arg, uint64_t bytes); /* once per file that was looked at */
    void *arg;
};

bool symverify_run(const struct symverify *v, struct err *err);

#endif
