#ifndef BASE_IDENTITY_H
#define BASE_IDENTITY_H

#include <sys/types.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"

/*
 * identity - as whom a program works, and what it gives up before it reads a byte of anybody's.
 *
 * Everything Datil writes belongs to one user, the owner of the installation: whoever owns
 * DATIL_VAR, or DATIL_USER where that directory is root's (tools/run/datilctl keeps the
 * directory root's, with folders of that user in it).  Files get no permission for others.
 *
 * Errors     ERR_NOT_FOUND: started as root, and there is no owner to become.
 *            ERR_INVALID: that owner is root itself.
 * Threads    Call it at the start, before any thread or child.
 */
enum identity_kind {
    IDENTITY_SERVICE, /* a program that runs on: root is given up for good */
    IDENTITY_ADMIN,   /* one command of an administrator */
};

/* umask and mode bits of what is written below DATIL_VAR: owner writes, group reads. */
enum { IDENTITY_UMASK = 027 };

/*
 * Sets the umask and no_new_privs, and leaves root for the installation's owner.
 *
 * A service keeps no capability, unless DATIL_VAR or the program's own files lie where its
 * user may not go (a clone in root's home): then CAP_DAC_READ_SEARCH, which passes directories,
 * remains as long as it runs.  An administrator's command started by root keeps
 * CAP_DAC_OVERRIDE, so that it reads and writes what its user names on the command line; what
 * it makes belongs to the owner all the same.  Without an owner such a command stays root.
 */
bool identity_settle(const struct conf *conf, enum identity_kind kind, struct err *err);

/*
 * For a process that only works on descriptors it already has: every capability goes, and uid 0
 * becomes nobody where the kernel lets it.
 */
bool identity_drop_all(struct err *err);

#endif
