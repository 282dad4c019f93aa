/*
 * The products that an installation accepts, one JSON file each in $DATIL_VAR/config/products.
 *
 * The files are the administrator's, edited by hand, so reading is strict: an unknown key, a wrong
 * type or a name that two files have is an error that names the file, and programs that already
 * run keep what they had.  Whether anything has changed is told by a stamp of names, sizes and
 * times, which costs one look at the directory.
 *
 * They are files and not rows of the database because the collector needs them, and a collector
 * must take reports while the database is away.
 *
 * A row of product_keys is all there is to say of a key: how it is read, where to, and what it is
 * when it is absent.  Lists end with NULL; pairs and maps are lists of twice as many texts, for
 * pages that go through them two by two.
 */
#include "lib/crash/product.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/crash/product_files.h"
#include "lib/json/json.h"

/* A limit against accidents: an installation has some tens of them. */
enum { PRODUCTS_MAX = 10000 };

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

static void product_release(struct product *p)
{
    free(p->name);
    free(p->description);
    free(p->path);
    free_list(p->featured_versions);
    free_list(p->package_names);
    free_list(p->app_ids);
    free_list(p->submit_tokens);
    free_list(p->aliases);
    for (struct product_share *c = p->sampling; c && c->channel; c++)
        free(c->channel);
    free(p->sampling);
    free(p->quota_rule);
    free(p->sampling_rule);
    free_list(p->bug_links);
    free_list(p->home_links);
    free_list(p->version_urls);
    *p = (struct product){0};
}

/*
 * Appends the texts of v to *list (room is there); false if one is not a text.  The list belongs to
 * the product from its first text on, so that a failure in the middle is freed with it.
 */
static bool add_texts(const json_t *v, char **list, size_t *n)
{
    size_t i;
    json_t *item;
    json_array_foreach (v, i, item) {
        if (!json_is_string(item))
            return false;
        list[(*n)++] = xstrdup(json_string_value(item));
    }
    return true;
}

static bool read_texts(const json_t *v, void *ret)
{
    char **list = xcalloc(json_array_size(v) + 1, sizeof *list);
    size_t n = 0;
    *(char ***)ret = list;
    return json_is_array(v) && add_texts(v, list, &n);
}

/* A list of pairs [text, text]. */
static bool read_pairs(const json_t *v, void *ret)
{
    char **list = xcalloc(2 * json_array_size(v) + 1, sizeof *list);
    size_t n = 0, i;
    json_t *pair;
    *(char ***)ret = list;
    json_array_foreach (v, i, pair)
        if (json_array_size(pair) != 2 || !add_texts(pair, list, &n))
            return false;
    return json_is_array(v);
}

/* An object of texts, as key, text, key, text. */
static bool read_map(const json_t *v, void *ret)
{
    char **list = xcalloc(2 * json_object_size(v) + 1, sizeof *list);
    size_t n = 0;
    const char *key;
    json_t *text;
    *(char ***)ret = list;
    json_object_foreach ((json_t *)v, key, text) {
        if (!json_is_string(text))
            return false;
        list[n++] = xstrdup(key);
        list[n++] = xstrdup(json_string_value(text));
    }
    return json_is_object(v);
}

static bool read_text(const json_t *v, void *ret)
{
    if (!json_is_string(v) || json_string_length(v) == 0)
        return false;
    *(char **)ret = xstrdup(json_string_value(v));
    return true;
}

static bool read_int(const json_t *v, void *ret)
{
    *(int64_t *)ret = json_integer_value(v);
    return json_is_integer(v);
}

/* As RETENTION_DAYS; 0 is the absent key. */
static bool read_days(const json_t *v, void *ret)
{
    int64_t days = json_integer_value(v);
    *(int64_t *)ret = days;
    return json_is_integer(v) && days >= 0 && days <= 36500;
}

static bool read_bool(const json_t *v, void *ret)
{
    *(bool *)ret = json_is_true(v);
    return json_is_boolean(v);
}

/* A count; 0 is the default, and means that there is no limit. */
static bool read_count(const json_t *v, void *ret)
{
    return read_int(v, ret) && *(int64_t *)ret >= 0 && *(int64_t *)ret <= UINT32_MAX;
}

/* An object of percentages by release channel; "*" is any other. */
static bool read_shares(const json_t *v, void *ret)
{
    struct product_share *list = xcalloc(json_object_size(v) + 1, sizeof *list);
    size_t n = 0;
    const char *channel;
    json_t *percent;
    *(struct product_share **)ret = list;
    json_object_foreach ((json_t *)v, channel, percent) {
        double value = json_number_value(percent);
        if (!json_is_number(percent) || value < 0 || value > 100)
            return false;
        list[n++] = (struct product_share){xstrdup(channel), value};
    }
    return json_is_object(v);
}

