/*
 * What the JSON report and the text for people look up in the same way: whose code a frame
 * is, who signed a module, microcode, last errors, unloaded modules.  Nothing here writes.
 */
#include "lib/unwind/report.h"

#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/minidump/mdmp.h"
#include "lib/minidump/memory.h"
#include "lib/minidump/process.h"
#include "lib/minidump/reason.h"

/*
 * Firefox has about a hundred modules with signers; a dump with more than 4,096 unloaded modules is
 * made up, and each frame without a module looks through the list.
 */
enum { CERTS_MAX = 65536, UNLOADED_LOOKED_AT = 4096 };

static int by_file(const void *pa, const void *pb)
{
    const struct cert *a = pa, *b = pb;
    return str_cmp(a->file, b->file);
}

static struct str text_of(const json_t *v)
{
    return str_n(json_string_value(v), json_string_length(v));
}

/* signer -> [file, …], turned around. */
static void collect_certs(const json_t *info, struct arena *a, struct certs *certs)
{
    const char *signer;
    json_t *files, *file;
    size_t i, total = 0;
    json_object_foreach ((json_t *)info, signer, files)
        total += json_array_size(files);
    total = MIN(total, (size_t)CERTS_MAX);
    certs->v = arena_array(a, total, sizeof *certs->v);
    json_object_foreach ((json_t *)info, signer, files) {
        struct str name = str_copy(a, str_of(signer));
        json_array_foreach (files, i, file) {
            if (json_is_string(file) && certs->n < total)
                certs->v[certs->n++] = (struct cert){str_copy(a, text_of(file)), name};
        }
    }
    if (certs->n)
        qsort(certs->v, certs->n, sizeof *certs->v, by_file);
}

/*
 * An annotation of Firefox on Windows: who signed which files.  It comes as a text that holds JSON,
 * or already as an object where the caller has parsed it.
 */
struct certs report_certs(const struct walk_report *r)
{
    struct certs certs = {0};
    const json_t *info = json_object_get(r->annotations, "ModuleSignatureInfo");
    json_auto_t *parsed =
        json_is_string(info) ? jparse(text_of(info), JSON_BYTES_MAX, ERR_IGNORED) : NULL;
    if (parsed)
        info = parsed;
    if (json_is_object(info))
        collect_certs(info, r->arena, &certs);
    return certs;
}

/* A label is memory that its owner named, as runtimes do for code that they make. */
bool report_place(const struct walk_report *r, const struct walk_frame *frame, struct str *ret_name,
                  uint64_t *ret_offset)
{
    if (frame->module != SIZE_MAX) {
        const struct mdmp_module *m = &r->facts->modules.v[frame->module];
        *ret_name = m->file.p ? m->file : STR("");
        *ret_offset = frame->instruction - m->base;
        return true;
    }
    const struct mdmp_label *label = mdmp_label_at(&r->facts->maps, frame->instruction);
    if (!label)
        return false;
    *ret_name = label->text;
    *ret_offset = frame->instruction - label->base;
    return true;
}

struct str report_signer(const struct certs *certs, struct str file)
{
    struct cert key = {.file = file};
    if (certs->n == 0)
        return STR_NONE;
    const struct cert *hit = bsearch(&key, certs->v, certs->n, sizeof key, by_file);
    return hit ? hit->signer : STR_NONE;
}

bool report_microcode(const struct walk_report *r, uint64_t *ret)
{
    if (r->facts->process.has_microcode) {
        *ret = r->facts->process.microcode;
        return true;
    }
    const json_t *v = json_object_get(r->annotations, "CPUMicrocodeVersion");
    return json_is_string(v) && mdmp_parse_microcode(text_of(v), ret);
}

/*
 * What GetLastError() would have said in that thread.  The thread's block (TEB) is memory of the
 * process, so a small dump may not have it.
 */
struct str report_last_error(const struct walk_report *r, size_t thread)
{
    /* LastErrorValue is the fourteenth pointer-sized slot of the thread's block. */
    enum { LAST_ERROR_SLOT = 13 };
    const struct facts *f = r->facts;
    uint64_t teb = f->threads.v[thread].teb, code;
    uint64_t at = teb + LAST_ERROR_SLOT * f->system.word_bytes;
    if (f->system.os != MDMP_OS_WINDOWS || f->system.word_bytes == 0 || teb == 0 || at < teb ||
        !mdmp_memory_uint(&f->memory, at, 4, &code))
        return STR_NONE;
    return mdmp_windows_error((uint32_t)code, r->arena);
}

void report_put_text(struct strbuf *out, struct str s)
{
    size_t off = 0;
    while (off < s.n) {
        char bytes[4];
        uint32_t cp = utf8_next(s, &off);
        bool is_control = cp < 0x20 || (cp >= 0x7f && cp < 0xa0);
        sb_put(out, bytes, utf8_put(bytes, is_control ? 0xfffd : cp));
    }
}

static int by_name_and_offset(const void *pa, const void *pb)
{
    const struct unloaded_hit *a = pa, *b = pb;
    int d = str_cmp(a->module, b->module);
    return d ? d : (a->offset > b->offset) - (a->offset < b->offset);
}

/* Sorted by name and offset, each once: a library that was loaded there ten times is one hit. */
size_t report_unloaded_at(const struct facts *f, uint64_t addr, struct unloaded_hit *out,
                          size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < MIN(f->unloaded.n, (size_t)UNLOADED_LOOKED_AT) && n < max; i++) {
        const struct mdmp_unloaded *m = &f->unloaded.v[i];
        if (addr >= m->base && addr - m->base < m->size)
            out[n++] = (struct unloaded_hit){mdmp_base_name(m->path), addr - m->base};
    }
    if (n == 0)
        return 0;
    qsort(out, n, sizeof *out, by_name_and_offset);
    size_t kept = 1;
    for (size_t i = 1; i < n; i++)
        if (by_name_and_offset(&out[i], &out[kept - 1]) != 0)
            out[kept++] = out[i];
    return kept;
}
