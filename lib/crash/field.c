/*
 * Looking up names.  Search fields, annotations and keys are sorted by the bytes of their names
 * (the generator and fields_load see to it) and begin each row with the name, so one binary search
 * serves all three.
 *
 * Programs look up what a request or a file names.  What the code itself needs for every row or
 * document (the crash id, the date) is resolved when the table is made: struct field_table.
 */
#include "lib/crash/field.h"

static const void *find_row(const void *rows, size_t n, size_t row_bytes, struct str name)
{
    size_t low = 0;
    while (low < n) {
        size_t mid = low + (n - low) / 2;
        const char *const *row = (const void *)((const char *)rows + mid * row_bytes);
        int cmp = str_cmp(name, str_of(*row));
        if (cmp == 0)
            return row;
        if (cmp < 0)
            n = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const struct search_field *search_field_find(const struct field_table *fields, struct str name)
{
    return find_row(fields->search, fields->search_count, sizeof *fields->search, name);
}

const struct annotation *annotation_find(const struct field_table *fields, struct str name)
{
    return find_row(fields->annotations, fields->annotation_count, sizeof *fields->annotations,
                    name);
}

const struct schema_key *schema_find(const struct schema_shape *shape, struct str name)
{
    const struct schema_key *exact = find_row(shape->keys, shape->n, sizeof shape->keys[0], name);
    if (exact)
        return exact;
    for (size_t i = 0; i < shape->n; i++) {
        struct str pattern = str_of(shape->keys[i].name);
        if (pattern.n > 0 && pattern.p[pattern.n - 1] == '*' &&
            str_starts(name, str_sub(pattern, 0, pattern.n - 1)))
            return &shape->keys[i];
    }
    return NULL;
}