static const char empty_list[] = "[]";

static const struct {
    const char *key;
    bool (*read)(const json_t *v, void *ret);
    size_t offset;
    const char *fallback; /* JSON text; NULL: the key is required */
} product_keys[] = {
    {"name", read_text, offsetof(struct product, name), NULL},
    {"description", read_text, offsetof(struct product, description), NULL},
    {"home_page_sort", read_int, offsetof(struct product, home_page_sort), NULL},
    {"featured_versions", read_texts, offsetof(struct product, featured_versions), empty_list},
    {"package_names", read_texts, offsetof(struct product, package_names), empty_list},
    {"app_ids", read_texts, offsetof(struct product, app_ids), empty_list},
    {"submit_tokens", read_texts, offsetof(struct product, submit_tokens), empty_list},
    {"requires_token", read_bool, offsetof(struct product, requires_token), "false"},
    {"enabled", read_bool, offsetof(struct product, is_enabled), "true"},
    {"aliases", read_texts, offsetof(struct product, aliases), empty_list},
    {"sampling", read_shares, offsetof(struct product, sampling), "{}"},
    {"quota_per_minute", read_count, offsetof(struct product, quota_per_minute), "0"},
    {"quota_per_day", read_count, offsetof(struct product, quota_per_day), "0"},
    {"max_body_bytes", read_count, offsetof(struct product, max_body_bytes), "0"},
    {"bug_links", read_pairs, offsetof(struct product, bug_links), empty_list},
    {"product_home_links", read_pairs, offsetof(struct product, home_links), empty_list},
    {"version_json_urls", read_map, offsetof(struct product, version_urls), "{}"},
    {"in_buildhub", read_bool, offsetof(struct product, in_buildhub), "false"},
    {"retention_days", read_days, offsetof(struct product, retention_days), "0"},
};

static bool read_key(const json_t *doc, size_t row, struct product *p, struct err *err)
{
    const char *key = product_keys[row].key;
    json_auto_t *v = json_incref(json_object_get(doc, key));
    if (!v && product_keys[row].fallback)
        v = json_loads(product_keys[row].fallback, JSON_DECODE_ANY, NULL);
    if (!v)
        return err_set(err, ERR_INVALID, "%s: this key is required", key);
    if (!product_keys[row].read(v, (char *)p + product_keys[row].offset))
        return err_set(err, ERR_INVALID, "%s: wrong type or empty", key);
    return true;
}

static bool is_known(const char *key)
{
    if (key[0] == '_')
        return true; /* JSON has no comments: "_why": "…" is one */
    for (size_t i = 0; i < ARRAY_LEN(product_keys); i++)
        if (strcmp(key, product_keys[i].key) == 0)
            return true;
    return false;
}

static bool read_product(const json_t *doc, struct product *p, struct err *err)
{
    const char *key;
    json_t *v;
    if (!json_is_object(doc))
        return err_set(err, ERR_INVALID, "not a JSON object");
    json_object_foreach ((json_t *)doc, key, v)
        if (!is_known(key))
            return err_set(err, ERR_INVALID, "unknown key '%.60s'", key);
    for (size_t row = 0; row < ARRAY_LEN(product_keys); row++)
        if (!read_key(doc, row, p, err))
            return false;
    return true;
}

/* Of characters that names of throttle rules have; answers and logs are to be plain. */
static char *rule_name(const char *prefix, const char *product)
{
    enum { RULE_BYTES_MAX = 100 }; /* as in a rules file */
    STRBUF_AUTO name;
    sb_init(&name, RULE_BYTES_MAX);
    sb_text(&name, prefix);
    for (const char *c = product; *c && name.n < RULE_BYTES_MAX; c++)
        sb_char(&name, strchr("_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", *c)
                           ? *c
                           : '_');
    return sb_take(&name, NULL);
}

bool product_check(const json_t *doc, struct err *err)
{
    struct product p = {0};
    bool ok = read_product(doc, &p, err);
    product_release(&p);
    return ok;
}

static bool load_file(const char *path, struct product *ret, struct err *err)
{
    FREE_LATER char *text = NULL;
    size_t n;
    if (!fs_read(path, PRODUCT_FILE_BYTES_MAX, &text, &n, err))
        return false;
    json_auto_t *doc = jparse(str_n(text, n), PRODUCT_FILE_BYTES_MAX, err);
    if (!doc)
        return err_wrap(err, "%s", path);
    struct product p = {.path = xstrdup(path)};
    if (!read_product(doc, &p, err)) {
        product_release(&p);
        return err_wrap(err, "%s", path);
    }
    p.quota_rule = rule_name("quota_", p.name);
    p.sampling_rule = rule_name("sampling_", p.name);
    *ret = p;
    return true;
}

