/*
 * Reads a dump once, in the order in which the parts need each other: system before modules (how
 * versions are written depends on it), memory before threads (stacks may lie there), exception and
 * Breakpad's info before the choice of the crashing thread.
 *
 * That thread is the one of the exception; without an exception (a dump on request) the one that
 * asked for it.  The thread that wrote the dump has the handler's frames and is never it.
 */
#include "lib/unwind/facts.h"

#include "lib/base/err.h"
#include "lib/minidump/crashpad.h"
#include "lib/minidump/mdmp.h"
#include "lib/minidump/reason.h"

/* Converted text of one dump; module paths of a large process are some hundred KiB. */
enum { TEXT_MAX = 32 << 20 };

static void find_crashing_thread(struct facts *f)
{
    struct mdmp_breakpad_info info = mdmp_breakpad_info(&f->dump);
    f->has_dump_thread = info.has_dump_thread;
    f->dump_thread_id = info.dump_thread_id;
    f->crashing_thread = SIZE_MAX;
    uint32_t id;
    if (f->has_exception)
        id = f->exception.thread_id;
    else if (info.has_requesting_thread)
        id = info.requesting_thread_id;
    else
        return;
    if (!(f->has_dump_thread && id == f->dump_thread_id))
        f->crashing_thread = mdmp_thread_by_id(&f->threads, id);
}

bool facts_read(const void *bytes, size_t len, struct arena *arena, struct facts *ret,
                struct err *err)
{
    struct facts f = {.pool = {.arena = arena, .text_left = TEXT_MAX}};
    if (!mdmp_open(bytes, len, &f.dump, err))
        return false;
    if (!mdmp_system_read(&f.dump, &f.pool, &f.system, err))
        return err_wrap(err, "MissingSystemInfo - cannot be read");
    f.layout = mdmp_layout_of(&f.system);
    mdmp_memory_read(&f.dump, arena, &f.memory);
    if (!mdmp_threads_read(&f.dump, &f.memory, &f.pool, &f.threads, err))
        return err_wrap(err, "MissingThreadList - cannot be read");
    mdmp_maps_read(&f.dump, arena, &f.maps);
    mdmp_modules_read(&f.dump, &f.system, &f.pool, &f.modules);
    mdmp_unloaded_read(&f.dump, &f.pool, &f.unloaded);
    f.process = mdmp_process_read(&f.dump);
    f.has_exception = mdmp_exception_read(&f.dump, &f.exception, ERR_IGNORED);
    if (f.has_exception) {
        f.reason = mdmp_reason(&f.system, &f.exception, arena);
        f.crash_address = mdmp_crash_address(&f.system, &f.exception);
    }
    find_crashing_thread(&f);
    f.pointer_mask = crashpad_address_mask(&f.dump);
    *ret = f;
    return true;
}

/*
 * The registers in the exception are those at the fault; the thread's own record was taken later,
 * inside the handler.
 */
bool facts_context(const struct facts *f, size_t index, struct mdmp_context *ret)
{
    const struct mdmp_thread *t = &f->threads.v[index];
    if (!f->layout || (f->has_dump_thread && t->id == f->dump_thread_id))
        return false;
    if (index == f->crashing_thread && f->has_exception &&
        mdmp_context_read(f->layout, f->exception.context, ret, ERR_IGNORED))
        return true;
    return mdmp_context_read(f->layout, t->context, ret, ERR_IGNORED);
}

int facts_address_digits(const struct facts *f)
{
    return f->system.word_bytes == 4 ? 8 : 16;
}
