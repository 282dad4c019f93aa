/*
 * The loaded templates, by name.
 *
 * All are read once, at start, in the parent: a worker that is up never meets a template that
 * cannot be used, and an operator who changed one learns at the next start what is wrong with it.
 * The order of checks is that of use: each text by itself first, then what the schema has and no
 * text names.
 */
#include "lib/tpl/tpl.h"

#include <dirent.h>

#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/tpl/tpl_internal.h"

enum { TEMPLATES_MAX = 1000 }; /* we have forty; more is a wrong directory */

struct template
{
    char *name; /* of its file */
    struct tpl_piece piece;
};

struct tpl_set {
    VEC(struct template) templates; /* sorted by name */
};

/* What reading a directory takes along from file to file. */
struct tpl_loading {
    const char *dir;
    const struct tpl_schema *schema;
    struct tpl_usage used;
};

/* The trees of the texts, which are good already but for what ctpl alone knows. */
static bool parse_piece(struct tpl_piece *piece, struct err *err)
{
    for (size_t i = 0; i < piece->loops.n; i++)
        if (!parse_piece(&piece->loops.v[i]->body, err))
            return false;
    if (piece->text.n == 0)
        return true;
    GError *why = NULL;
    piece->tree = ctpl_lexer_lex_string(sb_cstr(&piece->text), &why);
    if (!piece->tree || why)
        err_set(err, ERR_INTERNAL, "%s", why ? why->message : "cannot be read");
    bool ok = piece->tree && !why;
    g_clear_error(&why);
    return ok;
}

/* The trailer belongs to the page alone: the texts of its loops end up in front of it. */
static bool load_template(struct tpl_set *set, struct tpl_loading *l, const char *name,
                          struct err *err)
{
    struct template t = {.name = xstrdup(name)};
    sb_init(&t.piece.text, TPL_TEMPLATE_MAX);
    bool ok = tpl_translate(l->dir, name, l->schema, &l->used, &t.piece, err);
    sb_text(&t.piece.text, TPL_TRAILER);
    ok = ok && (parse_piece(&t.piece, err) || err_wrap(err, "template %s", name));
    VEC_PUSH(&set->templates, t); /* also a bad one: tpl_free releases it */
    return ok;
}

/* Directories are left alone: what is in them is included by templates and stands for nothing. */
static bool load_directory(struct tpl_set *set, struct tpl_loading *l, struct err *err)
{
    DIR *d = opendir(l->dir);
    if (!d)
        return err_set(err, ERR_NOT_FOUND, "no template directory %s", l->dir);
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(d));)
        if (e->d_name[0] != '.' && str_ends(str_of(e->d_name), STR(".html")))
            ok = set->templates.n < TEMPLATES_MAX && load_template(set, l, e->d_name, err);
    closedir(d);
    return ok;
}

/* Templates are looked up by name for every page, so they are kept sorted. */
static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct template *)a)->name, ((const struct template *)b)->name);
}

bool tpl_load(const char *dir, const struct tpl_schema *schema, struct tpl_set **ret,
              struct err *err)
{
    FREE_LATER bool *columns = xcalloc(schema->column_count + 1, sizeof *columns);
    FREE_LATER bool *lists = xcalloc(schema->list_count + 1, sizeof *lists);
    struct tpl_loading l = {.dir = dir, .schema = schema, .used = {columns, lists}};
    struct tpl_set *set = xcalloc(1, sizeof *set);
    if (!load_directory(set, &l, err) || !tpl_check_usage(schema, &l.used, err)) {
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
        tpl_piece_release(&t->templates.v[i].piece);
    }
    VEC_RELEASE(&t->templates);
    free(t);
}

static const struct template *template_named(const struct tpl_set *t, const char *name)
{
    struct template key = {.name = (char *)(uintptr_t)name};
    if (t->templates.n == 0)
        return NULL;
    return bsearch(&key, t->templates.v, t->templates.n, sizeof key, by_name);
}

bool tpl_has(const struct tpl_set *t, const char *template_name)
{
    return template_named(t, template_name) != NULL;
}

const struct tpl_piece *tpl_parsed(const struct tpl_set *t, const char *template_name)
{
    const struct template *found = template_named(t, template_name);
    return found ? &found->piece : NULL;
}

size_t tpl_count(const struct tpl_set *t)
{
    return t->templates.n;
}

const char *tpl_name_at(const struct tpl_set *t, size_t i)
{
    return t->templates.v[i].name;
}

static void add_source(const struct tpl_piece *piece, struct strbuf *out)
{
    sb_str(out, sb_view(&piece->text));
    for (size_t i = 0; i < piece->loops.n; i++)
        add_source(&piece->loops.v[i]->body, out);
}

struct str tpl_source_at(const struct tpl_set *t, size_t i, struct arena *a)
{
    STRBUF_AUTO b;
    sb_init(&b, 2 * TPL_TEMPLATE_MAX);
    add_source(&t->templates.v[i].piece, &b);
    return str_copy(a, sb_view(&b));
}
