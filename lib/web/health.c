/*
 * The four addresses for machines that watch a program; health.h says which.
 *
 * They ask different things on purpose.  A balancer asks /__lbheartbeat__ every few seconds and
 * takes a worker out that does not answer, so nothing is looked at there: a database that is away
 * would else take out all of them, the collector among them, which goes on without.  A monitor asks
 * /__heartbeat__ and wakes somebody, so there everything is looked at.  Reasons go to the log under
 * one name of event for all programs, so that one alert finds them all.
 *
 * What is installed is version.json of BASEDIR, or of the folder of templates and migrations, as
 * whoever deploys has written it.  It is read at each request, since a deployment may replace it
 * while workers run; what is not JSON, or not there, is answered as an empty object.
 */
#include "lib/web/health.h"

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/web/internal.h"
#include "lib/web/param_spec.h"
#include "queries.h"

enum {
    VERSION_BYTES_MAX = 64 << 10, /* a few names and addresses */
    METRICS_BYTES_MAX = 32 << 20, /* above 4096 series with a line for each bucket */
};

static const struct health *asked(struct req *req, enum health_question question)
{
    const struct health *health = req->web->program->health;
    if (health->asked)
        health->asked(req, question);
    return health;
}

bool heartbeat_get(struct req *req, struct err *err)
{
    const struct health *h = asked(req, HEALTH_HEARTBEAT);
    struct health_verdict *verdicts =
        arena_array(req_arena(req), h->check_count + 1, sizeof *verdicts);
    bool goes_on = true;
    size_t n = 0;
    for (; n < h->check_count && goes_on; n++) {
        struct health_verdict *v = &verdicts[n];
        *v = (struct health_verdict){.check = &h->checks[n]};
        v->holds = v->check->holds(req, &v->why);
        if (!v->holds)
            log_event(LOG_ERROR, "heartbeat_failed", "a part this program needs does not answer",
                      LOG_S("component", v->check->name), LOG_E(&v->why));
        goes_on = v->holds || !h->ends_at_failure;
    }
    return h->answer(req, verdicts, n, err);
}

bool lbheartbeat_get(struct req *req, struct err *err)
{
    const struct health *h = asked(req, HEALTH_ALIVE);
    return h->alive ? resp_bytes(req, 200, h->alive_type, str_of(h->alive))
                    : h->answer(req, NULL, 0, err);
}

bool version_get(struct req *req, struct err *err)
{
    (void)err;
    const struct health *h = asked(req, HEALTH_VERSION);
    const char *dir = conf_text(req_conf(req), CONF_BASEDIR);
    const char *path = arena_printf(req_arena(req), "%s/version.json", *dir ? dir : fs_share_dir());
    FREE_LATER char *text = NULL;
    size_t n = 0;
    json_auto_t *parsed = NULL;
    if (fs_read(path, VERSION_BYTES_MAX, &text, &n, ERR_IGNORED))
        parsed = jparse(str_n(text, n), VERSION_BYTES_MAX, ERR_IGNORED);
    return resp_bytes(req, 200, h->version_type,
                      parsed ? str_copy(req_arena(req), str_n(text, n)) : STR("{}"));
}

/* clang-format off */
static const struct param_spec program_param = {"program", PARAM_TEXT,
    .help = "another program of this host: collector, processor, symbols, webapp or cron"};
/* clang-format on */
const struct param_spec *const metrics_params[] = {&program_param, NULL};

bool metrics_get(struct req *req, struct err *err)
{
    STRBUF_AUTO text;
    struct str other = req_text(req, &program_param);
    sb_init(&text, METRICS_BYTES_MAX);
    if (other.n) {
        if (!metrics_read(req_conf(req), other, &text, err))
            return false;
    } else {
        asked(req, HEALTH_METRICS);
        metrics_print(req->web->program->metrics, &text);
    }
    return resp_bytes(req, 200, "text/plain; version=0.0.4; charset=utf-8",
                      str_copy(req_arena(req), sb_view(&text)));
}

/* The smallest statement there is: that the database answers, and not how fast. */
bool health_database(struct req *req, struct err *err)
{
    DB_ROWS rows = {0};
    return DB_RUN(req_db(req), &q_db_ping, &rows, err);
}

/*
 * The names are in the log: what to do is `datil migrate`.  The files are read each time, a few
 * dozen of some kilobytes, since they may be replaced while workers run.
 */
bool health_migrations(struct req *req, struct err *err)
{
    struct arena *a = req_arena(req);
    struct strs pending = {0}, changed = {0};
    const char *dir = arena_printf(a, "%s/migrations", fs_share_dir());
    if (!db_migrations_pending(req_db(req), dir, a, &pending, &changed, err))
        return false;
    if (pending.n)
        return err_set(err, ERR_UNAVAILABLE,
                       "%zu migrations are not applied, the first is " STR_FMT, pending.n,
                       STR_ARG(pending.v[0]));
    if (changed.n)
        return err_set(err, ERR_UNAVAILABLE,
                       "%zu migrations have another text than was applied, the first is " STR_FMT,
                       changed.n, STR_ARG(changed.v[0]));
    return true;
}
