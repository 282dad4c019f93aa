#ifndef SYMFILE_SYMKEY_H
#define SYMFILE_SYMKEY_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * symkey - the name of one stored symbols file: <debug file>/<DEBUG ID>/<file>, and what
 * may be in it.  Keys become paths, so this is where hostile names end.
 *
 * A part leaves 55 bytes of the 255 that file systems give to a name, for what stores and caches
 * add to it.  An id has the 32 digits of a GUID and an age of up to eight;
 * a build id (SHA-1) has 40 digits, too.  An id with less than a GUID and one digit of an age is no
 * debug id and may be a code id.
 */
enum { SYMKEY_PART_MAX = 200, SYMKEY_ID_MAX = 40, SYMKEY_DEBUG_ID_MIN = 33, SYMKEY_MAX = 300 };

struct symkey {
    char debug_file[SYMKEY_PART_MAX + 1];
    char debug_id[SYMKEY_ID_MAX + 1]; /* upper case */
    char file[SYMKEY_PART_MAX + 1];
};

/*
 * From "xul.pdb/44E4EC8C2F41492B9369D6B9A059577C2/xul.sym".  ERR_INVALID: not three parts;
 * a part with control characters, U+0080 to U+00FF or one of \ ^ ` < > { } [ ] # % " ' |,
 * or not UTF-8, or starting with a dot; an id that is not hexadecimal; anything too long.
 */
bool symkey_parse(struct str text, struct symkey *ret, struct err *err);
bool symkey_make(struct str debug_file, struct str debug_id, struct str file, struct symkey *ret,
                 struct err *err);
/*
 * Name of the symbols file for a debug file: xul.pdb -> xul.sym, libxul.so ->
 * libxul.so.sym.  ERR_INVALID for names that may not become a path.
 */
bool symkey_file_name(struct str debug_file, char *out, size_t out_size, struct err *err);
/* For the .sym file of a module: the file name follows from the debug file. */
bool symkey_of_module(struct str debug_file, struct str debug_id, struct symkey *ret,
                      struct err *err);
/* Whether the file is the one that symkey_of_module names: what a look-up of the module finds. */
bool symkey_is_of_module(const struct symkey *k);
bool symkey_is_text(const struct symkey *k); /* *.sym, in any case */
void symkey_text(const struct symkey *k, char out[SYMKEY_MAX + 1]);

/* What the first lines of a symbols file say about it; borrows the text. */
struct symheader {
    struct str os, arch, debug_id, debug_file; /* MODULE */
    struct str code_id, code_file;             /* INFO CODE_ID */
    struct str generator;                      /* INFO GENERATOR */
};

/* Reads MODULE and INFO lines up to the first other one.  ERR_INVALID: no MODULE line. */
bool symheader_read(struct str text, struct symheader *ret, struct err *err);

#endif
