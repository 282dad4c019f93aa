/*
 * Which route answers a request: the table of a program, searched from its beginning to its end.
 * The largest program has fewer than a hundred routes, so nothing is built to make that faster, and
 * the table may stand in any order.
 *
 * A path that exists is told from one that does not by any row of it, whatever the method: so a
 * wrong method is a 405 with the right ones in Allow, and not a 404.
 */
#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/web/internal.h"

/* The one table of methods, in the order in which Allow names them. */
static const struct {
    enum method method;
    const char *name;
} methods[] = {
    {METHOD_GET, "GET"}, {METHOD_POST, "POST"},     {METHOD_HEAD, "HEAD"},
    {METHOD_PUT, "PUT"}, {METHOD_DELETE, "DELETE"}, {METHOD_OPTIONS, "OPTIONS"},
};

/* 0: none that any route has; such a request is refused with 405 where the path exists. */
enum method method_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq(name, str_of(methods[i].name)))
            return methods[i].method;
    return 0;
}

const char *method_name(enum method method)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (method == methods[i].method)
            return methods[i].name;
    return "OTHER";
}

static bool is_path(const struct route *route, struct str path)
{
    struct str want = str_of(route->path);
    return route->flags & ROUTE_PREFIX ? str_starts(path, want) : str_eq(path, want);
}

/* An exact path beats a prefix, a longer prefix a shorter one. */
static size_t weight(const struct route *route)
{
    return 2 * strlen(route->path) + (route->flags & ROUTE_PREFIX ? 0 : 1);
}

/*
 * Two passes: the row with the best path, whatever its method, and then all rows of that same path,
 * whose methods together make up Allow.  HEAD is answered by the route of GET.
 */
struct route_match route_find(const struct route *routes, size_t n, struct str path,
                              enum method method)
{
    struct route_match m = {.rest = STR("")};
    for (size_t i = 0; i < n; i++)
        if (is_path(&routes[i], path) && (!m.any || weight(&routes[i]) > weight(m.any)))
            m.any = &routes[i];
    if (!m.any)
        return m;
    unsigned want = method == METHOD_HEAD ? METHOD_GET : method;
    for (size_t i = 0; i < n; i++) {
        if (weight(&routes[i]) != weight(m.any) || !is_path(&routes[i], path))
            continue;
        m.methods |= routes[i].methods;
        if (routes[i].methods & want && !m.route)
            m.route = &routes[i];
    }
    if (m.any->flags & ROUTE_PREFIX)
        m.rest = str_sub(path, strlen(m.any->path), SIZE_MAX);
    return m;
}

const char *method_names(struct arena *a, unsigned wanted)
{
    char *text = arena_strdup(a, "");
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (wanted & methods[i].method)
            text = arena_printf(a, "%s%s%s", text, *text ? ", " : "", methods[i].name);
    return text;
}
