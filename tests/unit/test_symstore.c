/* symkey, symstore, symfind, symzip: names, the store, the cache, archives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zip.h>
#include <zstd.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/symadd.h"
#include "lib/symfile/symcache.h"
#include "lib/symfile/symfind.h"
#include "lib/symfile/symindex.h"
#include "lib/symfile/symbytes.h"
#include "lib/symfile/symzip.h"

#define ID   "0123456789ABCDEF0123456789ABCDEF0"
#define TEXT "MODULE Linux x86_64 " ID " prog\nINFO CODE_ID ABCD prog.bin\nFUNC 1000 10 0 "

struct place {
    char dir[64], store[96], cache[96], sym[96], zip[96];
};

static int set_up(void **state)
{
    struct place *p = xcalloc(1, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/datil-symstore-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->store, sizeof p->store, "%s/store", p->dir);
    snprintf(p->cache, sizeof p->cache, "%s/cache", p->dir);
    snprintf(p->sym, sizeof p->sym, "%s/some.sym", p->dir);
    snprintf(p->zip, sizeof p->zip, "%s/some.zip", p->dir);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    fs_remove_tree(p->dir, ERR_IGNORED);
    free(p);
    return 0;
}

static const struct {
    const char *text, *want; /* want NULL: refused */
} keys[] = {
    {"xul.pdb/44E4EC8C2F41492B9369D6B9A059577C2/xul.sym",
     "xul.pdb/44E4EC8C2F41492B9369D6B9A059577C2/xul.sym"},
    {"xul.pdb/44e4ec8c2f41492b9369d6b9a059577ca/xul.sym",
     "xul.pdb/44E4EC8C2F41492B9369D6B9A059577CA/xul.sym"},
    {"libgallium-24.2.8-1~bpo12+rpt1.so/1a2b3c/libgallium-24.2.8-1~bpo12+rpt1.sym",
     "libgallium-24.2.8-1~bpo12+rpt1.so/1A2B3C/libgallium-24.2.8-1~bpo12+rpt1.sym"},
    {"Fire Fox@2:1/0/x", "Fire Fox@2:1/0/x"},
    {"\xc4\x80.so/0/\xe2\x82\xac", "\xc4\x80.so/0/\xe2\x82\xac"}, /* U+0100, U+20AC */
    {"x\xc3\xbcl.pdb/0/xul.sym", NULL},                           /* U+00FC */
    {"x\xfcl.pdb/0/xul.sym", NULL},                               /* no UTF-8 */
    {"a/0/b/c", NULL},
    {"a/0", NULL},
    {"a", NULL},
    {"", NULL},
    {"/0/b", NULL},
    {"a//b", NULL},
    {"a/0/", NULL},
    {"../0/b", NULL},
    {"a/0/..", NULL},
    {".a/0/b", NULL},
    {"a/0/.b", NULL},
    {"a/0g/b", NULL},
    {"a/ 0/b", NULL},
    {"a\x7f/0/b", NULL},
    {"a\n/0/b", NULL},
    {"a\\b/0/b", NULL},
    {"a/0/b<", NULL},
    {"a/0/b#", NULL},
    {"a/0/b%", NULL},
    {"a/0/b'", NULL},
    {"a/0/b\"", NULL},
    {"a/0/b|", NULL},
    {"a^/0/b", NULL},
    {"a`/0/b", NULL},
    {"a/01234567890123456789012345678901234567890/b", NULL}, /* 41 digits */
};

static void test_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct symkey k;
        struct err err = {0};
        char text[SYMKEY_MAX + 1];
        bool ok = symkey_parse(str_of(keys[i].text), &k, &err);
        if (ok)
            symkey_text(&k, text);
        if (ok != (keys[i].want != NULL) || (ok && strcmp(text, keys[i].want) != 0))
            fail_msg("%s: %d %s", keys[i].text, ok, err.msg);
    }
}

static const struct {
    const char *debug_file, *want;
} names[] = {
    {"xul.pdb", "xul.sym"},
    {"XUL.PDB", "XUL.sym"},
    {"libxul.so", "libxul.so.sym"},
    {"XUL", "XUL.sym"},
    {"a.dylib", "a.dylib.sym"},
    {"", NULL},
    {".", NULL},
    {"..", NULL},
    {"a/b", NULL},
    {"c:\\b.pdb", NULL},
    {"a\nb", NULL},
    {"a.pdb.so", "a.pdb.so.sym"},
};

static void test_sym_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char out[64] = "";
        bool ok = symkey_file_name(str_of(names[i].debug_file), out, sizeof out, ERR_IGNORED);
        if (ok != (names[i].want != NULL) || (ok && strcmp(out, names[i].want) != 0))
            fail_msg("%s: %s", names[i].debug_file, out);
    }
    char tiny[8];
    assert_false(symkey_file_name(STR("abcd"), tiny, sizeof tiny, ERR_IGNORED));
    assert_true(symkey_file_name(STR("abc"), tiny, sizeof tiny, ERR_IGNORED));
}

static void test_header(void **state)
{
    (void)state;
    struct symheader h;
    struct err err = {0};
    assert_true(
        symheader_read(STR("MODULE windows x86 ABC1 my prog.pdb\r\nINFO CODE_ID 12ab a b.exe\r\n"
                           "INFO GENERATOR mozilla/dump_syms 2.3.3\r\nINFO VERSION 1\nFILE 0 x\n"
                           "INFO CODE_ID no\n"),
                       &h, &err));
    assert_true(str_eq(h.debug_file, STR("my prog.pdb")));
    assert_true(str_eq(h.code_id, STR("12ab")));
    assert_true(str_eq(h.code_file, STR("a b.exe")));
    assert_true(str_eq(h.generator, STR("mozilla/dump_syms 2.3.3")));
    assert_false(symheader_read(STR("INFO CODE_ID 12\n"), &h, &err));
    assert_false(symheader_read(STR(""), &h, &err));
}

static struct symkey key_of(const char *text)
{
    struct symkey k;
    assert_true(symkey_parse(str_of(text), &k, ERR_IGNORED));
    return k;
}

/* The function at 0x1000 of prog, "" when there are no symbols, "!" when they are corrupt. */
static void function_of(struct symfind *f, char out[64])
{
    struct symfind_key key = {.debug_file = STR("prog"), .debug_id = STR(ID)};
    struct symfind_result r;
    symfind_get(f, &key, &r);
    snprintf(out, 64, "%s", r.state == SYMFIND_CORRUPT ? "!" : "");
    if (r.state != SYMFIND_LOADED) {
        assert_int_equal(r.fd, -1);
        return;
    }
    struct csym c;
    struct csym_hit hit;
    assert_true(csym_open_fd(r.fd, &c, ERR_IGNORED));
    assert_true(csym_lookup(&c, 0x1000, &hit));
    snprintf(out, 64, STR_FMT, STR_ARG(hit.function));
    csym_close(&c);
    close(r.fd);
}

