/*
 * Documents with current versions, as workers read them.  They lie in one file, an object of
 * address and document, that the keeper (version_keeper.c) replaces as a whole; so no page ever
 * waits for a strange server, and what was known before a restart is known behind it.
 */
#include "fcgi/webapp/version_documents.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "fcgi/webapp/version_order.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"

/* The longest version text of crash pings and reports that was seen has half of it. */
enum { VERSION_TEXT_MAX = 50 };

char *version_documents_path(const char *var_dir)
{
    STRBUF_AUTO b = {0};
    sb_init(&b, 4096);
    sb_printf(&b, "%s/versions/documents.json", var_dir);
    return sb_take(&b, NULL);
}

void version_documents_init(struct version_documents *d, const char *var_dir)
{
    *d = (struct version_documents){.path = version_documents_path(var_dir)};
}

void version_documents_release(struct version_documents *d)
{
    json_decref(d->by_url);
    free(d->path);
    *d = (struct version_documents){0};
}

/* One stat for each page; a file that was replaced has another inode even within one tick. */
bool version_documents_refresh(struct version_documents *d)
{
    struct stat st;
    int64_t stamp = 0;
    if (stat(d->path, &st) == 0)
        stamp = (int64_t)st.st_ino ^
                ((int64_t)st.st_mtim.tv_sec * SECOND_US * 1000 + st.st_mtim.tv_nsec);
    if (stamp == d->stamp)
        return false;
    d->stamp = stamp;
    struct err err = {0};
    FREE_LATER char *text = NULL;
    size_t n = 0, max = (size_t)VERSION_DOCUMENT_BYTES_MAX * VERSION_DOCUMENTS_MAX;
    json_t *fresh = NULL;
    if (fs_read(d->path, max, &text, &n, &err))
        fresh = jparse(str_n(text, n), max, &err);
    if (err.code && err.code != ERR_NOT_FOUND)
        log_event(LOG_WARN, "version_documents_bad", "documents with versions cannot be read",
                  LOG_E(&err));
    json_decref(d->by_url);
    d->by_url = fresh;
    return true;
}

bool version_documents_find(const struct version_documents *d, const struct product *product,
                            struct str name, struct str *ret)
{
    size_t dot = str_find_char(name, '.', 0);
    *ret = STR_NONE;
    for (char **u = product->version_urls; dot != SIZE_MAX && u && u[0] && u[1]; u += 2) {
        struct version parsed;
        if (!str_eq(str_of(u[0]), str_sub(name, 0, dot)))
            continue;
        /* name is the end of a C string, so what stands behind the dot is one. */
        const char *found = jpath_str(json_object_get(d->by_url, u[1]), name.p + dot + 1);
        struct str text = str_of(found ? found : "");
        if (text.n > 0 && text.n <= VERSION_TEXT_MAX && version_parse(text, &parsed))
            *ret = text;
        return true;
    }
    return false;
}
