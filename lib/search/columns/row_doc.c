/*
 * The way back from columns to a document.  What was put and what is read here are the same values,
 * so a row that is copied with it is found by the same searches as before.
 */
#include "lib/search/columns/row_doc.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/search/columns/commit.h"
#include "lib/search/columns/dict.h"
#include "lib/search/columns/part.h"

static struct strs list_texts(struct arena *a, const struct column *c, uint32_t code)
{
    size_t n;
    const uint32_t *codes = column_list(c, code, &n);
    n = MIN(n, (size_t)DOC_LIST_MAX); /* more only if it is damaged */
    struct strs out = {.v = arena_array(a, n + 1, sizeof(struct str)), .n = n};
    for (size_t i = 0; i < n; i++)
        out.v[i] = dict_entry(&c->elements, codes[i]);
    return out;
}

/* The other way round of put_value in write.c; false: the row has no value. */
static bool read_doc_value(struct arena *a, const struct column *c, uint64_t row,
                           struct doc_value *out)
{
    uint32_t code;
    switch (c->kind) {
    case COLUMN_NUMBER:
        if (c->h->index == INDEX_DOUBLE)
            out->d = column_double(c, row);
        else
            out->i = column_int(c, row);
        return column_has(c, row);
    case COLUMN_BOOL:
        code = column_code(c, row);
        out->i = code == 2;
        return code != 0;
    case COLUMN_LIST:
        out->texts = list_texts(a, c, column_code(c, row));
        return out->texts.n > 0;
    case COLUMN_DICT:
        code = column_code(c, row);
        out->texts = (struct strs){.v = arena_alloc(a, sizeof(struct str)), .n = code != 0};
        if (code)
            out->texts.v[0] = dict_entry(&c->dict, code);
        return code != 0;
    }
    return false;
}

void row_doc(struct arena *a, const struct part *p, uint64_t row, struct doc *ret)
{
    *ret = (struct doc){.values = arena_array(a, p->fields->search_count, sizeof *ret->values)};
    for (size_t i = 0; i < p->fields->search_count; i++) {
        struct doc_value *v = &ret->values[ret->n];
        v->field = &p->fields->search[i];
        if (!p->by_field[i] || !read_doc_value(a, p->by_field[i], row, v))
            continue;
        if (v->field == p->fields->date)
            ret->date_us = v->i;
        if (v->field == p->fields->uuid)
            ret->uuid = v->texts.v[0];
        ret->n++;
    }
    if (p->removed_fields)
        ret->removed = list_texts(a, p->removed_fields, column_code(p->removed_fields, row));
}

bool part_use_all(const struct root *r, struct part *p, struct err *err)
{
    uint64_t sequence = commit_sequence(r->h), rows;
    if (!rows_as_of(p->h, sequence, &rows))
        return err_set(err, ERR_DAMAGED, "%s: no commit up to %llu", p->folder,
                       (unsigned long long)sequence);
    if (!part_use(p, sequence, rows, err))
        return false;
    for (size_t i = 0; i < p->column_count; i++)
        if (p->columns[i] && !column_use(p->columns[i], err))
            return false;
    return true;
}
