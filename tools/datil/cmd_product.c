/*
 * product …: which products are accepted, and which names come in that none of them has.  The
 * files stay the administrator's; these commands write what a person would.
 *
 * Removing a product deletes no report; only new ones are refused.  The collector looks whether the
 * files have changed (products_refresh), so nothing has to be restarted.
 */
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/product.h"
#include "lib/db/db.h"
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

const struct command product_commands[] = {
    {"product add", "NAME [--description TEXT]", "Accepts reports of a product.", run_product_add},
    {"product list", "",
     "Lists the products whose reports are accepted, and those that were refused.",
     run_product_list},
    {"product remove", "NAME", "Refuses reports of a product.", run_product_remove},
    {0},
};
