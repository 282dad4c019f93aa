/*
 * Where symbols text lies on this machine, and under which name it is found.
 *
 * Names come before ids, because a store may hold two files of one id (a library and its renamed
 * copy), and what bears the name is what was meant.
 *
 * A place is one of five kinds below. Stores of ours have an index by id (symindex.c), so a look
 * costs some system calls whatever their size. Trees of users have none: they are walked once, when
 * a name was not found, and what they have is kept sorted by id. A tree that changes afterwards is
 * not walked again: command-line programs live for one dump, and servers are given stores.
 */
#include "lib/symfile/symplaces.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/symfile/symbytes.h"
#include "lib/symfile/symindex.h"
#include "lib/symfile/symreader.h"

/* Chosen: modules of one tree.  A distribution has some ten thousand; what has a million is no
 * tree of symbols (somebody named a home directory). */
enum { KNOWN_MAX = 1000000 };

enum source_kind {
    SOURCE_STORE,     /* ids in upper case, .sym.gz; with an index by debug id */
    SOURCE_TRY_STORE, /* the same for experimental builds */
    SOURCE_TREE,      /* <debug file>/<debug id>/<file>, as a user has it */
    SOURCE_FILE,      /* one symbols file, whatever its name */
    SOURCE_FETCHED,   /* as the store: what came from other servers */
};

/* A module that a tree or file has: for dumps that know it by another name. */
struct known {
    struct symkey key;
    char id[SYMKEY_ID_MAX + 1]; /* as the folder spells it */
};

/* What one text lies at, when it is not where its own name and id say. */
struct text_elsewhere {
    struct symkey code, key; /* by code file and id; by debug file and id, as the text says */
    char *path;              /* owned */
};

struct symplace {
    char *name; /* as in symfind_asked */
    char *path;
    char *store_dir; /* of the stores */
    enum source_kind kind;
    bool is_listed;
    VEC(struct known) known; /* sorted by id */
    VEC(struct text_elsewhere) elsewhere;
    char code_file[SYMKEY_PART_MAX + 1], code_id[SYMKEY_ID_MAX + 1]; /* of a file, or "" */
};

struct symplaces {
    char *temp_dir;
    struct symplace *v;
    size_t n;
};

static const char *const area_dirs[] = {
    [SOURCE_STORE] = "v1", [SOURCE_TRY_STORE] = "try/v1", [SOURCE_FETCHED] = "cache/v1"};

/* Stores have one spelling of each key and an index by id; trees have neither. */
static bool is_store(const struct symplace *r)
{
    return r->kind == SOURCE_STORE || r->kind == SOURCE_TRY_STORE || r->kind == SOURCE_FETCHED;
}

/* The name is what people are told about this place; a store's area is a folder in it. */
static void add_place(struct symplaces *s, enum source_kind kind, const char *name, const char *dir)
{
    struct symplace r = {.name = xstrdup(name), .store_dir = xstrdup(dir), .kind = kind};
    STRBUF_AUTO path;
    sb_init(&path, PATH_MAX);
    sb_text(&path, dir);
    if (is_store(&r))
        sb_printf(&path, "/%s", area_dirs[kind]);
    r.path = str_dup(sb_view(&path));
    s->v = xrealloc(s->v, (s->n + 1) * sizeof *s->v);
    s->v[s->n++] = r;
}

/* What is not there now may be there later, as a tree. */
static enum source_kind kind_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? SOURCE_FILE : SOURCE_TREE;
}

/* The order in which they are looked at: what was uploaded, what a user names, what was fetched. */
struct symplaces *symplaces_new(const char *store_dir, const char *const *sym_dirs,
                                const char *fetched_dir, const char *temp_dir)
{
    struct symplaces *s = xcalloc(1, sizeof *s);
    s->temp_dir = xstrdup(temp_dir);
    if (store_dir) {
        add_place(s, SOURCE_STORE, "own store", store_dir);
        add_place(s, SOURCE_TRY_STORE, "try", store_dir);
    }
    for (size_t i = 0; sym_dirs && sym_dirs[i]; i++)
        add_place(s, kind_of(sym_dirs[i]), sym_dirs[i], sym_dirs[i]);
    if (fetched_dir)
        add_place(s, SOURCE_FETCHED, "fetched earlier", fetched_dir);
    return s;
}

void symplaces_free(struct symplaces *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++) {
        free(s->v[i].name);
        free(s->v[i].path);
        free(s->v[i].store_dir);
        VEC_RELEASE(&s->v[i].known);
        for (size_t k = 0; k < s->v[i].elsewhere.n; k++)
            free(s->v[i].elsewhere.v[k].path);
        VEC_RELEASE(&s->v[i].elsewhere);
    }
    free(s->v);
    free(s->temp_dir);
    free(s);
}

