#include "lib/tpl/tpl.h"

#include <ctpl/ctpl.h>
#include <dirent.h>
#include <limits.h>

#undef MIN /* GLib has its own */
#undef MAX

#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/tpl/tpl_internal.h"

enum { INCLUDE_DEPTH_MAX = 8, TEMPLATE_MAX = 1 << 20, TEMPLATES_MAX = 1000 };

struct template
{
    char *name; /* relative to the directory */
    char *text; /* includes resolved, without the trailer */
    size_t text_len;
    CtplToken *tree;
};

struct tpl_set {
    VEC(struct template) templates; /* sorted by name */
};

static bool include_file(const char *dir, struct str name, int depth, struct strbuf *out,
                         struct err *err);

/* {include NAME} and {# comment}: what stands at text[at], `at` behind the brace. */
static bool directive(const char *dir, struct str block, int depth, struct strbuf *out,
                      bool *ret_done, struct err *err)
{
    *ret_done = true;
    if (str_starts(block, STR("#")))
        return true;
    if (str_starts(block, STR("include ")))
        return include_file(dir, str_trim(str_sub(block, 8, SIZE_MAX)), depth + 1, out, err);
    *ret_done = false;
    return true;
}

static bool resolve(const char *dir, struct str text, int depth, struct strbuf *out,
                    struct err *err)
{
    size_t at = 0;
    while (at < text.n) {
        size_t open = str_find_char(text, '{', at);
        if (open == SIZE_MAX || (open > 0 && text.p[open - 1] == '\\')) {
            size_t stop = open == SIZE_MAX ? text.n : open + 1;
            sb_str(out, str_sub(text, at, stop - at));
            at = stop;
            continue;
        }
        sb_str(out, str_sub(text, at, open - at));
        size_t close = str_find_char(text, '}', open);
        bool done = false;
        if (close != SIZE_MAX &&
            !directive(dir, str_sub(text, open + 1, close - open - 1), depth, out, &done, err))
            return false;
        at = done ? close + 1 : open + 1;
        if (!done)
            sb_char(out, '{');
    }
    return true;
}

static bool include_file(const char *dir, struct str name, int depth, struct strbuf *out,
                         struct err *err)
{
    if (depth > INCLUDE_DEPTH_MAX)
        return err_set(err, ERR_INVALID, "includes nested more than %d deep", INCLUDE_DEPTH_MAX);
    if (str_find(name, STR(".."), 0) != SIZE_MAX || str_starts(name, STR("/")))
        return err_set(err, ERR_INVALID, "include outside the directory: " STR_FMT, STR_ARG(name));
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/" STR_FMT, dir, STR_ARG(name));
    FREE_LATER char *text = NULL;
    size_t n = 0;
    if (!fs_read(path, TEMPLATE_MAX, &text, &n, err))
        return err_wrap(err, "template " STR_FMT, STR_ARG(name));
    if (!resolve(dir, str_n(text, n), depth, out, err))
        return err_wrap(err, STR_FMT, STR_ARG(name));
    if (out->overflow)
        return err_set(err, ERR_INVALID, "template " STR_FMT " is too large", STR_ARG(name));
    return true;
}

static bool parse(struct template *t, struct err *err)
{
    if (!tpl_check_blocks(str_n(t->text, t->text_len), err))
        return err_wrap(err, "template %s", t->name);
    STRBUF_AUTO whole;
    sb_init(&whole, 2 * TEMPLATE_MAX);
    sb_put(&whole, t->text, t->text_len);
    sb_text(&whole, TPL_TRAILER);
    GError *why = NULL;
    t->tree = ctpl_lexer_lex_string(sb_cstr(&whole), &why);
    if (t->tree && !why)
        return true;
    err_set(err, ERR_INVALID, "template %s: %s", t->name, why ? why->message : "cannot be read");
    g_clear_error(&why);
    return false;
}

static bool load_one(struct tpl_set *set, const char *dir, const char *name, struct err *err)
{
    STRBUF_AUTO text;
    sb_init(&text, TEMPLATE_MAX);
    if (!include_file(dir, str_of(name), 0, &text, err))
        return false;
    struct template t = {.name = xstrdup(name)};
    t.text = sb_take(&text, &t.text_len);
    bool ok = parse(&t, err);
    VEC_PUSH(&set->templates, t); /* also a bad one: tpl_free releases it */
    return ok;
}

static bool load_dir(struct tpl_set *set, const char *root, const char *below, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", root, below);
    DIR *d = opendir(path);
    if (!d)
        return err_set(err, ERR_NOT_FOUND, "no template directory %s", path);
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        char name[PATH_MAX];
        snprintf(name, sizeof name, "%s%s%s", below, *below ? "/" : "", e->d_name);
        if (e->d_type == DT_DIR)
            ok = strlen(below) < 64 && load_dir(set, root, name, err);
        else if (str_ends(str_of(name), STR(".html")))
            ok = set->templates.n < TEMPLATES_MAX && load_one(set, root, name, err);
    }
    closedir(d);
    return ok;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct template *)a)->name, ((const struct template *)b)->name);
}

bool tpl_load(const char *dir, struct tpl_set **ret, struct err *err)
{
    struct tpl_set *set = xcalloc(1, sizeof *set);
    if (!load_dir(set, dir, "", err)) {
        tpl_free(set);
        return false;
    }
    if (set->templates.n > 0)
        qsort(set->templates.v, set->templates.n, sizeof set->templates.v[0], by_name);
    *ret = set;
    return true;
}

void tpl_free(struct tpl_set *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->templates.n; i++) {
        free(t->templates.v[i].name);
        free(t->templates.v[i].text);
        if (t->templates.v[i].tree)
            ctpl_token_free(t->templates.v[i].tree);
    }
    VEC_RELEASE(&t->templates);
    free(t);
}

static const struct template *find(const struct tpl_set *t, const char *name)
{
    struct template key = {.name = (char *)(uintptr_t)name};
    if (t->templates.n == 0)
        return NULL;
    return bsearch(&key, t->templates.v, t->templates.n, sizeof key, by_name);
}

bool tpl_has(const struct tpl_set *t, const char *template_name)
{
    return find(t, template_name) != NULL;
}

const void *tpl_tree(const struct tpl_set *t, const char *template_name)
{
    const struct template *found = find(t, template_name);
    return found ? found->tree : NULL;
}

size_t tpl_count(const struct tpl_set *t)
{
    return t->templates.n;
}

const char *tpl_name_at(const struct tpl_set *t, size_t i)
{
    return t->templates.v[i].name;
}

struct str tpl_source_at(const struct tpl_set *t, size_t i)
{
    return str_n(t->templates.v[i].text, t->templates.v[i].text_len);
}
