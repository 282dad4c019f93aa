#ifndef SYMFILE_SYMREADER_H
#define SYMFILE_SYMREADER_H

#include <sys/types.h>

#include "lib/symfile/csym.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symzip.h"

/*
 * symreader - symbol text, gzip, zstd and ZIP as a stranger made them, read by somebody else:
 * the program datil-symreader, which has no network, no files and no memory of ours.  It gets
 * the file as an open descriptor, and further ones for what it is to write; who owns the
 * descriptors gives the files their names.
 *
 * One reader is for one archive or one text.  Load makes a member, or the text itself, the
 * current text; same, write and compile are about that.
 *
 * Ownership  symreader_stop ends the reader; descriptors stay the caller's.
 * Errors     ERR_INVALID, ERR_TOO_LARGE: of the file, in words for who sent it; also when the
 *            reader died of it or exceeded a limit.  ERR_IO: ours, retry later.
 * Trust      What the reader says is checked.
 * Processes  One child per reader, dead at the latest when this process is.
 */
struct symreader;

/* input_fd is read from its start; scratch files are made in temp_dir. */
bool symreader_start(int input_fd, const char *temp_dir, struct symreader **ret, struct err *err);
void symreader_stop(struct symreader *r);
pid_t symreader_pid(const struct symreader *r); /* for tests that kill it */

struct symreader_member {
    char *name;     /* as in the archive; owned by the list */
    uint64_t size;  /* uncompressed */
    uint64_t index; /* for symreader_load */
    bool is_ignored;
    struct symkey key;
};
struct symreader_list {
    VEC(struct symreader_member) members;
};
/* Checks the archive completely (symzip) and lists it. */
bool symreader_zip(struct symreader *r, const struct symzip_limits *limits,
                   struct symreader_list *ret, struct err *err);
void symreader_list_release(struct symreader_list *l);

enum { SYMREADER_MD5_HEX = 32, SYMREADER_TEXT_MAX = 255 }; /* a name, as long as a file's */
struct symreader_text {
    uint64_t size;
    char md5[SYMREADER_MD5_HEX + 1];
    bool has_header; /* begins with a MODULE line; texts that are too long are empty */
    char debug_file[SYMREADER_TEXT_MAX + 1], debug_id[SYMREADER_TEXT_MAX + 1];
    char code_file[SYMREADER_TEXT_MAX + 1], code_id[SYMREADER_TEXT_MAX + 1];
    char generator[SYMREADER_TEXT_MAX + 1];
};
/* member NULL: the input is text, plain, gzip or zstd.  ret NULL: nobody wants to know. */
bool symreader_load(struct symreader *r, const struct symreader_member *member,
                    struct symreader_text *ret, struct err *err);

/* The input as it is, also when it looks packed. */
bool symreader_load_as_is(struct symreader *r, struct symreader_text *ret, struct err *err);

/* ERR_INVALID: a FILE record of the current text contains one of the snippets (symforbid.h). */
bool symreader_check_content(struct symreader *r, struct str snippets, struct err *err);

/* Whether a stored file holds the current text; damaged ones do not. */
bool symreader_same(struct symreader *r, int fd, bool is_gzip, bool *ret_same, struct err *err);

/*
 * Load, write and compile in two halves: what is asked for is worked on in order while the caller
 * does something else, and the answers are taken in the same order.  Ten thousand small members
 * would otherwise be thirty thousand times two processes that wait for each other.  A few small
 * texts may be asked for ahead; after an error with answers outstanding the reader can only be
 * stopped.
 */
bool symreader_ask_load(struct symreader *r, const struct symreader_member *member,
                        bool wants_facts, struct err *err);
bool symreader_take_load(struct symreader *r, struct symreader_text *ret, struct err *err);
/* Writes the current text to an empty file. */
bool symreader_ask_write(struct symreader *r, int fd, bool as_gzip, struct err *err);
bool symreader_take_write(struct symreader *r, uint64_t *ret_bytes, struct err *err);
/* Compiles the current text to an empty file; it carries no stamp yet (csym_set_stamp). */
bool symreader_ask_compile(struct symreader *r, int fd, struct err *err);
bool symreader_take_compile(struct symreader *r, struct csym_stats *ret, struct err *err);

/* The bytes of a gzip file in a nameless file, at its start; the caller closes it. */
bool symreader_inflate(const char *path, const char *temp_dir, int *ret_fd, struct err *err);

#endif
