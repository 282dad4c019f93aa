#include "lib/crash/field.h"

/*
 * All three tables are sorted by bytes and begin each row with its name, so one search
 * serves them all.
 */
static const void *find(const void *rows, size_t n, size_t row_bytes, struct str name)
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

const struct search_field *search_field_find(struct str name)
{
    return find(search_fields, search_field_count, sizeof search_fields[0], name);
}

const struct annotation *annotation_find(struct str name)
{
    return find(annotations, annotation_count, sizeof annotations[0], name);
}

const struct schema_key *schema_find(const struct schema_shape *shape, struct str name)
{
    const struct schema_key *exact = find(shape->keys, shape->n, sizeof shape->keys[0], name);
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
