#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fcgi/collector/collector.h"
#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/store/mark.h"
#include "lib/store/store.h"

#define ID           "00000000-0000-4000-8000-000000260105"
#define INSTALLATION "0123456789abcdef0123456789abcdef"

struct fixture {
    char dir[64], store[80];
    struct conf conf;
    struct collector collector;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/test-collector-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->store, sizeof f->store, "%s/store", f->dir);
    setenv("DATIL_VAR", f->dir, 1);
    *state = f;
    if (!conf_load(&f->conf, ERR_IGNORED))
        return -1;
    f->collector.conf = &f->conf;
    f->collector.spool = spool_of_conf(&f->conf);
    return spool_open(&f->collector.spool, ERR_IGNORED) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    conf_release(&f->conf);
    fs_remove_tree(f->dir, ERR_IGNORED);
    free(f);
    return 0;
}

static void put_raw_crash(const struct fixture *f)
{
    const struct store_config config = store_config_of(&f->conf);
    struct store *store;
    assert_true(store_open(&config, &store, ERR_IGNORED));
    assert_true(store_put(store, ID, "raw_crash", STR("{}"), ERR_IGNORED));
    store_close(store);
}

/* The file system of the store is not mounted: nobody can say that a report is not there. */
static void test_unmounted_store_is_no_answer(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    bool is_there = true;
    assert_true(fs_mkdirs(f->store, 0700, ERR_IGNORED));
    assert_false(collector_holds(&f->collector, ID, &is_there, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);

    assert_true(mark_write(f->store, INSTALLATION, ERR_IGNORED));
    assert_true(collector_holds(&f->collector, ID, &is_there, ERR_IGNORED));
    assert_false(is_there);
    put_raw_crash(f);
    assert_true(collector_holds(&f->collector, ID, &is_there, ERR_IGNORED));
    assert_true(is_there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unmounted_store_is_no_answer),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
