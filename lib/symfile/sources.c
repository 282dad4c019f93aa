/*
 * Symbols of other servers.  All time is bounded twice: an attempt may take so long to connect and
 * to the first byte, and a file so long in all; what fails in a way that may be over in a moment is
 * tried again after pauses that double.  A server that fails for one module after the other is
 * left alone for a while, by all processes: a small file beside the compiled symbols counts.
 *
 * Redirects are followed here and not by libcurl, because where one leads says whose symbols they
 * are when a module was asked for by its code id.
 */
#include "lib/symfile/sources.h"

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

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/http/http.h"
#include "lib/symfile/elfdump.h"
#include "lib/symfile/symbytes.h"

/*
 * 5 s to connect and to the first byte, five attempts: the rules for upstream downloads that
 * Tecken's successor and the stack walkers share.  A debuginfod unpacks a package before it sends
 * the first byte; elfutils' own client gives it 90 s, we a third of that.
 *
 * A server that sends less than STALL_BYTES_S for STALL_S seconds is not going to finish a file of
 * megabytes in the time there is.  Pauses begin when three modules in a row have failed, which is
 * no accident any more, and double from a minute to a quarter of an hour: a server that is back is
 * found within that.
 */
enum {
    CONNECT_MS = 5000,
    FIRST_BYTE_MS = 5000,
    FIRST_BYTE_UNPACKING_MS = 30000,
    ATTEMPTS = 5,
    RETRY_MS = 250, /* then 500, 1000, 2000: under four seconds in all, besides the attempts */
    RETRY_AFTER_MAX_S = 10, /* a server that asks for a longer pause is asked another time */
    STALL_BYTES_S = 1024,
    STALL_S = 15,
    REDIRECTS_MAX = 5, /* chosen: servers of symbols use one, to where the file lies */
    PAUSE_AFTER = 3,   /* modules in a row */
    PAUSE_S = 60,
    PAUSE_MAX_S = 900,
    URL_BYTES_MAX = 2047,   /* chosen: host, path and two names of a module take some hundred */
    ELF_ID_DIGITS_MIN = 32, /* build ids have 16 bytes at least; code ids of Windows fewer */
};

enum sources_kind { SOURCES_BREAKPAD, SOURCES_MICROSOFT, SOURCES_DEBUGINFOD };

/*
 * What may stand before an address in the list.  Without any of them it is a server of Breakpad's
 * layout, which most are.
 */
static const struct {
    const char *prefix;
    enum sources_kind kind;
} kinds[] = {
    {"breakpad+", SOURCES_BREAKPAD},
    {"tecken+", SOURCES_BREAKPAD},
    {"microsoft+", SOURCES_MICROSOFT},
    {"debuginfod+", SOURCES_DEBUGINFOD},
};

struct sources_entry {
    char *base, *query; /* of the configured address, user included; query may be "" */
    char name[SYMFIND_SOURCE_MAX + 1];
    enum sources_kind kind;
};

struct sources {
    struct sources_entry v[SOURCES_MAX];
    size_t n;
    char *state_dir, *proxy;
    struct sources_options opt;
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
        return err_set(err, ERR_INVALID,
                       "a server of symbols is http://… or https://…, with breakpad+, microsoft+ "
                       "or debuginfod+ before it if it is of that kind");
    if (url.n > URL_BYTES_MAX / 2)
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

/*
 * Everything but RFC 3986's unreserved characters, byte by byte: names of modules are strangers'
 * and may hold a slash or a question mark.
 */
static void put_encoded(struct strbuf *b, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (isalnum(c) || strchr("-._~", c))
            sb_char(b, (char)c);
        else
            sb_printf(b, "%%%02X", c);
    }
}

/* The age behind the 32 digits of an id is in lower case on servers that look at case. */
static void put_id(struct strbuf *b, const struct sources_wish *w)
{
    size_t digits = w->is_by_code ? SIZE_MAX : 32;
    for (size_t i = 0; w->key.debug_id[i]; i++)
        sb_char(b, i < digits ? w->key.debug_id[i] : (char)tolower(w->key.debug_id[i]));
}

