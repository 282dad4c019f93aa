/* Call frame sections: first byte chooses kind, width and CPU, the rest is the section. */
#include <assert.h>
#include <elf.h>
#include <stdint.h>

#include "tools/dump-syms/cfi.h"
#include "tools/dump-syms/extents.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t machines[4] = {EM_X86_64, EM_386, EM_AARCH64, EM_ARM};
    if (size < 1)
        return 0;
    struct cfi_section section = {
        .bytes = rd_init(data + 1, size - 1),
        .addr = 0x1000,
        .is_eh = data[0] & 1,
        .addr_size = data[0] & 2 ? 4 : 8,
        .machine = machines[data[0] >> 3 & 3],
    };
    section.bytes.big = data[0] & 4;
    struct sym s;
    sym_init(&s);
    cfi_add_section(&section, &s);
    for (size_t i = 0; i < s.frames.n; i++) {
        const struct sym_frame *f = &s.frames.v[i];
        assert(f->text <= s.cfi.n && f->text_length <= s.cfi.n - f->text);
        assert(f->text_length > 0 && s.cfi.p[f->text + f->text_length - 1] == '\n');
    }
    sym_finish(&s);
    extents_add(&s);
    sym_release(&s);
    return 0;
}
