/*
 * The stamp of the text decides, not the order of caches: a look-up finds the text first (a
 * few stat calls) and then its .csym, or makes it.  So symbols that were uploaded a moment
 * ago are found by everybody, and there is no list of misses that could hide them: what other
 * servers did not have is remembered, but nobody looks at that before all places here were asked.
 *
 * What takes long (compiling half a gigabyte, a server far away) is done by a process of its own,
 * datil-symfetch, which calls symfind_get_here; the caller looks again when it has ended.  So there
 * is one way to find symbols, and two that only differ in who waits.
 *
 * No failure fails a crash: what cannot be had is MISSING, a text that is no symbols file is
 * CORRUPT, and the reason is logged once for each attempt to compile, not for each crash.
 */
#include "lib/symfile/symfind.h"

#include <ctype.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/fetchers.h"
#include "lib/symfile/symcache.h"
#include "lib/symfile/symcompile.h"
#include "lib/symfile/symfetched.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symplaces.h"
#include "lib/symfile/symstore.h"

/*
 * 120 s are 500 MB over a line of 35 Mbit/s.  All servers together may take as long as
 * datil-symfetch lives, less the time to compile what they send.
 */
enum { SOURCE_MS = 120 * 1000, SOURCES_MS = 300 * 1000 };

struct symfind {
    struct symcompile_cache cache;
    struct symplaces *places;
    struct sources *sources;
    struct fetchers *fetchers;
    struct symstore fetched; /* what comes from the sources goes here, as the area cache */
    char *fetched_dir;
    bool has_database; /* the store belongs to an installation */
    json_t *setup;     /* what datil-symfetch needs to be the same */
};

/* A module as it is looked for. */
struct symfind_wanted {
    struct sources_wish wish;
    char id_as_given[SYMKEY_ID_MAX + 1];
    bool has_code_only; /* the dump has no debug id; the key was found by the other one */
    char code_file[SYMKEY_PART_MAX + 1], code_id[SYMKEY_ID_MAX + 1];
};

/*
 * What a fetcher (datil-symfetch) is told: everything by value, for it reads no configuration. It
 * ends when the process `parent` does.
 */
static json_t *setup_of(const struct symfind_options *opt)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    static const enum log_level numbers[] = {LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR};
    json_t *o = json_object();
    jset_cstr(o, "cache_dir", opt->cache_dir);
    jset_int(o, "cache_max_bytes", opt->cache_max_bytes);
    jset_cstr(o, "store_dir", opt->store_dir);
    jset_bool(o, "store_wants_mark", opt->store_wants_mark);
    jset_cstr(o, "proxy", opt->upstream.proxy);
    jset_bool(o, "may_reach_reserved", opt->upstream.may_reach_reserved);
    jset_int(o, "max_bytes", opt->upstream.max_bytes);
    jset_int(o, "first_byte_ms", opt->upstream.first_byte_ms);
    jset_int(o, "retry_ms", opt->upstream.retry_ms);
    jset_int(o, "parent", getpid());
    const char *const *const lists[] = {opt->sym_dirs, opt->upstream.urls};
    static const char *const names[] = {"sym_dirs", "urls"};
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        json_t *list = json_array();
        for (size_t i = 0; lists[l] && lists[l][i]; i++)
            json_array_append_new(list, jtext(str_of(lists[l][i])));
        json_object_set_new(o, names[l], list);
    }
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (log_enabled(numbers[i])) {
            jset_cstr(o, "log_level", levels[i]);
            break;
        }
    return o;
}

