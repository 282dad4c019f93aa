/* Symbol text -> csym -> look-ups at every address the text mentions. */
#include <stdlib.h>

#include "tests/fuzz/csym_poke.h"

#include "lib/base/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every run of hexadecimal digits, and the addresses beside it. */
static void poke_addresses(const struct csym *c, const uint8_t *data, size_t size)
{
    uint64_t addr = 0;
    size_t digits = 0, asked = 0;
    for (size_t i = 0; i <= size && asked < 2000; i++) {
        int d = i < size ? hex_digit((char)data[i]) : -1;
        if (d >= 0) {
            addr = addr << 4 | (uint64_t)d;
            digits++;
        } else if (digits) {
            poke_csym(c, addr);
            poke_csym(c, addr - 1);
            poke_csym(c, addr + 1);
            asked++;
            addr = 0;
            digits = 0;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *image = NULL;
    size_t n;
    struct csym c;
    struct err err;
    if (!csym_compile_mem(str_n((const char *)data, size), 1, &image, &n, NULL, &err))
        return 0;
    if (!csym_open_mem(image, n, &c, &err) || !csym_verify(&c, &err))
        abort(); /* what we write we must be able to read */
    poke_addresses(&c, data, size);
    free(image);
    return 0;
}