size_t symplaces_count(const struct symplaces *s)
{
    return s->n;
}

const char *symplaces_name(const struct symplaces *s, size_t i)
{
    return s->v[i].name;
}

bool symplaces_is_fetched(const struct symplaces *s, size_t i)
{
    return s->v[i].kind == SOURCE_FETCHED;
}

/* A stat tells whether it is there and gives the stamp at once. */
static bool is_text_at(char out[PATH_MAX], const char *dir, const struct symkey *k, const char *id,
                       const char *suffix, uint64_t *ret_stamp)
{
    int n = snprintf(out, PATH_MAX, "%s/%s/%s/%s%s", dir, k->debug_file, id, k->file, suffix);
    return n > 0 && n < PATH_MAX && symbytes_stamp(out, ret_stamp, ERR_IGNORED);
}

/* The spellings of an id: trees may write the age, or all of it, in either case. */
static bool is_in_tree(const struct symplace *r, const struct symkey *k, const char *id_as_given,
                       char path[PATH_MAX], uint64_t *ret_stamp)
{
    static const char *const suffixes[] = {"", ".gz", ".zst"};
    const char *const ids[] = {k->debug_id, id_as_given};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        for (size_t x = 0; x < ARRAY_LEN(suffixes); x++)
            if ((i == 0 || strcmp(ids[0], ids[1]) != 0) &&
                is_text_at(path, r->path, k, ids[i], suffixes[x], ret_stamp))
                return true;
    return false;
}

/* One of several modules with one id is as good as another: they are the same code. */
static int by_id(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    return strcmp(x->key.debug_id, y->key.debug_id);
}

/* Names that are no key are not listed: nothing could ask for them. */
static void note_known(struct symplace *r, struct str debug_file, struct str id)
{
    struct known k = {0};
    if (r->known.n >= KNOWN_MAX || id.n > SYMKEY_ID_MAX ||
        !symkey_of_module(debug_file, id, &k.key, ERR_IGNORED))
        return;
    memcpy(k.id, id.p, id.n);
    VEC_PUSH(&r->known, k);
}

/* Two levels of folders are <debug file>/<debug id>; what is in them is looked at when it is
 * wanted. */