bool symfind_new(const struct symfind_options *opt, struct symfind **ret, struct err *err)
{
    struct sources *sources;
    if (!fs_mkdirs(opt->cache_dir, FS_DIR_MODE, err))
        return err_wrap(err, "symbol cache");
    if (!sources_new(&opt->upstream, opt->cache_dir, &sources, err))
        return err_wrap(err, "servers of symbols");
    struct symfind *s = xcalloc(1, sizeof *s);
    char below[PATH_MAX];
    snprintf(below, sizeof below, "%s/upstream", opt->cache_dir);
    s->cache =
        (struct symcompile_cache){.dir = xstrdup(opt->cache_dir),
                                  .store_dir = opt->store_dir ? xstrdup(opt->store_dir) : NULL,
                                  .max_bytes = opt->cache_max_bytes};
    s->has_database = opt->store_dir != NULL;
    s->fetched_dir = xstrdup(opt->store_dir ? opt->store_dir : below);
    s->fetched = (struct symstore){.dir = s->fetched_dir,
                                   .cache_dir = s->cache.dir,
                                   .cache_max_bytes = opt->cache_max_bytes,
                                   .wants_mark = opt->store_wants_mark};
    s->places = symplaces_new(opt->store_dir, opt->sym_dirs,
                              opt->store_dir || sources_count(sources) ? s->fetched_dir : NULL,
                              opt->cache_dir);
    s->sources = sources;
    s->fetchers = fetchers_new();
    s->setup = setup_of(opt);
    *ret = s;
    return true;
}

/*
 * The only thing in it that an operator can get wrong is the list of servers, so that key is named.
 */
bool symfind_new_of_conf(const struct conf *conf, struct symfind **ret, struct err *err)
{
    FREE_LATER const char **urls = sources_split(conf_text(conf, CONF_SYMBOLS_UPSTREAM_URLS));
    const struct symfind_options opt = {
        .cache_dir = conf_text(conf, CONF_SYMBOLS_CACHE_DIR),
        .cache_max_bytes = conf_int(conf, CONF_SYMBOLS_CACHE_MAX_BYTES),
        .store_dir = conf_text(conf, CONF_SYMBOLS_DIR),
        .store_wants_mark = true,
        .upstream = {.urls = urls,
                     .proxy = conf_text(conf, CONF_SYMBOLS_UPSTREAM_PROXY),
                     .may_reach_reserved = conf_bool(conf, CONF_SYMBOLS_UPSTREAM_RESERVED),
                     .max_bytes = conf_int(conf, CONF_SYMBOLS_UPSTREAM_MAX_BYTES)},
    };
    if (symfind_new(&opt, ret, err))
        return true;
    return err->code == ERR_INVALID ? err_wrap(err, "SYMBOLS_UPSTREAM_URLS") : false;
}

