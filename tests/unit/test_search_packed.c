#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/util.h"
#include "lib/search/columns/bits.h"
#include "lib/search/columns/packed.h"
#include "lib/search/columns/texts.h"

/*
 * The files of packed weeks by themselves: numbers of every width and shape, full and partial
 * blocks, whole and row by row; dictionaries of every kind; and bytes that are not what was
 * written.
 */
enum { ROWS = 2 * BLOCK_ROWS + 777, GENERATION = 7 };

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "%s/datil-packed-XXXXXX",
             fs_is_writable_dir("/dev/shm") ? "/dev/shm" : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return fs_remove_tree(dir, ERR_IGNORED) ? 0 : -1;
}

static void path_of(const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", dir, name);
}

static void check_bits(size_t n, uint32_t width)
{
    static uint64_t v[BLOCK_ROWS], out64[BLOCK_ROWS], packed[BLOCK_ROWS + 8];
    static uint32_t out32[BLOCK_ROWS];
    static uint16_t out16[BLOCK_ROWS];
    static uint8_t out8[BLOCK_ROWS];
    uint64_t mask = width == 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
    for (size_t i = 0; i < n; i++)
        v[i] = random_u64() & mask;
    uint8_t *bytes = (uint8_t *)packed;
    memset(bytes + bits_bytes(n, width), 0xa5, 8);
    bits_pack(v, n, width, bytes);
    assert_int_equal(bytes[bits_bytes(n, width)], 0xa5);
    bits_unpack64(bytes, n, width, 3, out64);
    bits_unpack32(bytes, n, width, 3, out32);
    bits_unpack16(bytes, n, width, 3, out16);
    bits_unpack8(bytes, n, width, 3, out8);
    for (size_t i = 0; i < n; i++) {
        if (bits_get(bytes, n, width, i) != v[i] || out64[i] != v[i] + 3 ||
            out32[i] != (uint32_t)(v[i] + 3) || out16[i] != (uint16_t)(v[i] + 3) ||
            out8[i] != (uint8_t)(v[i] + 3))
            fail_msg("number %zu of %zu with %u bits", i, n, width);
    }
}

static void test_bits_of_every_width(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 63, 64, 65, 777, BLOCK_ROWS - 1, BLOCK_ROWS};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        for (uint32_t width = 0; width <= BITS_WIDTH_MAX; width++)
            check_bits(counts[i], width);
}

struct column_case {
    const char *label;
    enum packed_as as;
    uint64_t (*value)(uint64_t row);
    int absent_every;  /* 0: none is absent; 1: all */
    double bytes_most; /* for a row */
};

static uint64_t one_value(uint64_t row)
{
    (void)row;
    return 5;
}
static uint64_t row_numbers(uint64_t row)
{
    return row + 1;
}
static uint64_t small_codes(uint64_t row)
{
    return row * 2654435761u >> 7 & 15;
}
static uint64_t one_large_code(uint64_t row)
{
    return row == 4000 ? 1 << 20 : row % 3;
}
static uint64_t negative(uint64_t row)
{
    return (uint64_t)((int64_t)(row * 7919 % 1000) - 500);
}
/* In the order of arrival, one or two a second, to the microsecond. */
static uint64_t dates(uint64_t row)
{
    return 1790000000000000 + row * 1500000 + row * 2654435761u % 1000000;
}
static uint64_t dates_in_seconds(uint64_t row)
{
    return 1790000000000000 + row * 2654435761u % 600000 * 1000000;
}
static uint64_t falling(uint64_t row)
{
    return 1000000 - row * 3;
}
static uint64_t extremes(uint64_t row)
{
    return row % 2 ? (uint64_t)INT64_MIN : INT64_MAX;
}
static uint64_t doubles(uint64_t row)
{
    double d = (double)(int64_t)(row % 90) / 4 - 5;
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return bits;
}
static uint64_t noise(uint64_t row)
{
    return hash64(&row, sizeof row);
}

static const struct column_case columns[] = {
    {"one value", PACKED_CODES, one_value, 0, 0.03},
    {"codes that count the rows", PACKED_CODES, row_numbers, 0, 0.03},
    {"codes of four bits", PACKED_CODES, small_codes, 0, 0.6},
    {"one large code", PACKED_CODES, one_large_code, 0, 1.5},
    {"negative numbers", PACKED_WHOLE, negative, 0, 1.4},
    {"numbers, some absent", PACKED_WHOLE, negative, 7, 1.6},
    {"numbers, all absent", PACKED_WHOLE, negative, 1, 0.03},
    {"dates", PACKED_WHOLE, dates, 0, 2.8},
    {"dates in seconds", PACKED_WHOLE, dates_in_seconds, 0, 2.6},
    {"falling numbers", PACKED_WHOLE, falling, 0, 2},
    {"from the least to the greatest", PACKED_WHOLE, extremes, 3, 8.2},
    {"doubles", PACKED_DOUBLES, doubles, 5, 8.2},
    {"noise", PACKED_DOUBLES, noise, 0, 8.1},
};

