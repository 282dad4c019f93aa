/*
 * token …: API tokens.  The key is printed once and stored as a hash; a token never may more than
 * its owner.
 */
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "queries.h"
#include "tools/datil/app.h"

/*
 * 128 random bits, which nobody guesses, so a plain SHA-256 is enough to store.  The first
 * characters are kept to tell tokens apart in lists.
 */
enum {
    KEY_BYTES = 16,
    KEY_START_CHARS = 12,
    TOKEN_DAYS = 90,       /* as those of the page (webapp/tokens.c), unless --days says more */
    TOKEN_DAYS_MAX = 3650, /* ten years; more is a slip */
    UPLOAD_API_MAX = 2     /* archives, or file by file */
};

/*
 * The owner must hold every permission the token gets.  At every use the token's permissions are
 * cut to its owner's again (token_find), since an owner may lose one; here it is refused so that
 * nobody makes a token that never works.
 */
static bool check_permissions(struct app *app, const char *email, const char *user_id,
                              const char *wanted, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(app->db, &q_account_may, &rows, err, user_id, wanted))
        return false;
    if (rows.count == 0)
        return true;
    const char *name = db_col(&rows, 0, Q_ACCOUNT_MAY_COL_NAME);
    if (!db_col_bool(&rows, 0, Q_ACCOUNT_MAY_COL_IS_KNOWN))
        return err_set(err, ERR_INVALID, "there is no permission '%s'", name);
    return err_set(err, ERR_FORBIDDEN,
                   "%s does not hold %s; give it by a group first (`datil group list`)", email,
                   name);
}

static bool check_days(int64_t days, struct err *err)
{
    return (days >= 0 && days <= TOKEN_DAYS_MAX) ||
           err_set(err, ERR_INVALID, "--days: from 0 to %d", TOKEN_DAYS_MAX);
}

static bool check_upload_api(int64_t version, struct err *err)
{
    return (version >= 1 && version <= UPLOAD_API_MAX) ||
           err_set(err, ERR_INVALID, "--upload-api: 1 (archives) or 2 (file by file)");
}

/*
 * An array of the server, each name once.  Regular and try symbols go to different places, and the
 * upload knows by the token which one is meant.
 */
static bool wanted_permissions(struct app *app, const struct opt_list *list, const char **ret,
                               struct err *err)
{
    struct strs names = {.v = arena_array(&app->arena, OPT_LIST_MAX, sizeof(struct str))};
    bool regular = false, try_symbols = false;
    for (size_t i = 0; i < list->n; i++) {
        struct str name = str_of(permission_name(list->v[i]));
        bool is_twice = false;
        for (size_t k = 0; k < names.n; k++)
            is_twice = is_twice || str_eq(names.v[k], name);
        if (!is_twice)
            names.v[names.n++] = name;
        regular = regular || str_eq(name, STR("upload_symbols"));
        try_symbols = try_symbols || str_eq(name, STR("upload_try_symbols"));
    }
    if (regular && try_symbols)
        return err_set(err, ERR_INVALID, "a token uploads either regular or try symbols, not both");
    *ret = db_text_array(&app->arena, names);
    return true;
}

