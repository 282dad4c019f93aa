/*
 * The reference of a program's addresses, printed from its routes (PROGRAM --help-routes): what the
 * runner checks is what people read.  Markdown, one section per route, so that docs/api.md can take
 * its sections as they are (tools/gen/api-page).
 */
#include "lib/base/arena.h"
#include "lib/base/util.h"
#include "lib/web/internal.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"

enum { NAMES_BYTES_MAX = 64 << 10 }; /* of a hundred routes, at most six names each */

static void print_choices(const struct param_spec *p, FILE *out)
{
    for (size_t i = 0; p->choices[i].value; i++)
        fprintf(out, "%s`%s`", i ? ", " : "", p->choices[i].value);
}

/* A limit is part of the type, because readers ask for both at once; 0 means that there is none. */
static void print_type(const struct param_spec *p, FILE *out)
{
    if (p->type == PARAM_CHOICE) {
        print_choices(p, out);
        return;
    }
    fputs(p->type == PARAM_CRASH_ID ? "crash id" : param_type_name(p->type), out);
    if (p->type == PARAM_INT && p->max > 0)
        fprintf(out, ", %lld to %lld", (long long)p->min, (long long)p->max);
    if (p->type == PARAM_INT_LIST)
        fputs(" of integers", out);
    if (p->type == PARAM_TEXT && p->max > 0)
        fprintf(out, ", at most %lld %s", (long long)p->max,
                p->flags & PARAM_CHARACTERS ? "characters" : "bytes");
}

/* The first of the choices is the default where nothing else is said. */
static const char *default_of(const struct param_spec *p)
{
    if (p->flags & PARAM_REQUIRED)
        return NULL;
    return p->fallback || p->type != PARAM_CHOICE ? p->fallback : p->choices[0].value;
}

/* A parameter that must be sent has no default, and the column says so. */
static void print_params(const struct param_spec *const *params, FILE *out)
{
    fputs("\n| Parameter | Type | Default | |\n|---|---|---|---|\n", out);
    for (size_t i = 0; params[i]; i++) {
        const char *fallback = default_of(params[i]);
        fprintf(out, "| `%s` | ", params[i]->name);
        print_type(params[i], out);
        if (fallback)
            fprintf(out, " | `%s`", fallback);
        else
            fputs(params[i]->flags & PARAM_REQUIRED ? " | required" : " | ", out);
        fprintf(out, " | %s |\n", params[i]->help ? params[i]->help : "");
    }
}

/* HEAD comes with GET, so it is not printed. */
void web_print_routes(const struct web_program *p, FILE *out)
{
    struct arena names;
    arena_init(&names, NAMES_BYTES_MAX);
    for (size_t i = 0; i < p->route_count; i++) {
        const struct route *r = &p->routes[i];
        fprintf(out, "### %s %s%s\n\n%s\n", method_names(&names, r->methods), r->path,
                r->flags & ROUTE_PREFIX ? "…" : "", r->doc);
        if (r->flags & ROUTE_PAGE)
            fputs("\nA page.\n", out);
        if (r->permission)
            fprintf(out, "\nNeeds the permission *%s*.\n", web_permission_label(r->permission));
        else if (r->flags & ROUTE_LOGIN)
            fputs("\nNeeds a log-in.\n", out);
        if (r->params)
            print_params(r->params, out);
        fputs("\n", out);
    }
    arena_release(&names);
}
