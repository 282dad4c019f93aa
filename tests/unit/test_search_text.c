#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <malloc.h>

#include "lib/base/util.h"
#include "lib/search/regex.h"
#include "lib/search/text.h"

/* Tokens, wildcards and regular expressions of Super Search. */

static struct str exact_copy(const char *s, void **ret_block)
{
    size_t n = strlen(s);
    char *p = malloc(n ? n : 1);
    memcpy(p, s, n);
    *ret_block = p;
    return str_n(p, n);
}

static const struct {
    const char *text, *tokens;
} token_cases[] = {
    {"", ""},
    {"mozilla::js::function", "mozilla js function"},
    {"js::break_your_browser", "js break_your_browser"},
    {"core::panicking::panic_fmt<T>", "core panicking panic_fmt t"},
    {"OOM | small", "oom small"},
    {"Mac OS X", "mac os x"},
    {"C:\\bar\\boo", "c bar boo"},
    {"user@example.com", "user example.com"},
    {"EXCEPTION_ACCESS_VIOLATION_READ", "exception_access_violation_read"},
    {"0x7fff12ab", "0x7fff12ab"},
    {"xul.dll", "xul.dll"},
    {"a:b", "a:b"},
    {"a::b", "a b"},
    {"don't don\u2019t", "don't don\u2019t"},
    {"1.2.3.4 1,234 1..2", "1.2.3.4 1,234 1 2"},
    {"10.0a1", "10.0a1"},
    {"foo:80 80:foo", "foo 80 80 foo"},
    {"a.1 1.a", "a 1 1 a"},
    {".a. -b-", "a b"},
    {"__ _a_", "_a_"},
    {"\u00c4RGER \u0130", "\u00e4rger i"},
    {"\u6f22\u5b57 \u3072\u3089", "\u6f22 \u5b57 \u3072 \u3089"},
    {"\u30ab\u30bf\u30ab\u30ca", "\u30ab\u30bf\u30ab\u30ca"},
    {"\ud55c\uad6d\uc5b4", "\ud55c\uad6d\uc5b4"},
    {"e\u0301t\u00e9", "e\u0301t\u00e9"},
    {"a\u00b7b", "a\u00b7b"},
    {"a\xff"
     "b",
     "a b"},
    {"1;2 a;b", "1;2 a b"},
};

static void test_tokens(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(token_cases); i++) {
        STRBUF_AUTO got;
        void *block;
        struct text_tokens t;
        struct str token;
        sb_init(&got, 4096);
        text_tokens_init(&t, exact_copy(token_cases[i].text, &block));
        while (text_tokens_next(&t, &token)) {
            if (got.n)
                sb_char(&got, ' ');
            sb_str(&got, token);
        }
        free(block);
        if (strcmp(sb_cstr(&got), token_cases[i].tokens) != 0)
            fail_msg("\"%s\": got \"%s\"", token_cases[i].text, sb_cstr(&got));
    }
}

static void test_long_token_is_cut(void **state)
{
    (void)state;
    char text[600];
    struct text_tokens t;
    struct str token;
    memset(text, 'A', sizeof text);
    text_tokens_init(&t, str_n(text, sizeof text));
    static const size_t want[] = {255, 255, 90};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(text_tokens_next(&t, &token));
        assert_int_equal(token.n, want[i]);
    }
    assert_false(text_tokens_next(&t, &token));
}

static const struct {
    const char *pattern, *text;
    bool contains, prefix, suffix;
} wildcard_cases[] = {
    {"", "", true, true, true},
    {"", "abc", true, true, true},
    {"b", "abc", true, false, false},
    {"a*c", "abbc", true, true, true},
    {"a*c", "xabbcx", true, false, false},
    {"?bc", "abc", true, true, true},
    {"?", "\u00e9", true, true, true},
    {"a?c", "a\u00e9c", true, true, true},
    {"a?c", "axxc", false, false, false},
    {"\\*", "a*b", true, false, false},
    {"\\*", "ab", false, false, false},
    {"a\\", "a\\", true, true, true},
    {"*", "", true, true, true},
    {"?", "", false, false, false},
    {"a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa", false, false, false},
    {"B", "abc", false, false, false},
};

