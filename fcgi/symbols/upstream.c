/*
 * What a symbol server does with a request for what it does not have, when there are servers behind
 * it.  Symbols text is fetched by datil-symfetch, as for crashes: the first who asks may be told to
 * come again.  All other files (and with the mode "redirect" symbols text, too) are looked for by
 * HEAD, and who asked is sent there.
 *
 * Found places are remembered for a day and misses for an hour, in files beside the compiled
 * symbols: the rules of our symbol servers.  A file that is uploaded is found before anybody looks
 * there.
 */
#include "fcgi/symbols/upstream.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/sources.h"
#include "lib/symfile/symasked.h"
#include "lib/symfile/symfind.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symstore.h"

/*
 * A server nearby says in 200 ms that it has nothing; see the header for why it is not more.
 * LOCATE_MS is for a redirect, where a HEAD of another server is all there is to wait for; an
 * address stays good for a day, since stored symbols do not move.
 */
enum { WAIT_MS = 500, LOCATE_MS = 1000, PLACE_KEPT_S = 86400, URL_BYTES_MAX = 2047 };

struct upstream {
    bool fetches;
    const char *cache_dir;
    struct symstore store;
    struct symfind *find;
    struct sources *sources;
};

/*
 * NULL is an answer: no servers behind this one, and nobody asks. Both ways are set up whatever the
 * mode, because "fetch" is for texts only and other files are located in either.
 */
bool upstream_new(const struct conf *conf, struct upstream **ret, struct err *err)
{
    const char *mode = conf_text(conf, CONF_SYMBOLS_UPSTREAM_MODE);
    FREE_LATER const char **urls = sources_split(conf_text(conf, CONF_SYMBOLS_UPSTREAM_URLS));
    bool fetches = strcmp(mode, "fetch") == 0;
    *ret = NULL;
    if (!fetches && strcmp(mode, "redirect") != 0 && strcmp(mode, "off") != 0)
        return err_set(err, ERR_INVALID,
                       "SYMBOLS_UPSTREAM_MODE: fetch, redirect or off, and not '%s'", mode);
    if (!urls[0] || strcmp(mode, "off") == 0)
        return true;
    struct upstream *u = xcalloc(1, sizeof *u);
    u->fetches = fetches;
    u->cache_dir = conf_text(conf, CONF_SYMBOLS_CACHE_DIR);
    u->store = (struct symstore){.dir = conf_text(conf, CONF_SYMBOLS_DIR)};
    if (!symfind_new_of_conf(conf, &u->find, err) ||
        !sources_new(
            &(struct sources_options){.urls = urls,
                                      .proxy = conf_text(conf, CONF_SYMBOLS_UPSTREAM_PROXY),
                                      .may_reach_reserved =
                                          conf_bool(conf, CONF_SYMBOLS_UPSTREAM_RESERVED)},
            u->cache_dir, &u->sources, err)) {
        upstream_free(u);
        return err_wrap(err, "SYMBOLS_UPSTREAM_URLS");
    }
    *ret = u;
    return true;
}

void upstream_free(struct upstream *u)
{
    if (!u)
        return;
    symfind_free(u->find);
    sources_free(u->sources);
    free(u);
}

/* Ids shorter than a debug id are code ids; the module is then what the symbols say. */
static enum upstream_answer fetch_symbols(struct upstream *u, const struct symkey *k,
                                          struct str code_file, struct str code_id,
                                          struct symkey *ret_key)
{
    bool by_code = strlen(k->debug_id) < SYMKEY_DEBUG_ID_MIN;
    const struct symfind_key key = {
        .debug_file = by_code ? STR("") : str_of(k->debug_file),
        .debug_id = by_code ? STR("") : str_of(k->debug_id),
        .code_file = by_code ? str_of(k->debug_file) : code_file,
        .code_id = by_code ? str_of(k->debug_id) : code_id,
    };
    struct symfind_result found;
    symfind_get_until(u->find, &key, mono_ms() + WAIT_MS, &found);
    FD_AUTO fd = found.fd;
    if (found.state == SYMFIND_PENDING)
        return UPSTREAM_LATER;
    *ret_key = *k;
    struct csym c;
    if (by_code && found.state == SYMFIND_LOADED && csym_open_fd(fd, &c, ERR_IGNORED)) {
        bool is_key = symkey_of_module(c.debug_file, c.debug_id, ret_key, ERR_IGNORED);
        csym_close(&c);
        if (!is_key)
            return UPSTREAM_NONE;
    }
    /* What symfind has found may be of another area, which was not asked for. */
    struct symstore_found file;
    bool is_stored = found.state == SYMFIND_LOADED &&
                     symstore_find(&u->store, SYMSTORE_CACHE, ret_key, &file, ERR_IGNORED);
    return is_stored ? UPSTREAM_STORED : UPSTREAM_NONE;
}

