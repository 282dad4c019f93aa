#include "lib/symfile/symfind.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/symbytes.h"
#include "lib/symfile/symcache.h"
#include "lib/symfile/symindex.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symreader.h"

/*
 * The stamp of the text decides, not the order of caches: a look-up finds the text first (a
 * few stat calls) and then its .csym, or makes it.  So symbols that were uploaded a moment
 * ago are found by everybody, and there is no list of misses that could hide them.
 *
 * A module is looked for twice: in every source under the name that the dump has, then in every
 * source by debug id alone, under whatever name.  Names come first, because a store may hold two
 * files of one id (a library and its renamed copy), and what bears the name is what was meant.
 *
 * No failure fails a crash: what cannot be had is MISSING, a text that is no symbols file is
 * CORRUPT, and the reason is logged once for each attempt to compile, not for each crash.
 */
enum { KNOWN_MAX = 1000000 }; /* modules of one tree: a limit for trees that are none */

enum source_kind {
    SOURCE_STORE,     /* ids in upper case, .sym.gz; with an index by debug id */
    SOURCE_TRY_STORE, /* the same for experimental builds */
    SOURCE_TREE,      /* <debug file>/<debug id>/<file>, as a user has it */
    SOURCE_FILE,      /* one symbols file, whatever its name */
};

/* A module that a tree or file has: for dumps that know it by another name. */
struct known {
    struct symkey key;
    char id[SYMKEY_ID_MAX + 1]; /* as the folder spells it */
};

struct symfind_source {
    char *name; /* as in symfind_asked */
    char *path;
    char *store_dir; /* of the stores */
    enum source_kind kind;
    bool is_listed;
    VEC(struct known) known; /* sorted by id */
};

struct symfind {
    char *cache_dir;
    int64_t cache_max_bytes;
    struct symfind_source *sources;
    size_t source_count;
};

/* Sources are asked in the order in which they are added: regular symbols of the store, symbols of
 * experimental builds, then what a user names. */
static void add_source(struct symfind *s, enum source_kind kind, const char *name, const char *dir,
                       const char *below)
{
    STRBUF_AUTO path;
    sb_init(&path, PATH_MAX);
    sb_printf(&path, "%s%s", dir, below);
    s->sources = xrealloc(s->sources, (s->source_count + 1) * sizeof *s->sources);
    s->sources[s->source_count++] = (struct symfind_source){.name = xstrdup(name),
                                                            .path = str_dup(sb_view(&path)),
                                                            .store_dir = xstrdup(dir),
                                                            .kind = kind};
}

/* What is not there now may be there later, as a tree. */
static enum source_kind kind_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? SOURCE_FILE : SOURCE_TREE;
}

bool symfind_new(const struct symfind_options *opt, struct symfind **ret, struct err *err)
{
    if (!fs_mkdirs(opt->cache_dir, FS_DIR_MODE, err))
        return err_wrap(err, "symbol cache");
    struct symfind *s = xcalloc(1, sizeof *s);
    s->cache_dir = xstrdup(opt->cache_dir);
    s->cache_max_bytes = opt->cache_max_bytes;
    if (opt->store_dir) {
        add_source(s, SOURCE_STORE, "own store", opt->store_dir, "/v1");
        add_source(s, SOURCE_TRY_STORE, "try", opt->store_dir, "/try/v1");
    }
    for (size_t i = 0; opt->sym_dirs && opt->sym_dirs[i]; i++)
        add_source(s, kind_of(opt->sym_dirs[i]), opt->sym_dirs[i], opt->sym_dirs[i], "");
    *ret = s;
    return true;
}

void symfind_free(struct symfind *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->source_count; i++) {
        free(s->sources[i].name);
        free(s->sources[i].path);
        free(s->sources[i].store_dir);
        VEC_RELEASE(&s->sources[i].known);
    }
    free(s->sources);
    free(s->cache_dir);
    free(s);
}

/* Dumps of Windows have the whole path of the build machine, with either separator. */
static struct str base_name(struct str path)
{
    for (size_t i = path.n; i-- > 0;)
        if (path.p[i] == '/' || path.p[i] == '\\')
            return str_sub(path, i + 1, SIZE_MAX);
    return path;
}

