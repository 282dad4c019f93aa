#ifndef WEBAPP_RESULTS_H
#define WEBAPP_RESULTS_H

#include "fcgi/webapp/webapp.h"
#include "lib/web/param_spec.h"

/*
 * results - an answer of Super Search as template values: table of reports and pager.
 * Shared by the search page and the signature report.
 *
 * Errors     What adds rows fails when the page must not grow on (app_goes_on).
 */
struct results_page {
    const struct field_table *fields;
    const struct query *query;       /* what was asked, as in the address */
    const char *path;                /* of this page, for the pager */
    const char *refine_path;         /* where links of cells lead: "/search/" */
    struct strs columns;             /* without uuid, which comes first */
    struct strs sort;                /* values of _sort; headings show the first */
    size_t page;                     /* from 1 */
    const struct query *pager_query; /* of the pager's links; NULL: query */
    bool marks_cpu;                  /* hits carry cpu_info and cpu_arch: mark faulty processors */
};
/* A page as Crash Stats has it; no search shows hits behind QUERY_WINDOW_MAX. */
enum { RESULTS_PER_PAGE = 50, RESULTS_REACHABLE = 10000 };

/* columns, hits, total_text, range_text, page, pages, prev_url, next_url, csv_url, ndjson_url,
 * is_capped, errors */
bool results_set_hits(struct req *r, struct tpl_values *v, const struct results_page *p,
                      const json_t *answer, struct err *err);

/* Which fifty reports of those that can be reached. */
extern const struct param_spec results_page_param;

/* A link that narrows the query to this value of a field; empty where that makes no sense. */
struct str results_refine_url(const struct results_page *p, const struct search_field *f,
                              struct str value);
/* To the signature report, same filters. */
struct str results_signature_url(const struct query *q, struct str signature);
struct str results_report_url(struct arena *a, const char *crash_id);

/* CPUs with a fault of their own that looks like crashes of programs. */
bool results_has_dangerous_cpu(const json_t *doc);

/* The text of a JSON scalar as a cell of the field shows it (NULL: of no field of dates); p NULL
 * for null. */
struct str results_text(struct arena *a, const struct search_field *f, const json_t *value);
/* What a filter on this value says; differs from the text shown for times and booleans. */
struct str results_filter_text(struct arena *a, const json_t *value);
/*
 * Where a row has a value that part/value.html shows: its text and its link.  Behind it stand rows
 * "extra" for what most values do not have.
 */
struct results_value {
    const struct tpl_column *text, *url;
};
void results_set_value(struct tpl_row *row, const struct results_value *c, struct str text,
                       struct str url);
/* `filter` is what a search for this value says; its text may differ (times, booleans). */
void results_show_value(struct tpl_row *row, const struct results_value *c, struct tpl_rows *extras,
                        const struct results_page *p, const struct search_field *f, struct str text,
                        struct str filter);
/* A 400 of a fragment: the message as a list for the script to show. */
bool results_send_error(struct req *r, const char *message, struct err *err);

#endif