static bool note_path(const struct upstream *u, const struct symkey *k, const char *suffix,
                      char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s/%s.%s%s", u->cache_dir, k->debug_file, k->debug_id,
                     k->file, suffix);
    return n > 0 && n < PATH_MAX;
}

/* The place begins with the list it is from: with other servers it does not count. */
static bool recall_place(const char *path, uint64_t list, char url[URL_BYTES_MAX + 1])
{
    struct stat st;
    FREE_LATER char *text = NULL;
    size_t n;
    char head[24];
    if (stat(path, &st) != 0 || st.st_mtim.tv_sec + PLACE_KEPT_S < now_s() ||
        !fs_read(path, URL_BYTES_MAX + sizeof head, &text, &n, ERR_IGNORED))
        return false;
    int head_n = snprintf(head, sizeof head, "%016llx ", (unsigned long long)list);
    struct str rest = str_n(text, n);
    if (!str_starts(rest, str_n(head, (size_t)head_n)))
        return false;
    snprintf(url, URL_BYTES_MAX + 1, "%s", text + head_n);
    return true;
}

static void keep_place(const char *path, uint64_t list, const char *url)
{
    char text[URL_BYTES_MAX + 24];
    int n = snprintf(text, sizeof text, "%016llx %s", (unsigned long long)list, url);
    fs_write_atomic(path, text, (size_t)n, FS_FILE_MODE, ERR_IGNORED);
}

/*
 * What is remembered holds for this list of servers (its hash): an administrator who adds one need
 * not wait for old misses to end. The time is for all servers together, so many slow ones cost the
 * asker no more than one.
 */
static enum upstream_answer locate(struct upstream *u, const struct symkey *k, struct str code_file,
                                   struct str code_id, char url[URL_BYTES_MAX + 1])
{
    char place[PATH_MAX], miss[PATH_MAX];
    struct symfind_asked asked[SYMFIND_ASKED_MAX];
    size_t n = 0;
    uint64_t list = sources_hash(u->sources);
    if (!note_path(u, k, ".at", place) || !note_path(u, k, ".asked", miss))
        return UPSTREAM_NONE;
    if (recall_place(place, list, url))
        return UPSTREAM_ELSEWHERE;
    if (symasked_recall(miss, list, asked, &n))
        return UPSTREAM_NONE;
    FREE_LATER char *file = str_dup(code_file), *id = str_dup(code_id);
    const struct sources_wish wish = {
        .key = *k,
        .is_by_code = strlen(k->debug_id) < SYMKEY_DEBUG_ID_MIN,
        .code_file = file,
        .code_id = id,
    };
    int64_t deadline_ms = mono_ms() + LOCATE_MS;
    for (size_t i = 0; i < sources_count(u->sources); i++) {
        enum symfind_answer answer = sources_locate(u->sources, i, &wish, deadline_ms, url);
        if (answer == SYMFIND_ANSWER_FOUND) {
            keep_place(place, list, url);
            return UPSTREAM_ELSEWHERE;
        }
        symasked_note(asked, &n, sources_name(u->sources, i), answer);
    }
    symasked_keep(miss, list, asked, n);
    return UPSTREAM_NONE;
}

enum upstream_answer upstream_find(struct upstream *u, const struct symkey *k, struct str code_file,
                                   struct str code_id, struct symkey *ret_key, char url[2048])
{
    if (!u)
        return UPSTREAM_NONE;
    bool is_module =
        symkey_is_of_module(k) || (symkey_is_text(k) && strlen(k->debug_id) < SYMKEY_DEBUG_ID_MIN);
    return u->fetches && is_module ? fetch_symbols(u, k, code_file, code_id, ret_key)
                                   : locate(u, k, code_file, code_id, url);
}
