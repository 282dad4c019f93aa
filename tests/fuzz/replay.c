/* Runs a fuzz target once over every file named on the command line. */
#include <stdint.h>
#include <stdio.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct err err = {0};
        char *bytes = NULL;
        size_t n;
        if (!fs_read(argv[i], 64 << 20, &bytes, &n, &err)) {
            fprintf(stderr, "%s\n", err.msg);
            return 1;
        }
        /* A block of exactly n bytes, so that a one-byte overread is seen. */
        uint8_t *copy = xmalloc(n);
        if (n)
            memcpy(copy, bytes, n);
        free(bytes);
        LLVMFuzzerTestOneInput(copy, n);
        free(copy);
    }
    return 0;
}
