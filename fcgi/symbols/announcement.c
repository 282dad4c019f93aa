/*
 * The announcement as a whole is good or malformed; a file of it that cannot be taken has a reason
 * of its own, so that the others go on.  Members that nobody knows are for later versions of the
 * protocol and are passed over.
 */
#include "fcgi/symbols/announcement.h"

#include "lib/base/util.h"
#include "lib/symfile/symbytes.h"

enum { MD5_HEX = 32 }; /* 16 bytes, in lower case as every tool prints them */

bool announcement_is_md5(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (hex_digit(s.p[i]) < 0 || (s.p[i] >= 'A' && s.p[i] <= 'F'))
            return false;
    return s.n == MD5_HEX;
}

static bool read_file(const json_t *item, struct announced_file *ret)
{
    struct announced_file f = {.key_text = jget_strn(item, "key"),
                               .md5 = jget_strn(item, "md5_hash")};
    int64_t size;
    if (!json_is_object(item) || !f.key_text.p || !f.md5.p || !jget_int(item, "size", &size) ||
        size < 0)
        return false;
    f.size = (uint64_t)size;
    if (!symkey_parse(f.key_text, &f.key, ERR_IGNORED))
        f.problem = "invalid key";
    else if (!announcement_is_md5(f.md5))
        f.problem = "invalid MD5 hex digest";
    else if (f.size > SYMBYTES_MAX)
        f.problem = "the file is too large";
    *ret = f;
    return true;
}

bool announcement_parse(struct arena *a, struct str text, size_t max_files,
                        struct announcement *ret, json_t **ret_tree, struct err *err)
{
    json_auto_t *tree = jparse(text, text.n, ERR_IGNORED);
    json_t *files = jget_arr(tree, "files"); /* borrowed */
    if (!files)
        return err_set(err, ERR_INVALID, "malformed JSON request body");
    struct announcement list = {.n = json_array_size(files)};
    if (list.n > max_files)
        return err_set(err, ERR_INVALID, "too many files");
    list.files = arena_array(a, list.n + 1, sizeof *list.files);
    for (size_t i = 0; i < list.n; i++)
        if (!read_file(json_array_get(files, i), &list.files[i]))
            return err_set(err, ERR_INVALID, "malformed JSON request body");
    *ret = list;
    *ret_tree = TAKE(tree);
    return true;
}