static void test_wildcards(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(wildcard_cases); i++) {
        struct wildcard w;
        void *block;
        struct str text = exact_copy(wildcard_cases[i].text, &block);
        wildcard_init(&a, &w, str_of(wildcard_cases[i].pattern));
        if (wildcard_contains(&w, text) != wildcard_cases[i].contains ||
            wildcard_prefix(&w, text) != wildcard_cases[i].prefix ||
            wildcard_suffix(&w, text) != wildcard_cases[i].suffix)
            fail_msg("pattern %s on %s", wildcard_cases[i].pattern, wildcard_cases[i].text);
        free(block);
    }
    arena_release(&a);
}

static const struct {
    const char *expression;
    const char *matches[6], *refuses[6];
} regex_cases[] = {
    {"", {""}, {"a"}},
    {"abc", {"abc"}, {"ab", "abcd", "xabc", "ABC"}},
    {"a.c", {"abc", "a\u00e9c", "a\nc", "a\U0001f600c"}, {"ac", "abbc"}},
    {"a.*", {"a", "a | b"}, {"ba"}},
    {"ab?c*", {"a", "ab", "accc"}, {"abb"}},
    {"(ab)+", {"ab", "abab"}, {"", "aba"}},
    {"a{2}", {"aa"}, {"a", "aaa"}},
    {"a{2,}", {"aa", "aaaaa"}, {"a"}},
    {"a{1,3}", {"a", "aaa"}, {"", "aaaa"}},
    {"a{0}", {""}, {"a"}},
    {"(a|bc|d)e", {"ae", "bce", "de"}, {"be", "e"}},
    {"[a-c]x[^a-c]", {"axd", "bx\u00e9"}, {"dxd", "axa"}},
    {"[\u00e0-\u00ff]", {"\u00e9"}, {"e", "\u0100"}},
    {"[-a]", {"-", "a"}, {"b"}},
    {"[a\\]\\-]", {"]", "-", "a"}, {"\\"}},
    {"[\\d_]+", {"12_3"}, {"a"}},
    {"\\d+\\s\\w\\W", {"12 a!"}, {"a a!", "12 aa"}},
    {"\\.\\*", {".*"}, {"ab"}},
    {"\"a.*\"b", {"a.*b"}, {"axxb"}},
    {"@", {"", "x", "\u6f22"}, {NULL}},
    {"#", {NULL}, {"", "a"}},
    {"a#|b", {"b"}, {"a", ""}},
    {"()", {""}, {"a"}},
    {"^a$", {"^a$"}, {"a"}},
    {"<1-100>", {"1", "42", "100", "007"}, {"0", "101", "", "a"}},
    {"<05-12>", {"05", "09", "12"}, {"5", "04", "13", "005"}},
    {"v<9-11>x", {"v9x", "v10x", "v11x"}, {"v8x", "v12x"}},
    {"*a", {"*a"}, {"a"}},
    {"(a*)*b", {"b", "aab"}, {"a"}},
    {".*\u00e9.*", {"x\u00e9y"}, {"xy"}},
    {"a**", {"", "aaa"}, {"b"}},
};

static bool matches(const struct regex *re, const char *text)
{
    void *block;
    struct str s = exact_copy(text, &block);
    struct regex_matcher *m = regex_matcher_new(re, REGEX_CACHE_BYTES, NULL, NULL);
    bool yes = regex_matches(m, s);
    assert_int_equal(yes, regex_matches(m, s)); /* from the cache */
    regex_matcher_free(m);
    free(block);
    return yes;
}

static void test_regex(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64 << 20);
    for (size_t i = 0; i < ARRAY_LEN(regex_cases); i++) {
        const struct regex *re;
        struct err err = {0};
        const char *e = regex_cases[i].expression;
        if (!regex_compile(&a, str_of(e), &re, &err))
            fail_msg("%s: %s", e, err.msg);
        for (size_t k = 0; k < 6 && regex_cases[i].matches[k]; k++)
            if (!matches(re, regex_cases[i].matches[k]))
                fail_msg("%s does not match %s", e, regex_cases[i].matches[k]);
        for (size_t k = 0; k < 6 && regex_cases[i].refuses[k]; k++)
            if (matches(re, regex_cases[i].refuses[k]))
                fail_msg("%s matches %s", e, regex_cases[i].refuses[k]);
    }
    arena_release(&a);
}

