/*
 * Help: pages of text, and lists made from the field table so that they cannot go stale.  Protected
 * fields are in the list of search fields as well, marked: who lacks the permission shall see that
 * a field exists and what to ask for.
 */
#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/tpl/tpl.h"
#include "lib/web/web.h"
#include "rows.h"

static const char *const query_types[] = {
    [QUERY_ENUM] = "enum",     [QUERY_STRING] = "string", [QUERY_INTEGER] = "integer",
    [QUERY_FLOAT] = "float",   [QUERY_BOOL] = "bool",     [QUERY_DATE] = "date",
    [QUERY_FRAMES] = "frames",
};

/* A page that is all text. */
static bool simple(struct req *r, const char *template_name, const char *title, struct err *err)
{
    struct tpl_values *v = layout_new(r, &(struct layout){.title = title});
    return layout_send(r, 200, template_name, v, err);
}

/* GET /documentation/ */
bool help_get(struct req *r, struct err *err)
{
    return simple(r, "help.html", "Help", err);
}

/* GET /documentation/protected_data_access/ */
bool help_protected_get(struct req *r, struct err *err)
{
    return simple(r, "help_protected.html", "Protected data", err);
}

/*
 * Two addresses that lead to where their subject is explained.  Bugs and old pages link to them;
 * 302 and not 301, so that no browser remembers them should they get a page of their own.
 */
bool help_memory_get(struct req *r, struct err *err)
{
    (void)err;
    return resp_redirect(r, 302, STR("/documentation/protected_data_access/"));
}

bool help_products_get(struct req *r, struct err *err)
{
    (void)err;
    return resp_redirect(r, 302, STR("/documentation/"));
}

/* GET /documentation/supersearch/ */
bool help_search_get(struct req *r, struct err *err)
{
    struct tpl_values *v =
        layout_new(r, &(struct layout){.title = "Super Search guide", .nav = "search"});
    struct tpl_rows *rows = tpl_list(v, LIST_HELP_FIELDS);
    const struct field_table *fields = app_fields(r);
    for (size_t i = 0; i < fields->search_count; i++) {
        const struct search_field *f = &fields->search[i];
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, TYPED_FIELD_NAME, f->name);
        tpl_col_cstr(row, TYPED_FIELD_TYPE, query_types[f->query_type]);
        tpl_col_bool(row, TYPED_FIELD_IS_PROTECTED, f->perm == PERM_PROTECTED);
        tpl_col_cstr(row, TYPED_FIELD_DESCRIPTION, f->description);
    }
    return layout_send(r, 200, "help_search.html", v, err);
}
