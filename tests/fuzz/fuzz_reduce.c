/* JSON of any kind as a processed crash: nothing unknown and nothing protected comes out. */
#include <assert.h>

#include "lib/crash/reduce.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const secrets[] = {"is_likely_guard_page", "registers", "mac_boot_args",
                                      "soft_errors", "mdsw_stderr"};

/* Maps have free keys, so a secret's name may occur there as a key of plain text. */
static void check_public(const json_t *obj)
{
    const char *key;
    json_t *v;
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
        assert(!json_object_get(obj, secrets[i]));
    json_object_foreach ((json_t *)obj, key, v)
        check_public(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *doc = jparse(str_n((const char *)data, size), JSON_BYTES_MAX, ERR_IGNORED);
    if (!doc)
        return 0;
    json_t *pub = reduce_processed(&fields_builtin, doc, PERM_PUBLIC, NULL);
    json_t *prot = reduce_processed(&fields_builtin, doc, PERM_PROTECTED, NULL);
    json_t *again = reduce_processed(&fields_builtin, prot, PERM_PUBLIC, NULL);
    assert(json_equal(pub, again));
    check_public(json_object_get(pub, "json_dump"));
    json_t *raw = reduce_raw(&fields_builtin, doc, PERM_PUBLIC, NULL);
    assert(json_is_object(raw) && !json_object_get(raw, "URL"));
    json_decref(raw);
    json_decref(again);
    json_decref(prot);
    json_decref(pub);
    json_decref(doc);
    return 0;
}
