/*
 * The table of an installation: the built-in rows and those of its own file, sorted together.
 *
 * The file has the columns of lib/crash/fields.tsv (docs/fields.md), one row a line, separated by
 * tabs, but less is allowed: annotations, top-level keys copied from one annotation of the same
 * file, search fields.  Rows come in an order in which each finds what it refers to: a key its
 * annotation, a search field its key.  A name may not be taken already, so that no file can change
 * what a built-in row says, above all not who may see it; and what is protected as an annotation
 * cannot become a public key.
 *
 * Either the whole file is good or there is no table: a program that started without some of its
 * fields would index crashes without them and nobody would notice.
 *
 * The rows point into the text of the file, which the table therefore keeps.
 */
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/json/json.h"

/*
 * COLUMNS_MAX is what the longest kind of row has.  The others are limits against accidents, a
 * wrong file or one without ends of lines: the built-in table has some 850 rows in 54 kB.
 */
enum { FILE_BYTES_MAX = 1 << 20, ROWS_MAX = 1000, COLUMNS_MAX = 9, NAME_BYTES_MAX = 100 };

/* The rows of the file so far. */
struct added {
    struct annotation *annotations;
    size_t annotation_count;
    struct schema_key *keys;
    size_t key_count;
    struct search_field *search;
    size_t search_count;
};

struct word {
    const char *text;
    int value;
};

static bool look_up(const struct word *words, size_t n, const char *text, int *ret)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(words[i].text, text) == 0) {
            *ret = words[i].value;
            return true;
        }
    return false;
}

#define LOOK_UP(words, text, ret) look_up(words, ARRAY_LEN(words), text, ret)

static const struct word perms[] = {{"pub", PERM_PUBLIC}, {"prot", PERM_PROTECTED}};
static const struct word queries[] = {{"enum", QUERY_ENUM},       {"string", QUERY_STRING},
                                      {"integer", QUERY_INTEGER}, {"float", QUERY_FLOAT},
                                      {"bool", QUERY_BOOL},       {"date", QUERY_DATE}};
/* no "frames": what is in a stack the walker says and no annotation */
static const struct word values[] = {{"str", VALUE_STR},   {"enum", VALUE_ENUM},
                                     {"int", VALUE_INT},   {"float", VALUE_FLOAT},
                                     {"bool", VALUE_BOOL}, {"datetime", VALUE_DATETIME}};
static const struct word kinds[] = {
    {"text", INDEX_TEXT},       {"semi", INDEX_SEMI},       {"keyword", INDEX_KEYWORD},
    {"integer", INDEX_INTEGER}, {"short", INDEX_SHORT},     {"long", INDEX_LONG},
    {"double", INDEX_DOUBLE},   {"boolean", INDEX_BOOLEAN}, {"date", INDEX_DATE}};
static const struct word types[] = {
    {"str", SCHEMA_STR}, {"int", SCHEMA_INT},   {"num", SCHEMA_NUM},  {"bool", SCHEMA_BOOL},
    {"obj", SCHEMA_OBJ}, {"list", SCHEMA_LIST}, {"null", SCHEMA_NULL}};
static const struct word copies[] = {
    {"str", COPY_STR}, {"int", COPY_INT}, {"num", COPY_NUM}, {"bool", COPY_BOOL}};

/* "str/null" to bits.  Maps, shapes and what is inside a list can be said in the built-in table
 * alone. */
static bool read_types(const char *text, unsigned *ret)
{
    struct str rest = str_of(text), part;
    unsigned bits = 0;
    while (str_split(&rest, '/', &part)) {
        FREE_LATER char *word = str_dup(part);
        int bit;
        if (!LOOK_UP(types, word, &bit))
            return false;
        bits |= (unsigned)bit;
    }
    *ret = bits;
    return true;
}

static const char *or_null(const char *text)
{
    return strcmp(text, "-") == 0 ? NULL : text;
}

/* Lower-case letters, digits and '_': what may be part of a URL and of a file name. */
static bool is_key_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && n <= NAME_BYTES_MAX && !name[n];
}

/* What clients send: any text without blanks and control characters. */
static bool is_annotation_name(const char *name)
{
    struct str s = str_of(name);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ')
            return false;
    return s.n > 0 && s.n <= NAME_BYTES_MAX && utf8_valid(s);
}

