/*
 * A file from another server on its way into the area `cache` of the store.  The server is believed
 * in nothing: the sandboxed reader reads the text, and what it says of itself must be what was
 * asked for.  A wrong file would give wrong names to frames, which is worse than none.
 */
#include "lib/symfile/symfetched.h"

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/fetched_rows.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symreader.h"

/*
 * Asked for by debug id, the text must name that id; its file name may differ, since a library has
 * several.  Asked for by code id, it names the module, which must be the one that the server
 * redirected to, and its code id, where it has one, the one that was asked for.
 */
static enum symfind_answer check_module(const struct sources_wish *wish,
                                        const struct symreader_text *text,
                                        struct sources_file *file)
{
    struct symkey said;
    if (!text->has_header)
        return SYMFIND_ANSWER_MALFORMED;
    if (!wish->is_by_code) {
        if (!str_eq_nocase(str_of(text->debug_id), str_of(wish->key.debug_id)))
            return SYMFIND_ANSWER_WRONG_ID;
        file->key = wish->key;
        return SYMFIND_ANSWER_FOUND;
    }
    if (!symkey_of_module(str_of(text->debug_file), str_of(text->debug_id), &said, ERR_IGNORED))
        return SYMFIND_ANSWER_MALFORMED;
    bool is_other_code =
        text->code_id[0] && !str_eq_nocase(str_of(text->code_id), str_of(wish->key.debug_id));
    bool is_other_module = file->is_resolved && strcmp(file->key.debug_id, said.debug_id) != 0;
    /* Without a redirect and a code id nothing says that it is the right one. */
    if (is_other_code || is_other_module || (!file->is_resolved && !text->code_id[0]))
        return SYMFIND_ANSWER_WRONG_ID;
    file->key = said;
    return SYMFIND_ANSWER_FOUND;
}

/* A failure of ours (a full disk) counts as UNREACHABLE, the answer that is forgotten soonest. */
static enum symfind_answer answer_of(const struct err *why)
{
    return why->code == ERR_INVALID     ? SYMFIND_ANSWER_MALFORMED
           : why->code == ERR_TOO_LARGE ? SYMFIND_ANSWER_TOO_LARGE
                                        : SYMFIND_ANSWER_UNREACHABLE;
}

/* A file without a row is found by walks all the same, so a note that fails is no failure. */
static void note_rows(const struct symstore *store, const struct symstore_new *new)
{
    struct err err = {0};
    if (!fetched_rows_note(store, new, &err))
        log_event(LOG_WARN, "symbols_without_row", "cannot note fetched symbols for the database",
                  LOG_E(&err));
}

enum symfind_answer symfetched_store(const struct symstore *store, const struct sources_wish *wish,
                                     bool wants_rows, struct sources_file *file)
{
    struct symreader *r = NULL;
    struct symreader_text text = {0};
    struct symstore_new new = {.temp_fd = -1, .csym_fd = -1};
    struct err err = {0};
    enum symfind_answer answer = SYMFIND_ANSWER_FOUND;
    bool ok = fs_mkdirs(store->dir, FS_DIR_MODE, &err) &&
              symreader_start(file->fd, store->cache_dir, &r, &err) &&
              symreader_load(r, NULL, &text, &err);
    if (ok)
        answer = check_module(wish, &text, file);
    if (ok && answer == SYMFIND_ANSWER_FOUND) {
        if (wish->is_by_code) /* so that it is found by it the next time */
            snprintf(text.code_file, sizeof text.code_file, "%s", wish->key.debug_file);
        if (wish->is_by_code)
            snprintf(text.code_id, sizeof text.code_id, "%s", wish->key.debug_id);
        ok = symstore_prepare(store, SYMSTORE_CACHE, &file->key, r, &text, &new, &err);
        if (ok && new.is_bad)
            answer = SYMFIND_ANSWER_MALFORMED;
        else if (ok)
            ok = symstore_commit(store, &new, 1, &err);
        if (ok && wants_rows && answer == SYMFIND_ANSWER_FOUND)
            note_rows(store, &new);
        symstore_discard(&new);
    }
    symreader_stop(r);
    if (!ok)
        log_event(LOG_WARN, "symbols_unusable", "cannot use symbols of another server",
                  LOG_S("debug_file", wish->key.debug_file), LOG_S("debug_id", wish->key.debug_id),
                  LOG_E(&err));
    if (ok && answer == SYMFIND_ANSWER_FOUND)
        symstore_tidy(store);
    return ok ? answer : answer_of(&err);
}
