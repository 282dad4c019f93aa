/*
 * The index of debug ids is a help and not a record: an entry is believed only if the file it
 * names is there, and one that is lost means only that symbols under another name are not found
 * until they are stored again.
 *
 * Names of files are the database here, one small file for each id, in 256 folders: no process has
 * to be asked, no lock held, and two writers of one entry leave one of two right answers. Symbols
 * are so found while PostgreSQL is away. Entries of code ids are the same the other way round: a
 * dump of Windows may name a module by its code file alone.
 */
#include "lib/symfile/symindex.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

enum {
    ID_MIN = 32,     /* shorter ones may be code ids, which other files share */
    CODE_ID_MIN = 5, /* of Windows: a time of eight digits and a size; less is no id */
};

static bool entry_path(const char *store_dir, bool is_try, const struct symkey *k,
                       char out[PATH_MAX])
{
    size_t digits = strlen(k->debug_id);
    if (digits < ID_MIN || strspn(k->debug_id, "0") == digits)
        return false;
    int n = snprintf(out, PATH_MAX, "%s/ids/%s/%.2s/%s", store_dir, is_try ? "try" : "v1",
                     k->debug_id, k->debug_id);
    return n > 0 && n < PATH_MAX;
}

/* The key of the entry's name. */
static bool read_name(const char *path, const struct symkey *k, struct symkey *ret)
{
    char name[SYMKEY_PART_MAX + 1];
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, name, sizeof name);
    return n > 0 && symkey_of_module(str_n(name, (size_t)n), str_of(k->debug_id), ret, ERR_IGNORED);
}

/* The same, if symbols are stored there. */
static bool read_entry(const char *store_dir, bool is_try, const char *path, const struct symkey *k,
                       struct symkey *ret)
{
    char object[PATH_MAX];
    if (!read_name(path, k, ret))
        return false;
    int len = snprintf(object, sizeof object, "%s/%s/%s/%s/%s.gz", store_dir,
                       is_try ? "try/v1" : "v1", ret->debug_file, ret->debug_id, ret->file);
    return len > 0 && len < (int)sizeof object && fs_exists(object);
}

/* An entry that is there and is not believed: readers see the old one or the new one. */
static void replace_entry(const char *path, const char *text)
{
    char temp[PATH_MAX + 32];
    snprintf(temp, sizeof temp, "%s.%016llx", path, (unsigned long long)random_u64());
    FD_AUTO fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0)
        return;
    if (!fs_write_all(fd, text, strlen(text), temp, ERR_IGNORED) || rename(temp, path) != 0)
        unlink(temp);
}

/*
 * A new entry is written in place, which costs a third of a temporary file and a rename: until the
 * name is in it, it is an entry that is not believed, and one that stays so is replaced.
 */
void symindex_add(const char *store_dir, bool is_try, const struct symkey *key)
{
    char path[PATH_MAX], dir[PATH_MAX];
    struct symkey known;
    if (!entry_path(store_dir, is_try, key, path))
        return;
    FD_AUTO fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FS_FILE_MODE);
    if (fd < 0 && errno == ENOENT) {
        snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
        if (fs_mkdirs(dir, FS_DIR_MODE, ERR_IGNORED))
            fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FS_FILE_MODE);
    }
    if (fd >= 0) {
        if (!fs_write_all(fd, key->debug_file, strlen(key->debug_file), path, ERR_IGNORED))
            unlink(path);
    } else if (errno == EEXIST && !read_entry(store_dir, is_try, path, key, &known)) {
        replace_entry(path, key->debug_file);
    }
}

void symindex_remove(const char *store_dir, bool is_try, const struct symkey *key)
{
    char path[PATH_MAX];
    struct symkey known;
    if (entry_path(store_dir, is_try, key, path) && read_name(path, key, &known) &&
        strcmp(known.debug_file, key->debug_file) == 0)
        unlink(path);
}

bool symindex_find(const char *store_dir, bool is_try, const struct symkey *key, struct symkey *ret)
{
    char path[PATH_MAX];
    return entry_path(store_dir, is_try, key, path) &&
           read_entry(store_dir, is_try, path, key, ret) &&
           strcmp(ret->debug_file, key->debug_file) != 0;
}

/* Code files are called in either case on Windows; ids are hexadecimal. */
static bool code_path(const char *store_dir, const char *area, const char *code_file,
                      const char *code_id, char out[PATH_MAX])
{
    struct symkey k;
    if (!symkey_make(str_of(code_file), str_of(code_id), STR("x"), &k, ERR_IGNORED) ||
        strlen(k.debug_id) < CODE_ID_MIN)
        return false;
    for (char *p = k.debug_file; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    int n = snprintf(out, PATH_MAX, "%s/codes/%s/%.2s/%s_%s", store_dir, area, k.debug_id,
                     k.debug_id, k.debug_file);
    return n > 0 && n < PATH_MAX;
}

/* Of two modules with one code id the last one that was stored counts, as in the database. */
void symindex_add_code(const char *store_dir, const char *area, const char *code_file,
                       const char *code_id, const struct symkey *key)
{
    char path[PATH_MAX], dir[PATH_MAX], text[SYMKEY_MAX + 1];
    if (!code_path(store_dir, area, code_file, code_id, path))
        return;
    snprintf(text, sizeof text, "%s/%s", key->debug_file, key->debug_id);
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (fs_mkdirs(dir, FS_DIR_MODE, ERR_IGNORED))
        replace_entry(path, text);
}

bool symindex_find_code(const char *store_dir, const char *area, const char *code_file,
                        const char *code_id, struct symkey *ret)
{
    char path[PATH_MAX], text[SYMKEY_MAX + 1], object[PATH_MAX];
    if (!code_path(store_dir, area, code_file, code_id, path))
        return false;
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    struct str id = str_n(text, n > 0 ? (size_t)n : 0), file = STR_NONE;
    struct symkey k;
    if (!str_split(&id, '/', &file) || !symkey_of_module(file, id, &k, ERR_IGNORED))
        return false;
    int len = snprintf(object, sizeof object, "%s/%s/%s/%s/%s.gz", store_dir, area, k.debug_file,
                       k.debug_id, k.file);
    if (len <= 0 || len >= (int)sizeof object || !fs_exists(object))
        return false;
    *ret = k;
    return true;
}
