/* Packed symbol text, gzip or zstd: unpacked with a limit, and compared with what came out. */
#include <sys/mman.h>

#include "lib/base/util.h"
#include "lib/symfile/symbytes.h"

enum { TEXT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str packed = str_n((const char *)data, size);
    struct symbytes t = {0};
    if (!symbytes_is_packed(packed))
        return 0;
    bool is_one_gzip;
    FD_AUTO fd = memfd_create("text", MFD_CLOEXEC);
    if (fd < 0 || !symbytes_unpack(packed, fd, TEXT_MAX, &t, &is_one_gzip, ERR_IGNORED))
        return 0;
    if (t.text.n > TEXT_MAX)
        abort();
    if (!symbytes_gzip_equals(packed, t.text) && is_one_gzip)
        abort();
    symbytes_close(&t);
    return 0;
}