static struct annotation *added_annotation(struct added *a, const char *name)
{
    for (size_t i = 0; i < a->annotation_count; i++)
        if (strcmp(a->annotations[i].name, name) == 0)
            return &a->annotations[i];
    return NULL;
}

static const struct schema_key *added_key(const struct added *a, const char *name)
{
    for (size_t i = 0; i < a->key_count; i++)
        if (strcmp(a->keys[i].name, name) == 0)
            return &a->keys[i];
    return NULL;
}

/* annotation NAME TYPE PERM DEFAULT DESCRIPTION.  It is copied to no key until a row says so. */
static bool add_annotation(struct added *a, char **c, struct err *err)
{
    struct annotation row = {.name = c[1], .fallback = or_null(c[4]), .description = c[5]};
    int perm;
    if (!is_annotation_name(c[1]))
        return err_set(err, ERR_INVALID, "not an annotation name");
    if (annotation_find(&fields_builtin, str_of(c[1])) || added_annotation(a, c[1]))
        return err_set(err, ERR_INVALID, "annotation %s is known already", c[1]);
    if (!read_types(c[2], &row.types))
        return err_set(err, ERR_INVALID, "type '%s'", c[2]);
    if (!LOOK_UP(perms, c[3], &perm))
        return err_set(err, ERR_INVALID, "permission '%s': say pub or prot", c[3]);
    json_auto_t *fallback = row.fallback ? json_loads(row.fallback, JSON_DECODE_ANY, NULL) : NULL;
    if (row.fallback && !fallback)
        return err_set(err, ERR_INVALID, "the default is not JSON");
    row.perm = (enum perm)perm;
    a->annotations[a->annotation_count++] = row;
    return true;
}

/* The annotation becomes the key; a protected value must not turn public on the way. */
static bool link_annotation(struct added *a, const struct schema_key *key, int copy,
                            struct err *err)
{
    struct annotation *from = added_annotation(a, key->from);
    if (!from)
        return err_set(err, ERR_INVALID, "%s is no annotation of this file", key->from);
    if (from->processed_key)
        return err_set(err, ERR_INVALID, "annotation %s is copied twice", from->name);
    if (from->perm > key->perm)
        return err_set(err, ERR_INVALID, "annotation %s is protected, its key must be too",
                       from->name);
    from->copy = (enum copy_type)copy;
    from->processed_key = key->name;
    return true;
}

/*
 * key processed NAME TYPES PERM CopyFromRawCrash ANNOTATION DESCRIPTION.  The columns are those of
 * the built-in table, though two of them have one legal value here.  A key that a built-in pattern
 * covers ("upload_file_minidump_*") is known already.
 */
static bool add_key(struct added *a, char **c, struct err *err)
{
    struct schema_key row = {.name = c[2], .writer = c[5], .from = c[6], .description = c[7]};
    int perm, copy;
    if (strcmp(c[1], "processed") != 0 || strcmp(c[5], "CopyFromRawCrash") != 0)
        return err_set(err, ERR_INVALID, "only 'processed' keys of CopyFromRawCrash can be added");
    if (!is_key_name(c[2]))
        return err_set(err, ERR_INVALID, "a key has lower-case letters, digits and '_'");
    if (schema_find(&fields_builtin.processed, str_of(c[2])) || added_key(a, c[2]))
        return err_set(err, ERR_INVALID, "key %s is known already", c[2]);
    if (!LOOK_UP(copies, c[3], &copy) || !read_types(c[3], &row.types))
        return err_set(err, ERR_INVALID, "type '%s': say str, int, num or bool", c[3]);
    if (!LOOK_UP(perms, c[4], &perm))
        return err_set(err, ERR_INVALID, "permission '%s': say pub or prot", c[4]);
    row.perm = (enum perm)perm;
    if (!link_annotation(a, &row, copy, err))
        return false;
    if (!or_null(row.description))
        row.description = added_annotation(a, row.from)->description;
    a->keys[a->key_count++] = row;
    return true;
}

/*
 * The permission of a dotted path: the strictest of its steps, as the generator has it for built-in
 * fields.  An added key is a plain value at the top, so a path through one is that key and no more.
 * False: there is no such key.
 */
static bool path_perm(const struct added *a, const char *path, enum perm *ret)
{
    struct str rest = str_of(path), name;
    const struct schema_shape *shape = &fields_builtin.processed;
    const struct schema_key *own = added_key(a, path);
    enum perm perm = own ? own->perm : PERM_PUBLIC;
    while (!own && str_split(&rest, '.', &name)) {
        const struct schema_key *key = shape ? schema_find(shape, name) : NULL;
        if (!key)
            return false;
        perm = MAX(perm, key->perm);
        shape = key->is_map ? NULL : key->shape;
    }
    *ret = perm;
    return true;
}

