#include "lib/base/util.h"
#include "lib/search/regex.h"

/*
 * First line: an expression; the rest: a text.  Compiles or not, matches or not, in bounded time
 * and with the memory that regex.h promises: the arena is no larger than that and would stop the
 * program, the matcher is asked.
 */
enum { SMALL_CACHE = 4096, EXPRESSION_CHARS_MAX = 1000 }; /* what a search lets through */

static bool match(const struct regex *re, struct str text, size_t cache_bytes)
{
    struct regex_matcher *m = regex_matcher_new(re, cache_bytes, NULL, NULL);
    bool yes = regex_matches(m, text);
    if (yes != regex_matches(m, text) ||
        regex_matcher_bytes(m) > regex_matcher_most(re, cache_bytes))
        abort();
    regex_matcher_free(m);
    return yes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = str_n((const char *)data, size);
    size_t line = str_find_char(all, '\n', 0);
    struct str expression = str_sub(all, 0, line);
    expression.n = utf8_prefix_chars(expression, EXPRESSION_CHARS_MAX);
    struct str text = line == SIZE_MAX ? STR_NONE : str_sub(all, line + 1, SIZE_MAX);
    struct arena a;
    const struct regex *re;
    arena_init(&a, REGEX_ARENA_BYTES);
    if (regex_compile(&a, expression, &re, ERR_IGNORED)) {
        bool yes = match(re, text, REGEX_CACHE_BYTES);
        if (yes != match(re, text, SMALL_CACHE)) /* what does not fit is built again, not lost */
            abort();
    }
    if (a.used_bytes > REGEX_ARENA_BYTES)
        abort();
    arena_release(&a);
    return 0;
}