/* A stat tells whether it is there and gives the stamp at once. */
static bool is_text_at(char out[PATH_MAX], const char *dir, const struct symkey *k, const char *id,
                       const char *suffix, uint64_t *ret_stamp)
{
    int n = snprintf(out, PATH_MAX, "%s/%s/%s/%s%s", dir, k->debug_file, id, k->file, suffix);
    return n > 0 && n < PATH_MAX && symbytes_stamp(out, ret_stamp, ERR_IGNORED);
}

/* The spellings of an id: trees may write the age, or all of it, in either case. */
static bool is_in_tree(const struct symfind_source *r, const struct symkey *k,
                       const char *id_as_given, char path[PATH_MAX], uint64_t *ret_stamp)
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
static void note_known(struct symfind_source *r, struct str debug_file, struct str id)
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
static void list_tree(struct symfind_source *r)
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
static void list_file(struct symfind *s, struct symfind_source *r)
{
    struct symreader *reader = NULL;
    struct symreader_text text;
    struct err err = {0};
    FD_AUTO fd = open(r->path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 ? symreader_start(fd, s->cache_dir, &reader, &err) &&
                            symreader_load(reader, NULL, &text, &err)
                      : err_errno(&err, errno, "%s", r->path);
    symreader_stop(reader);
    if (ok && text.has_header)
        note_known(r, str_of(text.debug_file), str_of(text.debug_id));
    if (r->known.n == 0)
        log_event(LOG_ERROR, "symbols_unusable", "not a symbols file", LOG_S("path", r->path),
                  LOG_E(&err));
}

/* Listed when the first module is not found by name: most programs never need it. */
static const struct known *find_known(struct symfind *s, struct symfind_source *r,
                                      const struct symkey *k)
{
    if (!r->is_listed) {
        r->is_listed = true;
        if (r->kind == SOURCE_FILE)
            list_file(s, r);
        else
            list_tree(r);
        if (r->known.n > 0)
            qsort(r->known.v, r->known.n, sizeof *r->known.v, by_id);
    }
    const struct known want = {.key = *k};
    return r->known.n ? bsearch(&want, r->known.v, r->known.n, sizeof want, by_id) : NULL;
}

/* Under the name that the dump has. */
static bool find_by_name(const struct symfind_source *r, const struct symkey *k,
                         const char *id_as_given, char path[PATH_MAX], uint64_t *ret_stamp)
{
    if (r->kind == SOURCE_TREE)
        return is_in_tree(r, k, id_as_given, path, ret_stamp);
    return r->kind != SOURCE_FILE && is_text_at(path, r->path, k, k->debug_id, ".gz", ret_stamp);
}

/* Under another name with the same debug id; *k becomes the key of that. */
static bool find_by_id(struct symfind *s, struct symfind_source *r, struct symkey *k,
                       char path[PATH_MAX], uint64_t *ret_stamp)
{
    struct symkey other;
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

/* Only after compiling: who finds what is there does not make the cache larger. */
static void keep_in_bounds(struct symfind *s)
{
    struct err err = {0};
    if (s->cache_max_bytes > 0 && !symcache_keep_below(s->cache_dir, s->cache_max_bytes, &err))
        log_event(LOG_WARN, "symcache_evict_failed", "cannot clean the symbol cache", LOG_E(&err));
}

/* The reader's part of compiling: a text to a file that has no name yet.  The text is of a stranger
 * here, too: it lies in the store as it was sent. */
static bool compile_to(struct symfind *s, int text_fd, int csym_fd, struct csym_stats *stats,
                       struct err *err)
{
    struct symreader *r = NULL;
    bool ok = symreader_start(text_fd, s->cache_dir, &r, err) &&
              symreader_load(r, NULL, NULL, err) && symreader_ask_compile(r, csym_fd, err) &&
              symreader_take_compile(r, stats, err);
    symreader_stop(r);
    return ok;
}

/* Any other error may be over the next time, and must not leave a .bad. */
static bool is_about_the_text(const struct err *err)
{
    return err->code == ERR_INVALID || err->code == ERR_TOO_LARGE;
}

/* A text that cannot be compiled is remembered as such; why it cannot is the error. */
static bool compile_text(struct symfind *s, const struct symkey *k, const char *path,
                         uint64_t stamp, struct csym_stats *stats, struct err *err)
{
    char temp[PATH_MAX];
    FD_AUTO text = open(path, O_RDONLY | O_CLOEXEC);
    FD_AUTO csym = -1;
    if (text < 0)
        return err_errno(err, errno, "%s", path);
    if (!symcache_temp(s->cache_dir, temp, &csym, err))
        return false;
    bool compiled = compile_to(s, text, csym, stats, err);
    struct err *why = compiled ? err : ERR_IGNORED;
    bool ok = compiled ? csym_set_stamp(csym, stamp, why)
                       : is_about_the_text(err) && symcache_mark_bad(csym, stamp, why);
    if (ok && fsync(csym) != 0)
        ok = err_errno(why, errno, "fsync of %s", temp);
    ok = ok && symcache_count(s->cache_dir, symcache_disk_bytes(stats->csym_bytes), why) &&
         symcache_publish(s->cache_dir, k, temp, !compiled, why);
    if (!ok)
        unlink(temp);
    return compiled && ok;
}

/*
 * With the lock of the key: what another process has made in the meantime counts.  The stamp is
 * taken again below the lock and before the text is opened, so a text that is replaced while it is
 * compiled leaves a .csym with the stamp of the one before, and the next look-up makes it again.
 */
static enum symcache_state compile_locked(struct symfind *s, const struct symkey *k,
                                          const char *path, int *ret_fd)
{
    struct err err = {0};
    FD_AUTO lock = -1;
    struct csym_stats stats = {0};
    uint64_t stamp;
    if (!symcache_lock(s->cache_dir, k, &lock, &err) || !symbytes_stamp(path, &stamp, &err))
        goto fail;
    enum symcache_state state = symcache_get(s->cache_dir, k, stamp, ret_fd);
    if (state != SYMCACHE_MISS)
        return state;

    int64_t start_ms = mono_ms();
    if (!compile_text(s, k, path, stamp, &stats, &err))
        goto fail;
    log_event(
        LOG_INFO, "symbols_compiled", "compiled a symbols file", LOG_S("debug_file", k->debug_file),
        LOG_S("debug_id", k->debug_id), LOG_I("source_bytes", (int64_t)stats.source_bytes),
        LOG_I("csym_bytes", (int64_t)stats.csym_bytes),
        LOG_I("bad_lines", (int64_t)stats.bad_lines), LOG_I("duration_ms", mono_ms() - start_ms));
    state = symcache_get(s->cache_dir, k, stamp, ret_fd);
    keep_in_bounds(s);
    return state;
fail:
    log_event(LOG_WARN, "symbols_unusable", "cannot use a symbols file",
              LOG_S("debug_file", k->debug_file), LOG_S("debug_id", k->debug_id), LOG_E(&err));
    return is_about_the_text(&err) ? SYMCACHE_BAD : SYMCACHE_MISS;
}

/* Modules without an id have zeros; symbols under zeros would be those of any of them. */
static bool is_null_id(const char *id)
{
    return id[strspn(id, "0")] == '\0';
}

const char *symfind_answer_text(enum symfind_answer answer)
{
    static const char *const texts[] = {
        [SYMFIND_ANSWER_FOUND] = "found",         [SYMFIND_ANSWER_NOT_FOUND] = "not found",
        [SYMFIND_ANSWER_MALFORMED] = "malformed", [SYMFIND_ANSWER_WRONG_ID] = "wrong id",
        [SYMFIND_ANSWER_TIMED_OUT] = "timed out", [SYMFIND_ANSWER_UNREACHABLE] = "unreachable",
        [SYMFIND_ANSWER_REFUSED] = "refused",     [SYMFIND_ANSWER_TOO_LARGE] = "too large",
        [SYMFIND_ANSWER_PAUSED] = "paused",       [SYMFIND_ANSWER_PENDING] = "pending",
    };
    return answer < ARRAY_LEN(texts) ? texts[answer] : "";
}

/* One line for each source, however often it is asked; later answers say more. */
static void note_answer(struct symfind_result *ret, const char *source, enum symfind_answer answer)
{
    char name[SYMFIND_SOURCE_MAX + 1];
    snprintf(name, sizeof name, "%s", source);
    size_t i = 0;
    while (i < ret->asked_count && strcmp(ret->asked[i].source, name) != 0)
        i++;
    if (i == SYMFIND_ASKED_MAX)
        return;
    ret->asked_count = MAX(ret->asked_count, i + 1);
    memcpy(ret->asked[i].source, name, sizeof name);
    ret->asked[i].answer = answer;
}

/*
 * The text says itself whose symbols it has, and what it says must be what was asked for: names
 * from the symbols of another build are worse than none.  INFO URL is where they were fetched from.
 */
static enum symfind_answer check_compiled(int fd, const struct symkey *k,
                                          struct symfind_result *ret)
{
    struct csym c;
    if (!csym_open_fd(fd, &c, ERR_IGNORED))
        return SYMFIND_ANSWER_MALFORMED;
    bool is_it = str_eq_nocase(c.debug_id, str_of(k->debug_id));
    if (is_it)
        snprintf(ret->url, sizeof ret->url, STR_FMT,
                 STR_ARG(str_sub(c.url, 0, sizeof ret->url - 1)));
    csym_close(&c);
    return is_it ? SYMFIND_ANSWER_FOUND : SYMFIND_ANSWER_WRONG_ID;
}

/* Text first, then its .csym: the order that makes new symbols count at once. */
static enum symfind_answer use_text(struct symfind *s, const struct symkey *k, const char *path,
                                    uint64_t stamp, struct symfind_result *ret)
{
    FD_AUTO fd = -1;
    enum symcache_state state = symcache_get(s->cache_dir, k, stamp, &fd);
    if (state == SYMCACHE_MISS)
        state = compile_locked(s, k, path, &fd);
    if (state != SYMCACHE_HIT)
        return state == SYMCACHE_BAD ? SYMFIND_ANSWER_MALFORMED : SYMFIND_ANSWER_NOT_FOUND;
    enum symfind_answer answer = check_compiled(fd, k, ret);
    if (answer == SYMFIND_ANSWER_FOUND)
        ret->fd = TAKE_FD(fd);
    return answer;
}

/*
 * Names before ids: what is stored under just this name is meant.  A text that cannot be used does
 * not hide a good one in a later source.
 */
static bool find_local(struct symfind *s, const struct symkey *k, const char *id_as_given,
                       struct symfind_result *ret)
{
    char path[PATH_MAX];
    uint64_t stamp;
    for (size_t i = 0; i < 2 * s->source_count; i++) {
        struct symfind_source *r = &s->sources[i % s->source_count];
        struct symkey at = *k;
        bool is_there = i < s->source_count ? find_by_name(r, k, id_as_given, path, &stamp)
                                            : find_by_id(s, r, &at, path, &stamp);
        enum symfind_answer answer =
            is_there ? use_text(s, &at, path, stamp, ret) : SYMFIND_ANSWER_NOT_FOUND;
        if (is_there || i < s->source_count)
            note_answer(ret, r->name, answer);
        if (answer == SYMFIND_ANSWER_FOUND)
            return true;
        if (answer != SYMFIND_ANSWER_NOT_FOUND)
            ret->state = SYMFIND_CORRUPT;
    }
    return false;
}

void symfind_get(struct symfind *s, const struct symfind_key *key, struct symfind_result *ret)
{
    *ret = (struct symfind_result){.state = SYMFIND_MISSING, .fd = -1};
    struct symkey k;
    char id[SYMKEY_ID_MAX + 1];
    if (!symkey_of_module(base_name(key->debug_file), key->debug_id, &k, ERR_IGNORED) ||
        is_null_id(k.debug_id))
        return;
    snprintf(id, sizeof id, STR_FMT, STR_ARG(key->debug_id));
    if (find_local(s, &k, id, ret))
        ret->state = SYMFIND_LOADED;
}
