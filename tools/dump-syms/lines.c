/*
 * Line tables.  A row of DWARF says where a line begins; here it gets a size, up to the next row of
 * the same sequence.  Names of files come out joined with the folder of the compilation and without
 * detours, so that gcc and clang, DWARF 4 and 5, write the same name for the same file.
 *
 * A row whose size cannot be said (the last of a sequence, one that lies outside of the module) is
 * left out: it would name code of somebody else.  Rows that only differ in column or in the flag of
 * a statement are merged when they are copied (sym_copy_lines).
 */
#include "tools/dump-syms/lines.h"

#include <dwarf.h>

#include "lib/base/arena.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"

/* Entries of one file table: beyond that it is a number of a hostile file. */
enum { FILES_MAX = 1 << 22 };

/*
 * Only the text decides, nothing is looked up: the file was compiled on another machine.  A ".."
 * that leads out of a relative path stays, with all that is before it.  A symbolic link may make
 * "a/../b" another folder than "b"; that cannot be known here, and one name for one file is worth
 * more.
 */
struct str lines_clean_path(struct arena *a, struct str path)
{
    if (!str_starts(path, STR("./")) && str_find(path, STR("/."), 0) == SIZE_MAX &&
        str_find(path, STR("//"), 0) == SIZE_MAX)
        return path;
    bool absolute = path.n && path.p[0] == '/';
    char *out = str_adup(a, path);
    size_t n = 0, floor = 0; /* below floor lie parts that ".." cannot remove */
    struct str part, rest = path;
    while (str_split(&rest, '/', &part)) {
        if (part.n == 0 || str_eq(part, STR(".")))
            continue;
        if (str_eq(part, STR("..")) && n > floor) {
            size_t slash = str_rfind_char(str_n(out, n), '/');
            n = slash == SIZE_MAX ? 0 : slash;
            continue;
        }
        if (n || absolute)
            out[n++] = '/';
        memmove(out + n, part.p, part.n);
        n += part.n;
        if (str_eq(part, STR("..")))
            floor = n;
    }
    return n ? str_n(out, n) : absolute ? STR("/") : STR(".");
}

static uint32_t add_file(const struct unit_lines *l, struct sym *s, const char *path)
{
    if (path[0] != '/' && l->folder && l->folder[0])
        path = arena_printf(&s->arena, "%s/%s", l->folder, path);
    return textmap_number(&s->files, &s->arena,
                          sym_clean(s, lines_clean_path(&s->arena, str_of(path))));
}

bool lines_file(struct unit_lines *l, struct sym *s, uint64_t index, uint32_t *ret_file)
{
    if (index >= l->file_ids.n)
        return false;
    uint32_t *id = &l->file_ids.v[index];
    if (*id == UINT32_MAX) {
        const char *path = dwarf_filesrc(l->files, (size_t)index, NULL, NULL);
        if (!path)
            return false;
        *id = add_file(l, s, path);
    }
    *ret_file = *id;
    return true;
}

/*
 * Row i of the table up to the next address; false when it covers nothing.  libdw hands out one
 * pointer for one file of a table, so equal pointers mean the file of the row before, whose number
 * is known.  Line 0 is code that no line has caused; it is kept.
 */
static bool read_row(const struct image *image, const struct unit_lines *l, struct sym *s,
                     Dwarf_Lines *table, size_t i, const char **last_path, struct sym_line *row)
{
    Dwarf_Line *line = dwarf_onesrcline(table, i), *next = dwarf_onesrcline(table, i + 1);
    Dwarf_Addr addr, end;
    bool stops = false;
    int number = 0;
    if (!line || !next || dwarf_lineendsequence(line, &stops) != 0 || stops ||
        dwarf_lineaddr(line, &addr) != 0 || dwarf_lineaddr(next, &end) != 0 ||
        dwarf_lineno(line, &number) != 0)
        return false;
    addr += image->dwarf_bias;
    end += image->dwarf_bias;
    if (end <= addr || end - addr > UINT32_MAX || addr < image->base)
        return false;
    const char *path = dwarf_linesrc(line, NULL, NULL);
    if (!path)
        return false;
    uint32_t file = path == *last_path && row->size ? row->file : add_file(l, s, path);
    *last_path = path;
    *row = (struct sym_line){.addr = addr - image->base,
                             .size = (uint32_t)(end - addr),
                             .line = number > 0 ? (uint32_t)number : 0,
                             .file = file};
    return true;
}

