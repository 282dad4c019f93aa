#ifndef DUMP_SYMS_NATIVE_CHILD_H
#define DUMP_SYMS_NATIVE_CHILD_H

/*
 * native_child - datil-dump-syms as the server starts it (lib/symfile/symnative.h): it has the
 * files as open descriptors, and gives up everything else before it looks at their first byte.
 *
 * argv is behind the option: "facts" or "symbols", the name of the file, and for symbols of one
 * part of a universal file the processor.  Answers the exit status.
 */
int sandboxed_run(int argc, char **argv);

#endif
