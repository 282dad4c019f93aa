#ifndef CRASH_FIELD_H
#define CRASH_FIELD_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * field - the one table of processed-crash keys, annotations and search fields.
 *
 * The rows come from lib/crash/fields.tsv at build time (fields_builtin); an installation may
 * add its own (fields_load).  Crash pings, which are another kind of document, have a table of
 * their own (fields_pings, from lib/crash/ping-fields.tsv).  They drive the copy rule, the reducer,
 * the index, query checks, the fields API, the search form and the data dictionary.  There is no
 * second list.
 *
 * A table is a value: main loads it and hands it down, and whatever keeps something by field
 * (an open index, a query) remembers which table it was made with.  A field belongs to one
 * table, and its id is its place there; ids of two tables do not mean the same.
 *
 * Ownership  Rows and their texts live as long as their table: till fields_free.
 * Threads    Nothing changes a table once it is there, so it may be shared.
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

/* The key `name` of an object of this shape; exact names win over patterns.  NULL if unknown. */
const struct schema_key *schema_find(const struct schema_shape *shape, struct str name);

/* Search fields */
enum query_type {
    QUERY_ENUM,
    QUERY_STRING,
    QUERY_INTEGER,
    QUERY_FLOAT,
    QUERY_BOOL,
    QUERY_DATE,
    QUERY_FRAMES, /* texts of frames: a list, searched by what is in it */
};
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

/* Whose frames a field of them is about (lib/search/doc_frames.h). */
enum frames_of {
    FRAMES_NONE,
    FRAMES_OF_CRASH, /* of the crashing thread, in order, an element for each */
    FRAMES_OF_ALL,   /* of all threads, each text once */
};

/*
 * What the index has room for: a partition has a column for every search field that it has ever had
 * a value of, and the name is part of the names of files.  columns/part.c holds both against the
 * format; 400 leaves a hundred for fields that an installation had once.
 */
enum { SEARCH_FIELDS_MAX = 400, SEARCH_FIELD_NAME_MAX = 55 };

struct search_field {
    const char *name;
    size_t id; /* its place in the table: what arrays by field are indexed with */
    enum query_type query_type;
    enum value_type value_type;
    enum index_kind index;
    bool is_list;           /* the source may be a list */
    bool has_full;          /* text kept whole besides its tokens */
    bool has_versions;      /* elements are NAME/VERSION, and versions are compared */
    enum frames_of frames;  /* the last step of source_key is a key of each frame */
    bool correlates;        /* an attribute of correlations (lib/correlations); never protected */
    const char *source_key; /* dotted path in the processed crash */
    enum perm perm;
    const char *choices; /* comma-separated form choices, or NULL; "@products", "@versions" and
                          * "@platforms" stand for what the installation knows */
    const char *description;
};

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

struct field_table {
    const struct search_field *search; /* sorted by name; search[i].id is i */
    size_t search_count;
    const struct annotation *annotations; /* sorted by name */
    size_t annotation_count;
    struct schema_shape processed; /* the processed crash itself */
    /* Two that every table has and every index needs: the id of a document and when it came. */
    const struct search_field *uuid, *date;
    char *text; /* what the rows of the installation point into; NULL: there are none */
};

/* The table of fields.tsv alone. */
extern const struct field_table fields_builtin;
/* That of crash pings. */
extern const struct field_table fields_pings;

const struct search_field *search_field_find(const struct field_table *fields, struct str name);
const struct annotation *annotation_find(const struct field_table *fields, struct str name);

/*
 * The built-in table with the rows of $DATIL_VAR/config/fields.tsv, if there is one: annotations,
 * top-level keys copied from them, search fields.  New; ERR_INVALID names the line, and the program
 * should not start.
 */
bool fields_load(const char *var_dir, const struct field_table **ret, struct err *err);
void fields_free(const struct field_table *fields); /* NULL is fine, fields_builtin is not */

#endif
