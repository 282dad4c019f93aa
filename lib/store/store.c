/*
 * The object store in front of its back ends: crash ids and kinds are checked here, once, so that
 * no back end makes a path of a name that nobody has looked at.  Both come from outside: ids out of
 * addresses, reports and the database, kinds out of the names that a report gives its files.
 *
 * A back end is a table of functions (back.h).  There is one; the table is what keeps everybody
 * else from knowing that objects are files.
 */
#include "lib/store/store.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/store/back.h"

/* A handle and no connection: whether the root is there is asked at each call. */
struct store {
    const struct store_back *back;
    void *self;
};

static const struct store_back *const backs[] = {&store_back_fs};

enum {
    KIND_MAX = 30, /* as long as the collector lets the name of a file part be */
    /* Far beyond the 64 file parts that the collector takes: bounds for a damaged list only. */
    DUMP_NAMES_BYTES_MAX = 1 << 20,
    DUMP_NAMES_MAX = 1000, /* chosen with the same room */
    DAY_DIGITS = 6,        /* YYMMDD at the end of a crash id */
};

/* One reading of the configuration for everybody, so that no program works on a store that the
 * others would refuse. */
struct store_config store_config_of(const struct conf *conf)
{
    return (struct store_config){
        .backend = conf_text(conf, CONF_CRASHMOVER_CRASHSTORAGE_CLASS),
        .fs_root = conf_text(conf, CONF_CRASHMOVER_CRASHSTORAGE_FS_ROOT),
        .wants_mark = strcmp(conf_text(conf, CONF_CRASHMOVER_CRASHPUBLISH_CLASS), "noop") != 0,
    };
}

/* Opening says nothing about the disk: a root that is away may come back while the handle lives. */
bool store_open(const struct store_config *cfg, struct store **ret, struct err *err)
{
    /* "noop" is no back end: who may go without a store asks before it opens one. */
    for (size_t i = 0; i < ARRAY_LEN(backs); i++) {
        if (strcmp(backs[i]->name, cfg->backend) != 0)
            continue;
        void *self;
        if (!backs[i]->open(cfg, &self, err))
            return err_wrap(err, "object store");
        *ret = xmalloc(sizeof **ret);
        **ret = (struct store){.back = backs[i], .self = self};
        return true;
    }
    return err_set(err, ERR_INVALID, "no object store of the kind '%.40s' (there is: fs)",
                   cfg->backend);
}

/* NULL is allowed: a program without a store has none to close. */
void store_close(struct store *s)
{
    if (!s)
        return;
    s->back->close(s->self);
    free(s);
}

void store_expect(struct store *s, const char *installation_id)
{
    s->back->expect(s->self, installation_id);
}

/* Each call that changes something asks this itself; to ask before is for those who decide by what
 * is not there. */
bool store_check(struct store *s, struct err *err)
{
    return s->back->check(s->self, err) || err_wrap(err, "object store");
}

/* isdigit may answer by the locale. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Less than crash_id_valid asks, which belongs to a later module: just what a path needs. */
bool store_id_ok(const char *id)
{
    for (size_t i = 0; i < STORE_ID_LEN; i++) {
        bool fits = i >= STORE_ID_LEN - DAY_DIGITS ? is_digit(id[i])
                    : i == 8 || i == 13 || i == 18 || i == 23
                        ? id[i] == '-'
                        : is_digit(id[i]) || (id[i] >= 'a' && id[i] <= 'f');
        if (!fits) /* stops at an early end of the text, too */
            return false;
    }
    return id[STORE_ID_LEN] == '\0';
}

/* Digits and not a date: a folder such as 20269999 is only never asked for. */
bool store_day_ok(const char *day)
{
    for (size_t i = 0; i < STORE_DAY_LEN; i++)
        if (!is_digit(day[i]))
            return false;
    return day[STORE_DAY_LEN] == '\0';
}

/* A crash id has two digits of the year; the century is written here, and ends with it. */
void store_day_of(const char *id, char out[STORE_DAY_LEN + 1])
{
    snprintf(out, STORE_DAY_LEN + 1, "20%.6s", id + STORE_ID_LEN - DAY_DIGITS);
}

/* No dot and no slash: a kind can neither climb nor be taken for a temporary name. */
static bool kind_ok(struct str kind)
{
    if (kind.n == 0 || kind.n > KIND_MAX)
        return false;
    for (size_t i = 0; i < kind.n; i++) {
        char c = kind.p[i];
        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '_')
            return false;
    }
    return true;
}

static bool check_id(const char *id, struct err *err)
{
    return store_id_ok(id) || err_set(err, ERR_INVALID, "not a crash id: %.40s", id);
}

