#ifndef EXPORT_PARTITION_H
#define EXPORT_PARTITION_H

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/json/json.h"

/*
 * partition - the files of one day of the export while they are being written: a draft folder,
 * with a gzip file of JSON lines for each product, which becomes the day's folder at once.
 *
 * Ownership  partition_free also removes the draft, unless it became the day.
 */
struct partition;

/* `day` as YYYYMMDD. */
bool partition_new(const char *var_dir, const char *day, struct partition **ret, struct err *err);
/* Id of the crash that a record is of; n 0: it names none. */
struct str partition_id_of(struct str record);
/* A line without its end, to the file of the product that it names. */
bool partition_add(struct partition *p, struct str record, struct err *err);
bool partition_publish(struct partition *p, size_t *ret_rows, size_t *ret_files, struct err *err);
void partition_free(struct partition *p);

/* Folder of a day, with its draft's name for a suffix; new. */
char *partition_folder(const char *var_dir, const char *day, const char *suffix);
/* The manifest; ERR_NOT_FOUND: the day has no files. */
bool partition_manifest(const char *var_dir, const char *day, json_t **ret, struct err *err);
/* Each line of a file of the day, without its end. */
bool partition_read(const char *var_dir, const char *day, const char *name,
                    bool (*each)(void *arg, struct str line, struct err *err), void *arg,
                    struct err *err);

/* Whether the day's files have this crash, by its list of ids; false without files or list. */
bool partition_has(const char *var_dir, const char *day, const char *crash_id, bool *ret,
                   struct err *err);

/*
 * A text of the outermost object of a record.  Records are written by us, without blanks, and a
 * quote inside a text carries a backslash, so the key with its quotes stands nowhere but where it
 * is a key; no inner object of the schema has a crash_id or a product.
 */
struct str partition_text_of(struct str record, const char *key_with_quotes);

#endif
