/*
 * What of a PDB becomes symbols (llvm.org/docs/PDB, and Microsoft's cvinfo.h):
 *
 * - stream 3 (DBI) lists the modules, which are object files, each with a stream of its own:
 *   symbols (procedures and thunks with place, size and name), then "C13" subsections, of which
 *   LINES are the lines of one procedure and FILECHKSMS the files they name;
 * - the symbol records stream has the public symbols: everything that other object files can call,
 *   without sizes;
 * - the section headers of the program, in a stream that DBI's optional header names: places are
 *   given as section and offset.
 *
 * Names of procedures are as written in the source, with their scopes and without parameters.
 * Public symbols are mangled; they name only code that no procedure does.
 */
#include "tools/dump-syms/pdb_symbols.h"

#include "lib/base/map.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "tools/dump-syms/msvc_name.h"
#include "tools/dump-syms/pdb_frames.h"
#include "tools/dump-syms/pdb_inlines.h"

enum {
    DBI_HEADER = 64,              /* NewDBIHdr of dbi.h */
    SECTION_HEADER = 40,          /* IMAGE_SECTION_HEADER */
    SECTION_EXECUTE = 0x20000000, /* IMAGE_SCN_MEM_EXECUTE */
    SECTIONS_MAX = 96,            /* the format's own limit for images */
    HEADER_OLD_FRAMES = 0,        /* places in DBI's optional header, each the number of a stream */
    HEADER_OMAP_FROM = 4,
    HEADER_SECTIONS = 5,
    HEADER_FRAMES = 9, /* the first linkers wrote a shorter header */
    HEADER_PLACES = 10,
    /* Kinds of records, cvinfo.h.  Those with _ID have their types in another stream. */
    S_THUNK32 = 0x1102,
    S_PUB32 = 0x110e,
    S_LPROC32 = 0x110f,
    S_GPROC32 = 0x1110,
    S_LPROC32_ID = 0x1146,
    S_GPROC32_ID = 0x1147,
    S_INLINESITE = 0x114d,
    S_INLINESITE_END = 0x114e,
    S_INLINESITE2 = 0x115d, /* with a count of calls */
    PUBLIC_IS_CODE = 3,     /* cvpsfCode | cvpsfFunction */
    SUBSECTION_LINES = 0xf2,
    SUBSECTION_FILES = 0xf4,
    SUBSECTION_INLINEES = 0xf6,
    SUBSECTION_IGNORE = 0x80000000, /* a flag beside the kind */
    LINES_HAVE_COLUMNS = 1,
    LINE_BITS = 0xffffff,       /* the upper eight say where the statement ends */
    LINE_NEVER_STEP = 0xfeefee, /* code of the compiler's own */
    LINE_ALWAYS_STEP = 0xf00f00,
    NAMES_MAGIC = (int)0xeffeeffe, /* the head of a string table */
    NO_FILE = -1,
    RANK_PUBLIC = 200, /* as an export (pe_symbols.c) */
};

struct pdb_section {
    uint32_t rva, size;
    bool is_code;
};

struct pdb_reader {
    const struct pdb_file *file;
    struct sym *sym;
    struct pdb_section sections[SECTIONS_MAX];
    size_t section_count;
    uint32_t symbol_stream, omap_stream, frame_stream, old_frame_stream;
    struct strbuf names; /* the strings of "/names" */
    struct rd modules;   /* of DBI */
    size_t bad_modules;
    VEC(struct sym_line) rows; /* of the current module, by address */
    struct rd files;           /* of the current module */
    struct pdb_inlines inlines;
    struct sym_func procedure; /* whose sites are being read; of no size: none */
};