/* A file with these bytes, open. */
static int file_of(struct str bytes)
{
    int fd = memfd_create("text", MFD_CLOEXEC);
    assert_true(fd >= 0 && fs_write_all(fd, bytes.p, bytes.n, "text", ERR_IGNORED));
    return fd;
}

static bool try_put(const struct symstore *s, enum symstore_area area, const struct symkey *k,
                    struct str bytes, struct symstore_new *ret, struct err *err)
{
    struct symreader *r = NULL;
    struct symreader_text text;
    FD_AUTO fd = file_of(bytes);
    bool ok = fs_mkdirs(s->dir, 0755, err) &&
              (!s->cache_dir || fs_mkdirs(s->cache_dir, 0755, err)) &&
              symreader_start(fd, s->dir, &r, err) && symreader_load(r, NULL, &text, err) &&
              symstore_prepare(s, area, k, r, &text, ret, err) && symstore_commit(s, ret, 1, err);
    symreader_stop(r);
    return ok;
}

static void put_as(const struct symstore *s, enum symstore_area area, const char *key,
                   struct str bytes, struct symstore_new *ret)
{
    struct symkey k = key_of(key);
    struct err err = {0};
    if (!try_put(s, area, &k, bytes, ret, &err))
        fail_msg("%s: %s", key, err.msg);
}

static void put(const struct symstore *s, const char *text, enum symstore_change want)
{
    struct symstore_new done;
    put_as(s, SYMSTORE_REGULAR, "prog/" ID "/prog.sym", str_of(text), &done);
    assert_int_equal(done.change, want);
    assert_true(done.is_compressed);
}

/* Missing, then uploaded, then replaced: every look-up gives what is there now. */
static void test_upload_is_seen_at_once(void **state)
{
    struct place *p = *state;
    struct symfind *f;
    char got[64];
    struct err err = {0};
    struct symfind_options opt = {
        .cache_dir = p->cache, .cache_max_bytes = 1 << 20, .store_dir = p->store};
    assert_true(symfind_new(&opt, &f, &err));
    function_of(f, got);
    assert_string_equal(got, "");

    const struct symstore with_cache = {.dir = p->store, .cache_dir = p->cache};
    const struct symstore without = {.dir = p->store};
    put(&with_cache, TEXT "one\n", SYMSTORE_ADDED);
    function_of(f, got);
    assert_string_equal(got, "one");
    put(&with_cache, TEXT "one\n", SYMSTORE_SAME);
    put(&with_cache, TEXT "two\n", SYMSTORE_UPDATED);
    function_of(f, got);
    assert_string_equal(got, "two");
    put(&without, TEXT "three\n", SYMSTORE_UPDATED);
    function_of(f, got);
    assert_string_equal(got, "three");
    put(&without, "no symbols\n", SYMSTORE_UPDATED);
    function_of(f, got);
    assert_string_equal(got, "!");
    function_of(f, got); /* remembered */
    assert_string_equal(got, "!");
    put(&with_cache, TEXT "four\n", SYMSTORE_UPDATED);
    function_of(f, got);
    assert_string_equal(got, "four");
    symfind_free(f);
}

static void test_found_file_is_gzip(void **state)
{
    struct place *p = *state;
    const struct symstore s = {.dir = p->store};
    struct symstore_found found;
    struct symkey k = key_of("prog/" ID "/prog.sym"), other = key_of("a.dll/ABC/a.dl_");
    assert_false(symstore_find(&s, SYMSTORE_REGULAR, &k, &found, ERR_IGNORED));
    put(&s, TEXT "one\n", SYMSTORE_ADDED);
    assert_true(symstore_find(&s, SYMSTORE_REGULAR, &k, &found, ERR_IGNORED));
    assert_true(found.is_compressed);
    assert_false(symstore_find(&s, SYMSTORE_TRY, &k, &found, ERR_IGNORED));
    char *bytes;
    size_t n;
    assert_true(symstore_find(&s, SYMSTORE_REGULAR, &k, &found, ERR_IGNORED));
    assert_true(fs_read(found.path, 1 << 20, &bytes, &n, ERR_IGNORED));
    assert_memory_equal(bytes, "\x1f\x8b", 2);
    free(bytes);

    struct symstore_new done;
    put_as(&s, SYMSTORE_TRY, "a.dll/ABC/a.dl_", STR("MSCF"), &done);
    assert_false(done.is_compressed);
    assert_int_equal(done.stored_size, 4);
    assert_true(symstore_find(&s, SYMSTORE_TRY, &other, &found, ERR_IGNORED));
}

/* A plain directory, ids with a lower-case age, text as it is. */
static void test_plain_directory(void **state)
{
    struct place *p = *state;
    char path[PATH_MAX];
    const char *text =
        "MODULE Linux x86_64 0123456789ABCDEF0123456789ABCDEFa prog\nFUNC 1000 10 0 plain\n";
    snprintf(path, sizeof path, "%s/plain/prog/0123456789ABCDEF0123456789ABCDEFa/prog.sym", p->dir);
    assert_true(fs_write_atomic(path, text, strlen(text), 0644, ERR_IGNORED));
    snprintf(path, sizeof path, "%s/plain", p->dir);
    const char *dirs[] = {path, NULL};
    struct symfind_options opt = {.cache_dir = p->cache, .sym_dirs = dirs};
    struct symfind *f;
    assert_true(symfind_new(&opt, &f, ERR_IGNORED));
    struct symfind_key key = {.debug_file = STR("C:\\x\\prog"),
                              .debug_id = STR("0123456789ABCDEF0123456789ABCDEFa")};
    struct symfind_result r;
    symfind_get(f, &key, &r);
    assert_int_equal(r.state, SYMFIND_LOADED);
    close(r.fd);
    static const char *const hostile[] = {"../prog", "..", "", "pr\nog", "/etc/"};
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        key.debug_file = i == 0 ? str_n("\0", 1) : str_of(hostile[i]);
        symfind_get(f, &key, &r);
        assert_int_equal(r.state, SYMFIND_MISSING);
    }
    key = (struct symfind_key){.debug_file = STR("prog"), .debug_id = STR("../../x")};
    symfind_get(f, &key, &r);
    assert_int_equal(r.state, SYMFIND_MISSING);
    symfind_free(f);
}

static void test_damaged_cache_is_made_again(void **state)
{
    struct place *p = *state;
    const struct symstore s = {.dir = p->store, .cache_dir = p->cache};
    struct symfind_options opt = {.cache_dir = p->cache, .store_dir = p->store};
    struct symfind *f;
    char path[PATH_MAX], got[64];
    assert_true(symfind_new(&opt, &f, ERR_IGNORED));
    put(&s, TEXT "one\n", SYMSTORE_ADDED);
    snprintf(path, sizeof path, "%s/prog/" ID ".csym", p->cache);
    assert_int_equal(truncate(path, 700), 0);
    function_of(f, got);
    assert_string_equal(got, "one");
    symfind_free(f);
}

