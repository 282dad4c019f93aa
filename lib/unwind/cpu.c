/*
 * The processors that have a row, and what the methods of all of them ask: whether a word of the
 * stack can be a return address.
 */
#include "lib/unwind/cpu.h"

#include "lib/base/util.h"
#include "lib/minidump/module.h"
#include "lib/symfile/csym.h"
#include "lib/unwind/facts.h"
#include "lib/unwind/walk_symbols.h"

const struct cpu_ops *cpu_ops_of(enum mdmp_cpu cpu)
{
    static const struct cpu_ops *const rows[] = {&cpu_amd64, &cpu_x86,  &cpu_arm,
                                                 &cpu_arm64, &cpu_mips, &cpu_mips64};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i]->cpu == cpu)
            return rows[i];
    return NULL;
}

/*
 * One byte is taken off before looking: a call that never returns may be the last instruction of
 * its function, and then the return address already belongs to the next one.
 */
bool step_is_return_address(const struct step *s, uint64_t address)
{
    uint64_t a = address - 1;
    if (address <= 1 || (s->cpu->is_candidate && !s->cpu->is_candidate(address)))
        return false;
    size_t module = mdmp_module_at(&s->walk->facts->modules, a);
    if (module == SIZE_MAX)
        return false;
    const struct module_symbols *m = walk_symbols_of(s->walk->symbols, module);
    return !m->is_open || csym_is_code(&m->csym, a - s->walk->facts->modules.v[module].base);
}
