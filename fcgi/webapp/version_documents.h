#ifndef WEBAPP_VERSION_DOCUMENTS_H
#define WEBAPP_VERSION_DOCUMENTS_H

#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/crash/product.h"
#include "lib/json/json.h"

/*
 * version_documents - the JSON documents that product files name in version_json_urls: a process
 * of the program fetches them, workers read what it has written.
 *
 * Ownership  A worker's copy is its own, until version_documents_release.
 * Errors     None for readers: a document that could never be had is one without versions.
 * Trust      Whoever serves a document may write into it what it likes: it is bounded, and what is
 *            taken out of it is a short text that is a version, or nothing.
 */
struct version_documents {
    char *path;
    json_t *by_url; /* NULL: none so far */
    int64_t stamp;  /* of the file it was read from */
};

void version_documents_init(struct version_documents *d, const char *var_dir);
void version_documents_release(struct version_documents *d);
/* Reads the file again if it changed; true if it did. */
bool version_documents_refresh(struct version_documents *d);

/*
 * A name of featured_versions.  False: no KEY.PATH with a key of this product, so it is meant as it
 * stands.  *ret borrows from d, and is empty while the document has no such version.
 */
bool version_documents_find(const struct version_documents *d, const struct product *product,
                            struct str name, struct str *ret);

/* The life of the process that fetches (a proc_group's run); arg is version_keeper. */
struct version_keeper {
    struct metrics *metrics;
};
int version_keeper_run(void *arg, int index);

/* What both sides agree on. */
enum { VERSION_DOCUMENT_BYTES_MAX = 256 << 10, VERSION_DOCUMENTS_MAX = 64 };
char *version_documents_path(const char *var_dir); /* new */

#endif