/* A name of the few parts of which names that could be confused are made. */
static void random_key(char out[SYMKEY_MAX + 1])
{
    static const char *const stems[] = {"libk.so", "LIBK.so",     "libk.so.", "libk.so.sym",
                                        "libk",    "libk.pdb",    "libk.PDB", "a_b",
                                        "a+b",     "a_b-0123abcd"};
    static const char *const ends[] = {"",        ".sym",        ".SYM",        ".sym.gz",
                                       ".SYM.gz", ".sym.gz.gz",  ".sym.GZ",     ".gz",
                                       ".csym",   ".sym.tmp.00", ".sym.gz.sym", ".bad"};
    static const char *const ids[] = {"F0", "f0", "0F0", "F00", "0"};
    const uint64_t r = random_u64();
    snprintf(out, SYMKEY_MAX + 1, "%s%s/%s/%s%s", stems[r % ARRAY_LEN(stems)],
             (r >> 8) % 4 ? "" : ends[(r >> 12) % ARRAY_LEN(ends)], ids[(r >> 20) % ARRAY_LEN(ids)],
             stems[(r >> 28) % ARRAY_LEN(stems)], ends[(r >> 36) % ARRAY_LEN(ends)]);
}

struct path_of_key {
    char key[SYMKEY_MAX + 1], path[PATH_MAX];
};

static int by_path(const void *a, const void *b)
{
    const struct path_of_key *x = a, *y = b;
    int c = strcmp(x->path, y->path);
    return c ? c : strcmp(x->key, y->key);
}

/* Where symstore_find looks for a key, whether or not it is there. */
static void path_of(const struct symstore *s, enum symstore_area area, const struct symkey *k,
                    char out[PATH_MAX])
{
    struct symstore_found f;
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s/%s/%s/%s", s->dir, area == SYMSTORE_TRY ? "try/v1" : "v1",
             k->debug_file, k->debug_id);
    assert_true(fs_mkdirs(dir, 0755, ERR_IGNORED));
    snprintf(out, PATH_MAX, "%s/%s", dir, k->file);
    for (int gz = 0; gz < 2; gz++) {
        assert_true(fs_write_atomic(out, "x", 1, 0644, ERR_IGNORED));
        bool found = symstore_find(s, area, k, &f, ERR_IGNORED);
        assert_int_equal(unlink(out), 0);
        if (found)
            return;
        snprintf(out, PATH_MAX, "%s/%s.gz", dir, k->file);
    }
    fail_msg("%s is nowhere", k->file);
}

/* Two names, two objects: libk.so.sym.gz was once stored where libk.so.sym lies. */
static void test_different_keys_have_different_paths(void **state)
{
    enum { KEYS = 1200 };
    struct place *p = *state;
    const struct symstore s = {.dir = p->store};
    FREE_LATER struct path_of_key *all = xcalloc(KEYS, sizeof *all);
    for (size_t i = 0; i < KEYS; i++) {
        char text[SYMKEY_MAX + 1];
        random_key(text);
        struct symkey k = key_of(text);
        enum symstore_area area = i % 3 ? SYMSTORE_REGULAR : SYMSTORE_TRY;
        symkey_text(&k, text);
        snprintf(all[i].key, sizeof all[i].key, "%.250s %d", text, (int)area);
        path_of(&s, area, &k, all[i].path);
    }
    qsort(all, KEYS, sizeof *all, by_path);
    for (size_t i = 1; i < KEYS; i++)
        if (strcmp(all[i - 1].path, all[i].path) == 0 && strcmp(all[i - 1].key, all[i].key) != 0)
            fail_msg("%s and %s are one file", all[i - 1].key, all[i].key);
}

/* What is put under many confusable names is there afterwards, each as it was put. */
static void test_stored_files_never_replace_one_another(void **state)
{
    static const char *const confusable[] = {
        "libk.so/F0/libk.so.sym",   "libk.so/F0/libk.so.sym.gz", "libk.so/F0/libk.so.sym.gz.gz",
        "libk.so/F0/libk.so.SYM",   "libk.so/F0/libk.so.SYM.gz", "libk.so/F0/libk.so",
        "libk.so/F0/libk.so.gz",    "LIBK.so/F0/libk.so.sym",    "libk.so/0F0/libk.so.sym",
        "libk.so./F0/libk.so..sym", "libk.so/F0/libk.sym",       "libk.pdb/F0/libk.sym",
        "libk.PDB/F0/libk.sym",     "libk/F0/libk.sym",          "libk.so/F0/LIBK.so.sym",
    };
    struct place *p = *state;
    const struct symstore s = {.dir = p->store, .cache_dir = p->cache};
    struct symstore_new done;
    char text[200];
    for (int area = 0; area < 2; area++)
        for (size_t i = 0; i < ARRAY_LEN(confusable); i++) {
            snprintf(text, sizeof text, TEXT "number%zu in %d\n", i, area);
            put_as(&s, (enum symstore_area)area, confusable[i], str_of(text), &done);
            if (done.change != SYMSTORE_ADDED)
                fail_msg("%s replaced something", confusable[i]);
        }
    for (int area = 0; area < 2; area++)
        for (size_t i = 0; i < ARRAY_LEN(confusable); i++) {
            snprintf(text, sizeof text, TEXT "number%zu in %d\n", i, area);
            put_as(&s, (enum symstore_area)area, confusable[i], str_of(text), &done);
            if (done.change != SYMSTORE_SAME)
                fail_msg("%s was replaced", confusable[i]);
        }
}

/* A text beside the symbols of a module must not push their .csym out of the cache. */
static void test_only_symbols_of_the_module_are_compiled(void **state)
{
    struct place *p = *state;
    const struct symstore s = {.dir = p->store, .cache_dir = p->cache};
    struct symstore_new done;
    char path[PATH_MAX];
    put_as(&s, SYMSTORE_REGULAR, "prog/" ID "/other.sym", STR(TEXT "other\n"), &done);
    snprintf(path, sizeof path, "%s/prog/" ID ".csym", p->cache);
    assert_false(fs_exists(path));
    put(&s, TEXT "one\n", SYMSTORE_ADDED);
    assert_true(fs_exists(path));
}

static void expect_function(struct symfind *f, struct str debug_file, const char *want)
{
    struct symfind_key key = {.debug_file = debug_file, .debug_id = STR(ID)};
    struct symfind_result r;
    symfind_get(f, &key, &r);
    if (r.state != SYMFIND_LOADED)
        fail_msg(STR_FMT ": %d", STR_ARG(debug_file), (int)r.state);
    struct csym c;
    struct csym_hit hit;
    assert_true(csym_open_fd(r.fd, &c, ERR_IGNORED));
    assert_true(csym_lookup(&c, 0x1000, &hit));
    assert_true(str_eq(hit.function, str_of(want)));
    csym_close(&c);
    close(r.fd);
}

