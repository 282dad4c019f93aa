#include <assert.h>
#include <stdint.h>

#include "lib/base/util.h"
#include "lib/web/params.h"

/*
 * Texts of a request.  The first byte chooses what the rest is: a query, a cookie header, a header
 * with parameters, an Accept header.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_MAX = 16 << 20 };

static bool is_clean(struct str s)
{
    return utf8_valid(s) && (s.n == 0 || !memchr(s.p, 0, s.n));
}

static void query(struct arena *a, struct str text)
{
    struct param_list list = {0};
    size_t pairs = 1;
    for (size_t i = 0; i < text.n; i++)
        pairs += text.p[i] == '&';
    if (!params_parse(a, text, &list, ERR_IGNORED))
        return;
    assert(list.n <= pairs && list.n <= PARAMS_MAX);
    for (size_t i = 0; i < list.n; i++)
        assert(is_clean(list.v[i].name) && is_clean(list.v[i].value));
    /* What is encoded decodes to itself. */
    assert(str_eq(pct_decode(a, url_path_encode(a, text), false), text));
}

static void is_inside(struct str outer, struct str s)
{
    assert(!s.p || (s.p >= outer.p && s.p + s.n <= outer.p + outer.n));
}

static void header(struct str text)
{
    static const char *const names[] = {"name", "boundary", "a"};
    is_inside(text, header_value(text));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        STRBUF_AUTO plain;
        STRBUF_AUTO extended;
        sb_init(&plain, 1 << 20);
        sb_init(&extended, 1 << 20);
        if (!header_param(text, names[i], &plain))
            assert(plain.n == 0);
        header_param_extended(text, names[i], &extended);
        assert(plain.n <= text.n && extended.n <= 2 * text.n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct str text = str_n((const char *)data + 1, size - 1);
    struct arena a;
    arena_init(&a, ARENA_MAX);
    switch (data[0] % 4) {
    case 0:
        query(&a, text);
        break;
    case 1:
        is_inside(text, cookie_find(text, "sessionid"));
        break;
    case 2:
        header(text);
        break;
    default:
        accepts(text, "text/html");
    }
    arena_release(&a);
    return 0;
}