static bool is_absent(const struct column_case *c, uint64_t row)
{
    return c->absent_every > 0 && row % (uint64_t)c->absent_every == 0;
}

static void fill(void *arg, uint64_t first, size_t n, uint64_t *values, uint8_t *present)
{
    const struct column_case *c = arg;
    for (size_t i = 0; i < n; i++) {
        values[i] = is_absent(c, first + i) ? 0 : c->value(first + i);
        if (is_absent(c, first + i))
            present[i / 8] &= (uint8_t) ~(1u << (i % 8));
    }
}

static void check_block(const struct column_case *c, const struct packed_column *p, uint64_t block)
{
    static uint64_t values[BLOCK_ROWS];
    static uint32_t codes[BLOCK_ROWS];
    static uint16_t short_codes[BLOCK_ROWS];
    uint8_t present[BLOCK_ROWS / 8];
    size_t n = packed_block_rows(p->rows, block);
    packed_numbers(p, block, values, present);
    if (c->as == PACKED_CODES) {
        packed_codes(p, block, 4, codes);
        packed_codes(p, block, 2, short_codes);
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t row = block * BLOCK_ROWS + i, want = c->value(row);
        bool has = !is_absent(c, row);
        if (packed_has(p, row) != has || packed_get(p, row) != (has ? want : 0) ||
            (present[i / 8] >> (i % 8) & 1) != has || (has && values[i] != want))
            fail_msg("%s: row %llu", c->label, (unsigned long long)row);
        if (c->as == PACKED_CODES && (codes[i] != want || short_codes[i] != (uint16_t)want))
            fail_msg("%s: code of row %llu", c->label, (unsigned long long)row);
    }
}

static void test_columns(void **state)
{
    (void)state;
    char path[128];
    struct err err = {0};
    path_of("column", path);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        struct column_case c = columns[i];
        struct packed_column p = {.rows = 0};
        if (!packed_write(path, GENERATION, ROWS, c.as, fill, &c, &err) ||
            !packed_open(&p, path, GENERATION, ROWS, &err))
            fail_msg("%s: %s", c.label, err.msg);
        for (uint64_t block = 0; block * BLOCK_ROWS < ROWS; block++)
            check_block(&c, &p, block);
        double bytes = (double)p.file.bytes / ROWS;
        if (bytes > c.bytes_most)
            fail_msg("%s: %.2f bytes a row", c.label, bytes);
        packed_close(&p);
    }
}

/* A code that the dictionary does not have must not get past the look at the column. */
static void test_codes_within(void **state)
{
    (void)state;
    char path[128];
    struct err err = {0};
    struct packed_column p = {.rows = 0};
    static const struct {
        uint64_t (*value)(uint64_t row);
        uint32_t highest;
    } cases[] = {{one_value, 5}, {row_numbers, ROWS}, {small_codes, 15}, {one_large_code, 1 << 20}};
    path_of("codes", path);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct column_case c = {.as = PACKED_CODES, .value = cases[i].value};
        bool at = true, below = true;
        assert_true(packed_write(path, GENERATION, ROWS, c.as, fill, &c, &err) &&
                    packed_open(&p, path, GENERATION, ROWS, &err));
        for (uint64_t block = 0; block * BLOCK_ROWS < ROWS; block++) {
            at = at && packed_codes_within(&p, block, cases[i].highest);
            below = below && packed_codes_within(&p, block, cases[i].highest - 1);
        }
        assert_true(at && !below);
        packed_close(&p);
    }
}

struct text_case {
    const char *label;
    uint32_t count;
    void (*text)(uint32_t code, char out[64]);
    double bytes_most; /* for an entry */
};

static void like_signatures(uint32_t code, char out[64])
{
    snprintf(out, 64, "mozilla::dom::Thing%05u::method", code);
}
static void crash_ids(uint32_t code, char out[64])
{
    uint64_t h = hash64(&code, sizeof code);
    snprintf(out, 64, "%08x-%04x-4%03x-8%03x-%06x260927", (unsigned)(h >> 32),
             (unsigned)(h >> 16 & 0xffff), (unsigned)(h & 0xfff), (unsigned)(h >> 8 & 0xfff),
             (unsigned)(h >> 40));
}
/* One is no id: then all are texts. */
static void nearly_ids(uint32_t code, char out[64])
{
    crash_ids(code, out);
    if (code == 100)
        out[0] = 'A';
}
static void random_texts(uint32_t code, char out[64])
{
    uint64_t h = hash64(&code, sizeof code);
    snprintf(out, 64, "%.*s%llx", (int)(h % 9), "\x01\xff words", (unsigned long long)h);
}
static void empty_and_not(uint32_t code, char out[64])
{
    snprintf(out, 64, "%.*u", (int)(code - 1), 0);
    out[code - 1] = '\0';
}

