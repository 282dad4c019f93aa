/* A hostile compiled file.  The checksum of its header is made right, or nothing behind it would be
 * looked at. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/util.h"
#include "lib/symfile/csym_format.h"
#include "tests/fuzz/csym_poke.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct csym c;
    FREE_LATER uint8_t *copy = xmalloc(size + 1);
    memcpy(copy, data, size);
    if (size >= CSYM_HEADER_SIZE)
        csym_seal_header(copy);
    if (!csym_open_mem(copy, size, &c, ERR_IGNORED))
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
