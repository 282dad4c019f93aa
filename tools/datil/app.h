#ifndef DATIL_APP_H
#define DATIL_APP_H

#include <sys/types.h>

#include "lib/base/conf.h"
#include "lib/base/opts.h"
#include "lib/db/db.h"
#include "lib/search/index.h"
#include "lib/search/search.h"
#include "lib/store/mark.h"
#include "lib/store/store.h"

/*
 * app - what the commands of `datil` share: configuration, and database, store and index opened
 * by the first command that needs them.
 *
 * Ownership  main owns the struct app; everything in it is released at the end.
 * Commands   return true, or false with *err; main prints the error and exits 1.  A command that
 *            found differences prints them, sets exit_status and returns true.
 */
struct app {
    struct conf conf;
    const struct field_table *fields;
    struct arena arena; /* lives as long as the command */
    struct db *db;
    struct store *store;
    char installation[INSTALLATION_ID_SIZE]; /* empty: not asked for yet */
    struct index_writer *writer;
    struct index_reader *reader;
    int exit_status;
    uid_t operator_uid; /* who started the command, whoever it works as */
};

/* The arguments come without the words of the command. */
typedef bool command_run(struct app *app, struct args args, struct err *err);

struct command {
    const char *name; /* "user add" */
    const char *args; /* "EMAIL [--group NAME]…" */
    const char *help; /* first line: what it does; further lines: details */
    command_run *run;
};

/* Ended by a row without name; one file per family. */
extern const struct command schema_commands[];
extern const struct command account_commands[];
extern const struct command token_commands[];
extern const struct command product_commands[];
extern const struct command ping_commands[];
extern const struct command crash_commands[];
extern const struct command send_commands[];
extern const struct command resubmit_commands[];
extern const struct command reprocess_commands[];
extern const struct command work_commands[];
extern const struct command purge_commands[];
extern const struct command purge_where_commands[];
extern const struct command export_commands[];
extern const struct command index_commands[];
extern const struct command symbols_commands[];
extern const struct command symbols_care_commands[];
extern const struct command version_commands[];
extern const struct command stats_commands[];
extern const struct command correlation_commands[];
extern const struct command cron_commands[];
extern const struct command metrics_commands[];
extern const struct command check_commands[];
extern const struct command mark_commands[];
extern const struct command backup_commands[];
extern const struct command restore_commands[];
extern const struct command doctor_commands[];

/*
 * Somebody who forgets DATIL_VAR means an installation elsewhere: commands that work without the
 * database ask this first, so that they make no second one where nobody looks.
 */
bool app_is_somewhere(struct app *app, struct err *err);
bool app_db(struct app *app, struct err *err);
bool app_store(struct app *app, struct err *err);
bool app_writer(struct app *app, struct err *err);
bool app_reader(struct app *app, struct err *err);

/*
 * A row of the administrators' log, the one that superusers read in the web application: who (the
 * account of the operating system, through sudo the one behind it), on what, what, details.  Ids,
 * names and counts only, never values of reports.
 */
bool app_audit(struct app *app, const char *object, const char *id, const char *action,
               const char *message, struct err *err);

/*
 * A day given as YYYY-MM-DD, as the store writes it: YYYYMMDD.  NULL: the fallback.
 */
bool app_day(const char *text, const char *fallback, char out[16], struct err *err);

/* A search as a shell's word: "product=Firefox&date=>=2026-01-01", without percent signs. */
struct search_params app_query_of_word(struct arena *a, const char *text);

/*
 * The directories that carry the installation's mark, with whether each is as it should be.
 * migrate calls app_mark_new: those that never had a mark get theirs, trouble is printed only.
 */
struct marked_dir {
    const char *what;   /* "store" */
    enum conf_name key; /* where it is */
};
extern const struct marked_dir marked_dirs[];
extern const size_t marked_dir_count;
bool app_installation(struct app *app, struct err *err); /* fills app->installation */
bool app_mark_new(struct app *app, struct err *err);

/* One line from standard input without its newline, at most max bytes; new. */
bool app_read_line(size_t max, const char *what, char **ret, struct err *err);

/* "crashstats.view_pii", "upload.…", "tokens.…" -> the bare name (borrowed). */
const char *permission_name(const char *text);

/* Replaces this process by another program of Datil that lies beside it. */
bool app_exec(const char *program, char *const *argv, struct err *err);

#endif
