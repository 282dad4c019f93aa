/*
 * The values of the configuration.  Which keys there are is said in conf_keys.def: the programs,
 * `datil config check`, --help-config and docs/configuration.md all read it.  A value comes from
 * the environment, else from the file that DATIL_CONFIG names, else from the fallback, in which
 * $DATIL_VAR and $DATIL_RUN stand for what was found for them.  What a key does not allow stops the
 * start with the key's name.
 */
#include "lib/base/conf.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"

extern char **environ;

const struct conf_key conf_keys[CONF_KEY_COUNT] = {
#define CONF_KEY(name, ...) [CONF_##name] = {#name, __VA_ARGS__},
#include "lib/base/conf_keys.def"
#undef CONF_KEY
};

/* Names come from the environment and the file; programs ask by number. */
static const struct conf_key *find_key(struct str name)
{
    for (size_t i = 0; i < CONF_KEY_COUNT; i++)
        if (str_eq(name, str_of(conf_keys[i].name)))
            return &conf_keys[i];
    return NULL;
}

/*
 * The empty text is "no": a variable that is set to nothing is how shells and units switch
 * something off.
 */
static bool parse_bool(const char *text, bool *ret)
{
    static const char *const yes[] = {"on", "true", "yes", "1"};
    static const char *const no[] = {"off", "false", "no", "0", ""};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        if (strcasecmp(text, yes[i]) == 0) {
            *ret = true;
            return true;
        }
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        if (strcasecmp(text, no[i]) == 0) {
            *ret = false;
            return true;
        }
    return false;
}

/*
 * Texts of which only some will do.  What other releases of a setting know and this one has not
 * built (s3, say) is refused here, by name, before a program starts with it.
 */
static const struct {
    enum conf_name key;
    const char *choices[8]; /* any case; ended by NULL */
} choice_keys[] = {
    {CONF_LOGGING_LEVEL, {"error", "warn", "info", "debug"}},
    {CONF_CRASHMOVER_CRASHSTORAGE_CLASS, {"fs", "noop"}},
    {CONF_CRASHMOVER_CRASHPUBLISH_CLASS, {"pg", "noop"}},
    {CONF_EXPORT_STORE_CLASS, {"fs"}},
};
static const enum conf_name url_keys[] = {CONF_DATIL_BASE_URL, CONF_SYMBOLS_PUBLIC_URL,
                                          CONF_BUG_TRACKER_URL};

static bool check_choice(const char *const *choices, const struct conf_key *key, const char *value,
                         struct err *err)
{
    char all[128] = "";
    for (size_t i = 0; choices[i]; i++) {
        if (strcasecmp(choices[i], value) == 0)
            return true;
        size_t n = strlen(all);
        snprintf(all + n, sizeof all - n, "%s%s", i ? ", " : "", choices[i]);
    }
    return err_set(err, ERR_INVALID, "%s: there is no '%.40s'; choose from: %s", key->name, value,
                   all);
}

static bool check_text_value(const struct conf_key *key, const char *value, struct err *err)
{
    enum conf_name name = (enum conf_name)(key - conf_keys);
    for (size_t i = 0; i < ARRAY_LEN(choice_keys); i++)
        if (choice_keys[i].key == name)
            return check_choice(choice_keys[i].choices, key, value, err);
    for (size_t i = 0; i < ARRAY_LEN(url_keys); i++)
        if (url_keys[i] == name && *value && !str_starts_nocase(str_of(value), STR("http://")) &&
            !str_starts_nocase(str_of(value), STR("https://")))
            return err_set(err, ERR_INVALID,
                           "%s: not an address beginning with http:// or https://", key->name);
    return true;
}

static bool value_is_allowed(const struct conf_key *key, const char *value, struct err *err)
{
    bool flag;
    int64_t number;
    if (key->type == CONF_INT &&
        !str_to_i64(str_of(value), key->min, key->max, key->name, &number, err))
        return false;
    if (key->type == CONF_BOOL && !parse_bool(value, &flag))
        return err_set(err, ERR_INVALID, "%s: say on or off, not '%.40s'", key->name, value);
    if (key->type == CONF_PATH && !*value)
        return err_set(err, ERR_INVALID, "%s: a path is needed", key->name);
    return key->type != CONF_TEXT || check_text_value(key, value, err);
}

/*
 * A value is checked when it is set, so that a bad one is named with the place it came from.  Later
 * values replace earlier ones: the environment comes after the file.
 */
static bool set_checked(struct conf *c, const struct conf_key *key, const char *value,
                        struct err *err)
{
    if (!value_is_allowed(key, value, err))
        return false;
    char **slot = &c->values[key - conf_keys];
    free(*slot);
    *slot = xstrdup(value);
    return true;
}

static bool load_line(struct conf *c, const char *path, int number, struct str line,
                      struct err *err)
{
    line = str_trim(line);
    if (line.n == 0 || line.p[0] == '#')
        return true;
    size_t eq = str_find_char(line, '=', 0);
    if (eq == SIZE_MAX)
        return err_set(err, ERR_INVALID, "%s:%d: not KEY=value", path, number);
    struct str name = str_rtrim(str_sub(line, 0, eq));
    const struct conf_key *key = find_key(name);
    if (!key)
        return err_set(err, ERR_INVALID, "%s:%d: unknown key '" STR_FMT "'", path, number,
                       STR_ARG(name));
    FREE_LATER char *value = str_dup(str_trim(str_sub(line, eq + 1, SIZE_MAX)));
    return set_checked(c, key, value, err) || err_wrap(err, "%s:%d", path, number);
}

/*
 * A megabyte is far more than such a file has; the limit keeps a wrong path (a log, a device) from
 * being read to its end.
 */
