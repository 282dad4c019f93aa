/*
 * The whole walk: u32 length of the dump, the dump, and symbol text that every module is
 * answered with.  What comes out must be JSON that the parent reads, whatever text was in
 * the dump.
 */
#include <assert.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/rd.h"
#include "lib/base/util.h"
#include "lib/unwind/walk_dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct compiled {
    void *p;
    size_t n;
};

static void get(void *ctx, const struct symfind_key *key, struct symfind_result *ret)
{
    (void)key;
    const struct compiled *c = ctx;
    *ret = (struct symfind_result){.state = SYMFIND_CORRUPT, .fd = -1};
    int fd = c->p ? memfd_create("csym", MFD_CLOEXEC) : -1;
    if (fd < 0 || !fs_write_all(fd, c->p, c->n, "csym", ERR_IGNORED))
        return;
    ret->state = SYMFIND_LOADED;
    ret->fd = fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd r = rd_init(data, size);
    uint32_t dump_n = rd_u32(&r);
    const uint8_t *dump = rd_bytes(&r, dump_n);
    if (!dump)
        return 0;
    struct compiled c = {0};
    csym_compile_mem(str_n((const char *)data + r.off, rd_left(&r)), 0, &c.p, &c.n, NULL,
                     ERR_IGNORED);
    struct walk_input in = {
        .bytes = dump,
        .len = dump_n,
        .source = {&c, get},
        .symbols_max_bytes = 1 << 30,
        .frames_max = 64,
        .format = WALK_JSON,
    };
    STRBUF_AUTO out;
    sb_init(&out, REPORT_BYTES_MAX);
    if (walk_dump(&in, &out, ERR_IGNORED)) {
        json_t *report = jparse(sb_view(&out), REPORT_BYTES_MAX, ERR_IGNORED);
        assert(json_is_object(report));
        json_decref(report);
    }
    free(c.p);
    return 0;
}