/* libfoo.so.1.2.3 on disk, libfoo.so.1 as it calls itself: one debug id, either name. */
static void test_symbols_are_found_by_debug_id(void **state)
{
    struct place *p = *state;
    const struct symstore s = {.dir = p->store, .cache_dir = p->cache};
    struct symstore_new done;
    struct symfind_options opt = {.cache_dir = p->cache, .store_dir = p->store};
    struct symfind *f;
    assert_true(symfind_new(&opt, &f, ERR_IGNORED));
    put_as(&s, SYMSTORE_TRY, "libt.so.1/" ID "/libt.so.1.sym", STR(TEXT "tried\n"), &done);
    expect_function(f, STR("libfoo.so.1.2.3"), "tried");
    put_as(&s, SYMSTORE_REGULAR, "libfoo.so.1/" ID "/libfoo.so.1.sym", STR(TEXT "one\n"), &done);
    expect_function(f, STR("libfoo.so.1.2.3"), "one");
    expect_function(f, STR("libfoo.so.1"), "one");
    expect_function(f, STR("libt.so.1"), "tried"); /* its own name comes first */
    struct symfind_key other = {.debug_file = STR("libfoo.so.1"),
                                .debug_id = STR("1123456789ABCDEF0123456789ABCDEF0")};
    struct symfind_result r;
    symfind_get(f, &other, &r);
    assert_int_equal(r.state, SYMFIND_MISSING);
    symfind_free(f);
}

/* What one source answered, with all others before it. */
static void test_every_source_says_what_it_has(void **state)
{
    struct place *p = *state;
    const struct symstore s = {.dir = p->store, .cache_dir = p->cache};
    struct symstore_new done;
    char tree[PATH_MAX], path[PATH_MAX];
    snprintf(tree, sizeof tree, "%s/tree", p->dir);
    snprintf(path, sizeof path, "%s/prog/" ID "/prog.sym", tree);
    const char *dirs[] = {tree, NULL};
    struct symfind_options opt = {.cache_dir = p->cache, .store_dir = p->store, .sym_dirs = dirs};
    struct symfind *f;
    const char *other = "MODULE Linux x86_64 1123456789ABCDEF0123456789ABCDEF0 prog\n"
                        "FUNC 1000 10 0 other\n";
    static const struct {
        const char *regular, *tried, *tree;
        enum symfind_state state;
        size_t asked;
        enum symfind_answer answers[3];
    } cases[] = {
        {NULL,
         NULL,
         NULL,
         SYMFIND_MISSING,
         3,
         {SYMFIND_ANSWER_NOT_FOUND, SYMFIND_ANSWER_NOT_FOUND, SYMFIND_ANSWER_NOT_FOUND}},
        {"other",
         NULL,
         NULL,
         SYMFIND_CORRUPT,
         3,
         {SYMFIND_ANSWER_WRONG_ID, SYMFIND_ANSWER_NOT_FOUND, SYMFIND_ANSWER_NOT_FOUND}},
        {"other",
         "garbage\n",
         NULL,
         SYMFIND_CORRUPT,
         3,
         {SYMFIND_ANSWER_WRONG_ID, SYMFIND_ANSWER_MALFORMED, SYMFIND_ANSWER_NOT_FOUND}},
        {"other",
         "garbage\n",
         TEXT "good\n",
         SYMFIND_LOADED,
         3,
         {SYMFIND_ANSWER_WRONG_ID, SYMFIND_ANSWER_MALFORMED, SYMFIND_ANSWER_FOUND}},
        {"other",
         TEXT "good\n",
         TEXT "good\n",
         SYMFIND_LOADED,
         2,
         {SYMFIND_ANSWER_WRONG_ID, SYMFIND_ANSWER_FOUND}},
        {TEXT "good\n", TEXT "good\n", TEXT "good\n", SYMFIND_LOADED, 1, {SYMFIND_ANSWER_FOUND}},
    };
    const char *const sources[] = {"own store", "try", tree};
    assert_true(symfind_new(&opt, &f, ERR_IGNORED));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct symfind_key key = {.debug_file = STR("prog"), .debug_id = STR(ID)};
        struct symfind_result r;
        const char *regular = cases[i].regular;
        if (regular)
            put_as(&s, SYMSTORE_REGULAR, "prog/" ID "/prog.sym",
                   str_of(strcmp(regular, "other") == 0 ? other : regular), &done);
        if (cases[i].tried)
            put_as(&s, SYMSTORE_TRY, "prog/" ID "/prog.sym", str_of(cases[i].tried), &done);
        if (cases[i].tree)
            assert_true(
                fs_write_atomic(path, cases[i].tree, strlen(cases[i].tree), 0644, ERR_IGNORED));
        symfind_get(f, &key, &r);
        assert_int_equal(r.state, cases[i].state);
        assert_int_equal(r.asked_count, cases[i].asked);
        for (size_t a = 0; a < cases[i].asked; a++) {
            assert_string_equal(r.asked[a].source, sources[a]);
            if (r.asked[a].answer != cases[i].answers[a])
                fail_msg("case %zu, %s: %s", i, r.asked[a].source,
                         symfind_answer_text(r.asked[a].answer));
        }
        util_close_fd(&r.fd);
    }
    symfind_free(f);
}

/* A server that takes a connection and never says a word. */
static int silent_server(char url[64])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    snprintf(url, 64, "http://127.0.0.1:%d", ntohs(at.sin_port));
    return fd;
}

