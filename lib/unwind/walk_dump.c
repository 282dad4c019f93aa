/*
 * One dump from bytes to report: facts, walk, analysis, and the writer of the wanted format.
 * Everything is allocated in one arena that ends with the call.
 */
#include "lib/unwind/walk_dump.h"

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/minidump/mdmp.h"
#include "lib/symfile/symfind.h"
#include "lib/unwind/analysis.h"
#include "lib/unwind/facts.h"
#include "lib/unwind/walk.h"
#include "lib/unwind/walk_frames.h"
#include "lib/unwind/walk_symbols.h"

/*
 * 768 MiB: below the address space that a sandboxed walk gets (1 GiB by default, 2 GiB from the
 * processor), so that a monster dump meets this limit, with a message, before the kernel's.  The
 * largest counts of a dump take 483 MiB with WALK_FRAMES_DEFAULT and 812 MiB with WALK_FRAMES_MAX
 * (test_walk_memory.c), without texts (32 MiB at most) and symbols (inlines: 40 MiB).
 */
static const size_t ARENA_MAX = (size_t)768 << 20;

/* All modules lack symbols: for a quick look, and for tests that must not depend on any. */
static void find_no_symbols(void *ctx, const struct symfind_key *key, struct symfind_result *ret)
{
    (void)ctx;
    (void)key;
    *ret = (struct symfind_result){.state = SYMFIND_MISSING, .fd = -1};
}

struct symbol_source no_symbols(void)
{
    return (struct symbol_source){.get = find_no_symbols};
}

/* What is in the file, stream by stream, without walking. */
static void directory(const struct facts *f, struct strbuf *out)
{
    const struct mdmp *d = &f->dump;
    sb_printf(out, "minidump: %zu bytes, %s-endian, time %u, flags 0x%llx, %u streams\n", d->file.n,
              d->file.big ? "big" : "little", d->time_s, (unsigned long long)d->flags,
              d->stream_count);
    for (uint32_t i = 0; i < MIN(d->stream_count, (uint32_t)MDMP_STREAMS_MAX); i++) {
        struct mdmp_dir_entry e = mdmp_dir_entry(d, i);
        sb_printf(out, "stream %3u  0x%08x %-20s %10u bytes at 0x%08x\n", i, e.type,
                  mdmp_stream_name(e.type), e.size_bytes, e.rva);
    }
    for (size_t i = 0; i < f->threads.n && !out->overflow; i++) {
        const struct mdmp_thread *t = &f->threads.v[i];
        sb_printf(out, "thread %3zu  id %u, stack 0x%llx + 0x%zx, context of %zu bytes\n", i, t->id,
                  (unsigned long long)t->stack.base, t->stack.bytes.n, t->context.n);
    }
    for (size_t i = 0; i < f->modules.n && !out->overflow; i++) {
        const struct mdmp_module *m = &f->modules.v[i];
        sb_printf(out, "module %3zu  0x%llx + 0x%x  ", i, (unsigned long long)m->base, m->size);
        report_put_text(out, m->path);
        sb_printf(out, "  %s  %s\n", m->debug_id ? m->debug_id : "-",
                  m->code_id ? m->code_id : "-");
    }
    for (size_t i = 0; i < f->memory.index.n && !out->overflow; i++) {
        const struct mdmp_region *r = &f->memory.regions[f->memory.index.v[i].index];
        sb_printf(out, "memory %3zu  0x%llx + 0x%zx\n", i, (unsigned long long)r->base, r->bytes.n);
    }
}

/*
 * The registers of the crashing thread are those of its first frame; without a frame the analysis
 * has the exception alone.  The time in the report is that of reading and walking, without the
 * writing.
 */
static bool walk_and_report(const struct walk_input *in, struct arena *arena, struct strbuf *out,
                            struct err *err)
{
    int64_t start_ms = mono_ms();
    struct facts facts;
    if (!facts_read(in->bytes, in->len, arena, &facts, err))
        return false;
    if (in->format == WALK_DIRECTORY) {
        directory(&facts, out);
        return true;
    }
    struct walk_symbols symbols;
    struct walk walk;
    walk_symbols_init(&symbols, &facts, in->source, arena, in->symbols_max_bytes);
    walk_run(&facts, &symbols, arena, in->frames_max, &walk);
    size_t crashing = facts.crashing_thread;
    bool has_context = crashing != SIZE_MAX && walk.stacks[crashing].n;
    struct analysis *analysis = arena_alloc(arena, sizeof *analysis);
    analysis_run(&facts, has_context ? &walk.stacks[crashing].context : NULL, analysis);
    const struct walk_report report = {
        .facts = &facts,
        .walk = &walk,
        .symbols = &symbols,
        .analysis = analysis,
        .annotations = in->annotations,
        .arena = arena,
        .elapsed_ms = mono_ms() - start_ms,
        .is_pretty = in->is_pretty,
        .is_brief = in->is_brief,
    };
    bool ok = true;
    if (in->format == WALK_JSON)
        ok = report_json(&report, out, err);
    else
        report_text(&report, out);
    walk_symbols_release(&symbols);
    return ok;
}

/*
 * An arena over its limit is noticed at the end here; it has a reserve for what was under way
 * (arena.h).
 */
bool walk_dump(const struct walk_input *in, struct strbuf *out, struct err *err)
{
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    bool ok = walk_and_report(in, &arena, out, err) &&
              arena_within(&arena, "OutputTooLarge - the dump", err);
    arena_release(&arena);
    return ok;
}
