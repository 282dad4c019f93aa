#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/util.h"
#include "lib/web/unpack.h"

/*
 * The first byte chooses the coding, the second how the rest is cut.  Whatever comes: an end,
 * within the limit, with one of the three outcomes; and the cut does not change what comes out.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_OUT = 4 << 20 };

static bool sink(void *arg, const void *p, size_t n, struct err *err)
{
    (void)err;
    sb_put(arg, p, n);
    return true;
}

static bool unpack_in_pieces(enum unpack_coding coding, const uint8_t *data, size_t size,
                             size_t step, struct strbuf *out)
{
    struct unpack u;
    bool ok = true;
    unpack_init(&u, coding, MAX_OUT, sink, out);
    for (size_t at = 0; ok && at < size; at += step)
        ok = unpack_feed(&u, data + at, MIN(step, size - at), ERR_IGNORED);
    ok = ok && unpack_finish(&u, ERR_IGNORED);
    assert(ok || u.is_bad_data || u.is_too_large);
    assert(out->n <= MAX_OUT);
    unpack_release(&u);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    enum unpack_coding coding = (enum unpack_coding)(data[0] % 4);
    STRBUF_AUTO whole;
    STRBUF_AUTO cut;
    sb_init(&whole, MAX_OUT + 1);
    sb_init(&cut, MAX_OUT + 1);
    bool a = unpack_in_pieces(coding, data + 2, size - 2, size, &whole);
    bool b = unpack_in_pieces(coding, data + 2, size - 2, 1u + data[1] % 32, &cut);
    assert(a == b);
    if (a)
        assert(str_eq(sb_view(&whole), sb_view(&cut)));
    return 0;
}
