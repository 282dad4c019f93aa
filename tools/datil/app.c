/*
 * What the commands share: connections that are made when a command needs them, and the
 * audit log with the name of who really typed (also behind sudo).
 */
#include "tools/datil/app.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/ledger/ledger.h"
#include "queries.h"

bool app_is_somewhere(struct app *app, struct err *err)
{
    const char *var = conf_text(&app->conf, CONF_DATIL_VAR);
    return fs_exists(var) ||
           err_set(err, ERR_NOT_FOUND,
                   "there is no installation at %s: DATIL_VAR says where it is (or DATIL_CONFIG)",
                   var);
}

/*
 * A connection that broke is made again by db_connect, so a long command may ask for it any number
 * of times.  Of two reasons the simpler comes first: where there is no installation at all,
 * DATIL_VAR is wrong and not the database.
 */
bool app_db(struct app *app, struct err *err)
{
    if (!app->db)
        app->db = db_new(conf_text(&app->conf, CONF_DATABASE_URL), "datil", 0);
    return db_connect(app->db, err) ||
           (app_is_somewhere(app, err) &&
            err_wrap(err, "is Datil running over %s (DATIL_VAR), and is DATABASE_URL right?",
                     conf_text(&app->conf, CONF_DATIL_VAR)));
}

bool app_store(struct app *app, struct err *err)
{
    if (app->store)
        return true;
    struct store_config cfg = store_config_of(&app->conf);
    if (!store_open(&cfg, &app->store, err))
        return false;
    /* Without the database any mark will do: commands that only read work then, too. */
    if (!app->db)
        app->db = db_new(conf_text(&app->conf, CONF_DATABASE_URL), "datil", 0);
    return ledger_store_check(app->db, app->store, app->installation, err);
}

/* Writer and reader of the index are opened apart, because most commands that use it only read. */
bool app_writer(struct app *app, struct err *err)
{
    return app->writer ||
           index_writer_open(conf_text(&app->conf, CONF_INDEX_DIR), app->fields, &app->writer, err);
}

bool app_reader(struct app *app, struct err *err)
{
    return app->reader ||
           index_reader_open(conf_text(&app->conf, CONF_INDEX_DIR), app->fields, &app->reader, err);
}

/*
 * "alice (root)" for alice's `sudo datil …`, else the account's name.  SUDO_USER is believed only
 * from root, who could write anything into the log anyway; from others it is just a variable.  It
 * is cleaned and bounded, because it comes from outside and ends in a page.
 */
static const char *operator_name(struct app *app)
{
    struct arena *a = &app->arena;
    const struct passwd *me = getpwuid(app->operator_uid);
    const char *name =
        me ? arena_strdup(a, me->pw_name) : arena_printf(a, "uid %d", (int)app->operator_uid);
    const char *behind = getenv("SUDO_USER");
    bool is_sudo = app->operator_uid == 0 && behind && *behind && strlen(behind) <= LOGIN_NAME_MAX;
    return is_sudo ? arena_printf(a, "%s (%s)", str_adup(a, utf8_clean(a, str_of(behind))), name)
                   : name;
}

/*
 * The first value is the account of the web application, which there is none of on the command
 * line; the name stands in a column of its own.
 */
bool app_audit(struct app *app, const char *object, const char *id, const char *action,
               const char *message, struct err *err)
{
    const char *who = arena_printf(&app->arena, "%s, command line", operator_name(app));
    return DB_EXEC(app->db, &q_audit_add, err, NULL, who, object, id, action, message) ||
           err_wrap(err, "audit log");
}

bool app_read_line(size_t max, const char *what, char **ret, struct err *err)
{
    FREE_LATER char *line = NULL;
    size_t cap = 0;
    ssize_t got = getline(&line, &cap, stdin);
    struct str s = got > 0 ? str_n(line, (size_t)got) : STR("");
    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
        s.n--;
    if (s.n == 0)
        return err_set(err, ERR_INVALID, "no %s came on standard input", what);
    if (s.n > max)
        return err_set(err, ERR_TOO_LARGE, "the %s is longer than %zu bytes", what, max);
    *ret = str_dup(s);
    return true;
}

/*
 * Permissions may be written with an application in front, as scripts made for other crash servers
 * have them.
 */
const char *permission_name(const char *text)
{
    static const char *const prefixes[] = {"crashstats.", "upload.", "tokens."};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (str_starts(str_of(text), str_of(prefixes[i])))
            return text + strlen(prefixes[i]);
    return text;
}

/*
 * Beside this very program, not by PATH: a program of another version there would read this
 * installation's configuration and schema as its own.
 */
bool app_exec(const char *program, char *const *argv, struct err *err)
{
    char self[PATH_MAX], path[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return err_errno(err, errno, "finding the programs");
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(path, sizeof path, "%s/%s", self, program);
    fflush(NULL);
    execv(path, argv);
    return err_errno(err, errno, "starting %s", path);
}

struct search_params app_query_of_word(struct arena *a, const char *text)
{
    struct str rest = str_of(text), part;
    struct search_params p = {.v = arena_array(a, rest.n + 1, sizeof *p.v)};
    while (str_split(&rest, '&', &part)) {
        size_t eq = str_find_char(part, '=', 0);
        if (part.n > 0 && eq != SIZE_MAX)
            p.v[p.n++] =
                (struct search_param){str_sub(part, 0, eq), str_sub(part, eq + 1, SIZE_MAX)};
    }
    return p;
}

bool app_day(const char *text, const char *fallback, char out[16], struct err *err)
{
    int64_t us;
    if (!text) {
        snprintf(out, 16, "%s", fallback);
        return true;
    }
    if (!time_parse(str_of(text), &us, err))
        return false;
    struct civil c = civil_of_us(us);
    snprintf(out, 16, "%04d%02d%02d", c.year % 10000, c.month % 100, c.day % 100);
    return true;
}
