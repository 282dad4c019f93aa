/*
 * Programs and debug files of Windows and macOS (PE, PDB, Mach-O), through everything that
 * datil-dump-syms does with them.  Debug information in DWARF is left out, because libdw is not
 * ours: fuzz_elf_image has it.
 */
#include <assert.h>
#include <stdint.h>

#include "lib/base/util.h"
#include "tools/dump-syms/macho_file.h"
#include "tools/dump-syms/macho_symbols.h"
#include "tools/dump-syms/macho_unwind.h"
#include "tools/dump-syms/pdb_file.h"
#include "tools/dump-syms/pdb_symbols.h"
#include "tools/dump-syms/pe_file.h"
#include "tools/dump-syms/pe_symbols.h"
#include "tools/dump-syms/pe_unwind.h"
#include "tools/dump-syms/sym.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is written can be read again by the rules of the format. */
static void check(const struct sym *s)
{
    for (size_t i = 0; i < s->funcs.n; i++) {
        const struct sym_func *f = &s->funcs.v[i];
        assert(f->size > 0 && f->name < s->names.texts.n);
        assert(i == 0 || s->funcs.v[i - 1].addr + s->funcs.v[i - 1].size <= f->addr);
        for (size_t k = 0; k < f->line_count; k++)
            assert(s->lines.v[f->first_line + k].file < s->files.texts.n);
    }
    for (size_t i = 0; i < s->frames.n; i++) {
        const struct sym_frame *f = &s->frames.v[i];
        assert(f->text <= s->cfi.n && f->text_length <= s->cfi.n - f->text);
        assert(f->text_length > 0 && s->cfi.p[f->text + f->text_length - 1] == '\n');
    }
}

static void read_pe(struct str bytes, struct sym *s)
{
    struct pe_file pe;
    struct pe_identity id;
    if (!pe_open(bytes, "x", &pe, ERR_IGNORED))
        return;
    pe_identify(&pe, "x", &id, ERR_IGNORED);
    pe_add_unwind_amd64(&pe, s);
    pe_add_unwind_arm64(&pe, s);
    pe_add_exports(&pe, s);
    pe_add_coff_symbols(&pe, s);
    pe_close(&pe);
}

static void read_pdb(struct str bytes, struct sym *s)
{
    struct pdb_file pdb;
    STRBUF_AUTO problems;
    sb_init(&problems, 4096);
    if (!pdb_open(bytes, "x", &pdb, ERR_IGNORED))
        return;
    pdb_add_symbols(&pdb, "x", s, &problems);
    pdb_close(&pdb);
}

static void read_macho(struct str bytes, struct sym *s)
{
    struct str part;
    const char *arch;
    for (size_t i = 0; macho_part(bytes, i, &part, &arch); i++) {
        struct macho_file m;
        if (!macho_open(part, "x", &m, ERR_IGNORED))
            continue;
        macho_add_symbols(&m, s);
        macho_add_starts(&m, s);
        macho_add_compact_unwind(&m, s);
        macho_close(&m);
    }
}

/* On a copy of exact size, so that AddressSanitizer sees a byte too much. */
static void read_bytes(const uint8_t *data, size_t size)
{
    FREE_LATER char *copy = xmalloc(size + !size);
    struct str bytes = str_n(copy, size);
    struct sym s;
    memcpy(copy, data, size);
    sym_init(&s);
    if (pe_is(bytes))
        read_pe(bytes, &s);
    if (pdb_is(bytes))
        read_pdb(bytes, &s);
    if (macho_is(bytes))
        read_macho(bytes, &s);
    sym_finish(&s);
    check(&s);
    sym_release(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_bytes(data, size);
    return 0;
}
