/* JSON of any kind as crash data and as a processed crash; also lines of text as patterns. */
#include <assert.h>

#include "lib/signature/patterns.h"
#include "lib/signature/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct siglists *lists;

static void check(const json_t *crash_data)
{
    struct signature_result r;
    signature_generate(lists, crash_data, &r);
    assert(json_string_length(r.signature) > 0 && json_string_length(r.signature) <= 255);
    signature_result_release(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!lists && !siglists_load(NULL, &lists, ERR_IGNORED))
        return 0;
    if (size > 0 && data[0] == '#') {
        struct patterns *p = NULL;
        if (patterns_compile(str_n((const char *)data, size), "input", &p, ERR_IGNORED))
            patterns_match(p, STR("mozilla::detail::Atomic<T>::operator()"));
        patterns_free(p);
        return 0;
    }
    json_t *doc = jparse(str_n((const char *)data, size), JSON_BYTES_MAX, ERR_IGNORED);
    if (!doc)
        return 0;
    json_t *from_processed = signature_crash_data(doc);
    check(doc);
    check(from_processed);
    json_decref(from_processed);
    json_decref(doc);
    return 0;
}
