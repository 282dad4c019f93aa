#include "lines.h"

#include "base/util.h"

enum { FILES_MAX = 1 << 22 };

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

static uint32_t add_file(struct sym *s, const char *path)
{
    return pool_add(&s->files, sym_clean(s, lines_clean_path(&s->arena, str_of(path))));
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
        *id = add_file(s, path);
    }
    *ret_file = *id;
    return true;
}

/* Row i of the table up to the next address; false when it covers nothing. */
static bool read_row(const struct image *image, struct sym *s, Dwarf_Lines *table, size_t i,
                     const char **last_path, struct sym_line *row)
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
    uint32_t file = path == *last_path && row->size ? row->file : add_file(s, path);
    *last_path = path;
    *row = (struct sym_line){.addr = addr - image->base,
                             .size = (uint32_t)(end - addr),
                             .line = number > 0 ? (uint32_t)number : 0,
                             .file = file};
    return true;
}

void lines_read(const struct image *image, struct sym *s, Dwarf_Die *unit,
                struct unit_lines *ret_lines)
{
    struct unit_lines l = {0};
    if (dwarf_getsrcfiles(unit, &l.files, &l.file_count) == 0)
        for (size_t i = 0; i < l.file_count && i < FILES_MAX; i++)
            VEC_PUSH(&l.file_ids, UINT32_MAX);

    Dwarf_Lines *table;
    size_t count;
    const char *last_path = NULL;
    struct sym_line row = {0};
    if (dwarf_getsrclines(unit, &table, &count) == 0) /* sorted by address */
        for (size_t i = 0; i + 1 < count; i++)
            if (read_row(image, s, table, i, &last_path, &row))
                VEC_PUSH(&l.rows, row);
    *ret_lines = l;
}

void lines_release(struct unit_lines *l)
{
    VEC_RELEASE(&l->rows);
    VEC_RELEASE(&l->file_ids);
}

void lines_copy(const struct unit_lines *l, struct sym *s, uint64_t addr, uint32_t size)
{
    size_t low = 0, high = l->rows.n;
    while (low < high) { /* first row that ends above addr */
        size_t mid = low + (high - low) / 2;
        if (l->rows.v[mid].addr + l->rows.v[mid].size <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    size_t first = s->lines.n;
    for (size_t i = low; i < l->rows.n && l->rows.v[i].addr < addr + size; i++) {
        struct sym_line row = l->rows.v[i];
        uint64_t from = MAX(row.addr, addr), to = MIN(row.addr + row.size, addr + size);
        row.addr = from;
        row.size = (uint32_t)(to - from);
        struct sym_line *last = s->lines.n > first ? &s->lines.v[s->lines.n - 1] : NULL;
        if (last && last->addr + last->size == from && last->line == row.line &&
            last->file == row.file)
            last->size += row.size; /* rows that differ only in column or discriminator */
        else
            VEC_PUSH(&s->lines, row);
    }
}