/* <debug file>/<DEBUG ID>/<file>, the layout that all kinds but debuginfod have in common. */
static void put_path(struct strbuf *b, const struct sources_wish *w)
{
    put_encoded(b, str_of(w->key.debug_file));
    sb_char(b, '/');
    put_id(b, w);
    sb_char(b, '/');
    put_encoded(b, str_of(w->key.file));
}

/* Servers list what was asked for in vain, and then want to know the code file and id. */
static void put_query(struct strbuf *b, const struct sources_entry *e, const struct sources_wish *w)
{
    sb_printf(b, "?%s%s", e->query, *e->query ? "&" : "");
    sb_text(b, "code_file=");
    put_encoded(b, str_of(w->code_file));
    sb_text(b, "&code_id=");
    put_encoded(b, str_of(w->code_id));
}

/*
 * What a status says about the module.  451 is a refusal for legal reasons.  Servers of files
 * answer 404 or some other 4xx when they do not have it; 429 and 5xx are about the server.
 */
static enum symfind_answer answer_of_status(int status)
{
    switch (status) {
    case 401:
    case 403:
    case 407:
    case 451:
        return SYMFIND_ANSWER_REFUSED;
    case 413:
        return SYMFIND_ANSWER_TOO_LARGE;
    }
    return status >= 200 && status < 300                    ? SYMFIND_ANSWER_FOUND
           : status >= 500 || status == 429 || status < 200 ? SYMFIND_ANSWER_UNREACHABLE
                                                            : SYMFIND_ANSWER_NOT_FOUND;
}

/* Statuses that say "come again", and 0 for no answer at all. */
static bool is_worth_a_retry(int status)
{
    return status == 0 || status == 429 || status == 500 || status == 503 || status == 504;
}

/* What libcurl says of a failure names the address, and with it a user: only its kind is used. */
static enum symfind_answer answer_of_failure(const struct err *why, int64_t took_ms, int limit_ms)
{
    if (why->code == ERR_FORBIDDEN)
        return SYMFIND_ANSWER_REFUSED;
    if (why->code == ERR_TOO_LARGE)
        return SYMFIND_ANSWER_TOO_LARGE;
    return took_ms >= MIN(limit_ms, CONNECT_MS) ? SYMFIND_ANSWER_TIMED_OUT
                                                : SYMFIND_ANSWER_UNREACHABLE;
}

