#ifndef EXPORT_EXPORT_H
#define EXPORT_EXPORT_H

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/crash/field.h"
#include "lib/json/json.h"
#include "lib/store/store.h"

/*
 * export - public records of crashes (lib/crash/telemetry.h) for analysis elsewhere: one object of
 * the store per crash, kind "crash_report", until a daily job makes files of the day:
 *
 *     DATIL_VAR/telemetry/v2/socorro_crash/crash_date=YYYY-MM-DD/PRODUCT.jsonl.gz
 *                                                               /manifest.json
 *                                                               /crash_ids   (for us: export_has)
 *
 * A day appears with its manifest in one step of the file system and does not change afterwards,
 * except that crashes are taken out of it (export_remove), in one such step as well.  The same
 * records give the same bytes.  The day is that of the crash id.
 *
 * Errors     ERR_INVALID: a day that is none.  ERR_DAMAGED: files that are not what the manifest
 *            says.  ERR_NOT_FOUND: no such file.  ERR_IO.
 * Threads    One process at a time makes or changes days; others wait (a lock beside them).
 */

/*
 * Writes the record of a crash that has none and whose day has no files yet: the first processing
 * counts.  May be repeated.
 */
bool export_put_first(const char *var_dir, struct store *store, const struct field_table *fields,
                      const char *crash_id, const json_t *processed, struct err *err);

struct export_rolled {
    size_t rows, files;
    bool was_there; /* the day had files already; nothing was made */
};
/* `day` as YYYYMMDD.  Killed at any moment, it is simply called again. */
bool export_roll(const char *var_dir, struct store *store, const char *day,
                 struct export_rolled *ret, struct err *err);

/*
 * Takes crashes out of the files of their days; the ids come in any order.  *ret_rows counts what
 * was there.  Objects of the store are the caller's business (store_delete).
 */
bool export_remove(const char *var_dir, struct strs crash_ids, size_t *ret_rows, struct err *err);

/* Whether the files of its day have this crash. */
bool export_has(const char *var_dir, const char *crash_id, bool *ret, struct err *err);
/* Counts them, and leaves them. */
bool export_count(const char *var_dir, struct strs crash_ids, size_t *ret_rows, struct err *err);

/*
 * Until *ret_fd is closed no day appears or changes: for who copies several files of one.
 */
bool export_hold(const char *var_dir, int *ret_fd, struct err *err);

/* The schema of the records for importers, JSON Schema draft 4.  New reference. */
json_t *export_schema_json(void);

#endif
