#ifndef WEB_HEALTH_H
#define WEB_HEALTH_H

#include "lib/web/web.h"

/*
 * health - what a program says of itself to whoever watches it, at four addresses: /__heartbeat__
 * (is all there that it needs?), /__lbheartbeat__ (does a worker answer?) and /__version__ (what is
 * installed?); and, for operators alone, /__metrics__ (what was counted?).
 *
 * A program lists what it needs, in its struct web_program; each part is looked at and its failure
 * logged here, as heartbeat_failed, since anybody may ask and reasons name files and servers.  The
 * document that is answered stays the program's: monitors read it, and each program's has a shape
 * of its own, that of the system it takes the place of.
 */
struct health_check {
    const char *name; /* "database": in the log, and for the program's document */
    bool (*holds)(struct req *req, struct err *err);
};

struct health_verdict {
    const struct health_check *check;
    bool holds;
    struct err why; /* it does not: for choosing words by its code, never to be sent itself */
};

enum health_question { HEALTH_HEARTBEAT, HEALTH_ALIVE, HEALTH_VERSION, HEALTH_METRICS };

struct health {
    const struct health_check *checks;
    size_t check_count;
    bool ends_at_failure; /* each check needs those before it; else all are made */
    /* Answers with the program's document.  n is smaller than check_count if it ended early. */
    bool (*answer)(struct req *req, const struct health_verdict *verdicts, size_t n,
                   struct err *err);
    const char *alive_type, *alive; /* of /__lbheartbeat__; alive NULL: answer() of no verdicts */
    const char *version_type;
    /* Before anything is looked at: to count, or to read anew what a check looks at.  May be
     * NULL. */
    void (*asked)(struct req *req, enum health_question question);
};

/* The handlers, for the routes of any program that has a struct health. */
web_handler heartbeat_get, lbheartbeat_get, version_get;

/*
 * Prometheus text (lib/base/metrics.h), of this program or of another one of this host that
 * metrics_params names.  Its routes are ROUTE_LOCAL.
 */
web_handler metrics_get;
extern const struct param_spec *const metrics_params[];

/* A check: the database answers. */
bool health_database(struct req *req, struct err *err);
/* A check: every migration that came with this program is applied, with the text it has here. */
bool health_migrations(struct req *req, struct err *err);

#endif
