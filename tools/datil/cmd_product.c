/*
 * product …: which products are accepted, and which names come in that none of them has.  The
 * files stay the administrator's; these commands write what a person would.
 *
 * Removing a product deletes no report; only new ones are refused.  The collector looks whether the
 * files have changed (products_refresh), so nothing has to be restarted.
 */
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/product.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "queries.h"
#include "tools/datil/app.h"

/* What nobody has sent for so long is no longer worth a line. */
#define REFUSED_DAYS "90"

/* Products are files: they can be changed while the database is away, then without a row. */
static void audit_if_possible(struct app *app, const char *name, const char *action)
{
    struct err err = {0};
    if (!app_db(app, &err) || !app_audit(app, "product", name, action, "", &err))
        fprintf(stderr, "datil: not in the audit log: %s\n", err.msg);
}

static bool run_product_add(struct app *app, struct args args, struct err *err)
{
    const char *description = "";
    const struct opt opts[] = {{"--description", OPT_TEXT, &description}};
    if (!OPTS_PARSE(opts, &args, 1, 1, err) || !app_is_somewhere(app, err) ||
        !product_add(conf_text(&app->conf, CONF_DATIL_VAR), args.v[0], description, err))
        return false;
    printf("reports of %s are accepted now\n", args.v[0]);
    audit_if_possible(app, args.v[0], "add");
    return true;
}

/*
 * What to type is made by product_add_command, so that a name with blanks or quotes comes out as
 * the shell needs it.  A name that no command can take is printed bare.
 */
static void print_refused(const char *name, const char *count, const char *last_seen)
{
    FREE_LATER char *command = product_add_command(name);
    printf("%10s  last %s  %s\n", count, last_seen,
           command ? command
           : *name ? name
                   : "(reports without ProductName)");
}

/* The products are listed without a database as well. */
static void list_refused(struct app *app, const struct products *products)
{
    struct err err = {0};
    DB_ROWS rows = {0};
    if (!app_db(app, &err) ||
        !DB_RUN(app->db, &q_rejected_product_list, &rows, &err, REFUSED_DAYS)) {
        fprintf(stderr, "datil: refused products: %s\n", err.msg);
        return;
    }
    bool is_first = true;
    for (int i = 0; i < rows.count; i++) {
        const char *name = db_col(&rows, i, Q_REJECTED_PRODUCT_LIST_COL_PRODUCT);
        if (products_find(products, str_of(name)))
            continue;
        if (is_first)
            puts("\nRefused (not configured): reports, and the command that accepts them");
        is_first = false;
        print_refused(name, db_col(&rows, i, Q_REJECTED_PRODUCT_LIST_COL_COUNT),
                      db_col(&rows, i, Q_REJECTED_PRODUCT_LIST_COL_LAST_SEEN));
    }
}

/* Below the products those that were refused: a misspelled or forgotten name is found here. */
static bool run_product_list(struct app *app, struct args args, struct err *err)
{
    struct products products = {0};
    if (!NO_OPTS(&args, 0, 0, err) || !app_is_somewhere(app, err) ||
        !products_load(conf_text(&app->conf, CONF_DATIL_VAR), &products, err))
        return false;
    for (size_t i = 0; i < products.n; i++)
        printf("%-20s %s\n", products.v[i].name, products.v[i].description);
    list_refused(app, &products);
    products_release(&products);
    return true;
}

static bool run_product_remove(struct app *app, struct args args, struct err *err)
{
    if (!NO_OPTS(&args, 1, 1, err) || !app_is_somewhere(app, err) ||
        !product_remove(conf_text(&app->conf, CONF_DATIL_VAR), args.v[0], err))
        return false;
    printf("reports of %s are refused from now on; those that are here stay\n", args.v[0]);
    audit_if_possible(app, args.v[0], "delete");
    return true;
}

/* A product's file as it is, to be read and to be kept before it is changed. */
static bool run_product_show(struct app *app, struct args args, struct err *err)
{
    struct products products = {0};
    if (!NO_OPTS(&args, 1, 1, err) || !app_is_somewhere(app, err) ||
        !products_load(conf_text(&app->conf, CONF_DATIL_VAR), &products, err))
        return false;
    const struct product *p = products_find(&products, str_of(args.v[0]));
    FREE_LATER char *text = NULL;
    size_t n = 0;
    bool ok = p ? fs_read(p->path, PRODUCT_FILE_BYTES_MAX, &text, &n, err)
                : err_set(err, ERR_NOT_FOUND, "no product '%s'", args.v[0]);
    if (ok)
        printf("%s: %s%s", p->path, text, n && text[n - 1] == '\n' ? "" : "\n");
    products_release(&products);
    return ok;
}

