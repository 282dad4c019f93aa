#ifndef SEARCH_TEXT_H
#define SEARCH_TEXT_H

#include "lib/base/arena.h"
#include "lib/base/str.h"

/*
 * text - how values are cut into tokens and compared with wildcards.
 *
 * Text fields are cut at word boundaries (a subset of Unicode annex 29) and lower-cased;
 * semi fields at ';'.  Wildcards: * any run, ? one character, \ escapes.
 *
 * Ownership  Tokens lie in a buffer of the iterator and are valid until the next call.
 * Trust      Any bytes; broken UTF-8 separates words.
 */
/* 255 is where the engine before cut tokens, too; four bytes are the longest character. */
enum { TOKEN_CHARS_MAX = 255, TOKEN_BYTES_MAX = TOKEN_CHARS_MAX * 4 };

struct text_tokens {
    struct str text; /* borrowed */
    size_t off;
    size_t n; /* bytes in buf */
    char buf[TOKEN_BYTES_MAX];
};

void text_tokens_init(struct text_tokens *t, struct str text);
bool text_tokens_next(struct text_tokens *t, struct str *ret_token);

/* Lower-case copy in the arena (Unicode simple mapping). */
struct str text_lower(struct arena *a, struct str s);

/* Lower-case pieces between ';', empty ones left out.  In the arena. */
struct strs text_semi(struct arena *a, struct str s);
/* Distinct lower-case tokens of a text.  In the arena. */
struct strs text_words(struct arena *a, struct str s);

struct wildcard {
    struct str pattern; /* decoded below, borrowed from the arena */
    uint8_t *kinds;     /* 0 literal byte, else '*' or '?' */
    bool is_literal;    /* no wildcard inside */
};
void wildcard_init(struct arena *a, struct wildcard *w, struct str value);
bool wildcard_contains(const struct wildcard *w, struct str text);
bool wildcard_prefix(const struct wildcard *w, struct str text);
bool wildcard_suffix(const struct wildcard *w, struct str text);

#endif
