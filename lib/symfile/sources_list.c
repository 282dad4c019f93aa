/*
 * The list of other servers, what they are called, and for how long one that fails is left alone.
 * A server that fails for one module after the other is left alone for a while, by all processes: a
 * small file beside the compiled symbols counts.  How one is asked is in sources_ask.c, what each
 * kind has in sources_files.c and sources_windows.c.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/symfile/sources.h"
#include "lib/symfile/sources_inside.h"

/*
 * Pauses begin when three modules in a row have failed, which is no accident any more, and double
 * from a minute to a quarter of an hour: a server that is back is found within that.
 */
enum {
    PAUSE_AFTER = 3, /* modules in a row */
    PAUSE_S = 60,
    PAUSE_MAX_S = 900,
};

/*
 * What may stand before an address in the list.  Without any of them it is a server of Breakpad's
 * layout, which most are.
 */
static const struct {
    const char *prefix;
    enum sources_kind kind;
} kinds[] = {
    {"breakpad+", SOURCES_BREAKPAD},     {"tecken+", SOURCES_BREAKPAD},
    {"microsoft+", SOURCES_MICROSOFT},   {"microsoft2+", SOURCES_MICROSOFT_TIERS},
    {"debuginfod+", SOURCES_DEBUGINFOD},
};

const char **sources_split(const char *list)
{
    size_t n = strlen(list);
    /* At most every other byte begins an entry; the texts lie behind the pointers. */
    const char **ret = xcalloc(1, (n / 2 + 2) * sizeof *ret + n + 1);
    char *text = (char *)(ret + n / 2 + 2);
    memcpy(text, list, n + 1);
    size_t count = 0;
    for (char *p = text; *p; p++) {
        bool is_gap = isspace((unsigned char)*p) || *p == ',';
        if (is_gap)
            *p = '\0';
        else if (p == text || p[-1] == '\0')
            ret[count++] = p;
    }
    return ret;
}

/* The address that everybody may see: without user and query. */
static void public_name(struct str base, char out[SYMFIND_SOURCE_MAX + 1])
{
    size_t host = str_find(base, STR("://"), 0) + 3;
    size_t end = str_find_char(base, '/', host);
    struct str authority = str_sub(base, host, end == SIZE_MAX ? end : end - host);
    size_t at = str_rfind_char(authority, '@');
    struct str rest = str_sub(base, at == SIZE_MAX ? host : host + at + 1, SIZE_MAX);
    snprintf(out, SYMFIND_SOURCE_MAX + 1, STR_FMT STR_FMT, STR_ARG(str_sub(base, 0, host)),
             STR_ARG(rest));
}

/*
 * One word of the list into a source.  Half of the length of an address is kept for the module that
 * is appended; a fragment ("#…") is never sent and is dropped.
 */
static bool parse_entry(const char *text, struct sources_entry *ret, struct err *err)
{
    struct str url = str_of(text);
    enum sources_kind kind = SOURCES_BREAKPAD;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_starts(url, str_of(kinds[i].prefix))) {
            kind = kinds[i].kind;
            url = str_sub(url, strlen(kinds[i].prefix), SIZE_MAX);
            break;
        }
    if (!str_starts_nocase(url, STR("https://")) && !str_starts_nocase(url, STR("http://")))
        return err_set(
            err, ERR_INVALID,
            "a server of symbols is http://… or https://…, with breakpad+, microsoft+, microsoft2+ "
            "or debuginfod+ before it if it is of that kind");
    if (url.n > SOURCES_URL_MAX / 2)
        return err_set(err, ERR_INVALID, "the address of a server of symbols is too long");
    size_t hash = str_find_char(url, '#', 0);
    url = str_sub(url, 0, hash);
    size_t mark = str_find_char(url, '?', 0);
    struct str base = str_sub(url, 0, mark);
    while (str_ends(base, STR("/")))
        base.n--;
    ret->kind = kind;
    ret->base = str_dup(base);
    ret->query = str_dup(mark == SIZE_MAX ? STR("") : str_sub(url, mark + 1, SIZE_MAX));
    public_name(base, ret->name);
    return true;
}

