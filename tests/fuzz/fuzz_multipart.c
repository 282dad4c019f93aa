#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/hash.h"
#include "lib/web/multipart.h"

/*
 * The first byte says how the rest is cut into pieces; the boundary is "XX".  What comes out must
 * be the same as from one piece.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_begin(void *arg, const struct multipart_part *part, struct err *err)
{
    struct strbuf *out = arg;
    (void)err;
    sb_printf(out, "<%zu %zu %zu %d>", part->name.n, part->filename.n, part->content_type.n,
              part->is_undecodable);
    sb_str(out, part->name);
    sb_str(out, part->filename);
    sb_str(out, part->content_type);
    return true;
}

static bool on_data(void *arg, const void *p, size_t n, struct err *err)
{
    (void)err;
    sb_put(arg, p, n);
    return true;
}

static bool on_end(void *arg, struct err *err)
{
    (void)err;
    sb_text(arg, "<end>");
    return true;
}

static bool read_in_pieces(const uint8_t *data, size_t size, size_t step, struct strbuf *out)
{
    static const struct multipart_events events = {on_begin, on_data, on_end};
    struct multipart m;
    bool ok = multipart_init(&m, STR("XX"), &events, out, ERR_IGNORED);
    assert(ok);
    for (size_t at = 0; ok && at < size; at += step)
        ok = multipart_feed(&m, data + at, size - at < step ? size - at : step, ERR_IGNORED);
    ok = ok && multipart_finish(&m, ERR_IGNORED);
    multipart_release(&m);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    STRBUF_AUTO whole;
    STRBUF_AUTO cut;
    sb_init(&whole, 16 << 20);
    sb_init(&cut, 16 << 20);
    bool a = read_in_pieces(data + 1, size - 1, size, &whole);
    bool b = read_in_pieces(data + 1, size - 1, 1u + data[0] % 64, &cut);
    assert(a == b);
    if (a)
        assert(str_eq(sb_view(&whole), sb_view(&cut)));
    return 0;
}
