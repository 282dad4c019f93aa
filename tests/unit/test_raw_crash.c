#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "lib/crash/raw.h"

/* clang-format off */
static const struct {
    const char *label, *in, *want; /* want NULL: left alone */
} cases[] = {
    {"version 1", "{\"a\": \"b\", \"collector_notes\": [\"n\"], \"dump_checksums\": {\"d\": \"x\"}, \"throttle_rate\": 10}",
     "{\"a\": \"b\", \"metadata\": {\"collector_notes\": [\"n\"], \"dump_checksums\": {\"d\": \"x\"}, \"throttle_rate\": 10}}"},
    {"named", "{\"version\": 1, \"type_tag\": \"t\", \"legacy_processing\": 0, \"signature\": \"s\", \"processor_notes\": \"\"}",
     "{\"metadata\": {\"legacy_processing\": 0, \"processor_notes\": \"\", \"signature\": \"s\", \"type_tag\": \"t\"}, \"version\": 1}"},
    {"metadata wins", "{\"metadata\": {\"collector_notes\": []}, \"collector_notes\": [\"n\"]}", "{\"metadata\": {\"collector_notes\": []}}"},
    {"metadata that is none", "{\"metadata\": 5, \"collector_notes\": [\"n\"]}", "{\"metadata\": {\"collector_notes\": [\"n\"]}}"},
    {"date", "{\"timestamp\": 1700000000.5}", "{\"metadata\": {\"timestamp\": 1700000000.5}, \"submitted_timestamp\": \"2023-11-14T22:13:20.500000+00:00\"}"},
    {"date of no time", "{\"timestamp\": 1e300}", "{\"metadata\": {\"timestamp\": 1e300}}"},
    {"nothing to move", "{\"a\": \"b\"}", NULL},
    {"version 2", "{\"version\": 2, \"signature\": \"a sender's own\"}", NULL},
    {"version is a text", "{\"version\": \"1\", \"signature\": \"s\"}", NULL},
    {"no object", "[1]", NULL},
};
/* clang-format on */

static void test_upgrade(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *raw = json_loads(cases[i].in, 0, NULL);
        json_auto_t *want = json_loads(cases[i].want ? cases[i].want : cases[i].in, 0, NULL);
        assert_int_equal(raw_crash_upgrade(raw), cases[i].want != NULL);
        FREE_LATER char *text = json_dumps(raw, JSON_SORT_KEYS);
        if (!json_equal(raw, want))
            fail_msg("%s: %s", cases[i].label, text);
    }
}

static void test_checksums(void **state)
{
    (void)state;
    assert_true(raw_checksum_is_md5(STR("d41d8cd98f00b204e9800998ecf8427e")));
    assert_false(raw_checksum_is_md5(STR("x41d8cd98f00b204e9800998ecf8427e")));
    assert_false(raw_checksum_is_md5(STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_checksums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
