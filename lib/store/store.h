#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <jansson.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * store - the object store of crashes: raw crash, dump names, dumps, processed crash,
 * export record, behind one table of functions.  Back end `fs`: directories by day,
 * so that a day goes by removing one directory; one layout for every program:
 *
 *     ROOT/YYYYMMDD/raw_crash/ID.json        ROOT/YYYYMMDD/processed_crash/ID.json
 *     ROOT/YYYYMMDD/dump_names/ID.json       ROOT/YYYYMMDD/crash_report/ID.json
 *     ROOT/YYYYMMDD/upload_file_minidump/ID  and so on: every file part under its name
 *
 * The day is that of the crash id.
 *
 * Ownership  Bytes handed out are new (free).
 * Errors     ERR_NOT_FOUND, ERR_INVALID (crash id, kind name), ERR_IO.  ERR_UNAVAILABLE: the root
 *            is not what it was (its file system is not mounted).  So "not found" is the word of
 *            the right store, and a put never makes a tree below a mount point.
 * Durability A put returns after fsync; objects appear by rename: whole or not at all.
 *            All puts may be repeated.
 * Kinds      "raw_crash", "dump_names", "processed_crash", "crash_report", or the name
 *            of a file part (letters, digits, underscore, at most 30).
 */
struct store;

struct store_config {
    const char *backend; /* "fs" */
    const char *fs_root;
    bool wants_mark; /* work only on a root that carries the mark of an installation (mark.h) */
    bool no_fsync;   /* tests only */
};
/* What the configuration says.  Without a database nobody can make a mark, and none is wanted. */
struct store_config store_config_of(const struct conf *conf);

/* Makes nothing: the root may be away and come back. */
bool store_open(const struct store_config *cfg, struct store **ret, struct err *err);
void store_close(struct store *s);

/* From now on only the root of this installation will do; borrowed until store_close. */
void store_expect(struct store *s, const char *installation_id);
/* ERR_UNAVAILABLE: this is not the installation's store; nothing it says counts. */
bool store_check(struct store *s, struct err *err);

/*
 * For bulk work: between store_defer_sync() and store_sync() puts are atomic but not yet
 * durable; store_sync makes all of them so and ends the mode.
 */
void store_defer_sync(struct store *s);
bool store_sync(struct store *s, struct err *err);

bool store_put(struct store *s, const char *crash_id, const char *kind, struct str bytes,
               struct err *err);
/*
 * Moves a local file in (rename when on the same file system, else copy).  The file is gone then.
 * A repeat that finds the object there and the file gone succeeds.
 */
bool store_put_file(struct store *s, const char *crash_id, const char *kind, const char *path,
                    struct err *err);
bool store_get(struct store *s, const char *crash_id, const char *kind, size_t max_bytes,
               char **ret_bytes, size_t *ret_n, struct err *err);
/* An object that is a JSON document: a new reference.  ERR_DAMAGED if it is none. */
json_t *store_get_json(struct store *s, const char *crash_id, const char *kind, size_t max_bytes,
                       struct err *err);
/* Read-only descriptor of an object (fs: the file; other back ends: an unlinked local copy). */
bool store_open_fd(struct store *s, const char *crash_id, const char *kind, int *ret_fd,
                   struct err *err);
bool store_exists(struct store *s, const char *crash_id, const char *kind);
/* Names of file parts as dump_names lists them, sorted; empty if there is no such list. */
bool store_dump_names(struct store *s, struct arena *a, const char *crash_id, struct strs *ret,
                      struct err *err);
/* One object; a missing one is fine. */
bool store_remove(struct store *s, const char *crash_id, const char *kind, struct err *err);
/* Every object of one crash; missing ones are fine.  *ret_removed counts what was there. */
bool store_delete(struct store *s, const char *crash_id, size_t *ret_removed, struct err *err);

/* Days that hold anything, ascending, as YYYYMMDD texts in the arena. */
bool store_days(struct store *s, struct arena *a, struct strs *ret, struct err *err);
/* Crash ids of a day that have an object of this kind, in no order.  each() returns false to
 * stop. */
bool store_catalog(struct store *s, const char *day, const char *kind,
                   bool (*each)(void *arg, const char *crash_id), void *arg, struct err *err);
/* Everything of that day; a day without anything is fine. */
bool store_delete_day(struct store *s, const char *day, struct err *err);

#endif
