/*
 * From a text of symbols on disk to its .csym, once for all processes.
 *
 * Several processes come upon the same text at the same moment, for a crash of a new build brings a
 * hundred more. The lock of the key lets one of them work; the others wait and then find what it
 * has made. A text that cannot be compiled is remembered as such (.bad), or each crash would try
 * again; only what the text itself is to blame for is remembered, never a full disk or a reader
 * that was killed.
 *
 * The compiler runs in datil-symreader, since the text is a stranger's, and writes into a file that
 * has no name in the cache yet. It gets its name when it is complete and on disk, by a rename, so
 * whoever opens a .csym sees a whole one. Its stamp says of which text it was made (symbytes.h): a
 * text that is replaced makes the .csym stale without anybody deleting it.
 */
#include "lib/symfile/symcompile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/symbytes.h"
#include "lib/symfile/symreader.h"

/* Only after compiling: who finds what is there does not make the cache larger. */
static void keep_in_bounds(const struct symcompile_cache *s)
{
    struct err err = {0};
    if (s->max_bytes > 0 && !symcache_keep_below(s->dir, s->store_dir, s->max_bytes, &err))
        log_event(LOG_WARN, "symcache_evict_failed", "cannot clean the symbol cache", LOG_E(&err));
}

/* The reader's part of compiling: a text to a file that has no name yet.  The text is of a stranger
 * here, too: it lies in the store as it was sent. */
static bool compile_to(const struct symcompile_cache *s, int text_fd, int csym_fd,
                       struct csym_stats *stats, struct err *err)
{
    struct symreader *r = NULL;
    bool ok = symreader_start(text_fd, s->dir, &r, err) && symreader_load(r, NULL, NULL, err) &&
              symreader_ask_compile(r, csym_fd, err) && symreader_take_compile(r, stats, err);
    symreader_stop(r);
    return ok;
}

/* Any other error may be over the next time, and must not leave a .bad. */
static bool is_about_the_text(const struct err *err)
{
    return err->code == ERR_INVALID || err->code == ERR_TOO_LARGE;
}

/* A text that cannot be compiled is remembered as such; why it cannot is the error. */
static bool compile_text(const struct symcompile_cache *s, const struct symkey *k, const char *path,
                         uint64_t stamp, struct csym_stats *stats, struct err *err)
{
    char temp[PATH_MAX];
    FD_AUTO text = open(path, O_RDONLY | O_CLOEXEC);
    FD_AUTO csym = -1;
    if (text < 0)
        return err_errno(err, errno, "%s", path);
    if (!symcache_temp(s->dir, temp, &csym, err))
        return false;
    bool compiled = compile_to(s, text, csym, stats, err);
    struct err *why = compiled ? err : ERR_IGNORED;
    bool ok = compiled ? csym_set_stamp(csym, stamp, why)
                       : is_about_the_text(err) && symcache_mark_bad(csym, stamp, why);
    if (ok && fsync(csym) != 0)
        ok = err_errno(why, errno, "fsync of %s", temp);
    int64_t start_us = mono_us();
    ok = ok && symcache_count(s->dir, symcache_disk_bytes(stats->csym_bytes), why) &&
         symcache_publish(s->dir, k, temp, !compiled, why);
    if (ok)
        symcache_note_puts(s->dir, 1, mono_us() - start_us);
    else
        unlink(temp);
    return compiled && ok;
}

/*
 * With the lock of the key: what another process has made in the meantime counts.  The stamp is
 * taken again under the lock and before the text is opened, so a text that is replaced while it is
 * compiled leaves a .csym with the stamp of the one before, and the next look-up makes it again.
 */
enum symcache_state symcompile(const struct symcompile_cache *s, const struct symkey *k,
                               const char *path, int *ret_fd)
{
    struct err err = {0};
    FD_AUTO lock = -1;
    struct csym_stats stats = {0};
    uint64_t stamp;
    if (!symcache_lock(s->dir, k, &lock, &err) || !symbytes_stamp(path, &stamp, &err))
        goto fail;
    enum symcache_state state = symcache_get(s->dir, k, stamp, ret_fd);
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
    state = symcache_get(s->dir, k, stamp, ret_fd);
    keep_in_bounds(s);
    return state;
fail:
    log_event(LOG_WARN, "symbols_unusable", "cannot use a symbols file",
              LOG_S("debug_file", k->debug_file), LOG_S("debug_id", k->debug_id), LOG_E(&err));
    return is_about_the_text(&err) ? SYMCACHE_BAD : SYMCACHE_MISS;
}