static void pause_ms(int64_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

struct attempt {
    const char *source, *method, *url;
    int save_fd; /* 0: none */
    int first_byte_ms;
    int64_t deadline_ms;
};

/* One attempt: ret->status is 0 when there was no answer. */
static enum symfind_answer try_once(const struct sources *s, const struct attempt *a,
                                    struct http_response *ret)
{
    static const char *const headers[] = {"Accept-Encoding: gzip", NULL};
    struct err why = {0};
    int64_t start_ms = mono_ms();
    *ret = (struct http_response){.retry_after_s = -1};
    if (a->deadline_ms <= start_ms)
        return SYMFIND_ANSWER_TIMED_OUT;
    if (a->save_fd && (ftruncate(a->save_fd, 0) != 0 || lseek(a->save_fd, 0, SEEK_SET) != 0))
        return SYMFIND_ANSWER_UNREACHABLE;
    const struct http_request q = {
        .method = a->method,
        .url = a->url,
        .headers = headers,
        .may_reach_reserved = s->opt.may_reach_reserved,
        .is_redirect_answer = true,
        .proxy = s->proxy ? s->proxy : "",
        .connect_timeout_ms = CONNECT_MS,
        .timeout_ms = (int)MIN(a->deadline_ms - start_ms, (int64_t)INT_MAX),
        .first_byte_timeout_ms = a->first_byte_ms,
        .stall_bytes_per_s = STALL_BYTES_S,
        .stall_s = STALL_S,
        .max_bytes = (uint64_t)(s->opt.max_bytes ? s->opt.max_bytes : SOURCES_BYTES_MAX),
        .save_fd = a->save_fd,
        .keeps_encoding = true,
    };
    if (!http_do(&q, ret, &why)) {
        *ret = (struct http_response){.retry_after_s = -1};
        return answer_of_failure(&why, mono_ms() - start_ms, a->first_byte_ms);
    }
    return answer_of_status(ret->status);
}

/* What may be over in a moment is tried again; ret is the caller's to release. */
static enum symfind_answer ask(const struct sources *s, const struct attempt *a,
                               struct http_response *ret)
{
    int64_t wait_ms = s->opt.retry_ms ? s->opt.retry_ms : RETRY_MS;
    for (int n = 1;; n++, wait_ms *= 2) {
        enum symfind_answer answer = try_once(s, a, ret);
        bool may_change =
            answer == SYMFIND_ANSWER_TIMED_OUT || answer == SYMFIND_ANSWER_UNREACHABLE;
        if (!may_change || !is_worth_a_retry(ret->status) || n == ATTEMPTS)
            return answer;
        if (ret->retry_after_s > RETRY_AFTER_MAX_S)
            return answer;
        int64_t this_ms = MAX(wait_ms, (int64_t)ret->retry_after_s * 1000);
        if (mono_ms() + this_ms >= a->deadline_ms)
            return answer;
        http_response_release(ret);
        pause_ms(this_ms);
    }
}

/* Where a redirect leads: …/<debug file>/<debug id>/<name>.sym names the module. */
bool sources_key_of_url(struct str url, struct symkey *ret)
{
    STRBUF_AUTO path;
    sb_init(&path, URL_BYTES_MAX);
    url = str_sub(url, 0, str_find_char(url, '?', 0));
    for (size_t i = 0; i < url.n; i++) {
        bool is_escape = url.p[i] == '%' && i + 2 < url.n && hex_digit(url.p[i + 1]) >= 0 &&
                         hex_digit(url.p[i + 2]) >= 0;
        sb_char(&path, is_escape ? (char)(hex_digit(url.p[i + 1]) * 16 + hex_digit(url.p[i + 2]))
                                 : url.p[i]);
        i += is_escape ? 2 : 0;
    }
    struct str rest = sb_view(&path), parts[3];
    for (size_t i = 3; i-- > 0;) {
        size_t slash = str_rfind_char(rest, '/');
        if (slash == SIZE_MAX)
            return false;
        parts[i] = str_sub(rest, slash + 1, SIZE_MAX);
        rest = str_sub(rest, 0, slash);
    }
    return symkey_make(parts[0], parts[1], parts[2], ret, ERR_IGNORED) && symkey_is_of_module(ret);
}

/* GET or HEAD through the redirects; `url` is where it ended. */
static enum symfind_answer follow(const struct sources *s, const struct sources_wish *w,
                                  struct attempt a, char url[URL_BYTES_MAX + 1],
                                  struct sources_file *ret)
{
    for (int hops = 0; hops <= REDIRECTS_MAX; hops++) {
        struct http_response r;
        a.url = url;
        enum symfind_answer answer = ask(s, &a, &r);
        bool is_redirect = r.status >= 300 && r.status < 400 && r.location[0];
        if (is_redirect) {
            if (w->is_by_code && !ret->is_resolved)
                ret->is_resolved = sources_key_of_url(str_of(r.location), &ret->key);
            snprintf(url, URL_BYTES_MAX + 1, "%s", r.location);
        }
        int status = r.status;
        http_response_release(&r);
        if (is_redirect)
            continue;
        if (answer != SYMFIND_ANSWER_FOUND && answer != SYMFIND_ANSWER_NOT_FOUND)
            log_event(LOG_INFO, "symbol_source_failed", "a source of symbols did not answer",
                      LOG_S("source", a.source), LOG_S("answer", symfind_answer_text(answer)),
                      LOG_I("status", status));
        else if (answer == SYMFIND_ANSWER_NOT_FOUND && status != 404 && status != 410)
            log_event(LOG_INFO, "symbol_source_status", "a source of symbols answered oddly",
                      LOG_S("source", a.source), LOG_I("status", status));
        return answer;
    }
    return SYMFIND_ANSWER_NOT_FOUND;
}

/* How long a source may take until it begins to answer; see the constants. */
static int first_byte_ms(const struct sources *s, const struct sources_entry *e)
{
    return s->opt.first_byte_ms            ? s->opt.first_byte_ms
           : e->kind == SOURCES_DEBUGINFOD ? FIRST_BYTE_UNPACKING_MS
                                           : FIRST_BYTE_MS;
}

/*
 * Where it was fetched from becomes part of the text, as the walkers that we follow do: a line at
 * the end, in the packing that the text has, for members of gzip and frames of zstd may follow each
 * other.
 */
static bool append_url(int fd, const char *name, const struct sources_wish *w)
{
    STRBUF_AUTO line;
    uint8_t magic[4] = {0};
    struct err err = {0};
    sb_init(&line, 2 * URL_BYTES_MAX);
    sb_printf(&line, "\nINFO URL %s/", name);
    put_path(&line, w);
    sb_char(&line, '\n');
    if (pread(fd, magic, sizeof magic, 0) < 0 || lseek(fd, 0, SEEK_END) < 0)
        return false;
    if (magic[0] == 0x1f && magic[1] == 0x8b)
        return symbytes_gzip(sb_view(&line), fd, "symbols file", &err);
    if (symbytes_is_packed(str_n((const char *)magic, sizeof magic)))
        return true; /* zstd is what only we send, and carries its line already */
    return fs_write_all(fd, line.p, line.n, "symbols file", &err);
}

/*
 * One text by its path, into a temporary file without a name.  ret->fd is it, with the line about
 * its origin at the end.
 */
static enum symfind_answer fetch_sym(const struct sources *s, const struct sources_entry *e,
                                     const struct sources_wish *w, int64_t deadline_ms,
                                     const char *temp_dir, struct sources_file *ret)
{
    char url[URL_BYTES_MAX + 1];
    STRBUF_AUTO first;
    sb_init(&first, URL_BYTES_MAX);
    sb_printf(&first, "%s/", e->base);
    put_path(&first, w);
    put_query(&first, e, w);
    if (first.overflow)
        return SYMFIND_ANSWER_NOT_FOUND;
    snprintf(url, sizeof url, "%s", sb_cstr(&first));
    FD_AUTO fd = -1;
    if (!symbytes_temp(temp_dir, &fd, ERR_IGNORED))
        return SYMFIND_ANSWER_UNREACHABLE;
    const struct attempt a = {.source = e->name,
                              .save_fd = fd,
                              .first_byte_ms = first_byte_ms(s, e),
                              .deadline_ms = deadline_ms};
    enum symfind_answer answer = follow(s, w, a, url, ret);
    if (answer != SYMFIND_ANSWER_FOUND)
        return answer;
    if (!append_url(fd, e->name, w))
        return SYMFIND_ANSWER_UNREACHABLE;
    ret->fd = TAKE_FD(fd);
    return answer;
}

/*
 * A debug id of ELF is the first 16 bytes of the build id with the bytes of a GUID's first three
 * fields turned round.  The code id is the whole build id; without one the debug id gives those of
 * 16 bytes.
 */
static bool build_id_of(const struct sources_wish *w, char out[2 * SYMKEY_ID_MAX + 1])
{
    static const uint8_t order[] = {6, 7, 4, 5, 2, 3, 0, 1, 10, 11, 8, 9, 14, 15, 12, 13};
    char guid[33] = "";
    if (w->is_by_code || strlen(w->key.debug_id) < 32)
        return false;
    for (size_t i = 0; i < 32; i++)
        guid[i] = (char)tolower(w->key.debug_id[i < sizeof order ? order[i] : i]);
    size_t n = strlen(w->code_id);
    if (n == 0) {
        memcpy(out, guid, sizeof guid);
        return true;
    }
    if (n < ELF_ID_DIGITS_MIN || n > 2 * SYMKEY_ID_MAX || n % 2)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (hex_digit(w->code_id[i]) < 0)
            return false;
        out[i] = (char)tolower(w->code_id[i]);
    }
    out[n] = '\0';
    return memcmp(out, guid, 32) == 0;
}

