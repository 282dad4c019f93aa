/*
 * user …, group …: accounts and what they may do.  Passwords come on standard input, never as an
 * argument, where other users would see them; every change stands in the audit log.
 *
 * The statements that switch an account off or set a password also delete its sessions
 * (sql/account.sql), so nobody stays logged in with an old right.  Addresses are compared without
 * regard to case.
 */
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/web/password.h"
#include "queries.h"
#include "tools/datil/app.h"

/* The longest address that SMTP can carry: 256 with its angle brackets (RFC 5321, 4.5.3.1.3). */
enum { EMAIL_MAX = 254 }; /* RFC 5321, 4.5.3.1.3: a path of 256 with its brackets */

/*
 * The id stays a text: it only goes back into the next statement.  It is copied, since the rows end
 * with this function.
 */
static bool find_user(struct app *app, const char *email, const char **ret_id, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(app->db, &q_account_find, &rows, err, email))
        return false;
    if (rows.count == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no user %s; `datil user list` shows all",
                       email);
    *ret_id = arena_strdup(&app->arena, db_col(&rows, 0, Q_ACCOUNT_FIND_COL_ID));
    return true;
}

static bool find_group(struct app *app, const char *name, const char **ret_id, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(app->db, &q_group_find, &rows, err, name))
        return false;
    if (rows.count == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no group '%s'; `datil group list` shows all",
                       name);
    *ret_id = arena_strdup(&app->arena, db_col(&rows, 0, Q_GROUP_FIND_COL_ID));
    return true;
}

/*
 * What keeps addresses apart from mistakes and from text that a page or a header would take apart;
 * whether mail arrives there is nobody's business here.
 */
static bool check_email(const char *email, struct err *err)
{
    const char *at = strchr(email, '@');
    if (!at || at == email || !at[1] || strlen(email) > EMAIL_MAX || strpbrk(email, " \t\r\n<>\""))
        return err_set(err, ERR_INVALID, "'%.60s' is not an e-mail address", email);
    return true;
}

/* Hash of the password on standard input.  The text is overwritten before it is freed. */
static bool read_password(char out[PASSWORD_HASH_SIZE], struct err *err)
{
    FREE_LATER char *password = NULL;
    if (isatty(STDIN_FILENO))
        fputs("Password (it will be visible): ", stderr);
    if (!app_read_line(PASSWORD_MAX, "password", &password, err))
        return false;
    bool ok = password_hash(password, out, err);
    explicit_bzero(password, strlen(password));
    return ok;
}

struct new_user {
    struct app *app;
    const char *email, *name, *hash;
    bool is_superuser, is_staff;
    struct strs group_ids;
};

/* Account, memberships and the row in the log are there together or not at all. */
static bool add_user(struct db *db, void *arg, struct err *err)
{
    struct new_user *u = arg;
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_account_add, &rows, err, u->email, u->name, u->hash,
                db_bool(u->is_superuser), db_bool(u->is_staff)))
        return false;
    for (size_t i = 0; i < u->group_ids.n; i++)
        if (!DB_EXEC(db, &q_group_join, err, db_col(&rows, 0, Q_ACCOUNT_ADD_COL_ID),
                     u->group_ids.v[i].p))
            return false;
    return app_audit(u->app, "user", u->email, "add", u->is_superuser ? "superuser" : "", err);
}

static bool run_user_add(struct app *app, struct args args, struct err *err)
{
    struct opt_list groups = {0};
    bool from_stdin = false;
    struct new_user u = {.app = app, .name = ""};
    const struct opt opts[] = {
        {"--group", OPT_LIST, &groups},
        {"--superuser", OPT_FLAG, &u.is_superuser},
        {"--staff", OPT_FLAG, &u.is_staff},
        {"--name", OPT_TEXT, &u.name},
        {"--password-stdin", OPT_FLAG, &from_stdin},
    };
    char hash[PASSWORD_HASH_SIZE];
    if (!OPTS_PARSE(opts, &args, 1, 1, err) || !check_email(args.v[0], err) || !app_db(app, err))
        return false;
    /*
     * Groups are looked up first, so that a misspelled one is said before a password is asked for.
     */
    u.email = args.v[0];
    u.group_ids.v = arena_array(&app->arena, OPT_LIST_MAX, sizeof(struct str));
    for (size_t i = 0; i < groups.n; i++) {
        const char *id = NULL;
        if (!find_group(app, groups.v[i], &id, err))
            return false;
        u.group_ids.v[u.group_ids.n++] = str_of(id);
    }
    if (from_stdin) {
        if (!read_password(hash, err))
            return false;
        u.hash = hash;
    }
    if (!db_tx(app->db, add_user, &u, err)) {
        /* The unique index on the address decides, not a look before: two may be adding it. */
        if (err->code == ERR_CONFLICT)
            return err_set(err, ERR_CONFLICT, "there is a user %s already", u.email);
        return err_wrap(err, "adding %s", u.email);
    }
    printf("added %s%s\n", u.email, u.hash ? "" : " (without password: cannot log in with one)");
    return true;
}

