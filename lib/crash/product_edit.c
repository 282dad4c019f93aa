/*
 * Changing the product files: adding, changing and removing one, for commands.  The files stay the
 * administrator's: what is not asked for is left as it is, comments too, and nothing is written
 * that programs would refuse to read.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/product.h"
#include "lib/json/json.h"

enum { NAME_BYTES_MAX = 100 };

/* A name with control characters could add false lines to lists and logs. */
static bool check_name(const char *name, struct err *err)
{
    struct str s = str_of(name);
    if (s.n == 0 || s.n > NAME_BYTES_MAX || !utf8_valid(s) || str_trim(s).n != s.n)
        return err_set(err, ERR_INVALID, "a product name has 1 to %d bytes and no blanks around it",
                       NAME_BYTES_MAX);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return err_set(err, ERR_INVALID, "a product name has no control characters");
    return true;
}

/* New products go behind those that somebody has put in order, from 100 on. */
static int64_t next_home_page_sort(const struct products *all)
{
    return all->n ? MAX(all->v[all->n - 1].home_page_sort, 99) + 1 : 100;
}

/*
 * The keys without which a file is not read; the rest have defaults.  A file of that name with
 * another product in it is possible, since file_path makes one '_' of many characters.
 */
static bool write_product_file(const struct products *all, const char *name,
                               const char *description, struct err *err)
{
    json_auto_t *doc = json_pack("{s:s, s:s, s:I, s:[s]}", "name", name, "description",
                                 description && *description ? description : name, "home_page_sort",
                                 (json_int_t)next_home_page_sort(all), "featured_versions", "auto");
    if (!doc)
        return err_set(err, ERR_INVALID, "the description is not UTF-8");
    FREE_LATER char *path = product_file_path(all->dir, name);
    if (fs_exists(path))
        return err_set(err, ERR_CONFLICT, "%s is there already, with another name in it", path);
    FREE_LATER char *text = json_dumps(doc, JSON_INDENT(2));
    return fs_write_atomic(path, text, strlen(text), FS_FILE_MODE, err);
}

/* By its name or an alias. */
static const struct product *owner_of(const struct products *all, struct str name)
{
    const struct product *p = products_find(all, name);
    return p ? p : products_find_alias(all, name);
}

/* With a name that leads to two products none of the files would be read. */
static bool check_names_free(const struct products *all, const struct product *p, const json_t *doc,
                             struct err *err)
{
    const struct product *owner = owner_of(all, jget_strn(doc, "name"));
    const json_t *aliases = jget_arr(doc, "aliases");
    for (size_t i = 0; i < json_array_size(aliases) && (!owner || owner == p); i++) {
        const json_t *alias = json_array_get(aliases, i);
        owner = owner_of(all, str_n(json_string_value(alias), json_string_length(alias)));
    }
    return !owner || owner == p ||
           err_set(err, ERR_CONFLICT, "product '%s' has one of these names already", owner->name);
}

bool product_add(const char *var_dir, const char *name, const char *description, struct err *err)
{
    struct products all = {0};
    if (!check_name(name, err) || !products_load(var_dir, &all, err))
        return false;
    const struct product *owner = owner_of(&all, str_of(name));
    bool ok = owner ? err_set(err, ERR_CONFLICT, "product '%s' exists already", owner->name)
                    : write_product_file(&all, name, description, err);
    products_release(&all);
    return ok;
}

/* For a shell: plain words stay as they are, everything else stands between apostrophes. */
static void put_quoted(struct strbuf *out, struct str s)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    bool is_plain = true;
    for (size_t i = 0; i < s.n; i++)
        is_plain = is_plain && strchr(plain, s.p[i]);
    if (is_plain) {
        sb_str(out, s);
        return;
    }
    sb_char(out, '\'');
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\'')
            sb_text(out, "'\\''");
        else
            sb_char(out, s.p[i]);
    sb_char(out, '\'');
}

/*
 * U+FFFD stands where the collector has mended a name that was no UTF-8; the product would not be
 * the one that was sent.  "--" ends the options for a name that looks like one.
 */
char *product_add_command(const char *name)
{
    STRBUF_AUTO out;
    sb_init(&out, 1000);
    if (!check_name(name, ERR_IGNORED) || strstr(name, "\uFFFD"))
        return NULL;
    sb_text(&out, "datil product add ");
    if (name[0] == '-')
        sb_text(&out, "-- ");
    put_quoted(&out, str_of(name));
    return sb_take(&out, NULL);
}

bool product_remove(const char *var_dir, const char *name, struct err *err)
{
    struct products all = {0};
    if (!products_load(var_dir, &all, err))
        return false;
    const struct product *p = products_find(&all, str_of(name));
    bool ok;
    if (!p)
        ok = err_set(err, ERR_NOT_FOUND, "no product '%s'", name);
    else if (unlink(p->path) != 0)
        ok = err_errno(err, errno, "cannot remove %s", p->path);
    else
        ok = fs_sync_dir(all.dir, err);
    products_release(&all);
    return ok;
}

/* The document of its file, new. */
static json_t *load_document(const struct product *p, struct err *err)
{
    FREE_LATER char *text = NULL;
    size_t n;
    if (!fs_read(p->path, PRODUCT_FILE_BYTES_MAX, &text, &n, err))
        return NULL;
    json_t *doc = jparse(str_n(text, n), PRODUCT_FILE_BYTES_MAX, err);
    if (!doc)
        err_wrap(err, "%s", p->path);
    return doc;
}

/* A null takes a key away, so that its default counts again. */
static bool change(const struct products *all, const struct product *p, json_t *changes,
                   struct err *err)
{
    json_auto_t *doc = load_document(p, err);
    const char *key;
    json_t *value;
    if (!doc)
        return false;
    json_object_foreach (changes, key, value)
        if (json_is_null(value))
            json_object_del(doc, key);
        else
            json_object_set(doc, key, value);
    if (!product_check(doc, err) || !check_names_free(all, p, doc, err))
        return false;
    FREE_LATER char *text = json_dumps(doc, JSON_INDENT(2));
    return fs_write_atomic(p->path, text, strlen(text), FS_FILE_MODE, err);
}

bool product_change(const char *var_dir, const char *name, json_t *changes, struct err *err)
{
    struct products all = {0};
    if (!products_load(var_dir, &all, err))
        return false;
    const struct product *p = products_find(&all, str_of(name));
    bool ok =
        p ? change(&all, p, changes, err) : err_set(err, ERR_NOT_FOUND, "no product '%s'", name);
    products_release(&all);
    return ok;
}