void symfind_free(struct symfind *s)
{
    if (!s)
        return;
    fetchers_free(s->fetchers);
    symplaces_free(s->places);
    sources_free(s->sources);
    json_decref(s->setup);
    free(s->fetched_dir);
    free((char *)s->cache.dir);
    free((char *)s->cache.store_dir);
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

/* Modules without an id have zeros; symbols under zeros would be those of any of them. */
static bool is_null_id(const char *id)
{
    return id[strspn(id, "0")] == '\0';
}

/* What is no file name or no id is left out: it goes into the questions to servers. */
static void take_code(const struct symfind_key *key, struct symfind_wanted *w)
{
    struct symkey k;
    struct str file = base_name(key->code_file);
    w->wish.code_file = w->code_file;
    w->wish.code_id = w->code_id;
    if (symkey_make(file, STR("0"), STR("x"), &k, ERR_IGNORED))
        snprintf(w->code_file, sizeof w->code_file, "%s", k.debug_file);
    if (symkey_make(STR("x"), key->code_id, STR("x"), &k, ERR_IGNORED) && !is_null_id(k.debug_id))
        snprintf(w->code_id, sizeof w->code_id, STR_FMT, STR_ARG(key->code_id));
}

/* xul.dll asks for xul.sym, everything else for its name with .sym behind it. */
static bool code_key(const struct symfind_wanted *w, struct symkey *ret)
{
    char name[SYMKEY_PART_MAX + 8];
    struct str stem = str_of(w->code_file);
    if (stem.n >= 4 && str_eq_nocase(str_sub(stem, stem.n - 4, 4), STR(".dll")))
        stem.n -= 4;
    snprintf(name, sizeof name, STR_FMT ".sym", STR_ARG(stem));
    return symkey_make(str_of(w->code_file), str_of(w->code_id), str_of(name), ret, ERR_IGNORED);
}

/*
 * By debug file and id; without those by code file and id, which the store may know.  False: there
 * is nothing to look for.
 */
static bool identify(const struct symfind *s, const struct symfind_key *key,
                     struct symfind_wanted *ret)
{
    struct symkey *k = &ret->wish.key;
    *ret = (struct symfind_wanted){0};
    take_code(key, ret);
    if (symkey_of_module(base_name(key->debug_file), key->debug_id, k, ERR_IGNORED) &&
        !is_null_id(k->debug_id)) {
        snprintf(ret->id_as_given, sizeof ret->id_as_given, STR_FMT, STR_ARG(key->debug_id));
        return true;
    }
    /* An id that is there and is no id is a hostile one. */
    for (size_t i = 0; i < key->debug_id.n; i++)
        if (key->debug_id.p[i] != '0')
            return false;
    if (!ret->code_file[0] || !ret->code_id[0])
        return false;
    struct symkey code;
    ret->has_code_only = true;
    if (!code_key(ret, &code))
        return false;
    if (!symplaces_by_code(s->places, &code, k)) {
        ret->wish.is_by_code = true;
        *k = code;
    }
    snprintf(ret->id_as_given, sizeof ret->id_as_given, "%s", k->debug_id);
    return true;
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

/* Whether the file is as it was written. */
static bool is_whole(int fd)
{
    struct csym c;
    if (!csym_open_fd(fd, &c, ERR_IGNORED))
        return false;
    bool ok = csym_verify(&c, ERR_IGNORED);
    csym_close(&c);
    return ok;
}

/* Text first, then its .csym: the order that makes new symbols count at once.  One that says to be
 * of another module than its text was asked for may be a damaged one, and is made again. */
static enum symfind_answer use_text(struct symfind *s, const struct symkey *k, const char *path,
                                    uint64_t stamp, bool may_compile, struct symfind_result *ret)
{
    FD_AUTO fd = -1;
    enum symcache_state state = symcache_get(s->cache.dir, k, stamp, &fd);
    if (state == SYMCACHE_HIT && check_compiled(fd, k, ret) != SYMFIND_ANSWER_FOUND &&
        !is_whole(fd)) {
        log_event(LOG_WARN, "compiled_symbols_damaged", "compiled symbols are made again",
                  LOG_S("debug_file", k->debug_file), LOG_S("debug_id", k->debug_id));
        symcache_forget(s->cache.dir, k);
        util_close_fd(&fd);
        state = SYMCACHE_MISS;
    }
    if (state == SYMCACHE_MISS && !may_compile)
        return SYMFIND_ANSWER_PENDING;
    if (state == SYMCACHE_MISS)
        state = symcompile(&s->cache, k, path, &fd);
    if (state != SYMCACHE_HIT)
        return state == SYMCACHE_BAD ? SYMFIND_ANSWER_MALFORMED : SYMFIND_ANSWER_NOT_FOUND;
    enum symfind_answer answer = check_compiled(fd, k, ret);
    if (answer == SYMFIND_ANSWER_FOUND)
        ret->fd = TAKE_FD(fd);
    return answer;
}

/* What was fetched has its server in its URL. */
static const char *name_of_place(const struct symfind *s, size_t place,
                                 const struct symfind_result *r)
{
    for (size_t i = 0; symplaces_is_fetched(s->places, place) && i < sources_count(s->sources); i++)
        if (str_starts(str_of(r->url), str_of(sources_name(s->sources, i))))
            return sources_name(s->sources, i);
    return symplaces_name(s->places, place);
}

/*
 * Names before ids: what is stored under just this name is meant.  A text that cannot be used does
 * not hide a good one in a later source.  PENDING: there is one that must be compiled first.
 */
static enum symfind_answer find_here(struct symfind *s, const struct symfind_wanted *w,
                                     bool may_compile, struct symfind_result *ret)
{
    char path[PATH_MAX];
    uint64_t stamp;
    size_t n = symplaces_count(s->places);
    for (size_t i = 0; i < 2 * n; i++) {
        size_t place = i < n ? i : i - n;
        struct symkey at = w->wish.key;
        bool is_there =
            !w->wish.is_by_code &&
            (i < n ? symplaces_by_name(s->places, place, &at, w->id_as_given, path, &stamp)
                   : symplaces_by_id(s->places, place, &at, path, &stamp));
        enum symfind_answer answer =
            is_there ? use_text(s, &at, path, stamp, may_compile, ret) : SYMFIND_ANSWER_NOT_FOUND;
        if (is_there || (i < n && !symplaces_is_fetched(s->places, place)))
            symasked_note(ret->asked, &ret->asked_count, name_of_place(s, place, ret), answer);
        if (answer == SYMFIND_ANSWER_FOUND || answer == SYMFIND_ANSWER_PENDING)
            return answer;
        if (answer != SYMFIND_ANSWER_NOT_FOUND)
            ret->state = SYMFIND_CORRUPT;
    }
    return SYMFIND_ANSWER_NOT_FOUND;
}

static void answers_path(const struct symfind *s, const struct symkey *k, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s/%s.asked", s->cache.dir, k->debug_file, k->debug_id);
}

/* Whether the servers were asked for it not long ago; then their answers are added. */
static bool was_asked(const struct symfind *s, const struct symfind_wanted *w,
                      struct symfind_result *ret)
{
    char path[PATH_MAX];
    struct symfind_asked asked[SYMFIND_ASKED_MAX];
    size_t n;
    answers_path(s, &w->wish.key, path);
    if (!symasked_recall(path, sources_hash(s->sources), asked, &n))
        return false;
    for (size_t i = 0; i < n; i++)
        symasked_note(ret->asked, &ret->asked_count, asked[i].source, asked[i].answer);
    return true;
}

/* Asks one server after the other until one has it; what they said is kept if none has. */
static bool ask_sources(struct symfind *s, struct symfind_wanted *w, struct symfind_result *ret)
{
    struct symfind_asked asked[SYMFIND_ASKED_MAX];
    size_t n = 0;
    char path[PATH_MAX];
    int64_t end_ms = mono_ms() + SOURCES_MS;
    answers_path(s, &w->wish.key, path);
    for (size_t i = 0; i < sources_count(s->sources); i++) {
        struct sources_file file;
        sources_fetch(s->sources, i, &w->wish, MIN(mono_ms() + SOURCE_MS, end_ms), s->cache.dir,
                      &file);
        if (file.answer == SYMFIND_ANSWER_FOUND)
            file.answer = symfetched_store(&s->fetched, &w->wish, s->has_database, &file);
        util_close_fd(&file.fd);
        symasked_note(asked, &n, sources_name(s->sources, i), file.answer);
        symasked_note(ret->asked, &ret->asked_count, sources_name(s->sources, i), file.answer);
        if (file.answer == SYMFIND_ANSWER_FOUND) {
            w->wish.key = file.key;
            w->wish.is_by_code = false;
            return true;
        }
    }
    symasked_keep(path, sources_hash(s->sources), asked, n);
    return false;
}

/* Below the lock everything is looked at once more: who had it before may have found it. */
static void fetch_here(struct symfind *s, const struct symfind_key *key, struct symfind_wanted *w,
                       struct symfind_result *ret)
{
    FD_AUTO lock = -1;
    struct err err = {0};
    if (!symcache_lock_fetch(s->cache.dir, &w->wish.key, &lock, &err) ||
        !symstore_check(&s->fetched, &err)) {
        log_event(LOG_WARN, "symbols_not_fetched", "symbols of other servers cannot be kept",
                  LOG_E(&err));
        return;
    }
    if (!identify(s, key, w))
        return;
    if (find_here(s, w, true, ret) == SYMFIND_ANSWER_FOUND ||
        (!was_asked(s, w, ret) && ask_sources(s, w, ret) &&
         find_here(s, w, true, ret) == SYMFIND_ANSWER_FOUND))
        ret->state = SYMFIND_LOADED;
}

static void start_result(struct symfind_result *ret)
{
    *ret = (struct symfind_result){.state = SYMFIND_MISSING, .fd = -1};
}

void symfind_get_here(struct symfind *s, const struct symfind_key *key, struct symfind_result *ret)
{
    struct symfind_wanted w;
    start_result(ret);
    if (!identify(s, key, &w))
        return;
    if (find_here(s, &w, true, ret) == SYMFIND_ANSWER_FOUND)
        ret->state = SYMFIND_LOADED;
    else if (sources_count(s->sources) > 0 && !was_asked(s, &w, ret))
        fetch_here(s, key, &w, ret);
}

/* Names that a server could not be asked for are left out; the ids are hexadecimal. */
static json_t *task_for(const struct symfind *s, const struct symfind_wanted *w)
{
    json_t *o = json_copy(s->setup);
    bool by_code = w->has_code_only; /* where a text lies in a tree, only the code id may tell */
    jset_cstr(o, "debug_file", by_code ? "" : w->wish.key.debug_file);
    jset_cstr(o, "debug_id", by_code ? "" : w->id_as_given);
    jset_cstr(o, "code_file", w->code_file);
    jset_cstr(o, "code_id", w->code_id);
    return o;
}

/* For all that was not asked yet. */
static void note_pending(const struct symfind *s, struct symfind_result *ret)
{
    for (size_t i = 0; i < sources_count(s->sources); i++)
        symasked_note(ret->asked, &ret->asked_count, sources_name(s->sources, i),
                      SYMFIND_ANSWER_PENDING);
}

void symfind_get_until(struct symfind *s, const struct symfind_key *key, int64_t deadline_ms,
                       struct symfind_result *ret)
{
    for (bool has_waited = false;; has_waited = true) {
        struct symfind_wanted w;
        char key_text[SYMKEY_MAX + 1], name[SYMKEY_MAX + 16];
        start_result(ret);
        if (!identify(s, key, &w))
            return;
        enum symfind_answer here = find_here(s, &w, false, ret);
        if (here == SYMFIND_ANSWER_FOUND) {
            ret->state = SYMFIND_LOADED;
            ret->was_made = has_waited;
            return;
        }
        bool is_to_compile = here == SYMFIND_ANSWER_PENDING;
        if (!is_to_compile && (sources_count(s->sources) == 0 || was_asked(s, &w, ret)))
            return;
        if (has_waited)
            return; /* the process died of something: MISSING, and tried anew the next time */
        json_auto_t *task = task_for(s, &w);
        /* Compiling does not wait for a download of the same that may never end. */
        symkey_text(&w.wish.key, key_text);
        snprintf(name, sizeof name, "%s %s", is_to_compile ? "compile" : "fetch", key_text);
        if (fetchers_wait(s->fetchers, name, task, deadline_ms) == FETCHERS_PENDING) {
            ret->state = SYMFIND_PENDING;
            if (!is_to_compile)
                note_pending(s, ret);
            return;
        }
    }
}

/* Without other servers nothing is gained by a process of its own when there is time. */
void symfind_get(struct symfind *s, const struct symfind_key *key, struct symfind_result *ret)
{
    if (sources_count(s->sources) == 0)
        symfind_get_here(s, key, ret);
    else
        symfind_get_until(s, key, INT64_MAX, ret);
}
