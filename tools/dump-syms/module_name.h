#ifndef DUMP_SYMS_MODULE_NAME_H
#define DUMP_SYMS_MODULE_NAME_H

#include "tools/dump-syms/sym.h"

/*
 * module_name - what a module is called when it does not say so itself, and what it may be called.
 */
enum { MODULE_NAME_MAX = 256 };

/*
 * The name of the file, links resolved unless the path is only a name, without the endings of debug
 * files and packing.
 */
bool module_file_name(const char *path, bool is_name, char out[MODULE_NAME_MAX], struct err *err);

/*
 * What the MODULE line calls the module.  It becomes a folder of the symbol store and a part of
 * addresses, so one that begins with a dot or holds a slash is refused, whoever gave it.
 */
bool module_set_name(struct sym *s, struct str name, struct err *err);

/* The last part of a path of Windows, whatever system this runs on; borrowed. */
struct str module_windows_file(struct str path);

#endif
