/* jparse: what jansson refuses and people send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/json/json.h"

/* What a tree cannot hold in a name is dropped there; nothing else changes. */
static const struct {
    const char *in, *want;
} nul_names[] = {
    {"{\"a\\u0000b\": 1}", "{\"ab\":1}"},
    {"{\"\\u0000\": {\"x\\u0000\" : [\"v\\u0000\"]}}", "{\"\":{\"x\":[\"v\\u0000\"]}}"},
    {"{\"a\\\\u0000\": \"\\\\u0000\"}", "{\"a\\\\u0000\":\"\\\\u0000\"}"},
    {"{\"a\\\"\\u0000\": \"\\u0000: \"}", "{\"a\\\"\":\"\\u0000: \"}"},
    {"{\"a\\u0000\": 1, \"a\": 2}", "{\"a\":2}"},
    {"\"\\u0000\"", "\"\\u0000\""},
    {"{\"\\u0000", NULL},
    {"{\"\\u0000\\", NULL},
    {"{\"\\u0000\" 1}", NULL},
};

static void test_nul_in_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(nul_names); i++) {
        size_t n = strlen(nul_names[i].in);
        FREE_LATER char *copy = xmalloc(n);
        memcpy(copy, nul_names[i].in, n);
        json_auto_t *v = jparse(str_n(copy, n), 1 << 20, ERR_IGNORED);
        FREE_LATER char *got = v ? jdump(v, NULL) : NULL;
        const char *want = nul_names[i].want;
        if (!got != !want || (want && strcmp(got, want) != 0))
            fail_msg("%s: %s", nul_names[i].in, got ? got : "refused");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nul_in_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