/* Who asks waits as long as it likes; what was begun goes on, and ends with who began it. */
static void test_wait_ends_at_the_deadline(void **state)
{
    struct place *p = *state;
    const struct symstore without_cache = {.dir = p->store};
    struct symfind *f;
    struct symfind_result r;
    char url[64];
    FD_AUTO server = silent_server(url);
    const char *urls[] = {url, NULL};
    struct symfind_options opt = {.cache_dir = p->cache,
                                  .store_dir = p->store,
                                  .upstream = {.urls = urls, .may_reach_reserved = true}};
    struct symfind_key key = {.debug_file = STR("prog"), .debug_id = STR(ID)};
    assert_true(symfind_new(&opt, &f, ERR_IGNORED));
    for (int i = 0; i < 2; i++) { /* the second finds the process of the first */
        int64_t start_ms = mono_ms();
        symfind_get_until(f, &key, start_ms + 100, &r);
        assert_true(mono_ms() - start_ms < 3000);
        assert_int_equal(r.state, SYMFIND_PENDING);
        assert_int_equal(r.asked_count, 3);
        assert_string_equal(r.asked[2].source, url);
        assert_int_equal(r.asked[2].answer, SYMFIND_ANSWER_PENDING);
    }
    /* Symbols that are uploaded meanwhile count at once; they are compiled beside us, too. */
    put(&without_cache, TEXT "uploaded\n", SYMSTORE_ADDED);
    symfind_get_until(f, &key, 0, &r);
    assert_int_equal(r.state, SYMFIND_PENDING);
    symfind_get_until(f, &key, mono_ms() + 20000, &r);
    assert_int_equal(r.state, SYMFIND_LOADED);
    util_close_fd(&r.fd);
    symfind_free(f);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

/* Symbols that were stored before there was an index. */
static void test_older_store_is_indexed_once(void **state)
{
    struct place *p = *state;
    const struct symstore s = {.dir = p->store, .cache_dir = p->cache};
    struct symstore_new done;
    struct err err = {0};
    char ids[PATH_MAX];
    struct symkey wanted = key_of("libfoo.so.1.2.3/" ID "/libfoo.so.1.2.3.sym"), got;
    put_as(&s, SYMSTORE_REGULAR, "libfoo.so.1/" ID "/libfoo.so.1.sym", STR(TEXT "one\n"), &done);
    snprintf(ids, sizeof ids, "%s/ids", p->store);
    assert_true(fs_remove_tree(ids, ERR_IGNORED));
    assert_false(symindex_find(p->store, false, &wanted, &got));
    assert_true(symstore_ensure_index(&s, &err));
    assert_true(symindex_find(p->store, false, &wanted, &got));
    assert_string_equal(got.debug_file, "libfoo.so.1");
    assert_true(symstore_ensure_index(&s, &err));
}

/* A tree under another name, and single files, plain and packed. */
static void test_files_and_trees_of_a_user(void **state)
{
    struct place *p = *state;
    struct str text = STR(TEXT "given\n");
    char tree[PATH_MAX], path[PATH_MAX], plain[PATH_MAX], gz[PATH_MAX], zst[PATH_MAX];
    snprintf(tree, sizeof tree, "%s/tree", p->dir);
    snprintf(path, sizeof path, "%s/libfoo.so.1/" ID "/libfoo.so.1.sym", tree);
    snprintf(plain, sizeof plain, "%s/any name.sym", p->dir);
    snprintf(gz, sizeof gz, "%s/x.sym.gz", p->dir);
    snprintf(zst, sizeof zst, "%s/x.sym.zst", p->dir);
    assert_true(fs_write_atomic(path, text.p, text.n, 0644, ERR_IGNORED));
    assert_true(fs_write_atomic(plain, text.p, text.n, 0644, ERR_IGNORED));
    FD_AUTO fd = open(gz, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0 && symbytes_gzip(text, fd, gz, ERR_IGNORED));
    char packed[1024];
    size_t n = ZSTD_compress(packed, sizeof packed, text.p, text.n, 3);
    assert_false(ZSTD_isError(n));
    assert_true(fs_write_atomic(zst, packed, n, 0644, ERR_IGNORED));
    const char *const given[] = {tree, plain, gz, zst};
    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        const char *dirs[] = {given[i], NULL};
        struct symfind_options opt = {.cache_dir = p->cache, .sym_dirs = dirs};
        struct symfind *f;
        assert_true(symfind_new(&opt, &f, ERR_IGNORED));
        expect_function(f, STR("libfoo.so.1.2.3"), "given");
        symfind_free(f);
    }
}

