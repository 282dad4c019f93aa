/* A hostile archive: opened and checked, every member read. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"
#include "symfile/symzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FD_AUTO fd = memfd_create("zip", MFD_CLOEXEC);
    char path[64];
    if (fd < 0 || !fs_write_all(fd, data, size, "zip", NULL))
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const struct symzip_limits limits = {
        .max_members = 100, .max_uncompressed = 1 << 20, .snippets = STR("qcom/proprietary")};
    struct symzip z;
    if (!symzip_open(path, &limits, &z, NULL))
        return 0;
    for (size_t i = 0; i < z.members.n; i++) {
        struct symtext t;
        if (symzip_read(&z, &z.members.v[i], "/tmp", &t, NULL))
            symtext_close(&t);
    }
    symzip_close(&z);
    return 0;
}
