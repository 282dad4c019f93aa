#ifndef CORRELATIONS_CORRELATION_FILES_H
#define CORRELATIONS_CORRELATION_FILES_H

#include "lib/json/json.h"

/*
 * correlation_files - what the nightly job leaves for everybody, below DATIL_VAR/correlations:
 *
 *     PRODUCT/all.json.gz                    {"date": "2026-01-05", CHANNEL: crashes, …}
 *     PRODUCT/CHANNEL/SHA1(signature).json.gz  {"total", "results", …}
 *
 * A product's folder is replaced as a whole, so its files belong together; a reader finds the old
 * ones or the new ones.
 *
 * Errors     ERR_NOT_FOUND: no such data.  ERR_DAMAGED, ERR_IO.
 * Trust      Products and channels are strangers' words; what cannot be the name of a file has no
 *            file.
 */
bool correlation_name_is_safe(struct str name);
/* File of a signature, below the folder of its product and channel: 40 digits and ".json.gz". */
enum { CORRELATION_FILE_SIZE = 40 + sizeof ".json.gz" };
void correlation_file_name(struct str signature, char out[CORRELATION_FILE_SIZE]);

struct correlation_writer; /* of one product */
bool correlation_writer_new(const char *var_dir, struct str product,
                            struct correlation_writer **ret, struct err *err);
bool correlation_write(struct correlation_writer *w, struct str channel, struct str signature,
                       const json_t *document, struct err *err);
/* With the totals; makes the new folder that of the product. */
bool correlation_writer_commit(struct correlation_writer *w, const json_t *all, struct err *err);
/* What was not committed goes. */
void correlation_writer_free(struct correlation_writer *w);
/* Removes the folders of products that are not among these. */
bool correlation_files_keep(const char *var_dir, struct strs products, struct err *err);

/* `rest` is a path below DATIL_VAR/correlations, of files as above; NULL gives no text. */
bool correlation_file_text(const char *var_dir, struct str rest, char **ret, size_t *ret_n,
                           struct err *err);
/* The bytes as they are on disk; closes nothing, the caller takes the descriptor. */
bool correlation_file_open(const char *var_dir, struct str rest, int *ret_fd, struct err *err);
bool correlation_totals(const char *var_dir, struct str product, json_t **ret, struct err *err);
/* A document with its date and "total_reference", as correlations.h has them. */
bool correlation_load(const char *var_dir, struct str product, struct str channel,
                      struct str signature, json_t **ret, struct err *err);

#endif
