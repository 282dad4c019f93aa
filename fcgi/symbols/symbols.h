#ifndef SYMBOLS_SYMBOLS_H
#define SYMBOLS_SYMBOLS_H

#include "symfile/symstore.h"
#include "web/web.h"

/*
 * symbols - the symbol server: takes archives of symbols from build machines and gives the
 * files to stack walkers and debuggers.
 *
 * Ownership  struct symbols is made once in each worker and lives as long as it.
 * Trust      Archives and paths are hostile; see symkey and symzip.
 */
struct missing;

struct symbols {
    struct web_app *web;
    struct symstore store;
    const char *temp_dir, *public_url;
    struct missing *missing; /* owned */
};

extern const struct route symbols_routes[];
extern const size_t symbols_route_count;

bool symbols_start(struct web_app *web, void **ret_app, struct err *err);
void symbols_stop(void *app);
/* {"error": …}, what clients of this program read. */
bool symbols_error(struct req *req, int status, const struct err *err);

web_handler upload_post;
web_handler download_get;
web_handler download_try_get;
web_handler stored_file_get;
web_handler missing_csv_get;
web_handler heartbeat_get;
web_handler lbheartbeat_get;
web_handler version_get;

/*
 * Symbols that were asked for in vain, counted in memory and written in one statement every
 * few seconds of requests: most requests are for symbols that nobody has.
 */
struct missing *missing_new(void);
void missing_free(struct missing *m);
void missing_record(struct missing *m, const struct symkey *key, struct str code_file,
                    struct str code_id);
/* Writes what is there when it is old or much, or always with `now`. */
void missing_flush(struct missing *m, struct db *db, bool now);

#endif