static const struct {
    const char *expression;
    enum err_code want;
} regex_errors[] = {
    {"@\"", ERR_INVALID},
    {"(", ERR_INVALID},
    {"(a", ERR_INVALID},
    {"a)", ERR_INVALID},
    {"[a", ERR_INVALID},
    {"[]", ERR_INVALID},
    {"[b-a]", ERR_INVALID},
    {"a\\", ERR_INVALID},
    {"a{", ERR_INVALID},
    {"a{x}", ERR_INVALID},
    {"a{3,2}", ERR_INVALID},
    {"a|", ERR_INVALID},
    {"|a", ERR_INVALID},
    {"<a-b>", ERR_INVALID},
    {"<1-2", ERR_INVALID},
    {"~a", ERR_INVALID},
    {"a&b", ERR_INVALID},
    {"[\\", ERR_INVALID},
    {"a{99999}", ERR_TOO_LARGE},
    {"(a{1000}){1000}", ERR_TOO_LARGE},
    {"((){9999}){9999}", ERR_TOO_LARGE},
    {"<1-1234567890123456789>", ERR_INVALID}, /* 19 digits */
    {"<-5-7>", ERR_INVALID},
    {"<1- 2>", ERR_INVALID},
    {"(<1-777777777777777777>){500}", ERR_TOO_LARGE},
};

static void test_regex_errors(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64 << 20);
    for (size_t i = 0; i < ARRAY_LEN(regex_errors); i++) {
        const struct regex *re;
        struct err err = {0};
        void *block;
        regex_compile(&a, exact_copy(regex_errors[i].expression, &block), &re, &err);
        free(block);
        if (err.code != regex_errors[i].want)
            fail_msg("%s: %d (%s)", regex_errors[i].expression, err.code, err.msg);
    }
    arena_release(&a);
}

/* The number of DFA states would be 2^200: the cache is emptied again and again. */
static void test_regex_is_linear(void **state)
{
    (void)state;
    struct arena a;
    struct err err = {0};
    const struct regex *re;
    char text[20000];
    uint32_t seed = 1;
    arena_init(&a, 64 << 20);
    for (size_t i = 0; i < sizeof text; i++) {
        seed = seed * 1103515245u + 12345u;
        text[i] = seed >> 16 & 1 ? 'a' : 'b';
    }
    text[sizeof text - 201] = 'a';
    assert_true(regex_compile(&a, STR("(a|b)*a(a|b){200}"), &re, &err));
    struct regex_matcher *m = regex_matcher_new(re, REGEX_CACHE_BYTES, NULL, NULL);
    assert_true(regex_matches(m, str_n(text, sizeof text)));
    text[sizeof text - 201] = 'b';
    assert_false(regex_matches(m, str_n(text, sizeof text)));
    regex_matcher_free(m);
    arena_release(&a);
}

