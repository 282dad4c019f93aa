#ifndef SYMFILE_SOURCES_H
#define SYMFILE_SOURCES_H

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/symfile/symasked.h"
#include "lib/symfile/symkey.h"

/*
 * sources - other servers that have symbols, in the order in which they are asked.
 *
 * An entry is an address with its kind before it:
 *
 *     https://symbols.example.org/              Breakpad or Tecken: <debug file>/<ID>/<name>.sym
 *     microsoft+https://msdl.example.org/…      the layout of Microsoft's symbol servers
 *     microsoft2+https://store.example.org/…    the same with two levels of folders (index2.txt)
 *     debuginfod+https://debuginfod.example.org debug information of ELF files by build id
 *
 * Ownership  sources_free; what is fetched is the caller's.
 * Errors     A source that fails is an answer (symasked.h) and no error.
 * Trust      Servers may send anything: bytes are limited and not looked at here but for the first
 *            four; redirects are followed where the kind allows it, to public addresses only unless
 *            the options say otherwise.
 * Processes  A source that failed several times in a row is left alone for a while by all processes
 *            of one state_dir.
 * Time       sources_fetch returns by its deadline.
 */
struct sources_options {
    const char *const *urls;     /* NULL-ended, or NULL: none */
    const char *proxy;           /* address of a proxy, or NULL */
    bool may_reach_reserved;     /* servers of the company's own network */
    int64_t max_bytes;           /* of one file; 0: SOURCES_BYTES_MAX */
    int first_byte_ms, retry_ms; /* 0: as in sources_ask.c; for tests */
};
enum { SOURCES_MAX = 12 }; /* a module that nobody has is asked of all, one by one */
#define SOURCES_BYTES_MAX (INT64_C(2) << 30)

struct sources;

/* ERR_INVALID: an entry that is no address or of no known kind, and which. */
bool sources_new(const struct sources_options *opt, const char *state_dir, struct sources **ret,
                 struct err *err);
void sources_free(struct sources *s);
size_t sources_count(const struct sources *s); /* 0 for NULL */
const char *sources_name(const struct sources *s, size_t i);
uint64_t sources_hash(const struct sources *s); /* of the list */

/* Splits a configured list at white space and commas into a new NULL-ended array (one free). */
const char **sources_split(const char *list);

struct sources_wish {
    struct symkey key; /* of the .sym; with is_by_code its first parts are code file and code id */
    bool is_by_code;   /* nothing else is known */
    const char *code_file, *code_id; /* or "" */
};

struct sources_file {
    enum symfind_answer answer;
    int fd;            /* FOUND: symbol text, perhaps packed, else -1 */
    struct symkey key; /* by_code: whose symbols they are, if the server said so */
    bool is_resolved;  /* key is filled */
};

void sources_fetch(const struct sources *s, size_t i, const struct sources_wish *wish,
                   int64_t deadline_ms, const char *temp_dir, struct sources_file *ret);

/*
 * Whether the source has the file of this key, and where: for servers that send others there.
 * Sources of debug information have no such files.
 */
enum symfind_answer sources_locate(const struct sources *s, size_t i,
                                   const struct sources_wish *wish, int64_t deadline_ms,
                                   char url[2048]);

/* What an address of a symbols file says about the module: …/<debug file>/<debug id>/<name>.sym. */
bool sources_key_of_url(struct str url, struct symkey *ret);

#endif
