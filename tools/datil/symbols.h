#ifndef DATIL_SYMBOLS_H
#define DATIL_SYMBOLS_H

#include "lib/symfile/symstore.h"
#include "tools/datil/app.h"

/*
 * symbols - what the two families of commands about symbols share.
 *
 * The store of the installation; files are added only below its mark, since what is added below a
 * mount point whose file system is away would be hidden when it comes back.  Borrows from app.
 */
struct symstore symbols_store_of(struct app *app);

#endif
