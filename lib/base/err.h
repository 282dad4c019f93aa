#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

/*
 * err - what went wrong, for code (a class) and for people (a message).
 *
 * Ownership  A plain value on the caller's stack; nothing to release.
 * Errors     Every function that can fail returns bool and takes `struct err *`
 *            last, which is never NULL: a function that fails may read the code that what
 *            it called has stored.  Who does not care says so with ERR_IGNORED.
 * Messages   State the fact with its values, lower case, no full stop.
 * Threads    As safe as the memory it lies in.
 */
enum err_code {
    ERR_NONE = 0,
    ERR_INVALID, /* what somebody sent, typed or configured is wrong; trying again will not help */
    ERR_NOT_FOUND,
    ERR_FORBIDDEN,
    ERR_TOO_LARGE,   /* a named limit was exceeded */
    ERR_CONFLICT,    /* it exists already, or somebody else changed it */
    ERR_UNAVAILABLE, /* a service is away; retry later */
    ERR_BUSY,        /* too much is asked at once; the message is for who asks, retry later */
    ERR_IO,          /* the system refused to read or write; retry later */
    ERR_ABANDONED,   /* whoever asked has gone: what is left of the work is for nobody */
    ERR_DAMAGED,     /* a file that we wrote is not what we wrote; the sender did nothing wrong */
    ERR_INTERNAL,    /* our mistake */
};

struct err {
    enum err_code code;
    char msg[256];
};

/* For a failure that changes nothing for the caller: a variable of its own at each use. */
#define ERR_IGNORED (&(struct err){.code = ERR_NONE})

/* Fills *e and returns false, so that a failing function ends in `return err_set(…)`. */
bool err_set(struct err *e, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * As err_set with ": " and the text of errno_value appended.  Code ERR_IO; ERR_UNAVAILABLE for a
 * file system that is full or read-only: what failed goes well once somebody has mended that.
 */
bool err_errno(struct err *e, int errno_value, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the message, keeps the code, returns false. */
bool err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The class as a word ("invalid", "not found", …), for logs and notes. */
const char *err_code_name(enum err_code code);

/* True for the codes that a later attempt may not meet again. */
bool err_is_retryable(enum err_code code);

/* The static analyser reads one file at a time: tell it the one thing it must know. */
#if defined __clang_analyzer__ && !defined ERR_IMPLEMENTATION
bool err_seen(const struct err *e, ...);
#define err_set(...)   (err_seen(__VA_ARGS__) && false)
#define err_errno(...) (err_seen(__VA_ARGS__) && false)
#define err_wrap(...)  (err_seen(__VA_ARGS__) && false)
#endif

#endif
