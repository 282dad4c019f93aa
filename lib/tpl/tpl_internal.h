#ifndef TPL_TPL_INTERNAL_H
#define TPL_TPL_INTERNAL_H

#include <ctpl/ctpl.h>

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/tpl/tpl.h"

/* Shared by the files of this module only. */

/* Of a file, and of a text with everything it includes: a hundred times the largest of ours. */
enum { TPL_TEMPLATE_MAX = 1 << 20 };
/* Open blocks at one place; our deepest is eight. */
enum { TPL_NESTING_MAX = 32 };

/* Stands at the end of every template; a rendering without it is broken off. */
#define TPL_TRAILER "\x02end of page\x03"

void tpl_escape(struct strbuf *b, struct str s);

/* Which columns and lists of a schema templates have named, in its order. */
struct tpl_usage {
    bool *columns;
    bool *lists;
};

/*
 * A text as ctpl reads it.  Loops are cut out of it, and a name stands where
 * each of them was: what that shows is rendered first.
 */
struct tpl_loop;
struct tpl_piece {
    struct strbuf text;
    CtplToken *tree; /* NULL: the text is empty */
    VEC(struct tpl_loop *) loops;
};

struct tpl_loop {
    struct tpl_piece body;
    char *symbol;                /* stands for it in the text around */
    const struct tpl_list *list; /* of the page; NULL: a column of a row around */
    size_t outer, column;        /* that column: of the row of the loop at this depth */
    size_t depth;                /* how many loops are around this one */
    const struct tpl_row_type *row;
    char **names; /* of the columns, for ctpl, by position; NULL: nobody asks for this one */
};

/*
 * Appends the template `name` of the directory to the piece, includes and all.  ERR_INTERNAL with
 * file and line for anything that is not well formed or not declared; what it names is added to
 * `used`.  The piece has no trees yet.
 */
bool tpl_translate(const char *dir, const char *name, const struct tpl_schema *schema,
                   struct tpl_usage *used, struct tpl_piece *piece, struct err *err);
void tpl_piece_release(struct tpl_piece *piece);

/* The other direction, after the last template: ERR_INTERNAL for what none of them names. */
bool tpl_check_usage(const struct tpl_schema *schema, const struct tpl_usage *used,
                     struct err *err);

/*
 * What C has set, in the arena and escaped already.
 */
struct tpl_value {
    const char *name; /* NULL in a column */
    enum { TPL_UNSET, TPL_INT, TPL_MARKUP, TPL_ROWS } kind;
    int64_t i;
    const char *markup; /* escaped, terminated */
    struct tpl_rows *rows;
    struct tpl_value *next;
};

struct tpl_row {
    struct arena *a;
    const struct tpl_row_type *type;
    struct tpl_value *columns;      /* one for each of the type */
    const struct tpl_column *stray; /* one that was set and is not of the type; NULL: none */
    struct tpl_row *next;
};

struct tpl_rows {
    struct arena *a;
    const struct tpl_row_type *type;
    struct tpl_row *first, *last;
    size_t count;
};

struct tpl_values {
    struct arena *a;
    struct tpl_value *first, *last;
};

/* The parsed form of a template by name, or NULL. */
const struct tpl_piece *tpl_parsed(const struct tpl_set *t, const char *template_name);

#endif
