/*
 * One question to a server of symbols.  All time is bounded twice: an attempt may take so long to
 * connect and to the first byte, and a file so long in all; what fails in a way that may be over in
 * a moment is tried again after pauses that double.
 *
 * Redirects are followed here and not by libcurl, because where one leads says whose symbols they
 * are when a module was asked for by its code id.
 */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/http/http.h"
#include "lib/symfile/sources.h"
#include "lib/symfile/sources_inside.h"
#include "lib/symfile/symasked.h"
#include "lib/symfile/symbytes.h"
#include "lib/symfile/symkey.h"

/*
 * 5 s to connect and to the first byte, five attempts: the rules for upstream downloads that
 * Tecken's successor and the stack walkers share.  A debuginfod unpacks a package before it sends
 * the first byte; elfutils' own client gives it 90 s, we a third of that.
 *
 * A server that sends less than STALL_BYTES_S for STALL_S seconds is not going to finish a file of
 * megabytes in the time there is.
 */
enum {
    CONNECT_MS = 5000,
    FIRST_BYTE_MS = 5000,
    FIRST_BYTE_UNPACKING_MS = 30000,
    ATTEMPTS = 5,
    RETRY_MS = 250,
    RETRY_AFTER_MAX_S = 10, /* a server that asks for a longer pause is asked another time */
    STALL_BYTES_S = 1024,
    STALL_S = 15,
    REDIRECTS_MAX = 5,
};

/*
 * Everything but RFC 3986's unreserved characters, byte by byte: names of modules are strangers'
 * and may hold a slash or a question mark.
 */
void sources_put_encoded(struct strbuf *b, struct str text)
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
void sources_put_path(struct strbuf *b, const struct sources_wish *w)
{
    sources_put_encoded(b, str_of(w->key.debug_file));
    sb_char(b, '/');
    put_id(b, w);
    sb_char(b, '/');
    sources_put_encoded(b, str_of(w->key.file));
}

/* Servers list what was asked for in vain, and then want to know the code file and id. */
void sources_put_query(struct strbuf *b, const struct sources_entry *e,
                       const struct sources_wish *w)
{
    sb_printf(b, "?%s%s", e->query, *e->query ? "&" : "");
    sb_text(b, "code_file=");
    sources_put_encoded(b, str_of(w->code_file));
    sb_text(b, "&code_id=");
    sources_put_encoded(b, str_of(w->code_id));
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

/* One attempt: ret->status is 0 when there was no answer. */
static enum symfind_answer try_once(const struct sources *s, const struct sources_attempt *a,
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
static enum symfind_answer ask_with_retries(const struct sources *s,
                                            const struct sources_attempt *a,
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
    sb_init(&path, SOURCES_URL_MAX);
    url = str_sub(url, 0, str_find_char(url, '?', 0));
    for (size_t i = 0; i < url.n; i++) {
        int byte = pct_byte(url, i);
        sb_char(&path, byte >= 0 ? (char)byte : url.p[i]);
        i += byte >= 0 ? 2 : 0;
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
enum symfind_answer sources_follow(const struct sources *s, const struct sources_wish *w,
                                   struct sources_attempt a, char url[SOURCES_URL_MAX + 1],
                                   struct sources_file *ret)
{
    for (int hops = 0; hops <= REDIRECTS_MAX; hops++) {
        struct http_response r;
        a.url = url;
        enum symfind_answer answer = ask_with_retries(s, &a, &r);
        bool is_redirect = r.status >= 300 && r.status < 400 && r.location[0];
        if (is_redirect) {
            if (w->is_by_code && !ret->is_resolved)
                ret->is_resolved = sources_key_of_url(str_of(r.location), &ret->key);
            snprintf(url, SOURCES_URL_MAX + 1, "%s", r.location);
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
int sources_first_byte_ms(const struct sources *s, const struct sources_entry *e)
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
bool sources_append_url(int fd, const char *url)
{
    STRBUF_AUTO line;
    uint8_t magic[4] = {0};
    struct err err = {0};
    sb_init(&line, 2 * SOURCES_URL_MAX);
    sb_printf(&line, "\nINFO URL %s\n", url);
    if (pread(fd, magic, sizeof magic, 0) < 0 || lseek(fd, 0, SEEK_END) < 0)
        return false;
    if (magic[0] == 0x1f && magic[1] == 0x8b)
        return symbytes_gzip(sb_view(&line), fd, "symbols file", &err);
    if (symbytes_is_packed(str_n((const char *)magic, sizeof magic)))
        return true; /* zstd is what only we send, and carries its line already */
    return fs_write_all(fd, line.p, line.n, "symbols file", &err);
}