static bool run_token_create(struct app *app, struct args args, struct err *err)
{
    struct opt_list permissions = {0};
    const char *notes = "", *wanted = NULL;
    int64_t days = TOKEN_DAYS, upload_api = 1;
    const struct opt opts[] = {
        {"--permission", OPT_LIST, &permissions},
        {"--days", OPT_INT, &days},
        {"--notes", OPT_TEXT, &notes},
        {"--upload-api", OPT_INT, &upload_api},
    };
    DB_ROWS user = {0};
    if (!OPTS_PARSE(opts, &args, 1, 1, err) || !check_days(days, err) ||
        !check_upload_api(upload_api, err) || !app_db(app, err) ||
        !wanted_permissions(app, &permissions, &wanted, err) ||
        !DB_RUN(app->db, &q_account_find, &user, err, args.v[0]))
        return false;
    if (user.count == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no user %s", args.v[0]);
    const char *user_id = db_col(&user, 0, Q_ACCOUNT_FIND_COL_ID);
    if (!check_permissions(app, args.v[0], user_id, wanted, err))
        return false;

    uint8_t bytes[KEY_BYTES];
    char key[2 * KEY_BYTES + 1], hash[SHA256_HEX + 1], start[KEY_START_CHARS + 1];
    /*
     * The audit row comes before the key is printed: a key that is in use and in no log could not
     * be traced.  Standard output gets the key alone, for scripts.
     */
    random_bytes(bytes, sizeof bytes);
    hex_encode(bytes, sizeof bytes, key);
    sha256_hex(key, sizeof key - 1, hash);
    snprintf(start, sizeof start, "%s", key);
    if (!DB_EXEC(app->db, &q_account_token_add, err, user_id, hash, start, notes,
                 db_int(&app->arena, days), wanted, db_int(&app->arena, upload_api)) ||
        !app_audit(app, "token", start, "add", args.v[0], err))
        return false;
    puts(key);
    return true;
}

static bool run_token_list(struct app *app, struct args args, struct err *err)
{
    DB_ROWS rows = {0};
    if (!NO_OPTS(&args, 0, 0, err) || !app_db(app, err) ||
        !DB_RUN(app->db, &q_account_token_list, &rows, err))
        return false;
    for (int i = 0; i < rows.count; i++)
        printf("%s  %s…  %s  %s %s  %s%s%s\n", db_col(&rows, i, Q_ACCOUNT_TOKEN_LIST_COL_ID),
               db_col(&rows, i, Q_ACCOUNT_TOKEN_LIST_COL_KEY_START),
               db_col(&rows, i, Q_ACCOUNT_TOKEN_LIST_COL_EMAIL),
               db_col_bool(&rows, i, Q_ACCOUNT_TOKEN_LIST_COL_IS_EXPIRED) ? "expired" : "expires",
               db_col(&rows, i, Q_ACCOUNT_TOKEN_LIST_COL_EXPIRES),
               db_col(&rows, i, Q_ACCOUNT_TOKEN_LIST_COL_PERMISSIONS),
               *db_col(&rows, i, Q_ACCOUNT_TOKEN_LIST_COL_NOTES) ? "  " : "",
               db_col(&rows, i, Q_ACCOUNT_TOKEN_LIST_COL_NOTES));
    return true;
}

static bool run_token_remove(struct app *app, struct args args, struct err *err)
{
    DB_ROWS rows = {0};
    int64_t id;
    if (!NO_OPTS(&args, 1, 1, err) ||
        !str_to_i64(str_of(args.v[0]), 1, INT64_MAX, "number of the token", &id, err) ||
        !app_db(app, err) || !DB_RUN(app->db, &q_account_token_remove, &rows, err, args.v[0]))
        return false;
    if (rows.affected == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no token %s; `datil token list` shows all",
                       args.v[0]);
    if (!app_audit(app, "token", args.v[0], "delete", "", err))
        return false;
    printf("removed token %s\n", args.v[0]);
    return true;
}

const struct command token_commands[] = {
    {"token create", "EMAIL [--permission NAME]… [--days N] [--notes TEXT] [--upload-api 1|2]",
     "Makes an API token and prints its key, alone, this once.\n"
     "Without --permission it only identifies its owner.  It lives 90 days unless --days says\n"
     "otherwise; --days 0 makes one that has expired.  --upload-api says by which protocol the\n"
     "official client sends symbols with it: 1, archives (default), or 2, file by file.",
     run_token_create},
    {"token list", "", "Lists tokens: number, first characters, owner, expiry, permissions.",
     run_token_list},
    {"token remove", "NUMBER", "Removes a token.", run_token_remove},
    {0},
};