static bool load_file(struct conf *c, const char *path, struct err *err)
{
    FREE_LATER char *text = NULL;
    size_t n;
    if (!fs_read(path, 1 << 20, &text, &n, err))
        return err_wrap(err, "DATIL_CONFIG");
    struct str rest = str_n(text, n), line;
    for (int number = 1; str_split(&rest, '\n', &line); number++)
        if (!load_line(c, path, number, line, err))
            return false;
    return true;
}

/*
 * Variables of others are ignored; one that begins with DATIL_ can only be meant for us, so a name
 * that is in no table is a typing mistake and stops the start.
 */
static bool load_environment(struct conf *c, struct err *err)
{
    for (char **e = environ; *e; e++) {
        struct str pair = str_of(*e);
        size_t eq = str_find_char(pair, '=', 0);
        if (eq == SIZE_MAX)
            continue;
        struct str name = str_sub(pair, 0, eq);
        const struct conf_key *key = find_key(name);
        if (!key && str_starts(name, STR("DATIL_")))
            return err_set(err, ERR_INVALID, "unknown configuration variable '" STR_FMT "'",
                           STR_ARG(name));
        if (key && !set_checked(c, key, *e + eq + 1, err))
            return false;
    }
    return true;
}

/* "$DATIL_VAR/x" and "$DATIL_RUN" inside a default take the value of those keys. */
static char *expand(const struct conf *c, const char *text)
{
    STRBUF_AUTO b;
    sb_init(&b, PATH_MAX);
    struct str rest = str_of(text);
    while (rest.n) {
        static const enum conf_name names[] = {CONF_DATIL_VAR, CONF_DATIL_RUN};
        size_t used = 0;
        for (size_t i = 0; rest.p[0] == '$' && i < ARRAY_LEN(names); i++) {
            struct str name = str_of(conf_keys[names[i]].name);
            if (str_starts(str_sub(rest, 1, SIZE_MAX), name)) {
                sb_text(&b, conf_text(c, names[i]));
                used = 1 + name.n;
            }
        }
        if (!used) {
            sb_char(&b, rest.p[0]);
            used = 1;
        }
        rest = str_sub(rest, used, SIZE_MAX);
    }
    return str_dup(sb_view(&b));
}

/* Programs change directory; from here on every path is absolute. */
static void make_absolute(char **value)
{
    if (**value == '/')
        return;
    char cwd[PATH_MAX];
    if (!getcwd(cwd, sizeof cwd))
        return;
    const char *tail = strncmp(*value, "./", 2) == 0 ? *value + 2 : *value;
    STRBUF_AUTO b;
    sb_init(&b, 2 * PATH_MAX);
    sb_printf(&b, "%s/%s", cwd, tail);
    free(*value);
    *value = str_dup(sb_view(&b));
}

bool conf_load(struct conf *c, struct err *err)
{
    *c = (struct conf){.values = xcalloc(CONF_KEY_COUNT, sizeof(char *))};
    const char *file = getenv("DATIL_CONFIG");
    if ((file && *file && !load_file(c, file, err)) || !load_environment(c, err)) {
        conf_release(c);
        return false;
    }
    for (size_t i = 0; i < CONF_KEY_COUNT; i++) { /* DATIL_VAR and DATIL_RUN come first */
        if (!c->values[i])
            c->values[i] = expand(c, conf_keys[i].fallback);
        if (conf_keys[i].type == CONF_PATH)
            make_absolute(&c->values[i]);
    }
    return true;
}

void conf_release(struct conf *c)
{
    for (size_t i = 0; c->values && i < CONF_KEY_COUNT; i++)
        free(c->values[i]);
    free(c->values);
    c->values = NULL;
}

const char *conf_text(const struct conf *c, enum conf_name name)
{
    assert(name < CONF_KEY_COUNT);
    return c->values[name];
}

/* conf_load has checked the text, so it is a number within its bounds. */
int64_t conf_int(const struct conf *c, enum conf_name name)
{
    int64_t v = 0;
    bool ok = str_to_i64(str_of(conf_text(c, name)), INT64_MIN, INT64_MAX, "", &v, ERR_IGNORED);
    assert(ok && conf_keys[name].type == CONF_INT);
    (void)ok;
    return v;
}

bool conf_bool(const struct conf *c, enum conf_name name)
{
    bool v = false;
    bool ok = parse_bool(conf_text(c, name), &v);
    assert(ok && conf_keys[name].type == CONF_BOOL);
    (void)ok;
    return v;
}

void conf_print_help(const struct conf *c, FILE *out)
{
    for (size_t i = 0; i < CONF_KEY_COUNT; i++) {
        const struct conf_key *k = &conf_keys[i];
        const char *value = c && c->values ? c->values[i] : k->fallback;
        fprintf(out, "%s=%s\n    %s", k->name, k->is_secret && *value ? "*****" : value, k->help);
        if (k->type == CONF_INT)
            fprintf(out, " (%lld to %lld)", (long long)k->min, (long long)k->max);
        fputc('\n', out);
    }
}

void conf_print_markdown(FILE *out)
{
    static const char *const types[] = {"text", "number", "on/off", "path"};
    fputs("| Key | Type | Default | Meaning |\n|---|---|---|---|\n", out);
    for (size_t i = 0; i < CONF_KEY_COUNT; i++) {
        const struct conf_key *k = &conf_keys[i];
        fprintf(out, "| `%s` | %s%s | %s%s%s | %s |\n", k->name, types[k->type],
                k->is_secret ? ", secret" : "", *k->fallback ? "`" : "", k->fallback,
                *k->fallback ? "`" : "", k->help);
    }
}
