/*
 * `datil config check`: everything that programs read when they start, read the way they do, so
 * that a mistake is found by whoever made it and not by the next restart.
 *
 * Keys and values were checked by conf_load, the installation's own fields by fields_load, before
 * this command began: either would have stopped it with file and line.
 *
 * Every check runs, whatever the ones before found: a person who mends one line wants to know of
 * the next one in the same go.  Nothing is connected to or written; whether the database answers is
 * what `datil doctor` says.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/product.h"
#include "lib/signature/signature.h"
#include "tools/datil/app.h"

typedef bool config_check(struct app *app, struct err *err);

static bool check_products(struct app *app, struct err *err)
{
    struct products products = {0};
    bool ok = products_load(conf_text(&app->conf, CONF_DATIL_VAR), &products, err);
    products_release(&products);
    return ok;
}

static bool check_lists(struct app *app, struct err *err)
{
    const char *dir = conf_text(&app->conf, CONF_SIGNATURE_LISTS_DIR);
    struct siglists *lists = NULL;
    if (!siglists_load(*dir ? dir : NULL, &lists, err))
        return err_wrap(err, "SIGNATURE_LISTS_DIR");
    siglists_free(lists);
    return true;
}

/*
 * The rules are the collector's: its own dry run, without input, loads them and says what is wrong.
 * A program and not a library of rules: the collector is a module of its own that this command does
 * not link. 127 is app_exec's failure, whose reason is lost; the collector lies beside us, so that
 * hardly happens.
 */
static bool check_throttle(struct app *app, struct err *err)
{
    char *const argv[] = {(char[]){"datil-collector"}, (char[]){"--throttle"}, NULL};
    int status = 0;
    (void)app;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(err, errno, "starting datil-collector");
    if (pid == 0) {
        FD_AUTO null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        dup2(null, STDIN_FILENO);
        app_exec(argv[0], argv, ERR_IGNORED);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           err_set(err, ERR_INVALID, "BREAKPAD_THROTTLER_RULES: what is wrong stands above");
}

static bool check_database_url(struct app *app, struct err *err)
{
    char *problem = NULL;
    PQconninfoOption *options = PQconninfoParse(conf_text(&app->conf, CONF_DATABASE_URL), &problem);
    bool ok = options != NULL;
    if (!ok) { /* without the text: it may hold a password */
        struct str line = str_trim(str_of(problem ? problem : "out of memory"));
        err_set(err, ERR_INVALID, "DATABASE_URL: " STR_FMT, STR_ARG(line));
    }
    PQconninfoFree(options);
    PQfreemem(problem);
    return ok;
}

/* Where somebody else has to put something: a wrong name is no empty directory. */
static bool check_dirs(struct app *app, struct err *err)
{
    static const enum conf_name keys[] = {CONF_SIGNATURE_LISTS_DIR, CONF_DATIL_SHARE, CONF_BASEDIR};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *dir = conf_text(&app->conf, keys[i]);
        struct stat st;
        if (*dir && (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)))
            return err_set(err, ERR_INVALID, "%s: %s is no directory", conf_keys[keys[i]].name,
                           dir);
    }
    return true;
}

static bool run_config_check(struct app *app, struct args args, struct err *err)
{
    static config_check *const checks[] = {check_dirs, check_database_url, check_products,
                                           check_lists, check_throttle};
    size_t bad = 0;
    if (!NO_OPTS(&args, 0, 0, err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        struct err why = {0};
        if (checks[i](app, &why))
            continue;
        bad++;
        fprintf(stderr, "datil: %s\n", why.msg);
    }
    if (bad)
        app->exit_status = EXIT_FAILURE;
    else
        puts("the configuration is good");
    return true;
}

const struct command check_commands[] = {
    {"config check", "",
     "Checks the configuration and every file that programs read when they start.\n"
     "Keys and values of environment and DATIL_CONFIG, products, fields.tsv, throttle rules,\n"
     "signature lists.",
     run_config_check},
    {0},
};