static const struct text_case texts[] = {
    {"none", 0, like_signatures, 0},
    {"one", 1, like_signatures, 300},
    {"like signatures", 20000, like_signatures, 8},
    {"crash ids", 10000, crash_ids, 18.5},
    {"nearly crash ids", 1000, nearly_ids, 30},
    {"random", 5000, random_texts, 24},
    {"an empty one", 2, empty_and_not, 300},
};

static struct str entry(void *arg, uint32_t code)
{
    static char text[64];
    const struct text_case *c = arg;
    c->text(code, text);
    return str_of(text);
}

static void test_texts(void **state)
{
    (void)state;
    char path[128];
    struct err err = {0};
    path_of("texts", path);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct text_case c = texts[i];
        struct texts *t;
        if (!texts_write(path, GENERATION, c.count, entry, &c, &err) ||
            !texts_open(path, GENERATION, &t, &err))
            fail_msg("%s: %s", c.label, err.msg);
        assert_int_equal(t->count, c.count);
        for (int round = 0; round < 2; round++) { /* the second after everything was given back */
            for (uint32_t code = 1; code <= c.count; code++) {
                struct str want = entry(&c, code);
                if (!str_eq(texts_entry(t, code), want) ||
                    texts_find(t, want, dict_hash(GENERATION, want)) != code)
                    fail_msg("%s: entry %u", c.label, code);
            }
            texts_forget(t);
            assert_int_equal(texts_bytes(t), 0);
        }
        for (uint32_t k = 0; k < 1000; k++) {
            uint64_t any = random_u64();
            struct str other = str_n((const char *)&any, 8);
            assert_int_equal(texts_find(t, other, dict_hash(GENERATION, other)), 0);
        }
        assert_false(t->is_damaged);
        if (c.count > 0 && (double)t->file.bytes / c.count > c.bytes_most)
            fail_msg("%s: %.1f bytes an entry", c.label, (double)t->file.bytes / c.count);
        texts_close(t);
    }
}

/* Bytes that were flipped or cut: refused, or read without harm. */
static void look_at_damaged_column(const char *path)
{
    struct packed_column p = {.rows = 0};
    uint64_t values[BLOCK_ROWS];
    uint8_t present[BLOCK_ROWS / 8];
    if (!packed_open(&p, path, GENERATION, ROWS, ERR_IGNORED))
        return;
    for (uint64_t block = 0; block * BLOCK_ROWS < ROWS; block++) {
        packed_codes_within(&p, block, 100);
        packed_codes(&p, block, 1, values);
        packed_numbers(&p, block, values, present);
    }
    for (uint64_t row = 0; row < ROWS; row += 97)
        packed_get(&p, row);
    packed_close(&p);
}

static void look_at_damaged_texts(const char *path)
{
    struct texts *t;
    if (!texts_open(path, GENERATION, &t, ERR_IGNORED))
        return;
    for (uint32_t code = 1; code <= t->count; code++) {
        struct str s = texts_entry(t, code);
        texts_find(t, s, dict_hash(GENERATION, s));
    }
    texts_close(t);
}

static void damage(const char *path, void (*look)(const char *path))
{
    char *bytes;
    size_t n;
    struct err err = {0};
    assert_true(fs_read(path, 1 << 24, &bytes, &n, &err));
    for (int i = 0; i < 300; i++) {
        size_t at = random_u64() % (i % 2 ? n : MIN(n, (size_t)400));
        size_t left = i % 5 == 0 ? at : n;
        bytes[at] = (char)(bytes[at] ^ 1 << i % 8);
        assert_true(fs_write_atomic(path, bytes, left, FS_FILE_MODE, &err));
        look(path);
        bytes[at] = (char)(bytes[at] ^ 1 << i % 8);
    }
    free(bytes);
}

static void test_damage_is_harmless(void **state)
{
    (void)state;
    char path[128];
    struct err err = {0};
    struct column_case c = {.as = PACKED_CODES, .value = small_codes};
    path_of("damaged", path);
    assert_true(packed_write(path, GENERATION, ROWS, c.as, fill, &c, &err));
    damage(path, look_at_damaged_column);
    for (size_t i = 3; i < ARRAY_LEN(texts); i++) {
        struct text_case t = texts[i];
        t.count = MIN(t.count, 500u);
        assert_true(texts_write(path, GENERATION, t.count, entry, &t, &err));
        damage(path, look_at_damaged_texts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_of_every_width), cmocka_unit_test(test_columns),
        cmocka_unit_test(test_codes_within),        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_damage_is_harmless),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
