#include "app.h"
#include "base/util.h"
#include "crash/product.h"

/* product … */

static bool run_product_add(struct app *app, struct args args, struct err *err)
{
    const char *description = "";
    const struct opt opts[] = {{"--description", OPT_TEXT, &description}};
    if (!OPTS_PARSE(opts, &args, 1, 1, err) ||
        !product_add(conf_text(&app->conf, "DATIL_VAR"), args.v[0], description, err))
        return false;
    printf("reports of %s are accepted now\n", args.v[0]);
    return true;
}

static bool run_product_list(struct app *app, struct args args, struct err *err)
{
    struct products products = {0};
    if (!NO_OPTS(&args, 0, 0, err) ||
        !products_load(conf_text(&app->conf, "DATIL_VAR"), &products, err))
        return false;
    for (size_t i = 0; i < products.n; i++)
        printf("%-20s %s\n", products.v[i].name, products.v[i].description);
    products_release(&products);
    return true;
}

static bool run_product_remove(struct app *app, struct args args, struct err *err)
{
    if (!NO_OPTS(&args, 1, 1, err) ||
        !product_remove(conf_text(&app->conf, "DATIL_VAR"), args.v[0], err))
        return false;
    printf("reports of %s are refused from now on; those that are here stay\n", args.v[0]);
    return true;
}

const struct command product_commands[] = {
    {"product add", "NAME [--description TEXT]", "Accepts reports of a product.", run_product_add},
    {"product list", "", "Lists the products whose reports are accepted.", run_product_list},
    {"product remove", "NAME", "Refuses reports of a product.", run_product_remove},
    {0},
};
