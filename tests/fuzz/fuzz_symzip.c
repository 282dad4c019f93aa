/* A hostile archive: opened and checked, every member read. */
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
        uint64_t total = 0;
        /* What was checked must be readable, to the byte. */
        if (!symzip_read(&z, &z.members.v[i], count_piece, &total, ERR_IGNORED) ||
            total != z.members.v[i].size)
            abort();
    }
    symzip_close(&z);
    return 0;
}
