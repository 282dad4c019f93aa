#ifndef DUMP_SYMS_TAR_H
#define DUMP_SYMS_TAR_H

#include "lib/base/str.h"

/*
 * tar - the one member of a tar archive that matters: the debug file inside a .dSYM folder, which
 * is how symbols of macOS are sent (XUL.dSYM.tar.bz2).
 *
 * Ownership  Both texts borrow the archive.
 * Trust      The archive is hostile: every member is a window of it, and its head has a checksum.
 */
bool tar_is(struct str bytes);

/*
 * The first file below Contents/Resources/DWARF, or, where no folder is called so, the first that
 * is a binary at all.  False: there is none.
 */
bool tar_find_debug(struct str bytes, struct str *ret_name, struct str *ret_bytes);

#endif
