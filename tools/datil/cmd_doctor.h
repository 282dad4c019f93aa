#ifndef DATIL_CMD_DOCTOR_H
#define DATIL_CMD_DOCTOR_H

#include "tools/datil/app.h"

/*
 * cmd_doctor - looks at an installation and says in words what is wrong with it.
 *
 * Each check prints one good line or a note, or one line per problem with what to do about it, and
 * never stops the others.  It only looks; nothing is changed.
 */
struct doctor {
    struct app *app;
    size_t problems;
    bool is_store_away; /* it says nothing about crashes then */
    bool has_db;        /* the checks that need it are left out when it is away */
};

typedef void doctor_check(struct doctor *d);

void doctor_good(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doctor_note(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doctor_problem(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

doctor_check doctor_index;       /* is it whole, what is being filled, the last scrub */
doctor_check doctor_index_bytes; /* reads all of it */
doctor_check doctor_agreement;   /* ledger, store and index tell the same story */

#endif