/*
 * The program has the unwind rules and the names of its exported functions, the debug file all
 * names and lines; either alone is better than nothing.
 */
static enum symfind_answer fetch_elf(const struct sources *s, const struct sources_entry *e,
                                     const struct sources_wish *w, int64_t deadline_ms,
                                     const char *temp_dir, struct sources_file *ret)
{
    static const char *const files[] = {"executable", "debuginfo"};
    char build_id[2 * SYMKEY_ID_MAX + 1], url[URL_BYTES_MAX + 1];
    FD_AUTO program = -1, debug = -1, text = -1;
    int *const fds[] = {&program, &debug};
    enum symfind_answer answers[2];
    if (!build_id_of(w, build_id))
        return SYMFIND_ANSWER_NOT_FOUND;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (!symbytes_temp(temp_dir, fds[i], ERR_IGNORED))
            return SYMFIND_ANSWER_UNREACHABLE;
        snprintf(url, sizeof url, "%s/buildid/%s/%s%s%s", e->base, build_id, files[i],
                 *e->query ? "?" : "", e->query);
        const struct attempt a = {.source = e->name,
                                  .save_fd = *fds[i],
                                  .first_byte_ms = first_byte_ms(s, e),
                                  .deadline_ms = deadline_ms};
        answers[i] = follow(s, w, a, url, ret);
        if (answers[i] != SYMFIND_ANSWER_FOUND) {
            util_close_fd(fds[i]);
            *fds[i] = -1;
        }
    }
    if (program < 0 && debug < 0)
        return answers[1] == SYMFIND_ANSWER_NOT_FOUND ? answers[0] : answers[1];
    /*
     * When one of the two could not be had for a reason that passes, the other alone is not used:
     * it would be kept for long, and hide the names and lines that come a moment later.
     */
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (answers[i] != SYMFIND_ANSWER_FOUND && answers[i] != SYMFIND_ANSWER_NOT_FOUND)
            return answers[i];
    if (!symbytes_temp(temp_dir, &text, ERR_IGNORED))
        return SYMFIND_ANSWER_UNREACHABLE;
    struct err err = {0};
    if (!elfdump(program, debug, w->key.debug_file, deadline_ms, text, &err)) {
        log_event(LOG_WARN, "symbols_unusable", "a file of a debuginfod cannot be read",
                  LOG_S("source", e->name), LOG_S("debug_file", w->key.debug_file), LOG_E(&err));
        return err.code == ERR_UNAVAILABLE ? SYMFIND_ANSWER_TIMED_OUT : SYMFIND_ANSWER_MALFORMED;
    }
    if (!append_url(text, e->name, w))
        return SYMFIND_ANSWER_UNREACHABLE;
    ret->fd = TAKE_FD(text);
    return SYMFIND_ANSWER_FOUND;
}