bool product_file_check(const char *path, struct err *err)
{
    struct product p;
    if (!load_file(path, &p, err))
        return false;
    product_release(&p);
    return true;
}

/* New. */
static char *products_dir(const char *var_dir)
{
    STRBUF_AUTO b = {0};
    sb_init(&b, 4096);
    sb_printf(&b, "%s/config/products", var_dir);
    return sb_take(&b, NULL);
}

/*
 * The file name for a new product: every character that is not plain becomes '_', above all '.' and
 * '/'.
 */
char *product_file_path(const char *dir, const char *name)
{
    STRBUF_AUTO b = {0};
    sb_init(&b, 4096);
    sb_printf(&b, "%s/", dir);
    for (const char *p = name; *p; p++)
        sb_char(&b, strchr("-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", *p)
                        ? *p
                        : '_');
    sb_text(&b, ".json");
    return sb_take(&b, NULL);
}

static bool write_shipped(const char *dir, const struct product_file *f, struct err *err)
{
    STRBUF_AUTO b = {0};
    sb_init(&b, PRODUCT_FILE_BYTES_MAX);
    /* written by hand and not by jansson: in this order and layout it is to be edited */
    sb_printf(&b, "{\n  \"name\": \"%s\",\n  \"description\": \"%s\",\n  \"home_page_sort\": %d,\n",
              f->name, f->description, f->home_page_sort);
    sb_printf(&b, "  \"featured_versions\": [%s],\n", f->featured_versions);
    if (*f->version_url)
        sb_printf(&b, "  \"version_json_urls\": {\"product_details\": \"%s\"},\n", f->version_url);
    if (*f->app_ids)
        sb_printf(&b, "  \"app_ids\": [%s],\n", f->app_ids);
    sb_printf(&b, "  \"package_names\": [%s],\n  \"in_buildhub\": %s,\n  %s\n}\n", f->package_names,
              f->in_buildhub ? "true" : "false", f->bug_links);
    FREE_LATER char *path = product_file_path(dir, f->name);
    return fs_write_atomic(path, b.p, b.n, FS_FILE_MODE, err);
}

/*
 * Several programs may find the directory missing at the same time.  Each fills one of
 * its own beside it; the first rename wins and nobody ever sees half of the files.
 */
static bool make_dir(const char *dir, struct err *err)
{
    STRBUF_AUTO tmp = {0};
    sb_init(&tmp, 4096);
    sb_printf(&tmp, "%s.%016llx", dir, (unsigned long long)random_u64());
    bool ok = fs_mkdirs(tmp.p, FS_DIR_MODE, err);
    for (size_t i = 0; ok && i < product_file_count; i++)
        ok = write_shipped(tmp.p, &product_files[i], err);
    if (ok && rename(tmp.p, dir) == 0)
        return true;
    if (ok && errno != EEXIST && errno != ENOTEMPTY)
        ok = err_errno(err, errno, "cannot make %s", dir);
    struct err ignored = {0};
    fs_remove_tree(tmp.p, &ignored);
    return ok;
}

/* Editors leave hidden files and copies with other endings beside those they write. */
static bool is_product_file(const char *name)
{
    return name[0] != '.' && str_ends(str_of(name), STR(".json"));
}

/*
 * Independent of the order of entries: a sum of hashes of name, size, time and inode.  The inode
 * tells a file that was replaced within one tick of the clock by another of the same size.
 */
static bool dir_stamp(const char *dir, int64_t *ret_stamp, struct err *err)
{
    DIR *d = opendir(dir);
    if (!d)
        return err_errno(err, errno, "cannot read %s", dir);
    uint64_t sum = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct stat st;
        if (!is_product_file(e->d_name) || fstatat(dirfd(d), e->d_name, &st, 0) != 0)
            continue;
        int64_t facts[] = {st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (int64_t)st.st_ino};
        sum += hash64_seed(facts, sizeof facts, hash64(e->d_name, strlen(e->d_name)));
    }
    closedir(d);
    *ret_stamp = (int64_t)(sum >> 1);
    return true;
}

/* As the home page has them. */
static int by_sort_then_name(const void *a, const void *b)
{
    const struct product *x = a, *y = b;
    if (x->home_page_sort != y->home_page_sort)
        return x->home_page_sort < y->home_page_sort ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* A name or an alias that leads to a product already, of any file but the one of `but`. */
static const struct product *called(const struct products *set, const char *name,
                                    const struct product *but)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct product *p = &set->v[i];
        if (p == but)
            continue;
        if (strcmp(p->name, name) == 0)
            return p;
        for (char **a = p->aliases; a && *a; a++)
            if (strcmp(*a, name) == 0)
                return p;
    }
    return NULL;
}

