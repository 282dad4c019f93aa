#ifndef WEBAPP_TOPCRASHERS_H
#define WEBAPP_TOPCRASHERS_H

#include "fcgi/webapp/webapp.h"
#include "lib/web/param_spec.h"

/*
 * topcrashers - signatures of a product by number of reports, compared with the period before.
 * Three searches without hits; everything else is arithmetic on their facets.
 *
 * Ownership  Everything lives in the request's arena.
 */
extern const struct param_spec tcb_product, tcb_version, tcb_days, tcb_mode, tcb_range, tcb_type,
    tcb_process, tcb_platform, tcb_size, tcb_end, tcb_format;
enum tcb_format { TCB_FORMAT_PAGE, TCB_FORMAT_JSON, TCB_FORMAT_CSV };

struct tcb_wanted {
    const struct product *product;
    struct strs versions; /* none: all */
    int days;
    bool by_day;   /* the period ends at midnight */
    bool by_build; /* by build id as well as by date */
    const char *report_type, *process_type;
    const char *platform; /* NULL: all */
    int size;
    int64_t from_us, to_us;
    int64_t end_us;     /* the midnight after the day that was asked for; 0: the period ends now */
    struct query query; /* as asked, for links */
};

struct tcb_platform {
    const char *name;
    char short_name[8]; /* win, mac, lin: terms start with it */
    const char *label;
};

struct tcb_platforms {
    struct tcb_platform v[8];
    size_t n;
};

struct tcb_row {
    const char *signature;
    int64_t rank, count, installs, gc, startup, early, plugin;
    int64_t rank_before; /* 0: not among them */
    int64_t count_before;
    int64_t platforms[8];
    const char *first_date; /* NULL: unknown */
};

struct tcb {
    struct tcb_row *rows;
    size_t n;
    int64_t total, total_before, covered;
    int64_t total_any; /* of all kinds of processes */
    bool has_gc;       /* any row has */
    struct tcb_platforms platforms;
};

/* Reads the parameters.  ERR_INVALID with the text for the client; ERR_NOT_FOUND: no such
 * product. */
bool tcb_read_wanted(struct req *r, struct tcb_wanted *ret, struct err *err);
bool tcb_read(struct req *r, const struct tcb_wanted *w, struct tcb *ret, struct err *err);
struct strs tcb_signatures(struct arena *a, const struct tcb *t);
/* Bounds of the period as search filters. */
void tcb_add_dates(struct query *q, int64_t from_us, int64_t to_us);

#endif
