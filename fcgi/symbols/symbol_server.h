#ifndef SYMBOLS_SYMBOL_SERVER_H
#define SYMBOLS_SYMBOL_SERVER_H

#include "fcgi/symbols/upstream.h"
#include "lib/base/metrics.h"
#include "lib/symfile/missing.h"
#include "lib/symfile/symbolize.h"
#include "lib/symfile/symfind.h"
#include "lib/symfile/symstore.h"
#include "lib/web/web.h"

/*
 * symbol_server - takes archives of symbols from build machines and gives the
 * files to stack walkers and debuggers.
 *
 * Ownership  struct symbol_server is made once in each worker and lives as long as it.
 * Trust      Archives and paths are hostile; see symkey and symzip.
 */
struct symbol_server {
    struct web_app *web;
    struct symstore store;
    struct symstore_times times_of_store; /* of the upload that is being stored */
    const char *temp_dir, *public_url;
    struct upstream *upstream;     /* owned, or NULL */
    struct missing *missing;       /* owned */
    struct symfind *find;          /* owned, with the next: from the first symbolication on */
    struct symbolizer *symbolizer; /* mapped symbols, kept between requests */
    struct metrics *metrics;       /* of the program */
    bool sends_files;              /* SYMBOLS_DOWNLOAD_MODE is accel */
    struct download_times *times;  /* owned */
};

extern const struct health symbol_server_health;
extern const struct route symbol_server_routes[];
extern const size_t symbol_server_route_count;

bool symbol_server_start(struct web_app *web, void **ret_app, struct err *err);
void symbol_server_stop(void *app);
int symbol_server_tick(void *app); /* writes down missing symbols when they are due */
/* Makes the symbolizer; called again when that failed. */
bool symbol_server_open_symbolizer(struct symbol_server *s, struct err *err);
/* {"error": …}, what clients of this program read; of symbolication {"title": …}. */
bool symbol_server_error(struct req *req, int status, const struct err *err);
bool symbol_server_json_error(struct req *req, int status,
                              const struct err *err); /* for everybody */

/* What lets pages of other sites read answers about symbols (download.c). */
void download_add_cors(struct req *req);

web_handler upload_post;
web_handler upload_v2_post;
web_handler upload_session_put;
web_handler upload_auth_info_post;
web_handler download_get;
web_handler download_try_get;
web_handler syminfo_get;
web_handler buildid_get;
web_handler other_method;
web_handler missing_csv_get;
web_handler symbolicate_v5_post;
web_handler symbolicate_v4_post;
web_handler symbolicate_options;
web_handler symbolicate_unknown;
web_handler symbols_broken_get;

/* What they read (param_spec.h). */
extern const struct param_spec *const syminfo_params[],
    *const missing_csv_params[], *const download_params[], *const download_try_params[];

#endif