/* KEY=VALUE, where the value is JSON; what is no JSON is a text, and nothing takes the key away. */
static bool add_change(json_t *changes, const char *text, struct err *err)
{
    struct str s = str_of(text);
    size_t equals = str_find_char(s, '=', 0);
    if (equals == SIZE_MAX || equals == 0)
        return err_set(err, ERR_INVALID, "say KEY=VALUE, not '%.60s'", text);
    struct str key = str_sub(s, 0, equals), value = str_sub(s, equals + 1, SIZE_MAX);
    json_t *parsed = value.n ? json_loadb(value.p, value.n, JSON_DECODE_ANY, NULL) : json_null();
    if (!parsed)
        parsed = jtext(value);
    return json_object_setn_new(changes, key.p, key.n, parsed) == 0 ||
           err_set(err, ERR_INVALID, "'%.60s' is not UTF-8", text);
}

static bool run_product_set(struct app *app, struct args args, struct err *err)
{
    json_auto_t *changes = json_object();
    if (!NO_OPTS(&args, 2, -1, err) || !app_is_somewhere(app, err))
        return false;
    for (int i = 1; i < args.n; i++)
        if (!add_change(changes, args.v[i], err))
            return false;
    if (!product_change(conf_text(&app->conf, CONF_DATIL_VAR), args.v[0], changes, err))
        return false;
    printf("%s is changed; the collector looks once a second\n", args.v[0]);
    audit_if_possible(app, args.v[0], "change");
    return true;
}

/* Beside those that are there: clients in the field keep theirs until somebody takes it away. */
static bool add_token(struct app *app, const char *name, const char *token, struct err *err)
{
    const char *var = conf_text(&app->conf, CONF_DATIL_VAR);
    struct products products = {0};
    json_auto_t *changes = json_pack("{s:[]}", "submit_tokens");
    json_t *tokens = json_object_get(changes, "submit_tokens"); /* borrowed */
    if (!products_load(var, &products, err))
        return false;
    const struct product *p = products_find(&products, str_of(name));
    for (char **t = p ? p->submit_tokens : NULL; t && *t; t++)
        json_array_append_new(tokens, json_string(*t));
    products_release(&products);
    json_array_append_new(tokens, json_string(token));
    return product_change(var, name, changes, err);
}

static bool run_product_token(struct app *app, struct args args, struct err *err)
{
    char token[40];
    snprintf(token, sizeof token, "%016llx%016llx", (unsigned long long)random_u64(),
             (unsigned long long)random_u64());
    if (!NO_OPTS(&args, 1, 1, err) || !app_is_somewhere(app, err) ||
        !add_token(app, args.v[0], token, err))
        return false;
    printf("%s\n", token);
    audit_if_possible(app, args.v[0], "token");
    return true;
}

/* Every file is looked at: whoever edits many wants to know of all. */
static bool run_product_check(struct app *app, struct args args, struct err *err)
{
    if (!NO_OPTS(&args, 1, -1, err))
        return false;
    for (int i = 0; i < args.n; i++) {
        struct err why = {0};
        if (product_file_check(args.v[i], &why)) {
            printf("%s: ok\n", args.v[i]);
            continue;
        }
        printf("%s\n", why.msg);
        app->exit_status = EXIT_FAILURE;
    }
    return true;
}

const struct command product_commands[] = {
    {"product add", "NAME [--description TEXT]", "Accepts reports of a product.", run_product_add},
    {"product list", "",
     "Lists the products whose reports are accepted, and those that were refused.",
     run_product_list},
    {"product show", "NAME", "Prints the file of a product.", run_product_show},
    {"product set", "NAME KEY=VALUE…",
     "Changes the file of a product; a value is JSON or a text, an empty one takes the key away.\n"
     "enabled=false  quota_per_minute=100  quota_per_day=5000  max_body_bytes=1000000\n"
     "requires_token=true  'aliases=[\"OldName\"]'  'sampling={\"release\": 10, \"*\": 100}'",
     run_product_set},
    {"product token", "NAME", "Makes a token for the address /submit/TOKEN and prints it.",
     run_product_token},
    {"product check", "FILE…",
     "Says of product files whether they are right; exit 1 if one is not.", run_product_check},
    {"product remove", "NAME", "Refuses reports of a product.", run_product_remove},
    {0},
};