static bool run_user_list(struct app *app, struct args args, struct err *err)
{
    DB_ROWS rows = {0};
    if (!NO_OPTS(&args, 0, 0, err) || !app_db(app, err) ||
        !DB_RUN(app->db, &q_account_list, &rows, err))
        return false;
    for (int i = 0; i < rows.count; i++)
        printf("%s%s%s; last log-in %s%s%s\n", db_col(&rows, i, Q_ACCOUNT_LIST_COL_EMAIL),
               db_col_bool(&rows, i, Q_ACCOUNT_LIST_COL_IS_ACTIVE) ? "" : " (disabled)",
               db_col_bool(&rows, i, Q_ACCOUNT_LIST_COL_IS_SUPERUSER) ? " (superuser)" : "",
               db_col(&rows, i, Q_ACCOUNT_LIST_COL_LAST_LOGIN),
               *db_col(&rows, i, Q_ACCOUNT_LIST_COL_GROUPS) ? "; " : "",
               db_col(&rows, i, Q_ACCOUNT_LIST_COL_GROUPS));
    return true;
}

/* No command deletes an account: rows of the audit log name it. */
static bool set_active(struct app *app, struct args args, bool is_active, struct err *err)
{
    DB_ROWS rows = {0};
    if (!NO_OPTS(&args, 1, 1, err) || !app_db(app, err) ||
        !DB_RUN(app->db, &q_account_set_active, &rows, err, args.v[0], db_bool(is_active)))
        return false;
    if (rows.count == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no user %s", args.v[0]);
    if (!app_audit(app, "user", args.v[0], "change", is_active ? "enabled" : "disabled", err))
        return false;
    printf("%s is %s\n", args.v[0],
           is_active ? "enabled" : "disabled; sessions are ended and tokens refused");
    return true;
}

static bool run_user_disable(struct app *app, struct args args, struct err *err)
{
    return set_active(app, args, false, err);
}

static bool run_user_enable(struct app *app, struct args args, struct err *err)
{
    return set_active(app, args, true, err);
}

/* The flag --password-stdin is accepted for scripts; there is no other way in any case. */
static bool run_user_password(struct app *app, struct args args, struct err *err)
{
    bool from_stdin = false;
    const struct opt opts[] = {{"--password-stdin", OPT_FLAG, &from_stdin}};
    char hash[PASSWORD_HASH_SIZE];
    DB_ROWS rows = {0};
    if (!OPTS_PARSE(opts, &args, 1, 1, err) || !app_db(app, err) || !read_password(hash, err) ||
        !DB_RUN(app->db, &q_account_set_password, &rows, err, args.v[0], hash))
        return false;
    if (rows.count == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no user %s", args.v[0]);
    if (!app_audit(app, "user", args.v[0], "change", "password", err))
        return false;
    printf("%s has a new password; sessions are ended\n", args.v[0]);
    return true;
}

static bool run_group_list(struct app *app, struct args args, struct err *err)
{
    DB_ROWS rows = {0};
    if (!NO_OPTS(&args, 0, 0, err) || !app_db(app, err) ||
        !DB_RUN(app->db, &q_group_list, &rows, err))
        return false;
    for (int i = 0; i < rows.count; i++)
        printf("%s (%s members): %s\n", db_col(&rows, i, Q_GROUP_LIST_COL_NAME),
               db_col(&rows, i, Q_GROUP_LIST_COL_MEMBERS),
               db_col(&rows, i, Q_GROUP_LIST_COL_PERMISSIONS));
    return true;
}

/* Both ways may be repeated: a member who joins and a stranger who leaves are no errors. */
static bool change_member(struct app *app, struct args args, bool join, struct err *err)
{
    const char *user = NULL, *group = NULL;
    if (!NO_OPTS(&args, 2, 2, err) || !app_db(app, err) || !find_user(app, args.v[0], &user, err) ||
        !find_group(app, args.v[1], &group, err) ||
        !DB_EXEC(app->db, join ? &q_group_join : &q_group_leave, err, user, group) ||
        !app_audit(app, "user", args.v[0], "change",
                   arena_printf(&app->arena, "%s group %s", join ? "joined" : "left", args.v[1]),
                   err))
        return false;
    printf("%s is %s '%s'\n", args.v[0], join ? "a member of" : "not a member of", args.v[1]);
    return true;
}

static bool run_group_join(struct app *app, struct args args, struct err *err)
{
    return change_member(app, args, true, err);
}

static bool run_group_leave(struct app *app, struct args args, struct err *err)
{
    return change_member(app, args, false, err);
}

const struct command account_commands[] = {
    {"user add", "EMAIL [--name NAME] [--group NAME]… [--staff] [--superuser] [--password-stdin]",
     "Adds an account.\n"
     "The password is one line on standard input.  A superuser has every permission.",
     run_user_add},
    {"user list", "", "Lists accounts with their groups.", run_user_list},
    {"user disable", "EMAIL", "Switches an account off: no log-in, no sessions, no tokens.",
     run_user_disable},
    {"user enable", "EMAIL", "Switches an account on again.", run_user_enable},
    {"user password", "EMAIL [--password-stdin]",
     "Sets a password (one line on standard input) and ends the sessions.", run_user_password},
    {"group list", "", "Lists groups with their permissions.", run_group_list},
    {"group add", "EMAIL GROUP", "Makes an account a member of a group.", run_group_join},
    {"group remove", "EMAIL GROUP", "Takes an account out of a group.", run_group_leave},
    {0},
};