/* Every number of up to four digits, with and without leading zeros, against every interval. */
static void test_intervals_by_counting(void **state)
{
    static const char *const intervals[][2] = {
        {"0", "0"},     {"0", "9"},      {"3", "7"},       {"7", "3"},       {"9", "10"},
        {"1", "100"},   {"05", "12"},    {"99", "99"},     {"100", "999"},   {"0", "1000"},
        {"17", "4211"}, {"990", "1009"}, {"2500", "2799"}, {"001", "5"},     {"0099", "0101"},
        {"10", "0020"}, {"000", "000"},  {"1999", "2000"}, {"1000", "1999"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(intervals); i++) {
        const char *low = intervals[i][0], *high = intervals[i][1];
        struct arena a;
        const struct regex *re;
        struct err err = {0};
        arena_init(&a, REGEX_ARENA_BYTES);
        if (!regex_compile(&a, str_of(arena_printf(&a, "<%s-%s>", low, high)), &re, &err))
            fail_msg("<%s-%s>: %s", low, high, err.msg);
        struct regex_matcher *m = regex_matcher_new(re, REGEX_CACHE_BYTES, NULL, NULL);
        bool is_any_width = strlen(low) != strlen(high);
        int from = (int)strtol(low, NULL, 10), to = (int)strtol(high, NULL, 10);
        for (int n = 0; n < 10000; n++)
            for (int width = 1; width <= 5; width++) {
                char text[16];
                int written = snprintf(text, sizeof text, "%0*d", width, n);
                bool want = n >= MIN(from, to) && n <= MAX(from, to) &&
                            (is_any_width || (size_t)written == strlen(low));
                if (regex_matches(m, str_of(text)) != want)
                    fail_msg("<%s-%s> and %s: not %d", low, high, text, want);
            }
        regex_matcher_free(m);
        arena_release(&a);
    }
}

/*
 * What an expression may take is said in regex.h.  An interval of numbers once took 168 MB; its
 * relatives are here, too.  An expression may be refused, but not be dear.
 */
static const struct {
    const char *expression;
    size_t states_most; /* 0: it is refused as too large */
} nasty[] = {
    {"<1-777777777777777777>", 200},
    {"<0-999999999999999999>", 200},
    {"<123456789012345678-987654321098765432>", 200},
    {"<1-777777777777777777><1-777777777777777777><1-777777777777777777><1-777777777777777777>"
     "<1-777777777777777777><1-777777777777777777><1-777777777777777777><1-777777777777777777>",
     1600},
    {"(<1-777777777777777777>|<1-777777777777777777>)*", 400},
    {"a{1,1000}{1,1000}", 0},
    {"((a{1,100}){1,100}){1,100}", 0},
    {"(((((a?){9}){9}){9}){9}){9}", 0},
    {"(((((){9999}){9999}){9999}){9999}){9999}", 0},
    {"a{10000}", 0},
    {"a{9000}", 9001},
    {".{999}", 0}, /* ten states for any character in UTF-8 */
    {"[^a]{900}", 0},
    {"(.*a){400}", 0},
    {"(.*a.{100}){2}", 9000},
    {"[\\W\\D\\S]{50}", 2000},
    {"(a|b|c|d|e|f|g|h|i|j)*(a|b){300}", 1500},
    {"a********************************************************************************", 100},
};

/* Enough for every cache to be full. */
static bool work_ends(void *work, size_t units)
{
    size_t *left = work;
    *left -= MIN(*left, units);
    return *left > 0;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 i = mallinfo2();
    return i.uordblks + i.hblkhd;
}

static void test_regex_memory_is_bounded(void **state)
{
    static char text[1 << 16];
    uint32_t seed = 7;
    (void)state;
    for (size_t i = 0; i < sizeof text; i++) {
        seed = seed * 1103515245u + 12345u;
        text[i] = "ab 0123456789xyz"[seed >> 16 & 15];
    }
    for (size_t i = 0; i < ARRAY_LEN(nasty); i++) {
        const char *e = nasty[i].expression;
        struct arena a;
        const struct regex *re;
        struct err err = {0};
        arena_init(&a, REGEX_ARENA_BYTES);
        bool ok = regex_compile(&a, str_of(e), &re, &err);
        if (ok != (nasty[i].states_most > 0) || (!ok && err.code != ERR_TOO_LARGE))
            fail_msg("%s: %d (%s)", e, ok, err.msg);
        if (ok && regex_state_count(re) > nasty[i].states_most)
            fail_msg("%s: %zu states", e, regex_state_count(re));
        static const size_t caches[] = {REGEX_CACHE_BYTES, 1 << 16};
        for (size_t k = 0; ok && k < ARRAY_LEN(caches); k++) {
            size_t work = (size_t)300 << 20;
            size_t before = heap_bytes(), most = regex_matcher_most(re, caches[k]);
            struct regex_matcher *m = regex_matcher_new(re, caches[k], work_ends, &work);
            regex_matches(m, str_n(text, sizeof text));
            size_t took = heap_bytes() - before;
            /* the heap rounds up: a page for each of the seven arrays */
            if (took > most + 8 * 8192 || regex_matcher_bytes(m) > most ||
                most > caches[k] + 1024 * 1024)
                fail_msg("%s: %zu of %zu bytes", e, took, most);
            regex_matcher_free(m);
        }
        arena_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_long_token_is_cut),
        cmocka_unit_test(test_wildcards),
        cmocka_unit_test(test_regex),
        cmocka_unit_test(test_regex_errors),
        cmocka_unit_test(test_regex_is_linear),
        cmocka_unit_test(test_intervals_by_counting),
        cmocka_unit_test(test_regex_memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