/* Place of section:offset relative to the image; false: not in code. */
static bool code_at(const struct pdb_reader *p, uint16_t section, uint32_t offset,
                    uint32_t *ret_rva, uint32_t *ret_left)
{
    if (section == 0 || section > p->section_count)
        return false;
    const struct pdb_section *s = &p->sections[section - 1];
    if (!s->is_code || offset >= s->size || s->rva > UINT32_MAX - s->size)
        return false;
    *ret_rva = s->rva + offset;
    *ret_left = s->size - offset;
    return true;
}

static void read_section_headers(struct pdb_reader *p, uint32_t stream)
{
    STRBUF_AUTO b = {0};
    if (!pdb_read_stream(p->file, stream, &b))
        return;
    struct rd r = rd_init(sb_cstr(&b), b.n);
    while (rd_left(&r) >= SECTION_HEADER && p->section_count < SECTIONS_MAX) {
        struct pdb_section s = {0};
        rd_skip(&r, 8);
        s.size = rd_u32(&r);
        s.rva = rd_u32(&r);
        rd_skip(&r, 20);
        s.is_code = (rd_u32(&r) & SECTION_EXECUTE) != 0;
        p->sections[p->section_count++] = s;
    }
}

/* DBI: the modules come first, the optional header last; between them are five other tables. */
static bool read_dbi(struct pdb_reader *p)
{
    struct rd r = rd_init(sb_cstr(&p->file->dbi), p->file->dbi.n);
    rd_seek(&r, 20);
    p->symbol_stream = rd_u16(&r);
    rd_skip(&r, 2);
    uint32_t sizes[5], optional, ec;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        sizes[i] = rd_u32(&r);
    rd_skip(&r, 4);
    optional = rd_u32(&r);
    ec = rd_u32(&r);
    rd_seek(&r, DBI_HEADER);
    p->modules = rd_try_window(&r, DBI_HEADER, sizes[0]);
    uint64_t at = DBI_HEADER + (uint64_t)ec;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        at += sizes[i];
    struct rd o = rd_try_window(&r, at, optional);
    uint16_t streams[HEADER_PLACES];
    for (size_t i = 0; i < ARRAY_LEN(streams); i++)
        streams[i] = i <= HEADER_SECTIONS || rd_left(&o) >= 2 ? rd_u16(&o) : PDB_STREAM_NONE;
    if (!rd_ok(&o) || !rd_ok(&p->modules))
        return false;
    p->omap_stream = streams[HEADER_OMAP_FROM];
    p->frame_stream = streams[HEADER_FRAMES];
    p->old_frame_stream = streams[HEADER_OLD_FRAMES];
    read_section_headers(p, streams[HEADER_SECTIONS]);
    return p->section_count > 0;
}

/* Behind the last section, or as far as addresses go. */
static uint32_t end_of_image(const struct pdb_reader *p)
{
    uint64_t end = 0;
    for (size_t i = 0; i < p->section_count; i++)
        end = MAX(end, (uint64_t)p->sections[i].rva + p->sections[i].size);
    return (uint32_t)MIN(end, (uint64_t)UINT32_MAX);
}

/* "/names": all texts that other streams name by their offset. */
static void read_names(struct pdb_reader *p)
{
    STRBUF_AUTO b = {0};
    if (!pdb_read_stream(p->file, pdb_named_stream(p->file, "/names"), &b))
        return;
    struct rd r = rd_init(sb_cstr(&b), b.n);
    uint32_t magic = rd_u32(&r);
    rd_skip(&r, 4);
    uint32_t n = rd_u32(&r);
    const void *texts = rd_bytes(&r, n);
    if (!texts || magic != (uint32_t)NAMES_MAGIC)
        return;
    sb_init(&p->names, n);
    sb_put(&p->names, texts, n);
}

/* FILE number of the entry at `at` of a module's list of files. */
static int64_t file_number(struct pdb_reader *p, struct rd files, uint32_t at)
{
    rd_seek(&files, at);
    uint32_t name = rd_u32(&files);
    if (!rd_ok(&files) || name >= p->names.n)
        return NO_FILE;
    const char *text = p->names.p + name;
    struct str path = str_n(text, strnlen(text, p->names.n - name));
    return textmap_number(&p->sym->files, &p->sym->arena, sym_clean(p->sym, path));
}

