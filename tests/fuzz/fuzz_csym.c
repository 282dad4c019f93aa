/* A hostile compiled file. */
#include "tests/fuzz/csym_poke.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct csym c;
    if (!csym_open_mem(data, size, &c, ERR_IGNORED))
        return 0;
    poke_str(c.debug_file);
    for (uint32_t i = 0; i < c.reg_count && i < 64; i++)
        poke_str(csym_reg_name(&c, i));
    for (uint64_t addr = 0xff0; addr < 0x1200; addr += 3)
        poke_csym(&c, addr);
    for (unsigned bit = 0; bit < 64; bit++)
        poke_csym(&c, (uint64_t)1 << bit);
    poke_csym(&c, UINT64_MAX);
    return 0;
}