static bool check_day(const char *day, struct err *err)
{
    return store_day_ok(day) || err_set(err, ERR_INVALID, "not a day: %.40s", day);
}

static bool check_kind(const char *kind, struct err *err)
{
    return kind_ok(str_of(kind)) || err_set(err, ERR_INVALID, "bad object kind '%.40s'", kind);
}

void store_defer_sync(struct store *s)
{
    s->back->defer_sync(s->self);
}

bool store_sync(struct store *s, struct err *err)
{
    return s->back->sync(s->self, err);
}

bool store_put(struct store *s, const char *crash_id, const char *kind, struct str bytes,
               struct err *err)
{
    return check_id(crash_id, err) && check_kind(kind, err) &&
           s->back->put(s->self, crash_id, kind, bytes, err);
}

bool store_put_file(struct store *s, const char *crash_id, const char *kind, const char *path,
                    struct err *err)
{
    return check_id(crash_id, err) && check_kind(kind, err) &&
           s->back->put_file(s->self, crash_id, kind, path, err);
}

bool store_open_fd(struct store *s, const char *crash_id, const char *kind, int *ret_fd,
                   struct err *err)
{
    return check_id(crash_id, err) && check_kind(kind, err) &&
           s->back->open_fd(s->self, crash_id, kind, ret_fd, err);
}

bool store_get(struct store *s, const char *crash_id, const char *kind, size_t max_bytes,
               char **ret_bytes, size_t *ret_n, struct err *err)
{
    FD_AUTO fd = -1;
    if (!store_open_fd(s, crash_id, kind, &fd, err))
        return false;
    return fs_read_fd(fd, kind, max_bytes, ret_bytes, ret_n, err) ||
           err_wrap(err, "crash %s", crash_id);
}

/* A bad id or kind names nothing that could exist. */
bool store_exists(struct store *s, const char *crash_id, const char *kind)
{
    return store_id_ok(crash_id) && kind_ok(str_of(kind)) &&
           s->back->exists(s->self, crash_id, kind);
}

/* What does not parse is damage of the store: nobody puts anything under these kinds but JSON. */
json_t *store_get_json(struct store *s, const char *crash_id, const char *kind, size_t max_bytes,
                       struct err *err)
{
    FREE_LATER char *text = NULL;
    size_t n;
    if (!store_get(s, crash_id, kind, max_bytes, &text, &n, err))
        return NULL;
    json_t *doc = jparse(str_n(text, n), max_bytes, err);
    if (!doc && err->code == ERR_INVALID)
        err->code = ERR_DAMAGED; /* it was JSON when it was put */
    return doc;
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

bool store_dump_names(struct store *s, struct arena *a, const char *crash_id, struct strs *ret,
                      struct err *err)
{
    struct err why = {0};
    json_auto_t *list = store_get_json(s, crash_id, "dump_names", DUMP_NAMES_BYTES_MAX, &why);
    if (!list) {
        if (why.code == ERR_NOT_FOUND) /* a crash that came as a document */
            *ret = (struct strs){0};
        return why.code == ERR_NOT_FOUND ||
               err_set(err, why.code, "dump_names of %s: %s", crash_id, why.msg);
    }
    /* Names that cannot be kinds are left out: nobody could have put an object under them. */
    size_t count = MIN(json_array_size(list), (size_t)DUMP_NAMES_MAX);
    struct strs names = {.v = arena_array(a, count + 1, sizeof(struct str))};
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        struct str name = str_n(json_string_value(item), json_string_length(item));
        if (kind_ok(name))
            names.v[names.n++] = str_copy(a, name);
    }
    qsort(names.v, names.n, sizeof *names.v, by_bytes);
    *ret = names;
    return true;
}

bool store_remove(struct store *s, const char *crash_id, const char *kind, struct err *err)
{
    return check_id(crash_id, err) && check_kind(kind, err) &&
           s->back->remove_one(s->self, crash_id, kind, err);
}

bool store_delete(struct store *s, const char *crash_id, size_t *ret_removed, struct err *err)
{
    return check_id(crash_id, err) && s->back->remove(s->self, crash_id, ret_removed, err);
}

bool store_days(struct store *s, struct arena *a, struct strs *ret, struct err *err)
{
    return s->back->days(s->self, a, ret, err);
}

bool store_catalog(struct store *s, const char *day, const char *kind,
                   bool (*each)(void *arg, const char *crash_id), void *arg, struct err *err)
{
    return check_day(day, err) && check_kind(kind, err) &&
           s->back->catalog(s->self, day, kind, each, arg, err);
}

bool store_delete_day(struct store *s, const char *day, struct err *err)
{
    return check_day(day, err) && s->back->remove_day(s->self, day, err);
}
