/*
 * GET /siteadmin/: the subjects of the administration, and how work goes.  Who may is decided by
 * the routes: superusers, and nobody by a permission that a group could hand on.
 */
#include "fcgi/webapp/admin_lists.h"
#include "fcgi/webapp/admin_status.h"
#include "fcgi/webapp/layout.h"
#include "fcgi/webapp/pages.h"
#include "fcgi/webapp/webapp.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/product.h"
#include "lib/tpl/tpl.h"
#include "lib/web/web.h"
#include "rows.h"

/* The pages that are no lists. */
static const struct admin_subject others[] = {
    {.path = "reprocess/", .word = "Reprocess", .lead = "crashes into the queue once more"},
    {.path = "purge/", .word = "Purge", .lead = "crashes with one value of an annotation"},
    {.path = "delete/", .word = "Delete a crash", .lead = "one crash, everywhere"},
    {.path = "site/", .word = "Site status", .lead = "versions, settings, migrations, tables"},
    {.path = "search/", .word = "Search status", .lead = "the index, its partitions and fields"},
};

static void add_subject(struct req *r, struct tpl_rows *rows, const struct admin_subject *s)
{
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_url(row, ADMIN_SUBJECT_URL,
                str_of(arena_printf(req_arena(r), "/siteadmin/%s", s->path)));
    tpl_col_cstr(row, ADMIN_SUBJECT_WORD, s->word);
    tpl_col_cstr(row, ADMIN_SUBJECT_LEAD, s->lead);
}

static void set_products(struct req *r, struct tpl_rows *sections)
{
    static const char *const heads[] = {"Product", "Description", NULL};
    const struct products *all = app_products(r);
    struct admin_table t = admin_table(
        sections, "Products", "Add one with: datil product add NAME --description TEXT", heads);
    for (size_t i = 0; i < all->n; i++) {
        struct tpl_rows *cells = admin_row(&t);
        admin_cell(cells, all->v[i].name, "");
        admin_cell(cells, all->v[i].description, "");
    }
}

bool admin_get(struct req *r, struct err *err)
{
    struct tpl_values *v = layout_new(r, &(struct layout){.title = "Administration"});
    struct tpl_rows *subjects = tpl_list(v, LIST_ADMIN_SUBJECTS);
    struct tpl_rows *sections = tpl_list(v, LIST_ADMIN_SECTIONS);
    for (size_t i = 0; i < admin_subject_count; i++)
        add_subject(r, subjects, &admin_subjects[i]);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        add_subject(r, subjects, &others[i]);
    if (!admin_queue_sections(r, sections, err))
        return false;
    set_products(r, sections);
    resp_header(r, "Cache-Control", STR("no-store"));
    return layout_send(r, 200, "admin.html", v, err);
}