static bool is_search_known(const struct added *a, const char *name)
{
    for (size_t i = 0; i < a->search_count; i++)
        if (strcmp(a->search[i].name, name) == 0)
            return true;
    return search_field_find(&fields_builtin, str_of(name)) != NULL;
}

/* Whether an index of this kind finds values of this type; tools/gen/fields.awk says the same. */
static bool holds(enum index_kind kind, enum value_type value)
{
    switch (value) {
    case VALUE_INT:
        return kind == INDEX_INTEGER || kind == INDEX_SHORT || kind == INDEX_LONG;
    case VALUE_FLOAT:
        return kind == INDEX_DOUBLE;
    case VALUE_BOOL:
        return kind == INDEX_BOOLEAN;
    case VALUE_DATETIME:
        return kind == INDEX_DATE;
    case VALUE_STR:
    case VALUE_ENUM:
        break;
    }
    return kind == INDEX_TEXT || kind == INDEX_SEMI || kind == INDEX_KEYWORD;
}

/* search NAME QUERY VALUE INDEX FLAGS SOURCE CHOICES DESCRIPTION.  The permission is that of the
 * source, so that nobody can say something else here. */
static bool add_search(struct added *a, char **c, struct err *err)
{
    int query, value, kind;
    if (!is_key_name(c[1]))
        return err_set(err, ERR_INVALID, "a field has lower-case letters, digits and '_'");
    if (strlen(c[1]) > SEARCH_FIELD_NAME_MAX)
        return err_set(err, ERR_INVALID, "the name of a search field has at most %d letters",
                       SEARCH_FIELD_NAME_MAX);
    if (fields_builtin.search_count + a->search_count >= SEARCH_FIELDS_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %d search fields", SEARCH_FIELDS_MAX);
    if (is_search_known(a, c[1]))
        return err_set(err, ERR_INVALID, "search field %s is known already", c[1]);
    if (!LOOK_UP(queries, c[2], &query))
        return err_set(err, ERR_INVALID, "query type '%s'", c[2]);
    if (!LOOK_UP(values, c[3], &value))
        return err_set(err, ERR_INVALID, "value type '%s'", c[3]);
    if (!LOOK_UP(kinds, c[4], &kind))
        return err_set(err, ERR_INVALID, "index kind '%s'", c[4]);
    if (!holds((enum index_kind)kind, (enum value_type)value))
        return err_set(err, ERR_INVALID, "an index of kind %s cannot hold values of type %s", c[4],
                       c[3]);
    struct search_field row = {
        .name = c[1],
        .query_type = (enum query_type)query,
        .value_type = (enum value_type)value,
        .index = (enum index_kind)kind,
        .is_list = strstr(c[5], "list") != NULL,
        .has_full = strstr(c[5], "full") != NULL,
        .correlates = strstr(c[5], "correlates") != NULL,
        .source_key = strcmp(c[6], "=") == 0 ? c[1] : c[6],
        .choices = or_null(c[7]),
        .description = c[8],
    };
    if (!path_perm(a, row.source_key, &row.perm))
        return err_set(err, ERR_INVALID, "there is no key %s", row.source_key);
    if (row.correlates && row.perm != PERM_PUBLIC)
        return err_set(err, ERR_INVALID,
                       "%s is protected and cannot be an attribute of correlations", c[1]);
    a->search[a->search_count++] = row;
    return true;
}

static const struct {
    const char *kind;
    size_t columns;
    bool (*add)(struct added *a, char **columns, struct err *err);
} row_kinds[] = {
    {"annotation", 6, add_annotation},
    {"key", 8, add_key},
    {"search", 9, add_search},
};

/* Cuts `line`, which is kept, at its tabs; the function of its kind reads the columns. */
static bool add_row(struct added *a, char *line, struct err *err)
{
    char *columns[COLUMNS_MAX] = {line};
    size_t n = 1;
    for (char *tab = line; (tab = strchr(tab, '\t')) != NULL;) {
        if (n == COLUMNS_MAX)
            return err_set(err, ERR_INVALID, "more than %d columns", COLUMNS_MAX);
        *tab++ = 0;
        columns[n++] = tab;
    }
    for (size_t i = 0; i < ARRAY_LEN(row_kinds); i++) {
        if (strcmp(columns[0], row_kinds[i].kind) != 0)
            continue;
        if (n != row_kinds[i].columns)
            return err_set(err, ERR_INVALID, "%s has %zu columns, here are %zu", row_kinds[i].kind,
                           row_kinds[i].columns, n);
        return row_kinds[i].add(a, columns, err);
    }
    return err_set(err, ERR_INVALID, "unknown kind of row");
}

/* Blank lines and lines that begin with '#' are skipped.  The text is cut into lines in place. */
static bool read_rows(struct added *a, char *text, const char *path, struct err *err)
{
    size_t rows = 0;
    int number = 0;
    char *line = text;
    while (line) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        number++;
        if (*line && *line != '#') {
            if (rows++ == ROWS_MAX)
                return err_set(err, ERR_TOO_LARGE, "%s: more than %d rows", path, ROWS_MAX);
            if (!add_row(a, line, err))
                return err_wrap(err, "%s:%d", path, number);
        }
        line = next;
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Built-in rows and added ones, sorted; every row begins with its name. */
static void *merged(const void *builtin, size_t builtin_n, const void *added, size_t added_n,
                    size_t row_bytes)
{
    char *all = xmalloc((builtin_n + added_n + 1) * row_bytes);
    memcpy(all, builtin, builtin_n * row_bytes);
    if (added_n > 0)
        memcpy(all + builtin_n * row_bytes, added, added_n * row_bytes);
    qsort(all, builtin_n + added_n, row_bytes, by_name);
    return all;
}

/* Takes the text. */
static struct field_table *table_new(const struct added *a, char *text)
{
    const struct field_table *b = &fields_builtin;
    struct field_table *t = xcalloc(1, sizeof *t);
    struct search_field *search =
        merged(b->search, b->search_count, a->search, a->search_count, sizeof *search);
    t->search = search;
    t->search_count = b->search_count + a->search_count;
    for (size_t i = 0; i < t->search_count; i++)
        search[i].id = i;
    t->annotations = merged(b->annotations, b->annotation_count, a->annotations,
                            a->annotation_count, sizeof *t->annotations);
    t->annotation_count = b->annotation_count + a->annotation_count;
    t->processed.name = b->processed.name;
    t->processed.keys =
        merged(b->processed.keys, b->processed.n, a->keys, a->key_count, sizeof *t->processed.keys);
    t->processed.n = b->processed.n + a->key_count;
    t->uuid = search_field_find(t, str_of(b->uuid->name));
    t->date = search_field_find(t, str_of(b->date->name));
    t->text = text;
    return t;
}

void fields_free(const struct field_table *fields)
{
    if (!fields)
        return;
    free((void *)fields->search);
    free((void *)fields->annotations);
    free((void *)fields->processed.keys);
    free(fields->text);
    free((void *)fields);
}

/*
 * Without the file the table is the one that was built in, and no error: most installations add
 * nothing. The rows borrow from the text, so on success the table keeps it.
 */
bool fields_load(const char *var_dir, const struct field_table **ret, struct err *err)
{
    STRBUF_AUTO path = {0};
    sb_init(&path, 4096);
    sb_printf(&path, "%s/config/fields.tsv", var_dir);
    if (!fs_exists(sb_cstr(&path))) {
        *ret = table_new(&(struct added){0}, NULL);
        return true;
    }
    char *text = NULL;
    size_t n;
    if (!fs_read(sb_cstr(&path), FILE_BYTES_MAX, &text, &n, err))
        return false;
    FREE_LATER struct annotation *rows_a = xcalloc(ROWS_MAX, sizeof *rows_a);
    FREE_LATER struct schema_key *rows_k = xcalloc(ROWS_MAX, sizeof *rows_k);
    FREE_LATER struct search_field *rows_s = xcalloc(ROWS_MAX, sizeof *rows_s);
    struct added a = {.annotations = rows_a, .keys = rows_k, .search = rows_s};
    bool ok = strlen(text) == n && utf8_valid(str_n(text, n))
                  ? read_rows(&a, text, sb_cstr(&path), err)
                  : err_set(err, ERR_INVALID, "%s: not UTF-8 text", sb_cstr(&path));
    if (ok)
        *ret = table_new(&a, text);
    else
        free(text);
    return ok;
}
