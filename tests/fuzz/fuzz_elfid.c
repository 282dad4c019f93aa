/* ELF headers, notes and the text hash of a module in a crashed process. */
#include <assert.h>
#include <stdint.h>

#include "client/handler/elf_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf_image e;
    uint8_t id[ELF_BUILD_ID_MAX];
    size_t n;
    if (elf_notes_build_id(rd_init(data, size), id, &n, ERR_IGNORED))
        assert(n > 0 && n <= sizeof id);
    struct elf_soname soname;
    elf_dynamic_soname(rd_init(data, size), size & 1, &soname, ERR_IGNORED);
    if (!elf_image_read(rd_init(data, size), &e, ERR_IGNORED))
        return 0;
    assert(e.low < e.high && e.segment_count <= ELF_SEGMENTS_MAX);
    elf_text_hash(rd_init(data, size), &e, id, ERR_IGNORED);
    return 0;
}
