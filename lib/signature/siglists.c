/*
 * The four lists: built into the program by tools/gen/siglists.awk, or all of them from a
 * directory. Loading is all or nothing, so a list with a mistake stops the start, and on reload
 * leaves the old ones in use.
 */
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/signature/lists.h"
#include "lib/signature/patterns.h"

enum { LIST_BYTES_MAX = 4 << 20 }; /* those of lists/ have up to 8 KB */

/* Takes text. */
static void keep_sentinels(struct siglists *l, char *text)
{
    struct str rest = str_of(text), entry;
    int line = 0;
    l->sentinel_text = text;
    l->sentinels = xcalloc(rest.n / 2 + 1, sizeof *l->sentinels);
    while (patterns_next_entry(&rest, &line, &entry))
        l->sentinels[l->sentinel_count++] = entry;
}

static bool load_list(struct siglists *l, enum siglist_kind kind, struct str text, const char *file,
                      struct err *err)
{
    if (!utf8_valid(text))
        return err_set(err, ERR_INVALID, "%s: not UTF-8", file);
    if (kind != LIST_SENTINELS)
        return patterns_compile(text, file, &l->patterns[kind], err);
    keep_sentinels(l, str_dup(text));
    return true;
}

static bool load_file(struct siglists *l, enum siglist_kind kind, const char *dir, struct err *err)
{
    STRBUF_AUTO path = {0};
    sb_init(&path, 4096);
    sb_printf(&path, "%s/%s", dir, siglist_builtin[kind].file);
    FREE_LATER char *text = NULL;
    size_t n;
    return fs_read(sb_cstr(&path), LIST_BYTES_MAX, &text, &n, err) &&
           load_list(l, kind, str_n(text, n), sb_cstr(&path), err);
}

static bool load_builtin(struct siglists *l, enum siglist_kind kind, struct err *err)
{
    return load_list(l, kind, str_of(siglist_builtin[kind].text), siglist_builtin[kind].file, err);
}

bool siglists_load(const char *dir_or_null, struct siglists **ret, struct err *err)
{
    struct siglists *l = xcalloc(1, sizeof *l);
    STRBUF_AUTO origin = {0};
    sb_init(&origin, 4096);
    if (dir_or_null)
        sb_printf(&origin, "signature lists from %s", dir_or_null);
    else
        sb_text(&origin, "included signature lists");
    l->origin = sb_take(&origin, NULL);
    for (enum siglist_kind kind = 0; kind < LIST_COUNT; kind++) {
        if (dir_or_null ? !load_file(l, kind, dir_or_null, err) : !load_builtin(l, kind, err)) {
            siglists_free(l);
            return false;
        }
    }
    *ret = l;
    return true;
}

void siglists_free(struct siglists *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < LIST_COUNT; i++)
        patterns_free(l->patterns[i]);
    free(l->sentinels);
    free(l->sentinel_text);
    free(l->origin);
    free(l);
}
