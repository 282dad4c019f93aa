#ifndef WEB_HEALTH_H
#define WEB_HEALTH_H

#include "lib/web/web.h"

/*
 * health - what a program says of itself at /__heartbeat__; web_version_get answers /__version__.
 *
 * A program lists what it needs; each part is looked at and its failure logged here, as
 * heartbeat_failed, since anybody may ask and reasons name files and servers.  The document that is
 * answered stays the program's: monitors read it, and each program's has a shape of its own.
 */
struct health_check {
    const char *name; /* "database": in the log, and for the program's document */
    bool (*holds)(struct req *req, struct err *err);
};

/* False: logged, and *ret_why has the reason. */
bool health_holds(struct req *req, const struct health_check *check, struct err *ret_why);

/* A check: the database answers. */
bool health_database(struct req *req, struct err *err);

#endif