/*
 * The order of the list is that of asking. A bad entry is told with its place in the list.
 */
bool sources_new(const struct sources_options *opt, const char *state_dir, struct sources **ret,
                 struct err *err)
{
    struct sources *s = xcalloc(1, sizeof *s);
    s->opt = *opt;
    s->state_dir = xstrdup(state_dir);
    s->proxy = opt->proxy && *opt->proxy ? xstrdup(opt->proxy) : NULL;
    for (size_t i = 0; opt->urls && opt->urls[i]; i++) {
        bool ok = s->n < SOURCES_MAX
                      ? parse_entry(opt->urls[i], &s->v[s->n], err)
                      : err_set(err, ERR_INVALID, "more than %d servers of symbols", SOURCES_MAX);
        if (!ok) {
            sources_free(s);
            return err_wrap(err, "entry %zu", i + 1);
        }
        s->n++;
    }
    *ret = s;
    return true;
}

void sources_free(struct sources *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++) {
        free(s->v[i].base);
        free(s->v[i].query);
    }
    free(s->state_dir);
    free(s->proxy);
    free(s);
}

size_t sources_count(const struct sources *s)
{
    return s ? s->n : 0;
}

const char *sources_name(const struct sources *s, size_t i)
{
    return s->v[i].name;
}

/*
 * Answers are remembered under this number, so that another list of servers, or another order, asks
 * anew.
 */
uint64_t sources_hash(const struct sources *s)
{
    uint64_t h = 0;
    for (size_t i = 0; i < sources_count(s); i++) {
        h = hash64_seed(s->v[i].base, strlen(s->v[i].base), h + s->v[i].kind);
        h = hash64_seed(s->v[i].query, strlen(s->v[i].query), h);
    }
    return h;
}

/* How often a source failed in a row, and until when it is left alone. */
struct source_pause {
    uint64_t failures;
    int64_t until_s;
};

