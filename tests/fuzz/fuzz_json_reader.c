#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/util.h"
#include "lib/json/jr.h"
#include "lib/json/json.h"

/*
 * The reader against jansson: what jansson takes it takes, and says the same of it.  It takes more:
 * numbers that fit no type and halves of surrogate pairs, which have a \u in front.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_beyond_jansson(struct str in)
{
    size_t digits = 0;
    for (size_t i = 0; i < in.n; i++) {
        digits = in.p[i] >= '0' && in.p[i] <= '9' ? digits + 1 : 0;
        if (digits > 17 || in.p[i] == 'e' || in.p[i] == 'E')
            return true;
    }
    return str_find(in, STR("\\u"), 0) != SIZE_MAX;
}

static void compare(struct jr *r, const json_t *v, struct arena *a);

static void compare_plain(struct jr *r, const json_t *v, struct arena *a)
{
    struct jr other = *r;
    struct str text;
    bool is_negative;
    uint64_t magnitude;
    enum jr_int kind = jr_int(&other, &is_negative, &magnitude);
    assert((kind == JR_INT) == json_is_integer(v));
    if (kind == JR_INT)
        assert((json_int_t)(is_negative ? -magnitude : magnitude) == json_integer_value(v));
    other = *r;
    bool is_string = jr_string(&other, a, &text);
    assert(is_string == json_is_string(v));
    if (is_string)
        assert(str_eq(text, str_n(json_string_value(v), json_string_length(v))));
    jr_skip(r);
    assert(r->off == other.off);
}

static void compare(struct jr *r, const json_t *v, struct arena *a)
{
    struct jr whole = *r;
    jr_skip(&whole);
    if (json_is_array(v)) {
        size_t i = 0;
        bool is_list = jr_enter(r, '[');
        assert(is_list);
        while (jr_more(r))
            compare(r, json_array_get(v, i++), a);
        assert(i == json_array_size(v));
    } else if (json_is_object(v)) {
        /* Of two members of one name jansson keeps the last. */
        bool is_object = jr_enter(r, '{');
        assert(is_object);
        size_t n = 0;
        for (; jr_more(r); n++) {
            struct str key = jr_key(r, a);
            assert(json_object_getn(v, key.p, key.n));
            jr_skip(r);
        }
        assert(n >= json_object_size(v));
    } else {
        compare_plain(r, v, a);
    }
    assert(r->off == whole.off);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_n((const char *)data, size);
    struct arena a;
    arena_init(&a, 64 << 20);
    bool ok = jr_check(in, 64, ERR_IGNORED);
    json_auto_t *v = jparse_given(in, 1 << 20, ERR_IGNORED);
    struct jr r = jr_init(in);
    if (!is_beyond_jansson(in)) {
        assert(ok == (v != NULL));
        if (v)
            compare(&r, v, &a);
    }
    for (r = jr_init(in); r.off < in.n;) { /* safe on anything */
        size_t before = r.off;
        struct str text;
        jr_string(&r, &a, &text);
        jr_more(&r);
        jr_enter(&r, '[');
        if (r.off == before)
            break;
    }
    arena_release(&a);
    return 0;
}