static int64_t file_of_site(void *arg, uint32_t at)
{
    struct pdb_reader *p = arg;
    return file_number(p, p->files, at);
}

/*
 * The lines of one file within a procedure.  Rows are sized when all are there: each reaches to the
 * next, the last to the end of the procedure's code.  Lines that debuggers are told to step over
 * have no number; their row ends the one before, and is dropped later (line 0).
 */
static void read_line_block(struct pdb_reader *p, struct rd *r, struct rd files, uint32_t start,
                            uint32_t size)
{
    uint32_t file_at = rd_u32(r), count = rd_u32(r), bytes = rd_u32(r);
    struct rd block = rd_try_window(r, r->off, bytes >= 12 ? bytes - 12 : 0);
    rd_skip(r, rd_ok(&block) ? block.n : SIZE_MAX);
    int64_t file = file_number(p, files, file_at);
    if (file == NO_FILE)
        return;
    for (uint32_t i = 0; i < count && rd_left(&block) >= 8; i++) {
        uint32_t at = rd_u32(&block), line = rd_u32(&block) & LINE_BITS;
        if (line == LINE_NEVER_STEP || line == LINE_ALWAYS_STEP)
            line = 0;
        if (at < size)
            VEC_PUSH(&p->rows, ((struct sym_line){start + at, size - at, line, (uint32_t)file}));
    }
}

static void read_lines(struct pdb_reader *p, struct rd r, struct rd files)
{
    uint32_t offset = rd_u32(&r), rva, left;
    uint16_t section = rd_u16(&r);
    rd_skip(&r, 2);
    uint32_t size = rd_u32(&r);
    if (!rd_ok(&r) || !code_at(p, section, offset, &rva, &left))
        return;
    while (rd_left(&r) >= 12)
        read_line_block(p, &r, files, rva, MIN(size, left));
}

typedef void visit_subsection(struct pdb_reader *p, uint32_t kind, struct rd body,
                              struct rd *files);

static void each_subsection(struct pdb_reader *p, struct rd r, visit_subsection *visit,
                            struct rd *files)
{
    while (rd_left(&r) >= 8) {
        uint32_t kind = rd_u32(&r), n = rd_u32(&r);
        struct rd body = rd_window(&r, r.off, n);
        rd_skip(&r, n);
        rd_skip(&r, MIN((size_t)(-n & 3u), rd_left(&r)));
        if (rd_ok(&body) && !(kind & SUBSECTION_IGNORE))
            visit(p, kind, body, files);
    }
}

static void note_files(struct pdb_reader *p, uint32_t kind, struct rd body, struct rd *files)
{
    (void)p;
    if (kind == SUBSECTION_FILES)
        *files = body;
}

static void note_lines(struct pdb_reader *p, uint32_t kind, struct rd body, struct rd *files)
{
    if (kind == SUBSECTION_LINES)
        read_lines(p, body, *files);
    else if (kind == SUBSECTION_INLINEES)
        pdb_inlines_lines(&p->inlines, body);
}

static int by_row(const void *a, const void *b)
{
    const struct sym_line *x = a, *y = b;
    if (x->addr != y->addr)
        return x->addr < y->addr ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line; /* line 0 first: the next replaces it */
}

/* Sorted, cut at the next, of one address the last; then without those that have no number. */
static void finish_rows(struct pdb_reader *p)
{
    size_t kept = 0;
    if (p->rows.n)
        qsort(p->rows.v, p->rows.n, sizeof *p->rows.v, by_row);
    for (size_t i = 0; i < p->rows.n; i++) {
        struct sym_line row = p->rows.v[i];
        if (i + 1 < p->rows.n)
            row.size = (uint32_t)MIN((uint64_t)row.size, p->rows.v[i + 1].addr - row.addr);
        if (row.size > 0 && row.line > 0)
            p->rows.v[kept++] = row;
    }
    p->rows.n = kept;
}

