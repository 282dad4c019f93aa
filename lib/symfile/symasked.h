#ifndef SYMFILE_SYMASKED_H
#define SYMFILE_SYMASKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * symasked - what each source of symbols said about a module: for whoever wants to know why a frame
 * has no name.
 *
 * Trust      Names are for everybody to see: "own store", "try", the address of a server without
 *            user and query, or the path of a folder as it was given.
 */
enum symfind_answer {
    SYMFIND_ANSWER_FOUND,
    SYMFIND_ANSWER_NOT_FOUND,
    SYMFIND_ANSWER_MALFORMED,   /* a text that is no symbols file */
    SYMFIND_ANSWER_WRONG_ID,    /* the symbols of another build */
    SYMFIND_ANSWER_TIMED_OUT,   /* no answer within the time for this source */
    SYMFIND_ANSWER_UNREACHABLE, /* no connection, or an error of the server */
    SYMFIND_ANSWER_REFUSED,     /* not allowed there, or an address that we do not ask */
    SYMFIND_ANSWER_TOO_LARGE,
    SYMFIND_ANSWER_PAUSED,  /* not asked: it failed several times in a row */
    SYMFIND_ANSWER_PENDING, /* still being fetched or compiled when the caller's time was over */
    SYMFIND_ANSWER_COUNT,
};

/* An address as people configure it; the two areas of the store and more servers than anybody
 * lists. */
enum { SYMFIND_SOURCE_MAX = 199, SYMFIND_ASKED_MAX = 16 };
struct symfind_asked {
    char source[SYMFIND_SOURCE_MAX + 1];
    enum symfind_answer answer;
};

/* "found", "not found", "wrong id", …: for pages and JSON. */
const char *symfind_answer_text(enum symfind_answer answer);

/* One entry for each source, however often it is asked; a later answer replaces an earlier one, and
 * what is over SYMFIND_ASKED_MAX sources is dropped. */
void symasked_note(struct symfind_asked asked[SYMFIND_ASKED_MAX], size_t *count, const char *source,
                   enum symfind_answer answer);

/*
 * Of a module that no server has, the answers are kept beside the compiled symbols, so that it is
 * not asked for again at every crash: an hour what is not there, a day what cannot be used, a
 * minute what failed.  `sources` stands for the list of servers: with another one the answers do
 * not count.  Symbols that are uploaded are found before anybody looks at these.
 */
bool symasked_recall(const char *path, uint64_t sources,
                     struct symfind_asked asked[SYMFIND_ASKED_MAX], size_t *ret_count);
void symasked_keep(const char *path, uint64_t sources, const struct symfind_asked *asked,
                   size_t count);

#endif
