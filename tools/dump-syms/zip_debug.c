/*
 * ZIP is how people on macOS send a folder, and a .dSYM is one: "Compress XUL.dSYM" in the Finder
 * makes XUL.dSYM.zip.  The archive is read by the reader of uploads (lib/symfile/symzip.h), which
 * bounds every place in it; of all members one is inflated.
 */
#include "tools/dump-syms/zip_debug.h"

#include "lib/base/rd.h"
#include "lib/base/util.h"
#include "lib/symfile/symzip.h"

/* As many as an upload may have: a folder has a dozen. */
enum { MEMBERS_MAX = 10000 };

static const uint32_t local_signature = 0x04034b50; /* APPNOTE.TXT 4.3.7 */

bool zip_debug_is(struct str bytes)
{
    return bytes.n >= sizeof local_signature && rd_le32(bytes.p) == local_signature;
}

/* What the Finder notes beside each file has its name behind "._". */
static bool is_debug(struct str name)
{
    const struct str folder = STR("Contents/Resources/DWARF/");
    size_t at = str_find(name, folder, 0);
    return at != SIZE_MAX && !str_starts(str_sub(name, at + folder.n, SIZE_MAX), STR("._"));
}

static bool append(void *arg, const void *p, size_t n, struct err *err)
{
    struct strbuf *out = arg;
    sb_put(out, p, n);
    return !out->overflow ||
           err_set(err, ERR_TOO_LARGE, "unpacks to more than %zu bytes", out->max);
}

/* The one file of an archive that has no folder of this name may be the debug file itself. */
static struct symzip_member *choose(struct symzip *z)
{
    for (size_t i = 0; i < z->members.n; i++)
        if (is_debug(z->members.v[i].name))
            return &z->members.v[i];
    return z->members.n == 1 ? &z->members.v[0] : NULL;
}

bool zip_debug_unpack(struct str bytes, size_t max_bytes, struct strbuf *out, char **ret_name,
                      struct err *err)
{
    struct symzip z = {.bytes = bytes};
    struct symzip_member *m = NULL;
    bool ok = symzip_list(&z, MEMBERS_MAX, err);
    if (ok) {
        m = choose(&z);
        ok = m || err_set(err, ERR_INVALID, "no debug file in the archive");
    }
    if (ok && m->size > max_bytes)
        ok = err_set(err, ERR_TOO_LARGE, "unpacks to more than %zu bytes", max_bytes);
    ok = ok && symzip_read(&z, m, append, out, err);
    if (ok)
        *ret_name = str_dup(m->name);
    symzip_close(&z);
    return ok;
}
