/*
 * Symbols of the modules of one dump, each asked for once and only if a frame lies in the module: a
 * process has hundreds of modules and a crash touches some dozens.
 *
 * Modules are grouped by identity first (names and ids), because a hostile dump may list one file
 * ten thousand times and each question goes through a socket.  Files and bytes mapped at a time are
 * limited as well; what is over counts as missing, and the report says so.
 */
#include "lib/unwind/walk_symbols.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/minidump/context.h"

static int compare_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

/* Order by identity: names and ids. */
static int by_identity(const void *pa, const void *pb, void *arg)
{
    const struct mdmp_module *modules = arg;
    uint32_t ia = *(const uint32_t *)pa, ib = *(const uint32_t *)pb;
    const struct mdmp_module *a = &modules[ia], *b = &modules[ib];
    int d = str_cmp(a->file, b->file);
    if (!d)
        d = str_cmp(a->debug_file, b->debug_file);
    if (!d)
        d = compare_text(a->debug_id, b->debug_id);
    if (!d)
        d = compare_text(a->code_id, b->code_id);
    return d;
}

void walk_symbols_init(struct walk_symbols *s, const struct facts *facts,
                       struct symbol_source source, struct arena *arena, uint64_t max_bytes)
{
    size_t n = facts->modules.n;
    *s = (struct walk_symbols){
        .facts = facts, .source = source, .arena = arena, .max_bytes = max_bytes};
    uint32_t *order = arena_array(arena, n, sizeof *order);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    struct mdmp_module *modules = facts->modules.v;
    if (n)
        qsort_r(order, n, sizeof *order, by_identity, modules);

    s->entries = arena_array(arena, n, sizeof *s->entries);
    s->entry_of = arena_array(arena, n, sizeof *s->entry_of);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || by_identity(&order[i - 1], &order[i], modules) != 0)
            s->entries[s->entry_count++].module = order[i];
        s->entry_of[order[i]] = (uint32_t)s->entry_count - 1;
    }
}

void walk_symbols_release(struct walk_symbols *s)
{
    for (size_t i = 0; i < s->entry_count; i++)
        if (s->entries[i].is_open)
            csym_close(&s->entries[i].csym);
    s->entry_count = 0;
}

/* Maps the register names of the file to those of the dump's CPU, once. */
static const uint8_t *map_registers(const struct walk_symbols *s, const struct csym *c)
{
    size_t n = MIN(c->reg_count, (uint32_t)WALK_SYMBOLS_REGS_MAX);
    uint8_t *regs = arena_alloc(s->arena, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct str name = csym_reg_name(c, (uint32_t)i);
        regs[i] = s->facts->layout ? mdmp_reg_index(s->facts->layout, name) : MDMP_REG_NONE;
    }
    return regs;
}

/*
 * A file that does not fit is left out as a whole: half of the symbols of a module would give wrong
 * names.
 */
static bool open_file(struct walk_symbols *s, int fd, struct module_symbols *m)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size < 0)
        return false;
    uint64_t size = (uint64_t)st.st_size;
    if (s->file_count == WALK_SYMBOLS_FILES_MAX || size > s->max_bytes - s->mapped_bytes) {
        s->was_limited = true;
        return false;
    }
    if (!csym_open_fd(fd, &m->csym, ERR_IGNORED))
        return false;
    s->file_count++;
    s->mapped_bytes += size;
    m->is_open = true;
    m->regs = map_registers(s, &m->csym);
    return true;
}

static struct symfind_key key_of(const struct mdmp_module *m)
{
    return (struct symfind_key){
        .debug_file = m->debug_file.n ? m->debug_file : m->file, /* MinGW leaves it empty */
        .debug_id = str_of(m->debug_id ? m->debug_id : ""),
        .code_file = m->file,
        .code_id = str_of(m->code_id ? m->code_id : ""),
    };
}

/*
 * Missing is the answer until something better is known.  A file that exists but cannot be used
 * counts as loaded and corrupt, since people must see that uploading it again is the cure.
 */
static void load_symbols(struct walk_symbols *s, struct module_symbols *m)
{
    m->is_asked = true;
    m->is_missing = true;
    struct symfind_key key = key_of(&s->facts->modules.v[m->module]);
    if (key.debug_file.n == 0 || (key.debug_id.n == 0 && key.code_id.n == 0))
        return;

    int64_t start_us = mono_us();
    struct symfind_result found = {.state = SYMFIND_MISSING, .fd = -1};
    s->source.get(s->source.ctx, &key, &found);
    FD_AUTO fd = found.fd;
    bool is_open = found.state == SYMFIND_LOADED && fd >= 0 && open_file(s, fd, m);
    if (is_open || found.state == SYMFIND_CORRUPT) {
        m->is_missing = false;
        m->is_loaded = true;
        m->is_corrupt = is_open ? m->csym.is_corrupt : true;
    }
    found.url[sizeof found.url - 1] = '\0';
    if (is_open && m->csym.url.n)
        m->url = str_adup(s->arena, m->csym.url);
    else if (m->is_loaded && found.url[0])
        m->url = arena_strdup(s->arena, found.url);
    s->load_us += mono_us() - start_us;
}

const struct module_symbols *walk_symbols_of(struct walk_symbols *s, size_t module)
{
    struct module_symbols *m = &s->entries[s->entry_of[module]];
    if (!m->is_asked)
        load_symbols(s, m);
    return m;
}

/*
 * What is known, without asking: for reports, which must not start to load symbols that the walk
 * did not need.
 */
const struct module_symbols *walk_symbols_state(const struct walk_symbols *s, size_t module)
{
    return &s->entries[s->entry_of[module]];
}