bool lines_read(const struct image *image, struct sym *s, Dwarf_Die *unit,
                struct unit_lines *ret_lines)
{
    struct unit_lines l = {0};
    Dwarf_Attribute mem;
    l.folder = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &mem));
    if (dwarf_getsrcfiles(unit, &l.files, &l.file_count) == 0)
        for (size_t i = 0; i < l.file_count && i < FILES_MAX; i++)
            VEC_PUSH(&l.file_ids, UINT32_MAX);

    Dwarf_Lines *table;
    size_t count;
    const char *last_path = NULL;
    struct sym_line row = {0};
    bool is_read = dwarf_getsrclines(unit, &table, &count) == 0; /* sorted by address */
    if (is_read)
        for (size_t i = 0; i + 1 < count; i++)
            if (read_row(image, &l, s, table, i, &last_path, &row))
                VEC_PUSH(&l.rows, row);
    *ret_lines = l;
    return is_read || !dwarf_hasattr(unit, DW_AT_stmt_list);
}

void lines_release(struct unit_lines *l)
{
    VEC_RELEASE(&l->rows);
    VEC_RELEASE(&l->file_ids);
}

static int by_start(const void *a, const void *b)
{
    const struct sym_range *x = a, *y = b;
    return x->addr < y->addr ? -1 : x->addr > y->addr;
}

struct loose {
    struct sym *s;
    const struct sym_range *code; /* of the unit, by address; rows elsewhere are not believed */
    size_t code_n, at;
};

/*
 * Rows come in the order of their addresses.  Rows without an end in a table that is sorted by
 * address reach up to the next unit's code, so each is cut to the code of its own unit.
 */
static void keep_row(struct loose *l, struct sym_line row, uint64_t from, uint64_t to)
{
    while (l->at < l->code_n && l->code[l->at].addr + l->code[l->at].size <= from)
        l->at++;
    for (size_t i = l->at; i < l->code_n && l->code[i].addr < to; i++) {
        uint64_t start = MAX(from, l->code[i].addr);
        uint64_t end = MIN(to, l->code[i].addr + l->code[i].size);
        if (start >= end)
            continue;
        row.addr = start;
        row.size = (uint32_t)(end - start);
        VEC_PUSH(&l->s->loose_lines, row);
    }
}

/*
 * Walks rows and functions side by side, both in the order of their addresses; what of a row lies
 * before, between and behind the functions is kept.
 */
void lines_keep_loose(const struct unit_lines *l, struct sym *s, size_t first,
                      struct sym_range *code, size_t code_n)
{
    VEC(struct sym_range) known = {0};
    for (size_t i = first; i < s->funcs.n; i++)
        VEC_PUSH(&known, ((struct sym_range){s->funcs.v[i].addr, s->funcs.v[i].size}));
    if (known.n)
        qsort(known.v, known.n, sizeof *known.v, by_start);
    if (code_n)
        qsort(code, code_n, sizeof *code, by_start);
    struct loose loose = {.s = s, .code = code, .code_n = code_n};
    size_t k = 0;
    for (size_t i = 0; i < l->rows.n; i++) {
        struct sym_line row = l->rows.v[i];
        uint64_t from = row.addr, end = row.addr + row.size;
        while (k < known.n && known.v[k].addr + known.v[k].size <= from)
            k++;
        for (size_t j = k; j < known.n && known.v[j].addr < end && from < end; j++) {
            keep_row(&loose, row, from, known.v[j].addr);
            from = MAX(from, known.v[j].addr + known.v[j].size);
        }
        keep_row(&loose, row, from, end);
    }
    VEC_RELEASE(&known);
}
