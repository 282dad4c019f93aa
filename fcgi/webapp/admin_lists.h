#ifndef WEBAPP_ADMIN_LISTS_H
#define WEBAPP_ADMIN_LISTS_H

#include "lib/base/err.h"
#include "lib/db/db.h"
#include "lib/tpl/tpl.h"
#include "lib/web/param_spec.h"
#include "lib/web/web.h"

/*
 * admin_lists - the subjects of the administration, each a page below /siteadmin/ with a list that
 * is searched, a form to add to it, and what can be done with a row.  A subject is a row of a table
 * (admin_subjects.c); one handler shows them all.
 *
 * Actions    Each is asked for twice ("Confirm"), says what it did and leaves a row in the audit
 *            log.
 */
enum admin_cell_kind { AS_TEXT, AS_MONO, AS_NUMBER, AS_TIME, AS_CRASH, AS_SIGNATURE };

struct admin_column {
    const char *title;
    int from; /* column of the list's statement */
    enum admin_cell_kind kind;
};

struct admin_field {
    const struct param_spec *param;
    const char *label, *hint;
};

struct admin_action {
    const char *path;  /* "delete/", behind the subject's */
    const char *label; /* "Delete" */
    const char *ask;   /* what is said before "Confirm" */
    int offered;       /* column of the list: whether this row can have it */
    /* One parameter, the row's id; answers the name of what was changed. */
    const struct db_query *query;
    int name;
    /* Instead of a statement: ERR_NOT_FOUND if it is gone. */
    bool (*act)(struct req *r, const char *id, struct err *err);
    bool is_dangerous;
};

struct admin_subject {
    const char *path;   /* "platforms/" */
    const char *word;   /* "Platforms": link and heading */
    const char *lead;   /* one line */
    const char *object; /* in the audit log */
    /* Parameters: part of a text, limit, offset, the filters; see sql/admin.sql. */
    const struct db_query *list;
    int id; /* column */
    struct admin_column columns[10];
    struct admin_field filters[6];
    struct admin_field fields[5]; /* of the form "Add": parameters of the statement in this order */
    const struct db_query *add;
    int added_name;
    const char *add_refused; /* what is said when the statement adds nothing */
    void (*changed)(struct req *r);
    struct admin_action actions[2];
    /* Further tables above the list. */
    bool (*sections)(struct req *r, struct tpl_rows *sections, struct err *err);
};
/* What every list reads. */
extern const struct param_spec admin_part, admin_page_number, admin_done;

extern const struct admin_subject admin_subjects[];
extern const size_t admin_subject_count;

/* A table of a page: heads, then rows of as many cells. */
struct admin_table {
    struct tpl_row *section;
    struct tpl_rows *heads, *rows;
};
/* `heads` ends with NULL; those that begin with # stand over numbers. */
struct admin_table admin_table(struct tpl_rows *sections, const char *title, const char *empty,
                               const char *const *heads);
struct tpl_rows *admin_row(struct admin_table *t); /* its cells */
void admin_cell(struct tpl_rows *cells, const char *text, const char *class);

/* A page of tables alone: admin_list.html with nothing to fill in. */
struct tpl_values *admin_page(struct req *r, const char *word, const char *lead);

#endif
