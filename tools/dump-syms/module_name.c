/*
 * The name in a MODULE record. Dumps look for symbols by it, so it must be the one that a writer of
 * dumps gives the module, and not the one of the file at hand: a debug file has an ending behind
 * it, a packed one two. It becomes a folder in a store, hence no slash and no dot in front.
 */
#include "tools/dump-syms/module_name.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

/*
 * The last part of a path without ".debug" and the endings of packing: that is a file beside the
 * module.  Symbols made of libfoo.so.debug must carry the name that dumps have, libfoo.so.
 */
bool module_file_name(const char *path, bool is_name, char out[MODULE_NAME_MAX], struct err *err)
{
    static const char *const endings[] = {".gz", ".xz", ".zst", ".debug", ".dbg"};
    char real[PATH_MAX];
    struct str name = str_of(path);
    if (!is_name) {
        if (realpath(path, real))
            name = str_of(real);
        else if (errno != ENOENT) /* the name inside an archive is that of no file */
            return err_errno(err, errno, "%s", path);
    }
    size_t slash = str_rfind_char(name, '/');
    if (slash != SIZE_MAX)
        name = str_sub(name, slash + 1, name.n);
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        if (name.n > strlen(endings[i]) && str_ends(name, str_of(endings[i])))
            name.n -= strlen(endings[i]);
    snprintf(out, MODULE_NAME_MAX, STR_FMT, (int)MIN(name.n, MODULE_NAME_MAX - 1u), name.p);
    return true;
}

bool module_set_name(struct sym *s, struct str name, struct err *err)
{
    struct str clean = sym_clean(s, name);
    if (name.n == 0 || str_find_char(clean, '/', 0) != SIZE_MAX || clean.p[0] == '.')
        return err_set(err, ERR_INVALID, "%.*s is no name for a module", (int)MIN(name.n, 100u),
                       name.p);
    s->name = str_adup(&s->arena, clean);
    return true;
}

struct str module_windows_file(struct str path)
{
    for (size_t i = path.n; i-- > 0;)
        if (path.p[i] == '\\' || path.p[i] == '/')
            return str_sub(path, i + 1, path.n);
    return path;
}
