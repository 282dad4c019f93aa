#ifndef DUMP_SYMS_MODULE_KINDS_H
#define DUMP_SYMS_MODULE_KINDS_H

#include "tools/dump-syms/file_bytes.h"
#include "tools/dump-syms/module_symbols.h"

/*
 * module_kinds - one reader for each kind of file, and what they share.  *m is initialised and
 * released by module_symbols.c; the bytes are borrowed.
 */
bool module_read_elf(struct file_bytes *taken, const struct image_options *o,
                     struct dumped_module *m, struct err *err);
bool module_read_pe(struct str bytes, const struct image_options *o, struct dumped_module *m,
                    struct err *err);
bool module_read_pdb(struct str bytes, const struct image_options *o, struct dumped_module *m,
                     struct err *err);
bool module_read_macho(struct str bytes, const struct image_options *o, struct dumped_module *m,
                       struct err *err);

/* The debug file that was named or came along. */
bool module_open_debug(const struct image_options *o, struct file_bytes *ret, struct err *err);

#endif
