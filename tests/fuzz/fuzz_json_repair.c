#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/json/repair.h"

/*
 * What the pass makes of any bytes never holds a NUL once parsed, what the strict parser took
 * before it still takes, and a second pass changes nothing.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 1 << 20, DEPTH = 64 };

/* Nested at most DEPTH deep. */
static bool has_nul(const json_t *v)
{
    const char *key;
    json_t *inner;
    size_t i;
    if (json_is_string(v))
        return strlen(json_string_value(v)) != json_string_length(v);
    json_array_foreach (v, i, inner)
        if (has_nul(inner))
            return true;
    json_object_foreach ((json_t *)v, key, inner)
        if (has_nul(inner))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_n((const char *)data, size);
    struct jrepairs repairs;
    STRBUF_AUTO once;
    STRBUF_AUTO twice;
    sb_init(&once, MAX_BYTES);
    sb_init(&twice, MAX_BYTES);
    json_auto_t *before = jparse(in, MAX_BYTES, ERR_IGNORED);
    if (!jrepair(in, DEPTH, &once, &repairs, ERR_IGNORED))
        return 0;
    json_auto_t *after = jparse(sb_view(&once), MAX_BYTES, ERR_IGNORED);
    assert(!before || after);
    if (!after)
        return 0;
    assert(!has_nul(after));
    bool ok = jrepair(sb_view(&once), DEPTH, &twice, &repairs, ERR_IGNORED);
    assert(ok && repairs.nul_members == 0 && repairs.lone_surrogates == 0);
    assert(str_eq(sb_view(&once), sb_view(&twice)));
    return 0;
}
