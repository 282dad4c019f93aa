#include "base/util.h"
#include "search/regex.h"

/* First line: an expression; the rest: a text.  Compiles or not, matches or not, in bounded time.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = str_n((const char *)data, size);
    size_t line = str_find_char(all, '\n', 0);
    struct str expression = str_sub(all, 0, MIN(line, (size_t)1000));
    struct str text = line == SIZE_MAX ? STR_NONE : str_sub(all, line + 1, SIZE_MAX);
    struct arena a;
    const struct regex *re;
    arena_init(&a, REGEX_ARENA_BYTES);
    if (regex_compile(&a, expression, &re, NULL)) {
        struct regex_matcher *m = regex_matcher_new(re, INT64_MAX);
        bool yes = regex_matches(m, text);
        if (yes != regex_matches(m, text))
            abort();
        regex_matcher_free(m);
    }
    arena_release(&a);
    return 0;
}