/* The procedure that was begun: without inlined calls its lines are those of the module. */
static void end_procedure(struct pdb_reader *p)
{
    struct sym_func f = p->procedure;
    struct sym *s = p->sym;
    p->procedure.size = 0;
    if (f.size == 0)
        return;
    if (p->inlines.sites.n > 0) {
        pdb_inlines_end(&p->inlines, s, &f);
    } else {
        f.first_line = s->lines.n;
        sym_copy_lines(s, p->rows.v, p->rows.n, f.addr, f.size);
        f.line_count = s->lines.n - f.first_line;
    }
    VEC_PUSH(&s->funcs, f);
}

static void add_function(struct pdb_reader *p, uint16_t section, uint32_t offset, uint32_t size,
                         struct str name)
{
    uint32_t rva, left;
    end_procedure(p);
    p->inlines.sites.n = 0;
    p->inlines.size = 0;
    if (size == 0 || !code_at(p, section, offset, &rva, &left))
        return;
    struct sym *s = p->sym;
    p->procedure =
        (struct sym_func){.addr = rva,
                          .size = MIN(size, left),
                          .name = textmap_number(&s->names, &s->arena, sym_clean(s, name))};
}

/* Pieces of the procedure's own lines are made when the first call is met; most have none. */
static void read_site(struct pdb_reader *p, struct rd r, size_t skip)
{
    const struct sym_func *f = &p->procedure;
    if (f->size > 0 && p->inlines.size == 0)
        pdb_inlines_begin(&p->inlines, (uint32_t)f->addr, f->size, p->rows.v, p->rows.n);
    pdb_inlines_site(&p->inlines, r, skip, p->sym, file_of_site, p);
}

static struct str rest_text(const struct rd *r)
{
    return rd_ok(r) ? str_n((const char *)r->p + r->off,
                            strnlen((const char *)r->p + r->off, rd_left(r)))
                    : STR("");
}

static void read_procedure(struct pdb_reader *p, struct rd r)
{
    rd_skip(&r, 12);
    uint32_t size = rd_u32(&r);
    rd_skip(&r, 12);
    uint32_t offset = rd_u32(&r);
    uint16_t section = rd_u16(&r);
    rd_skip(&r, 1);
    if (rd_ok(&r))
        add_function(p, section, offset, size, rest_text(&r));
}

static void read_thunk(struct pdb_reader *p, struct rd r)
{
    rd_skip(&r, 12);
    uint32_t offset = rd_u32(&r);
    uint16_t section = rd_u16(&r), size = rd_u16(&r);
    rd_skip(&r, 1);
    if (rd_ok(&r))
        add_function(p, section, offset, size, rest_text(&r));
}

static void read_public(struct pdb_reader *p, struct rd r)
{
    uint32_t flags = rd_u32(&r), offset = rd_u32(&r), rva, left;
    uint16_t section = rd_u16(&r);
    struct sym *s = p->sym;
    struct str name = rest_text(&r);
    if (!rd_ok(&r) || name.n == 0 || !(flags & PUBLIC_IS_CODE) ||
        !code_at(p, section, offset, &rva, &left))
        return;
    const char *copy = str_adup(&s->arena, name);
    struct sym_symbol one = {.addr = rva,
                             .limit = rva + left,
                             .name = textmap_number(&s->names, &s->arena, msvc_name(s, copy)),
                             .rank = RANK_PUBLIC,
                             .is_mangled = copy[0] == '?'};
    VEC_PUSH(&s->symbols, one);
}

