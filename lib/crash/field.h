#ifndef CRASH_FIELD_H
#define CRASH_FIELD_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * field - the one table of processed-crash keys, annotations and search fields.
 *
 * The rows come from lib/crash/fields.tsv at build time; an installation may add its
 * own (fields_load).  They drive the copy rule, the reducer, the index, query checks,
 * the fields API, the search form and the data dictionary.  There is no second list.
 *
 * Ownership  The tables live as long as the process; so do pointers into them once
 *            fields_load has run.
 * Threads    Read-only after fields_load, which a program calls at start or not at all.
 */
enum perm {
    PERM_PUBLIC = 0,
    PERM_PROTECTED = 1, /* needs view_pii */
};

/* Shape of the processed crash */
enum schema_type {
    SCHEMA_STR = 1,
    SCHEMA_INT = 2,
    SCHEMA_NUM = 4, /* an integer is one too */
    SCHEMA_BOOL = 8,
    SCHEMA_OBJ = 16,
    SCHEMA_LIST = 32,
    SCHEMA_NULL = 64,
    SCHEMA_ANY = 128, /* whatever it is, with all that is below it */
};

struct schema_shape;

/* One key of an object.  A name that ends in '*' stands for every key that begins like it. */
struct schema_key {
    const char *name;
    unsigned types;                   /* bits of enum schema_type */
    unsigned item_types;              /* of list elements, or of the values of a map */
    bool is_map;                      /* an object whose keys are free */
    const struct schema_shape *shape; /* of the object, elements or values; or NULL */
    enum perm perm;
    const char *writer;      /* rule that sets it, "pipeline", or NULL inside an object */
    const char *from;        /* annotations it comes from, comma-separated, or NULL */
    const char *description; /* never NULL, may be empty */
};

struct schema_shape {
    const char *name;
    const struct schema_key *keys; /* sorted by name */
    size_t n;
};
extern struct schema_shape schema_processed; /* nobody but fields_load writes it */

/* The key `name` of an object of this shape; exact names win over patterns.  NULL if unknown. */
const struct schema_key *schema_find(const struct schema_shape *shape, struct str name);

/* Search fields */
enum query_type { QUERY_ENUM, QUERY_STRING, QUERY_INTEGER, QUERY_FLOAT, QUERY_BOOL, QUERY_DATE };
enum value_type { VALUE_STR, VALUE_ENUM, VALUE_INT, VALUE_FLOAT, VALUE_BOOL, VALUE_DATETIME };
enum index_kind {
    INDEX_TEXT,
    INDEX_SEMI,
    INDEX_KEYWORD,
    INDEX_INTEGER, /* 32 bit */
    INDEX_SHORT,   /* 16 bit */
    INDEX_LONG,    /* 64 bit */
    INDEX_DOUBLE,
    INDEX_BOOLEAN,
    INDEX_DATE,
};

struct search_field {
    const char *name;
    enum query_type query_type;
    enum value_type value_type;
    enum index_kind index;
    bool is_list;           /* the source may be a list */
    bool has_full;          /* text kept whole besides its tokens */
    const char *source_key; /* dotted path in the processed crash */
    enum perm perm;
    const char *choices; /* comma-separated form choices, or NULL; "@products", "@versions" and
                          * "@platforms" stand for what the installation knows */
    const char *description;
};
extern const struct search_field *search_fields; /* sorted by name */
extern size_t search_field_count;
const struct search_field *search_field_find(struct str name);

/* Annotations (raw crash) and the copy rule */
enum copy_type { COPY_NONE, COPY_BOOL, COPY_INT, COPY_NUM, COPY_STR, COPY_OBJ };

struct annotation {
    const char *name;
    unsigned types; /* JSON types it should have: bits of enum schema_type */
    enum perm perm;
    enum copy_type copy;       /* what CopyFromRawCrash does with it */
    const char *processed_key; /* NULL when COPY_NONE */
    const char *fallback;      /* default as JSON text when the annotation is absent, or NULL */
    const char *description;
};
extern const struct annotation *annotations; /* sorted by name */
extern size_t annotation_count;
const struct annotation *annotation_find(struct str name);

/*
 * Adds the rows of $DATIL_VAR/config/fields.tsv, if there is one, to the tables above:
 * annotations, top-level keys copied from them, search fields.  Call at start, before
 * anything keeps a pointer into a table.  ERR_INVALID names the line; then nothing was
 * added and the program should not start.
 */
bool fields_load(const char *var_dir, struct err *err);

#endif