/* False: nothing is known, and so nothing is paused. */
static bool open_pause(const struct sources *s, size_t i, int *ret_fd, struct source_pause *ret)
{
    char dir[PATH_MAX], path[PATH_MAX + 64];
    const char *base = s->v[i].base;
    snprintf(dir, sizeof dir, "%s/.lock", s->state_dir);
    snprintf(path, sizeof path, "%s/source-%016llx", dir,
             (unsigned long long)hash64(base, strlen(base)));
    FD_AUTO fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0 && errno == ENOENT && fs_mkdirs(dir, FS_DIR_MODE, ERR_IGNORED))
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0)
        return false;
    while (flock(fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return false;
    struct source_pause p = {0};
    if (pread(fd, &p, sizeof p, 0) != sizeof p)
        p = (struct source_pause){0};
    *ret = p;
    *ret_fd = TAKE_FD(fd);
    return true;
}

/* A clock that was set back must not pause a source for years. */
static bool is_paused(const struct sources *s, size_t i)
{
    FD_AUTO fd = -1;
    struct source_pause p;
    if (!open_pause(s, i, &fd, &p))
        return false;
    int64_t left_s = p.until_s - now_s();
    return left_s > 0 && left_s <= PAUSE_MAX_S;
}

/*
 * The number of failures is kept over a pause, so the first failure after it begins a longer one.
 * Any answer of the server sets it back to 0.
 */
static void note_outcome(const struct sources *s, size_t i, enum symfind_answer answer)
{
    bool failed = answer == SYMFIND_ANSWER_TIMED_OUT || answer == SYMFIND_ANSWER_UNREACHABLE;
    FD_AUTO fd = -1;
    struct source_pause p;
    if (!open_pause(s, i, &fd, &p) || (!failed && p.failures == 0))
        return;
    p.failures = failed ? p.failures + 1 : 0;
    p.until_s = 0;
    if (p.failures >= PAUSE_AFTER) {
        uint64_t doublings = MIN(p.failures - PAUSE_AFTER, (uint64_t)10);
        int64_t pause_s = MIN((int64_t)PAUSE_S << doublings, (int64_t)PAUSE_MAX_S);
        p.until_s = now_s() + pause_s;
        log_event(LOG_WARN, "symbol_source_paused", "a source of symbols fails and is left alone",
                  LOG_S("source", s->v[i].name), LOG_I("failures", (int64_t)p.failures),
                  LOG_I("pause_s", pause_s));
    }
    if (pwrite(fd, &p, sizeof p, 0) != sizeof p)
        log_event(LOG_WARN, "symbol_source_pause", "cannot note how a source answers",
                  LOG_S("source", s->v[i].name));
}

static enum symfind_answer (*const fetch_kind[])(const struct sources *,
                                                 const struct sources_entry *,
                                                 const struct sources_wish *, int64_t, const char *,
                                                 struct sources_file *) = {
    [SOURCES_BREAKPAD] = sources_fetch_text,
    [SOURCES_MICROSOFT] = sources_fetch_windows,
    [SOURCES_MICROSOFT_TIERS] = sources_fetch_windows,
    [SOURCES_DEBUGINFOD] = sources_fetch_elf,
};

void sources_fetch(const struct sources *s, size_t i, const struct sources_wish *wish,
                   int64_t deadline_ms, const char *temp_dir, struct sources_file *ret)
{
    const struct sources_entry *e = &s->v[i];
    *ret = (struct sources_file){.answer = SYMFIND_ANSWER_PAUSED, .fd = -1};
    if (is_paused(s, i))
        return;
    int64_t start_ms = mono_ms();
    ret->answer = fetch_kind[e->kind](s, e, wish, deadline_ms, temp_dir, ret);
    note_outcome(s, i, ret->answer);
    struct stat st = {0};
    if (ret->fd >= 0 && fstat(ret->fd, &st) == 0)
        log_event(LOG_INFO, "symbols_fetched", "fetched a symbols file", LOG_S("source", e->name),
                  LOG_S("debug_file", wish->key.debug_file), LOG_S("debug_id", wish->key.debug_id),
                  LOG_I("bytes", st.st_size), LOG_I("duration_ms", mono_ms() - start_ms));
}

/* The address that is given to others has no user in it: who may not ask there cannot go there. */
enum symfind_answer sources_locate(const struct sources *s, size_t i, const struct sources_wish *w,
                                   int64_t deadline_ms, char url[2048])
{
    const struct sources_entry *e = &s->v[i];
    struct sources_file file = {.fd = -1};
    char at[SOURCES_URL_MAX + 1];
    STRBUF_AUTO asked, shown;
    sb_init(&asked, SOURCES_URL_MAX);
    sb_init(&shown, SOURCES_URL_MAX);
    if (e->kind == SOURCES_DEBUGINFOD)
        return SYMFIND_ANSWER_NOT_FOUND;
    if (is_paused(s, i))
        return SYMFIND_ANSWER_PAUSED;
    sb_printf(&asked, "%s/", e->base);
    sources_put_path(&asked, w);
    sources_put_query(&asked, e, w);
    sb_printf(&shown, "%s/", e->name);
    sources_put_path(&shown, w);
    snprintf(at, sizeof at, "%s", sb_cstr(&asked));
    const struct sources_attempt a = {.source = e->name,
                                      .method = "HEAD",
                                      .first_byte_ms = sources_first_byte_ms(s, e),
                                      .deadline_ms = deadline_ms};
    enum symfind_answer answer =
        asked.overflow ? SYMFIND_ANSWER_NOT_FOUND : sources_follow(s, w, a, at, &file);
    note_outcome(s, i, answer);
    if (answer == SYMFIND_ANSWER_FOUND)
        snprintf(url, 2048, "%s", sb_cstr(&shown));
    return answer;
}