/* Records are a length (of what follows it), a kind, a body. */
static void read_records(struct pdb_reader *p, struct rd r)
{
    while (rd_left(&r) >= 4) {
        uint16_t n = rd_u16(&r);
        struct rd body = rd_window(&r, r.off, n);
        rd_skip(&r, n);
        switch (rd_u16(&body)) {
        case S_GPROC32:
        case S_LPROC32:
        case S_GPROC32_ID:
        case S_LPROC32_ID:
            read_procedure(p, body);
            break;
        case S_THUNK32:
            read_thunk(p, body);
            break;
        case S_INLINESITE:
            read_site(p, body, 0);
            break;
        case S_INLINESITE2:
            read_site(p, body, sizeof(uint32_t));
            break;
        case S_INLINESITE_END:
            pdb_inlines_site_end(&p->inlines);
            break;
        case S_PUB32:
            read_public(p, body);
            break;
        default:
            break;
        }
    }
    end_procedure(p);
}

/* Symbols (behind a signature of four bytes), lines in the form of C11, lines in that of C13. */
static void read_module(struct pdb_reader *p, uint32_t stream, uint32_t symbols, uint32_t c11,
                        uint32_t c13)
{
    STRBUF_AUTO b = {0};
    if (stream == PDB_STREAM_NONE)
        return; /* an import of another module */
    if (!pdb_read_stream(p->file, stream, &b)) {
        p->bad_modules++;
        return;
    }
    struct rd all = rd_init(sb_cstr(&b), b.n);
    struct rd records = rd_try_window(&all, 4, symbols >= 4 ? symbols - 4 : 0);
    struct rd lines = rd_try_window(&all, (uint64_t)symbols + c11, c13);
    p->files = rd_init("", 0);
    p->bad_modules += !rd_ok(&records) || !rd_ok(&lines);
    p->rows.n = 0;
    pdb_inlines_module(&p->inlines);
    each_subsection(p, lines, note_files, &p->files);
    each_subsection(p, lines, note_lines, &p->files);
    finish_rows(p);
    read_records(p, records);
}

/* An entry has 64 bytes, then the names of the module and of its object file, padded to four. */
static void read_modules(struct pdb_reader *p)
{
    struct rd r = p->modules;
    while (rd_left(&r) >= 64) {
        rd_skip(&r, 34);
        uint16_t stream = rd_u16(&r);
        uint32_t symbols = rd_u32(&r), c11 = rd_u32(&r), c13 = rd_u32(&r);
        rd_skip(&r, 16);
        for (int text = 0; text < 2; text++)
            rd_skip(&r, MIN(rest_text(&r).n + 1, rd_left(&r)));
        rd_skip(&r, MIN((size_t)(-r.off & 3u), rd_left(&r)));
        read_module(p, stream, symbols, c11, c13);
    }
}

void pdb_add_symbols(const struct pdb_file *f, const char *path, struct sym *s,
                     struct strbuf *problems)
{
    struct pdb_reader *p = xcalloc(1, sizeof *p);
    STRBUF_AUTO publics = {0};
    p->file = p->inlines.file = f;
    p->sym = s;
    if (!read_dbi(p)) {
        sb_printf(problems, "%s: the list of modules cannot be read\n", path);
    } else if (p->omap_stream != PDB_STREAM_NONE) {
        sb_printf(problems, "%s: the code was moved after linking (OMAP), which is not read\n",
                  path);
    } else {
        read_names(p);
        read_modules(p);
        pdb_add_frames(f, p->frame_stream, sb_view(&p->names), end_of_image(p), s);
        pdb_add_old_frames(f, p->old_frame_stream, end_of_image(p), s);
        if (pdb_read_stream(f, p->symbol_stream, &publics))
            read_records(p, rd_init(sb_cstr(&publics), publics.n));
    }
    if (p->bad_modules)
        sb_printf(problems, "%s: %zu modules cannot be read\n", path, p->bad_modules);
    VEC_RELEASE(&p->rows);
    pdb_inlines_release(&p->inlines);
    sb_release(&p->names);
    free(p);
}