void sources_fetch(const struct sources *s, size_t i, const struct sources_wish *wish,
                   int64_t deadline_ms, const char *temp_dir, struct sources_file *ret)
{
    const struct sources_entry *e = &s->v[i];
    *ret = (struct sources_file){.answer = SYMFIND_ANSWER_PAUSED, .fd = -1};
    if (is_paused(s, i))
        return;
    int64_t start_ms = mono_ms();
    ret->answer = e->kind == SOURCES_DEBUGINFOD ? fetch_elf(s, e, wish, deadline_ms, temp_dir, ret)
                                                : fetch_sym(s, e, wish, deadline_ms, temp_dir, ret);
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
    char at[URL_BYTES_MAX + 1];
    STRBUF_AUTO asked, shown;
    sb_init(&asked, URL_BYTES_MAX);
    sb_init(&shown, URL_BYTES_MAX);
    if (e->kind == SOURCES_DEBUGINFOD)
        return SYMFIND_ANSWER_NOT_FOUND;
    if (is_paused(s, i))
        return SYMFIND_ANSWER_PAUSED;
    sb_printf(&asked, "%s/", e->base);
    put_path(&asked, w);
    put_query(&asked, e, w);
    sb_printf(&shown, "%s/", e->name);
    put_path(&shown, w);
    snprintf(at, sizeof at, "%s", sb_cstr(&asked));
    const struct attempt a = {.source = e->name,
                              .method = "HEAD",
                              .first_byte_ms = first_byte_ms(s, e),
                              .deadline_ms = deadline_ms};
    enum symfind_answer answer =
        asked.overflow ? SYMFIND_ANSWER_NOT_FOUND : follow(s, w, a, at, &file);
    note_outcome(s, i, answer);
    if (answer == SYMFIND_ANSWER_FOUND)
        snprintf(url, 2048, "%s", sb_cstr(&shown));
    return answer;
}