static void list_tree(struct symplace *r)
{
    char *const roots[] = {r->path, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    for (FTSENT *e; fts && (e = fts_read(fts));) {
        if (e->fts_info != FTS_D || e->fts_level != 2)
            continue;
        note_known(r, str_of(e->fts_parent->fts_name), str_of(e->fts_name));
        fts_set(fts, e, FTS_SKIP);
    }
    if (fts)
        fts_close(fts);
}

/* A file of symbols says itself whose they are. */
static bool read_header(const struct symplaces *s, const char *path, struct symreader_text *ret,
                        struct err *err)
{
    struct symreader *reader = NULL;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 ? symreader_start(fd, s->temp_dir, &reader, err) &&
                            symreader_load(reader, NULL, ret, err)
                      : err_errno(err, errno, "%s", path);
    symreader_stop(reader);
    return ok && ret->has_header;
}

static void list_file(struct symplaces *s, struct symplace *r)
{
    struct symreader_text text;
    struct err err = {0};
    if (read_header(s, r->path, &text, &err)) {
        note_known(r, str_of(text.debug_file), str_of(text.debug_id));
        snprintf(r->code_file, sizeof r->code_file, "%s", text.code_file);
        snprintf(r->code_id, sizeof r->code_id, "%s", text.code_id);
    }
    if (r->known.n == 0)
        log_event(LOG_ERROR, "symbols_unusable", "not a symbols file", LOG_S("path", r->path),
                  LOG_E(&err));
}

/* Listed when the first module is not found by name: most programs never need it. */
static void list_once(struct symplaces *s, struct symplace *r)
{
    if (r->is_listed)
        return;
    r->is_listed = true;
    if (r->kind == SOURCE_FILE)
        list_file(s, r);
    else
        list_tree(r);
    if (r->known.n > 0)
        qsort(r->known.v, r->known.n, sizeof *r->known.v, by_id);
}

static const struct known *find_known(struct symplaces *s, struct symplace *r,
                                      const struct symkey *k)
{
    list_once(s, r);
    const struct known want = {.key = *k};
    return r->known.n ? bsearch(&want, r->known.v, r->known.n, sizeof want, by_id) : NULL;
}

/* A place that is one file is found by its id alone: its name is whatever the user called it. */
bool symplaces_by_name(const struct symplaces *s, size_t i, const struct symkey *k,
                       const char *id_as_given, char path[PATH_MAX], uint64_t *ret_stamp)
{
    const struct symplace *r = &s->v[i];
    for (size_t e = 0; e < r->elsewhere.n; e++)
        if (strcmp(r->elsewhere.v[e].key.debug_file, k->debug_file) == 0 &&
            strcmp(r->elsewhere.v[e].key.debug_id, k->debug_id) == 0)
            return snprintf(path, PATH_MAX, "%s", r->elsewhere.v[e].path) < PATH_MAX &&
                   symbytes_stamp(path, ret_stamp, ERR_IGNORED);
    if (r->kind == SOURCE_TREE)
        return is_in_tree(r, k, id_as_given, path, ret_stamp);
    return is_store(r) && is_text_at(path, r->path, k, k->debug_id, ".gz", ret_stamp);
}

/* The same code under another name: *k becomes the name under which it is stored. */
bool symplaces_by_id(struct symplaces *s, size_t i, struct symkey *k, char path[PATH_MAX],
                     uint64_t *ret_stamp)
{
    struct symplace *r = &s->v[i];
    struct symkey other;
    if (r->kind == SOURCE_FETCHED)
        return false; /* was fetched under the name that is asked for */
    if (r->kind == SOURCE_STORE || r->kind == SOURCE_TRY_STORE) {
        if (!symindex_find(r->store_dir, r->kind == SOURCE_TRY_STORE, k, &other) ||
            !is_text_at(path, r->path, &other, other.debug_id, ".gz", ret_stamp))
            return false;
        *k = other;
        return true;
    }
    const struct known *known = find_known(s, r, k);
    if (!known)
        return false;
    bool found = r->kind == SOURCE_FILE ? snprintf(path, PATH_MAX, "%s", r->path) < PATH_MAX &&
                                              symbytes_stamp(path, ret_stamp, ERR_IGNORED)
                                        : is_in_tree(r, &known->key, known->id, path, ret_stamp);
    if (found)
        *k = known->key;
    return found;
}

/* A tree may be a copy of a server's: <code file>/<CODE ID>/<name>.sym, whose text says the rest.
 */
static bool is_in_tree_by_code(const struct symplaces *s, struct symplace *r,
                               const struct symkey *code, struct symkey *ret)
{
    char path[PATH_MAX];
    uint64_t stamp;
    struct symreader_text text;
    for (size_t e = 0; e < r->elsewhere.n; e++)
        if (str_eq(str_of(r->elsewhere.v[e].code.debug_file), str_of(code->debug_file)) &&
            str_eq(str_of(r->elsewhere.v[e].code.debug_id), str_of(code->debug_id))) {
            *ret = r->elsewhere.v[e].key;
            return true;
        }
    if (!is_in_tree(r, code, code->debug_id, path, &stamp) ||
        !read_header(s, path, &text, ERR_IGNORED) ||
        (text.code_id[0] && !str_eq_nocase(str_of(text.code_id), str_of(code->debug_id))) ||
        !symkey_of_module(str_of(text.debug_file), str_of(text.debug_id), ret, ERR_IGNORED))
        return false;
    VEC_PUSH(&r->elsewhere, ((struct text_elsewhere){*code, *ret, xstrdup(path)}));
    return true;
}

static bool is_file_of_code(struct symplaces *s, struct symplace *r, const struct symkey *code,
                            struct symkey *ret)
{
    list_once(s, r);
    if (r->known.n == 0 || !str_eq_nocase(str_of(r->code_file), str_of(code->debug_file)) ||
        !str_eq_nocase(str_of(r->code_id), str_of(code->debug_id)))
        return false;
    *ret = r->known.v[0].key;
    return true;
}

/* For modules of which a dump knows the program file only. */
bool symplaces_by_code(struct symplaces *s, const struct symkey *code, struct symkey *ret)
{
    for (size_t i = 0; i < s->n; i++) {
        struct symplace *r = &s->v[i];
        bool is_there = r->kind == SOURCE_TREE ? is_in_tree_by_code(s, r, code, ret)
                        : r->kind == SOURCE_FILE
                            ? is_file_of_code(s, r, code, ret)
                            : symindex_find_code(r->store_dir, area_dirs[r->kind], code->debug_file,
                                                 code->debug_id, ret);
        if (is_there)
            return true;
    }
    return false;
}
