/*
 * What is installed, as whoever deploys it has written down: version.json of BASEDIR, or of the
 * folder of templates and migrations.  It is read at each request, since a deployment may replace
 * it while workers run; what is not JSON, or not there, is answered as an empty object.
 */
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/web/web.h"

enum { VERSION_BYTES_MAX = 64 << 10 }; /* a few names and addresses */

struct str web_version(struct req *req)
{
    const char *dir = conf_text(req_conf(req), CONF_BASEDIR);
    const char *path = arena_printf(req_arena(req), "%s/version.json", *dir ? dir : fs_share_dir());
    FREE_LATER char *text = NULL;
    size_t n = 0;
    json_auto_t *parsed = NULL;
    if (fs_read(path, VERSION_BYTES_MAX, &text, &n, ERR_IGNORED))
        parsed = jparse(str_n(text, n), VERSION_BYTES_MAX, ERR_IGNORED);
    return parsed ? str_copy(req_arena(req), str_n(text, n)) : STR("{}");
}

bool web_version_get(struct req *req, struct err *err)
{
    (void)err;
    return resp_bytes(req, 200, "application/json; charset=utf-8", web_version(req));
}