/*
 * Two files may hold the same product: its name stands in the file, and the file need not be called
 * after it.  Nor may a report be of two products by an alias.
 */
static bool check_names_differ(struct products *set, struct err *err)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct product *p = &set->v[i], *other = called(set, p->name, p);
        const char *key = "name";
        for (char **a = p->aliases; !other && a && *a; a++) {
            key = "aliases";
            other = called(set, *a, p);
        }
        if (other)
            return err_set(err, ERR_INVALID, "%s: %s: %s has it already", p->path, key,
                           other->path);
    }
    return true;
}

/*
 * One bad file spoils all: a set without one of its products would refuse that product's reports,
 * and the callers keep the set of before instead.
 */
static bool load_entries(DIR *d, struct products *set, struct err *err)
{
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (!is_product_file(e->d_name))
            continue;
        if (set->n == PRODUCTS_MAX)
            return err_set(err, ERR_TOO_LARGE, "%s: more than %d files", set->dir, PRODUCTS_MAX);
        STRBUF_AUTO path = {0};
        sb_init(&path, 8192);
        sb_printf(&path, "%s/%s", set->dir, e->d_name);
        struct product p = {0};
        if (!load_file(path.p, &p, err))
            return false;
        set->v = xrealloc(set->v, (set->n + 1) * sizeof *set->v);
        set->v[set->n++] = p;
    }
    return true;
}

/* All files or none: *ret is touched at the end only. */
static bool load_dir(const char *dir, struct products *ret, struct err *err)
{
    /* The stamp first: a change while we read is then seen by the next refresh. */
    struct products set = {.dir = xstrdup(dir)};
    DIR *d = NULL;
    if (!dir_stamp(dir, &set.stamp, err))
        goto fail;
    d = opendir(dir);
    if (!d) {
        err_errno(err, errno, "cannot read %s", dir);
        goto fail;
    }
    if (!load_entries(d, &set, err))
        goto fail;
    closedir(d);
    d = NULL;
    if (set.n > 1)
        qsort(set.v, set.n, sizeof *set.v, by_sort_then_name);
    if (!check_names_differ(&set, err))
        goto fail;
    *ret = set;
    return true;

fail:
    if (d)
        closedir(d);
    products_release(&set);
    return false;
}

bool products_load(const char *var_dir, struct products *ret, struct err *err)
{
    FREE_LATER char *dir = products_dir(var_dir);
    if (!fs_exists(dir) && !make_dir(dir, err))
        return false;
    return load_dir(dir, ret, err);
}

/* What is there stays whole until the fresh set is good. */
bool products_refresh(struct products *p, struct err *err)
{
    int64_t stamp;
    if (!dir_stamp(p->dir, &stamp, err))
        return false;
    if (stamp == p->stamp)
        return true;
    struct products fresh = {0};
    if (!load_dir(p->dir, &fresh, err))
        return false;
    products_release(p);
    *p = fresh;
    return true;
}

void products_release(struct products *p)
{
    for (size_t i = 0; i < p->n; i++)
        product_release(&p->v[i]);
    free(p->v);
    free(p->dir);
    *p = (struct products){0};
}

/*
 * Tokens are secrets that a stranger may try to guess: each is compared in constant time, and the
 * search does not end at the one that fits.
 */
const struct product *products_find_token(const struct products *p, struct str token)
{
    const struct product *found = NULL;
    for (size_t i = 0; i < p->n; i++)
        for (char **t = p->v[i].submit_tokens; t && *t; t++)
            if (token.n && token.n == strlen(*t) && secret_eq(*t, token.p, token.n))
                found = &p->v[i];
    return found;
}

const struct product *products_find(const struct products *p, struct str name)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(name, str_of(p->v[i].name)))
            return &p->v[i];
    return NULL;
}

const struct product *products_find_alias(const struct products *p, struct str name)
{
    for (size_t i = 0; i < p->n; i++)
        for (char **a = p->v[i].aliases; a && *a; a++)
            if (str_eq(name, str_of(*a)))
                return &p->v[i];
    return NULL;
}

const struct product *products_find_app(const struct products *p, struct str app_id)
{
    for (size_t i = 0; i < p->n; i++)
        for (char **a = p->v[i].app_ids; a && *a; a++)
            if (str_eq(app_id, str_of(*a)))
                return &p->v[i];
    return NULL;
}

bool product_share(const struct product *p, struct str channel, double *ret)
{
    const struct product_share *any = NULL;
    for (const struct product_share *s = p->sampling; s && s->channel; s++) {
        if (str_eq(channel, str_of(s->channel))) {
            *ret = s->percent;
            return true;
        }
        if (strcmp(s->channel, "*") == 0)
            any = s;
    }
    if (any)
        *ret = any->percent;
    return any != NULL;
}
