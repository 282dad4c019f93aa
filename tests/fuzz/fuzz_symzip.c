/* A hostile archive: opened and checked, every member read; what can be read has its size and can
 * be read again. */
#include "lib/base/util.h"
#include "lib/symfile/symzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool count_piece(void *arg, const void *p, size_t n, struct err *err)
{
    (void)p;
    (void)err;
    *(uint64_t *)arg += n;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct symzip_limits limits = {
        .max_members = 100, .max_uncompressed = 1 << 20, .snippets = STR("qcom/proprietary")};
    struct symzip z;
    if (!symzip_open(str_n((const char *)data, size), &limits, &z, ERR_IGNORED))
        return 0;
    for (size_t i = 0; i < z.members.n; i++) {
        uint64_t total = 0, again = 0;
        struct symzip_member *m = &z.members.v[i];
        if (!symzip_read(&z, m, count_piece, &total, ERR_IGNORED))
            continue;
        if (total != m->size || !symzip_read(&z, m, count_piece, &again, ERR_IGNORED) ||
            again != total)
            abort();
    }
    symzip_close(&z);
    return 0;
}
