#ifndef SEARCH_DOC_H
#define SEARCH_DOC_H

#include "lib/crash/field.h"
#include "lib/json/json.h"

/*
 * doc - what of a processed crash goes into the index, cleaned: every field of the field
 * table taken from its source, brought to its type.  The same for every engine.
 *
 * Ownership  Texts borrow from the JSON document or lie in the arena.
 * Errors     ERR_INVALID: no uuid or no date_processed.  A field whose value cannot be
 *            brought to its type is left out and named in `removed`.
 */
/*
 * Longer texts are cut: keywords in characters and other texts in bytes, where the search engine
 * cut them that clients were written for.  The list is ours: a crash with more modules in a stack
 * than that is an accident.  Names and versions of modules are names of files.
 */
enum {
    DOC_KEYWORD_CHARS_MAX = 10000,
    DOC_TEXT_BYTES_MAX = 32766,
    DOC_LIST_MAX = 10000,
    DOC_MODULE_BYTES_MAX = 255,
};

struct doc_value {
    const struct search_field *field;
    int64_t i;         /* integer, short, long, boolean, date */
    double d;          /* double */
    struct strs texts; /* text, semi, keyword: at least one, more for lists */
};

struct doc {
    struct str uuid;
    int64_t date_us;
    struct doc_value *values; /* present ones, in the order of the field table */
    size_t n;
    struct strs removed;
};

/*
 * What a single value becomes, for those who must come to what the index has.  NULL: false.
 * DOC_BAD_TEXT stands for a value of another type where a text should be.
 */
#define DOC_BAD_TEXT "BAD DATA"
bool doc_to_int(const json_t *v, int64_t *ret);
bool doc_to_double(const json_t *v, double *ret);
bool doc_to_bool(const json_t *v);

bool doc_from_json(struct arena *a, const struct field_table *fields, const json_t *processed_crash,
                   struct doc *ret, struct err *err);

#endif