/* A text in a process that may not open files, and a reader that is stopped in the middle. */
static void test_reader_that_dies_is_an_error(void **state)
{
    struct place *p = *state;
    struct symreader *r = NULL;
    struct symreader_text text;
    struct err err = {0};
    FD_AUTO fd = file_of(STR(TEXT "one\n"));
    assert_true(symreader_start(fd, p->dir, &r, &err));
    assert_true(symreader_load(r, NULL, &text, &err));
    assert_string_equal(text.code_id, "ABCD");
    assert_string_equal(text.debug_file, "prog");
    FD_AUTO read_only = open("/dev/null", O_RDONLY | O_CLOEXEC);
    uint64_t n;
    assert_true(symreader_ask_write(r, read_only, true, &err));
    assert_false(symreader_take_write(r, &n, &err)); /* EBADF */
    assert_int_equal(err.code, ERR_IO);
    assert_true(symreader_load(r, NULL, &text, &err)); /* goes on */
    kill(symreader_pid(r), SIGKILL);
    assert_false(symreader_load(r, NULL, &text, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_false(symreader_load(r, NULL, &text, &err));
    symreader_stop(r);
}

static void test_damaged_gzip_is_refused(void **state)
{
    struct place *p = *state;
    struct symreader *r = NULL;
    struct symreader_text text;
    struct err err = {0};
    FD_AUTO fd = file_of(str_n("\x1f\x8b\x08\0\0\0\0\0\0\3garbage garbage", 25));
    assert_true(symreader_start(fd, p->dir, &r, &err));
    assert_false(symreader_load(r, NULL, &text, &err));
    assert_int_equal(err.code, ERR_INVALID);
    symreader_stop(r);
}

static void test_eviction(void **state)
{
    struct place *p = *state;
    char path[PATH_MAX];
    static const char zeros[8192];
    for (int i = 0; i < 10; i++) { /* file 0 is the oldest */
        snprintf(path, sizeof path, "%s/f%d/AB.csym", p->cache, i);
        assert_true(fs_write_atomic(path, zeros, sizeof zeros, 0644, ERR_IGNORED));
        const struct timespec t[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
        assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
    }
    int64_t left = 0;
    assert_true(symcache_evict(p->cache, NULL, 10 * 8192, &left, ERR_IGNORED));
    assert_int_equal(left, 10 * 8192);
    assert_true(symcache_evict(p->cache, NULL, 5 * 8192, &left, ERR_IGNORED));
    assert_true(left <= 5 * 8192);
    assert_int_equal(symcache_take_evicted(p->cache), 10 - left / 8192);
    assert_int_equal(symcache_take_evicted(p->cache), 0);
    snprintf(path, sizeof path, "%s/f0/AB.csym", p->cache);
    assert_false(fs_exists(path));
    snprintf(path, sizeof path, "%s/f9/AB.csym", p->cache);
    assert_true(fs_exists(path));
}

/* Of the modules f0 to f9 the last is the youngest; it and f8 are of experimental builds, f8 also
 * of a regular one. */
static void test_experimental_builds_are_evicted_first(void **state)
{
    static const char zeros[8192];
    static const struct {
        const char *folder, *file;
    } stored[] = {
        {"try/v1/f9/AB", "f9.sym.gz"}, {"try/v1/f8/AB", "f8.sym.gz"}, {"v1/f8/AB", "f8.sym.gz"}};
    struct place *p = *state;
    char path[PATH_MAX], store[PATH_MAX];
    snprintf(store, sizeof store, "%s/store", p->dir);
    for (size_t i = 0; i < ARRAY_LEN(stored); i++) {
        snprintf(path, sizeof path, "%s/%s/%s", store, stored[i].folder, stored[i].file);
        assert_true(fs_write_atomic(path, "x", 1, 0644, ERR_IGNORED));
    }
    for (int i = 0; i < 10; i++) {
        snprintf(path, sizeof path, "%s/f%d/AB.csym", p->cache, i);
        assert_true(fs_write_atomic(path, zeros, sizeof zeros, 0644, ERR_IGNORED));
        const struct timespec t[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
        assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
    }
    int64_t left;
    /* Room is made for a while: for two. */
    assert_true(symcache_evict(p->cache, store, 10 * 8192 - 1, &left, ERR_IGNORED));
    for (int i = 0; i < 10; i++) {
        snprintf(path, sizeof path, "%s/f%d/AB.csym", p->cache, i);
        assert_int_equal(fs_exists(path), i != 9 && i != 0);
    }
}

static void test_puts_are_counted_until_taken(void **state)
{
    struct place *p = *state;
    int64_t n, us;
    symcache_note_puts(p->cache, 2, 300);
    symcache_note_puts(p->cache, 1, 50);
    assert_true(symcache_count(p->cache, 8192, ERR_IGNORED));
    symcache_take_puts(p->cache, &n, &us);
    assert_int_equal(n, 3);
    assert_int_equal(us, 350);
    symcache_take_puts(p->cache, &n, &us);
    assert_int_equal(n, 0);
    assert_int_equal(symcache_bytes(p->cache), 8192);
}

/* What an earlier version could not compile is tried again. */
static void test_bad_is_the_word_of_one_version(void **state)
{
    struct place *p = *state;
    struct symkey k;
    char temp[PATH_MAX], path[PATH_MAX];
    const uint64_t stamp = 0x1234567890ABCDEF;
    FD_AUTO fd = -1;
    int hit = -1;
    assert_true(fs_mkdirs(p->cache, 0755, ERR_IGNORED));
    assert_true(symkey_parse(STR("b.so/AB12/b.so.sym"), &k, ERR_IGNORED));
    assert_true(symcache_temp(p->cache, temp, &fd, ERR_IGNORED));
    assert_true(symcache_mark_bad(fd, stamp, ERR_IGNORED));
    assert_true(symcache_publish(p->cache, &k, temp, true, ERR_IGNORED));
    assert_int_equal(symcache_get(p->cache, &k, stamp, &hit), SYMCACHE_BAD);
    assert_int_equal(symcache_get(p->cache, &k, stamp + 1, &hit), SYMCACHE_MISS);
    snprintf(path, sizeof path, "%s/b.so/AB12.bad", p->cache);
    assert_true(fs_write_atomic(path, &stamp, sizeof stamp, 0644, ERR_IGNORED));
    assert_int_equal(symcache_get(p->cache, &k, stamp, &hit), SYMCACHE_MISS);
}

static void write_cached(const struct place *p, int i)
{
    char path[PATH_MAX];
    static const char zeros[8192];
    snprintf(path, sizeof path, "%s/f%d/AB.csym", p->cache, i);
    assert_true(fs_write_atomic(path, zeros, sizeof zeros, 0644, ERR_IGNORED));
}

static int count_cached(const struct place *p)
{
    char path[PATH_MAX];
    int n = 0;
    for (int i = 0; i < 20; i++) {
        snprintf(path, sizeof path, "%s/f%d/AB.csym", p->cache, i);
        n += fs_exists(path);
    }
    return n;
}

/* The files are looked at when the count is missing, damaged, a day old, or beyond the limit. */
static void test_cache_is_counted(void **state)
{
    struct place *p = *state;
    enum { FILES = 10, LIMIT = FILES * 8192 };
    char path[PATH_MAX];
    struct err err = {0};
    snprintf(path, sizeof path, "%s/.lock/bytes", p->cache);
    for (int i = 0; i < FILES + 2; i++)
        write_cached(p, i);
    assert_true(symcache_keep_below(p->cache, NULL, LIMIT, &err)); /* was never walked */
    assert_true(count_cached(p) < FILES);
    int left = count_cached(p);

    for (int i = 0; i < FILES + 2; i++)
        write_cached(p, i);
    assert_true(symcache_keep_below(p->cache, NULL, LIMIT, &err)); /* nobody counted those */
    assert_int_equal(count_cached(p), FILES + 2);
    assert_true(symcache_count(p->cache, (FILES - left) * 8192, &err));
    assert_true(symcache_keep_below(p->cache, NULL, LIMIT, &err));
    assert_int_equal(count_cached(p), FILES + 2);
    assert_true(symcache_count(p->cache, symcache_disk_bytes(1), &err));
    assert_true(symcache_keep_below(p->cache, NULL, LIMIT, &err));
    assert_int_equal(count_cached(p), left);

    const int64_t a_day_ago[] = {0, now_s() - 86401}, tomorrow[] = {0, now_s() + 86400};
    const struct str tallies[] = {STR(""), STR("half"), str_n((const char *)a_day_ago, 16),
                                  str_n((const char *)tomorrow, 16)};
    for (size_t i = 0; i < ARRAY_LEN(tallies); i++) {
        for (int f = 0; f < FILES + 2; f++)
            write_cached(p, f);
        assert_true(fs_write_atomic(path, tallies[i].p, tallies[i].n, 0644, &err));
        assert_true(symcache_keep_below(p->cache, NULL, LIMIT, &err));
        assert_int_equal(count_cached(p), left);
    }
}

/* An entry that a killed process left without its name is replaced by the next one. */
static void test_empty_entry_of_an_id_is_replaced(void **state)
{
    struct place *p = *state;
    char path[PATH_MAX];
    const struct symstore s = {.dir = p->store};
    struct symkey k = key_of("prog/" ID "/prog.sym"), other = key_of("other/" ID "/other.sym"),
                  found;
    snprintf(path, sizeof path, "%s/ids/v1/%.2s/" ID, p->store, ID);
    assert_true(fs_write_atomic(path, "", 0, 0644, ERR_IGNORED));
    assert_false(symindex_find(p->store, false, &other, &found));
    put(&s, TEXT "one\n", SYMSTORE_ADDED);
    assert_true(symindex_find(p->store, false, &other, &found));
    assert_string_equal(found.debug_file, k.debug_file);
}

static void count_report(void *arg, const char *name, const struct symstore_new *done,
                         const char *problem)
{
    int *counts = arg;
    (void)name;
    counts[problem ? 3 : (int)done->change]++;
}

static bool count_visit(void *arg, const struct symkey *key, const struct symstore_found *file)
{
    int *n = arg;
    (*n)++;
    assert_true(fs_exists(file->path));
    assert_true(key->debug_id[0]);
    return true;
}

static void test_add_tree(void **state)
{
    struct place *p = *state;
    char path[PATH_MAX], tree[PATH_MAX];
    snprintf(tree, sizeof tree, "%s/in", p->dir);
    snprintf(path, sizeof path, "%s/deep/er/x.sym", tree);
    assert_true(fs_write_atomic(path, TEXT "one\n", strlen(TEXT "one\n"), 0644, ERR_IGNORED));
    snprintf(path, sizeof path, "%s/bad.sym", tree);
    assert_true(fs_write_atomic(path, "bad", 3, 0644, ERR_IGNORED));
    snprintf(path, sizeof path, "%s/readme.txt", tree);
    assert_true(fs_write_atomic(path, "x", 1, 0644, ERR_IGNORED));

    const struct symstore s = {.dir = p->store, .cache_dir = p->cache};
    int counts[4] = {0}, listed = 0;
    const struct symadd add = {
        .store = &s, .temp_dir = p->dir, .report = count_report, .arg = counts};
    struct err err = {0};
    assert_true(symadd_path(&add, tree, &err));
    assert_int_equal(counts[SYMSTORE_ADDED], 1);
    assert_int_equal(counts[3], 1);
    assert_true(symadd_path(&add, tree, &err));
    assert_int_equal(counts[SYMSTORE_SAME], 1);
    assert_true(symstore_list(&s, SYMSTORE_REGULAR, count_visit, &listed, &err));
    assert_int_equal(listed, 1);
    assert_false(symadd_path(&add, "/nonexistent", &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

struct entry {
    const char *name, *text;
};

static void make_zip(const char *path, const struct entry *entries, size_t n)
{
    unlink(path);
    zip_t *z = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    assert_non_null(z);
    for (size_t i = 0; i < n; i++) {
        zip_source_t *src = zip_source_buffer(z, entries[i].text, strlen(entries[i].text), 0);
        assert_true(zip_file_add(z, entries[i].name, src, ZIP_FL_ENC_UTF_8) >= 0);
    }
    assert_int_equal(zip_close(z), 0);
}

/* The archive at path, in a heap block of just its size that the caller frees. */
static bool open_archive(const char *path, const struct symzip_limits *limits, char **ret_bytes,
                         struct symzip *ret, struct err *err)
{
    char *all;
    size_t n;
    assert_true(fs_read(path, 64 << 20, &all, &n, ERR_IGNORED));
    *ret_bytes = xmalloc(n + 1);
    memcpy(*ret_bytes, all, n);
    free(all);
    return symzip_open(str_n(*ret_bytes, n), limits, ret, err);
}

static bool append_piece(void *arg, const void *p, size_t n, struct err *err)
{
    (void)err;
    sb_put(arg, p, n);
    return true;
}

static void expect_text(const struct symzip *z, struct symzip_member *m, const char *want)
{
    STRBUF_AUTO got;
    struct err err = {0};
    sb_init(&got, 1 << 20);
    if (!symzip_read(z, m, append_piece, &got, &err))
        fail_msg("%s", err.msg);
    assert_string_equal(sb_cstr(&got), want);
}

static const struct {
    const char *label;
    struct entry entries[3];
    const char *want; /* words of the refusal, or NULL */
} zips[] = {
    {"one", {{"prog/" ID "/prog.sym", TEXT "one\n"}}, NULL},
    {"ignored names",
     {{"prog/" ID "/prog.sym", TEXT "one\n"}, {"firefox-symbols.txt", "x"}, {"a/.DS_Store", "x"}},
     NULL},
    {"snippet",
     {{"a/qcom/proprietary/x", "x"}},
     "Content of archive file contains the snippet 'qcom/proprietary' which is not allowed"},
    {"unknown pattern",
     {{"prog/" ID "/prog.sym", "x"}, {"readme.md", "x"}},
     "Unrecognized file pattern. Should only be <module>/<hex>/<file> or <name>-symbols.txt and "
     "nothing else. "
     "(First unrecognized pattern was 'readme.md')"},
    {"dots", {{"../../etc/passwd", "x"}}, "Unrecognized file pattern."},
    {"id no hex", {{"a/xyz/b", "x"}}, "Unrecognized file pattern."},
};

static void test_zip_names(void **state)
{
    struct place *p = *state;
    for (size_t i = 0; i < ARRAY_LEN(zips); i++) {
        size_t n = 0;
        while (n < 3 && zips[i].entries[n].name)
            n++;
        make_zip(p->zip, zips[i].entries, n);
        struct symzip z;
        struct err err = {0};
        const struct symzip_limits limits = {.snippets = STR("qcom/proprietary")};
        FREE_LATER char *bytes = NULL;
        bool ok = open_archive(p->zip, &limits, &bytes, &z, &err);
        if (ok != (zips[i].want == NULL) ||
            (!ok && strncmp(err.msg, zips[i].want, strlen(zips[i].want)) != 0))
            fail_msg("%s: %d '%s'", zips[i].label, ok, err.msg);
        if (ok) {
            assert_int_equal(z.members.n, n);
            expect_text(&z, &z.members.v[0], zips[i].entries[0].text);
            symzip_close(&z);
        }
    }
}

static void add_u32(char *p, uint32_t n)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    v += n;
    memcpy(p, &v, sizeof v);
}

/* The archive of one member with bytes between the end of its deflate stream and its own. */
static void put_behind_stream(const char *from, size_t stream_end, char out[4096], size_t *ret_n)
{
    enum { JUNK = 9, LOCAL_PACKED = 18, CENTRAL_PACKED = 20, END = 22, END_OFFSET = 16 };
    size_t n = *ret_n;
    assert_true(n + JUNK <= 4096);
    memcpy(out, from, stream_end);
    memset(out + stream_end, 'j', JUNK);
    memcpy(out + stream_end + JUNK, from + stream_end, n - stream_end);
    add_u32(out + LOCAL_PACKED, JUNK);
    add_u32(out + stream_end + JUNK + CENTRAL_PACKED, JUNK);
    add_u32(out + n + JUNK - END + END_OFFSET, JUNK);
    *ret_n = n + JUNK;
}

/* A well packed member becomes a gzip file without being packed again; one with bytes behind the
 * end of its deflate stream, or hardly packed, may not. */
static void test_zip_as_gzip(void **state)
{
    struct place *p = *state;
    enum { REPEATS = 400 };
    STRBUF_AUTO text;
    sb_init(&text, 1 << 20);
    for (int i = 0; i < REPEATS; i++)
        sb_str(&text, STR(TEXT "the same again\n"));
    const struct entry entries[] = {{"prog/" ID "/prog.sym", sb_cstr(&text)},
                                    {"two/" ID "/two.sym", "x"}};
    make_zip(p->zip, entries, ARRAY_LEN(entries));
    struct symzip z;
    struct symbytes packed;
    FREE_LATER char *bytes = NULL;
    FD_AUTO fd = -1;
    assert_true(open_archive(p->zip, &(struct symzip_limits){0}, &bytes, &z, ERR_IGNORED));
    for (size_t i = 0; i < ARRAY_LEN(entries); i++)
        expect_text(&z, &z.members.v[i], entries[i].text);
    assert_true(z.members.v[0].is_gzip_body);
    assert_false(z.members.v[1].is_gzip_body);
    assert_true(symbytes_temp(p->dir, &fd, ERR_IGNORED));
    assert_true(symzip_gzip(&z, &z.members.v[0], fd, ERR_IGNORED));
    assert_true(symbytes_map(fd, &packed, ERR_IGNORED));
    assert_true(symbytes_gzip_equals(packed.text, sb_view(&text)));
    assert_int_equal(packed.text.n, z.members.v[0].packed_size + 18);
    symbytes_close(&packed);
    symzip_close(&z);
}

static void test_zip_bytes_behind_stream(void **state)
{
    struct place *p = *state;
    char text[2001], bytes[4096];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    const struct entry one = {"prog/" ID "/prog.sym", text};
    make_zip(p->zip, &one, 1);
    struct symzip z;
    struct stat st;
    FREE_LATER char *plain = NULL;
    assert_true(open_archive(p->zip, &(struct symzip_limits){0}, &plain, &z, ERR_IGNORED));
    expect_text(&z, &z.members.v[0], text);
    assert_true(z.members.v[0].is_gzip_body);
    assert_int_equal(stat(p->zip, &st), 0);
    size_t n = (size_t)st.st_size;
    put_behind_stream(plain, z.members.v[0].data_at + z.members.v[0].packed_size, bytes, &n);
    symzip_close(&z);
    assert_true(symzip_open(str_n(bytes, n), &(struct symzip_limits){0}, &z, ERR_IGNORED));
    expect_text(&z, &z.members.v[0], text);
    assert_false(z.members.v[0].is_gzip_body);
    symzip_close(&z);
}

static void expect_refusal(const char *label, const char *path, const struct symzip_limits *limits,
                           const char *want)
{
    struct symzip z;
    struct err err = {0};
    FREE_LATER char *bytes = NULL;
    if (open_archive(path, limits, &bytes, &z, &err))
        fail_msg("%s: was accepted", label);
    if (!strstr(err.msg, want) || err.code != ERR_INVALID)
        fail_msg("%s: %d '%s'", label, (int)err.code, err.msg);
}

static void test_zip_damage(void **state)
{
    struct place *p = *state;
    const struct symzip_limits none = {0};
    assert_true(fs_write_atomic(p->zip, "", 0, 0644, ERR_IGNORED));
    expect_refusal("empty", p->zip, &none, "File is not a zip file");
    assert_true(fs_write_atomic(p->zip, "Rar!", 4, 0644, ERR_IGNORED));
    expect_refusal("rar", p->zip, &none, "File is not a zip file");

    static const struct entry two[] = {{"a/1/b.sym", "hello hello hello hello"},
                                       {"a/2/b.sym", "x"}};
    make_zip(p->zip, two, 2);
    expect_refusal("members", p->zip, &(struct symzip_limits){.max_members = 1},
                   "more than 1 members");
    expect_refusal("bytes", p->zip, &(struct symzip_limits){.max_uncompressed = 23},
                   "more than 23 bytes");
}

/* A stored member whose bytes were changed after its checksum was made. */
static void make_damaged_zip(const struct place *p, const char *name)
{
    zip_t *z = zip_open(p->zip, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    zip_source_t *src = zip_source_buffer(z, "hello", 5, 0);
    zip_int64_t at = zip_file_add(z, name, src, 0);
    assert_int_equal(zip_set_file_compression(z, (zip_uint64_t)at, ZIP_CM_STORE, 0), 0);
    assert_int_equal(zip_close(z), 0);
    char *bytes;
    size_t n;
    assert_true(fs_read(p->zip, 1 << 20, &bytes, &n, ERR_IGNORED));
    char *hello = memmem(bytes, n, "hello", 5);
    assert_non_null(hello);
    hello[0] = 'j';
    assert_true(fs_write_atomic(p->zip, bytes, n, 0644, ERR_IGNORED));
    free(bytes);
}

/* Told when a member is read; for one that nobody will read, and for an archive with a wrong name,
 * when it is opened. */
static void test_zip_bad_crc(void **state)
{
    static const char *const at_once[] = {"no key", "x-symbols.txt"};
    struct place *p = *state;
    const struct symzip_limits none = {0};
    STRBUF_AUTO got;
    struct symzip z;
    struct err err = {0};
    FREE_LATER char *bytes = NULL;
    sb_init(&got, 1 << 10);
    make_damaged_zip(p, "a/1/b.sym");
    assert_true(open_archive(p->zip, &none, &bytes, &z, ERR_IGNORED));
    assert_false(symzip_read(&z, &z.members.v[0], append_piece, &got, &err));
    assert_string_equal(err.msg, "Bad CRC-32 for file 'a/1/b.sym'");
    symzip_close(&z);
    expect_refusal("content", p->zip, &(struct symzip_limits){.checks_content = true},
                   "Bad CRC-32");
    for (size_t i = 0; i < ARRAY_LEN(at_once); i++) {
        make_damaged_zip(p, at_once[i]);
        expect_refusal(at_once[i], p->zip, &none, "Bad CRC-32");
    }
}

/* libzip does not write two members of one name: take two names and change one. */
static void test_zip_duplicates(void **state)
{
    struct place *p = *state;
    static const struct {
        const char *label, *second;
        bool ok;
    } cases[] = {{"same size", "world", true}, {"another size", "worlds", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct entry two[] = {{"a/1/b.sym", "hello"}, {"a/1/c.sym", cases[i].second}};
        make_zip(p->zip, two, 2);
        char *bytes;
        size_t n;
        assert_true(fs_read(p->zip, 1 << 20, &bytes, &n, ERR_IGNORED));
        for (char *at; (at = memmem(bytes, n, "c.sym", 5));)
            *at = 'b';
        assert_true(fs_write_atomic(p->zip, bytes, n, 0644, ERR_IGNORED));
        free(bytes);
        if (!cases[i].ok) {
            expect_refusal(cases[i].label, p->zip, &(struct symzip_limits){0},
                           "The zipfile buffer contains two files both called a/1/b.sym and they "
                           "have difference sizes (6 != 5)");
            continue;
        }
        struct symzip z;
        struct err err = {0};
        FREE_LATER char *archive = NULL;
        if (!open_archive(p->zip, &(struct symzip_limits){0}, &archive, &z, &err))
            fail_msg("%s: %s", cases[i].label, err.msg);
        assert_int_equal(z.members.n, 1);
        expect_text(&z, &z.members.v[0], "world");
        symzip_close(&z);
    }
}

#define WITH_PLACE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    log_init("test", "error");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_sym_name),
        cmocka_unit_test(test_header),
        WITH_PLACE(test_upload_is_seen_at_once),
        WITH_PLACE(test_found_file_is_gzip),
        WITH_PLACE(test_plain_directory),
        WITH_PLACE(test_damaged_cache_is_made_again),
        WITH_PLACE(test_different_keys_have_different_paths),
        WITH_PLACE(test_stored_files_never_replace_one_another),
        WITH_PLACE(test_only_symbols_of_the_module_are_compiled),
        WITH_PLACE(test_symbols_are_found_by_debug_id),
        WITH_PLACE(test_every_source_says_what_it_has),
        WITH_PLACE(test_wait_ends_at_the_deadline),
        WITH_PLACE(test_older_store_is_indexed_once),
        WITH_PLACE(test_files_and_trees_of_a_user),
        WITH_PLACE(test_reader_that_dies_is_an_error),
        WITH_PLACE(test_damaged_gzip_is_refused),
        WITH_PLACE(test_eviction),
        WITH_PLACE(test_experimental_builds_are_evicted_first),
        WITH_PLACE(test_puts_are_counted_until_taken),
        WITH_PLACE(test_bad_is_the_word_of_one_version),
        WITH_PLACE(test_cache_is_counted),
        WITH_PLACE(test_empty_entry_of_an_id_is_replaced),
        WITH_PLACE(test_add_tree),
        WITH_PLACE(test_zip_names),
        WITH_PLACE(test_zip_as_gzip),
        WITH_PLACE(test_zip_bytes_behind_stream),
        WITH_PLACE(test_zip_damage),
        WITH_PLACE(test_zip_bad_crc),
        WITH_PLACE(test_zip_duplicates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
