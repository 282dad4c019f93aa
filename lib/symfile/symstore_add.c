/* Files, folders and archives into the store, for the administrator's command. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/util.h"
#include "symfile/symstore.h"
#include "symfile/symtext.h"
#include "symfile/symzip.h"

struct add {
    const struct symstore *store;
    symstore_report *report;
    void *arg;
    size_t usable;
};

static bool is_about_the_file(const struct err *err)
{
    return err->code == ERR_INVALID || err->code == ERR_TOO_LARGE || err->code == ERR_NOT_FOUND;
}

/* A bad file is reported and skipped; a store that cannot be written ends the work. */
static bool left_out(struct add *a, const char *name, const struct err *why, struct err *err)
{
    if (!is_about_the_file(why))
        return err_set(err, why->code, "%s", why->msg);
    a->report(a->arg, name, SYMSTORE_SAME, why->msg);
    return true;
}

static bool put(struct add *a, const struct symkey *key, struct str bytes, struct err *err)
{
    struct symstore_put done;
    char name[SYMKEY_MAX + 1];
    if (!symstore_put(a->store, SYMSTORE_REGULAR, key, bytes, &done, err))
        return false;
    symkey_text(key, name);
    a->usable++;
    a->report(a->arg, name, done.change, NULL);
    return true;
}

static bool add_text(struct add *a, const char *path, struct err *err)
{
    struct symtext t = {0};
    struct symheader h;
    struct symkey key;
    struct err why = {0};
    bool ok = symtext_open(path, a->store->dir, SYMTEXT_MAX_BYTES, &t, &why) &&
              symheader_read(t.text, &h, &why) &&
              symkey_of_module(h.debug_file, h.debug_id, &key, &why) && put(a, &key, t.text, &why);
    symtext_close(&t);
    return ok || left_out(a, path, &why, err);
}

static bool write_piece(void *arg, const void *p, size_t n, struct err *err)
{
    return fs_write_all(*(int *)arg, p, n, "symbols file", err);
}

static bool read_member(const struct symzip *zip, const struct symzip_member *m,
                        const char *temp_dir, struct symtext *ret, struct err *err)
{
    FD_AUTO fd = -1;
    return symtext_temp(temp_dir, &fd, err) && symzip_read(zip, m, write_piece, &fd, err) &&
           symtext_map(fd, ret, err);
}

static bool add_zip(struct add *a, const char *path, struct err *err)
{
    struct symzip z;
    struct symtext bytes;
    struct err why = {0};
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || !symtext_map(fd, &bytes, &why))
        return left_out(a, path, &why, err);
    if (!symzip_open(bytes.text, &(struct symzip_limits){0}, &z, &why)) {
        symtext_close(&bytes);
        return left_out(a, path, &why, err);
    }
    bool ok = true;
    for (size_t i = 0; ok && i < z.members.n; i++) {
        const struct symzip_member *m = &z.members.v[i];
        struct symtext t = {0};
        if (m->is_ignored)
            continue;
        ok = read_member(&z, m, a->store->dir, &t, &why) && put(a, &m->key, t.text, &why);
        symtext_close(&t);
    }
    symzip_close(&z);
    symtext_close(&bytes);
    return ok || left_out(a, path, &why, err);
}

static bool add_file(struct add *a, const char *path, bool was_named, struct err *err)
{
    struct str name = str_of(path);
    if (str_ends(name, STR(".zip")))
        return add_zip(a, path, err);
    if (was_named || str_ends(name, STR(".sym")) || str_ends(name, STR(".sym.gz")))
        return add_text(a, path, err);
    return true;
}

static bool add_tree(struct add *a, const char *path, struct err *err)
{
    char *const roots[] = {(char *)path, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!fts)
        return err_errno(err, errno, "reading %s", path);
    bool ok = true;
    for (FTSENT *e; ok && (e = fts_read(fts));)
        if (e->fts_info == FTS_F)
            ok = add_file(a, e->fts_path, false, err);
    fts_close(fts);
    return ok;
}

bool symstore_add_path(const struct symstore *s, const char *path, symstore_report *report,
                       void *arg, struct err *err)
{
    struct add a = {.store = s, .report = report, .arg = arg};
    struct stat st;
    if (stat(path, &st) != 0)
        return err_set(err, ERR_NOT_FOUND, "%s: no such file or directory", path);
    if (!fs_mkdirs(s->dir, FS_DIR_MODE, err))
        return false;
    bool ok = S_ISDIR(st.st_mode) ? add_tree(&a, path, err) : add_file(&a, path, true, err);
    symstore_tidy(s);
    if (!ok)
        return false;
    return a.usable > 0 || err_set(err, ERR_INVALID, "%s: nothing to add", path);
}
