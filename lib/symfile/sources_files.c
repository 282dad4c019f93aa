/*
 * Servers that have symbol text as it is, and debuginfods, which have ELF files by build id: their
 * program and debug file become one text.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/log.h"
#include "lib/base/util.h"
#include "lib/symfile/elfdump.h"
#include "lib/symfile/sources_inside.h"
#include "lib/symfile/symbytes.h"

enum { ELF_ID_DIGITS_MIN = 32 }; /* build ids have 16 bytes at least; code ids of Windows fewer */

/* What everybody may see: no user, no query. */
static bool append_address(int fd, const struct sources_entry *e, const struct sources_wish *w)
{
    STRBUF_AUTO url;
    sb_init(&url, SOURCES_URL_MAX);
    sb_printf(&url, "%s/", e->name);
    sources_put_path(&url, w);
    return sources_append_url(fd, sb_cstr(&url));
}

/*
 * One text by its path, into a temporary file without a name.  ret->fd is it, with the line about
 * its origin at the end.
 */
enum symfind_answer sources_fetch_text(const struct sources *s, const struct sources_entry *e,
                                       const struct sources_wish *w, int64_t deadline_ms,
                                       const char *temp_dir, struct sources_file *ret)
{
    char url[SOURCES_URL_MAX + 1];
    STRBUF_AUTO first;
    sb_init(&first, SOURCES_URL_MAX);
    sb_printf(&first, "%s/", e->base);
    sources_put_path(&first, w);
    sources_put_query(&first, e, w);
    if (first.overflow)
        return SYMFIND_ANSWER_NOT_FOUND;
    snprintf(url, sizeof url, "%s", sb_cstr(&first));
    FD_AUTO fd = -1;
    if (!symbytes_temp(temp_dir, &fd, ERR_IGNORED))
        return SYMFIND_ANSWER_UNREACHABLE;
    const struct sources_attempt a = {.source = e->name,
                                      .save_fd = fd,
                                      .first_byte_ms = sources_first_byte_ms(s, e),
                                      .deadline_ms = deadline_ms};
    enum symfind_answer answer = sources_follow(s, w, a, url, ret);
    if (answer != SYMFIND_ANSWER_FOUND)
        return answer;
    if (!append_address(fd, e, w))
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
enum symfind_answer sources_fetch_elf(const struct sources *s, const struct sources_entry *e,
                                      const struct sources_wish *w, int64_t deadline_ms,
                                      const char *temp_dir, struct sources_file *ret)
{
    static const char *const files[] = {"executable", "debuginfo"};
    char build_id[2 * SYMKEY_ID_MAX + 1], url[SOURCES_URL_MAX + 1];
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
        const struct sources_attempt a = {.source = e->name,
                                          .save_fd = *fds[i],
                                          .first_byte_ms = sources_first_byte_ms(s, e),
                                          .deadline_ms = deadline_ms};
        answers[i] = sources_follow(s, w, a, url, ret);
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
    /* Where the names are from. */
    snprintf(url, sizeof url, "%s/buildid/%s/%s", e->name, build_id, files[debug >= 0]);
    if (!sources_append_url(text, url))
        return SYMFIND_ANSWER_UNREACHABLE;
    ret->fd = TAKE_FD(text);
    return SYMFIND_ANSWER_FOUND;
}
