#ifndef CRASH_FIELD_H
#define CRASH_FIELD_H

#include "base/str.h"

/*
 * field - the one table of processed-crash keys, annotations and search fields.
 *
 * The rows come from lib/crash/fields.tsv at build time.  They drive the copy rule,
 * the reducer, the index, query checks, the fields API, the search form and the
 * data dictionary.  There is no second list.
 */
enum perm {
    PERM_PUBLIC = 0,
    PERM_PROTECTED = 1, /* needs view_pii */
};

/* ---- search fields ---------------------------------------------------------------------- */
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
    const char *choices;    /* comma-separated form choices, or NULL */
    const char *description;
};
extern const struct search_field search_fields[]; /* sorted by name */
extern const size_t search_field_count;
const struct search_field *search_field_find(struct str name);

/* ---- annotations (raw crash) and the copy rule --------------------------------------------- */
enum copy_type { COPY_NONE, COPY_BOOL, COPY_INT, COPY_NUM, COPY_STR, COPY_OBJ };

struct annotation {
    const char *name;
    enum perm perm;
    enum copy_type copy;       /* what CopyFromRawCrash does with it */
    const char *processed_key; /* NULL when COPY_NONE */
    const char *fallback;      /* default as JSON text when the annotation is absent, or NULL */
    const char *description;
};
extern const struct annotation annotations[]; /* sorted by name */
extern const size_t annotation_count;
const struct annotation *annotation_find(struct str name);

#endif
