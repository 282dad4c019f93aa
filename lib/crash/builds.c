/*
 * The ways in are many: a release archive (cron/jobs/archive_scraper.c), a file of an
 * administrator, a build system with a token.  All rows pass builds_add, so the table holds nothing
 * that only one of them would take, and all are put by one statement that skips what is there:
 * registering a build twice is as good as once.
 *
 * A build says which version a crash of it has: reports of a beta say "63.0" and a build id, and
 * only this table knows that it was the fourth beta.  A wrong row therefore gives wrong versions to
 * all crashes of that build, so a file or a request is taken as a whole or not at all, and what is
 * refused is named with its line or entry.
 *
 * Rows lie in memory as columns, one list of texts for each field, because that is how the
 * statement takes them: arrays that it unnests, one round trip for any number of rows.
 */
#include "lib/crash/builds.h"

#include <string.h>

#include "lib/base/csv.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "queries.h"

const char *const build_field_names[BUILD_FIELDS] = {
    [BUILD_PRODUCT] = "product_name",   [BUILD_CHANNEL] = "release_channel",
    [BUILD_MAJOR] = "major_version",    [BUILD_RELEASE] = "release_version",
    [BUILD_VERSION] = "version_string", [BUILD_ID] = "build_id",
    [BUILD_URL] = "archive_url",
};

void builds_init(struct builds *b, struct arena *a, size_t max)
{
    *b = (struct builds){.arena = a, .max = max};
    for (size_t i = 0; i < BUILD_FIELDS; i++)
        b->columns[i].v = arena_array(a, max, sizeof(struct str));
}

/* "63" of "63.0b4": nothing else in a version is a number for certain. */
bool build_major(struct str version, uint64_t *ret)
{
    return str_to_u64(str_sub(version, 0, str_find_char(version, '.', 0)), 10, INT32_MAX, "version",
                      ret, ERR_IGNORED);
}

static size_t field_bytes_max(size_t field)
{
    return field == BUILD_URL  ? BUILD_URL_BYTES_MAX
           : field == BUILD_ID ? BUILD_ID_BYTES_MAX
                               : BUILD_TEXT_BYTES_MAX;
}

/*
 * The one gate.  Only the archive address may be empty: not every build lies in an archive. Lengths
 * are judged in bytes before UTF-8: a long text is told as long.
 */
bool builds_add(struct builds *b, const struct str fields[BUILD_FIELDS], const char *what,
                size_t number, struct err *err)
{
    uint64_t major;
    if (b->columns[0].n == b->max)
        return err_set(err, ERR_TOO_LARGE, "more than %zu builds", b->max);
    for (size_t i = 0; i < BUILD_FIELDS; i++) {
        const char *name = build_field_names[i];
        if (fields[i].n > field_bytes_max(i) || (fields[i].n == 0 && i != BUILD_URL))
            return err_set(err, ERR_INVALID, "%s %zu: %s has %zu bytes", what, number, name,
                           fields[i].n);
        if (!utf8_valid(fields[i]) || (fields[i].n && memchr(fields[i].p, '\0', fields[i].n)))
            return err_set(err, ERR_INVALID, "%s %zu: %s is not UTF-8", what, number, name);
    }
    if (!str_to_u64(fields[BUILD_MAJOR], 10, INT32_MAX, build_field_names[BUILD_MAJOR], &major,
                    err))
        return err_wrap(err, "%s %zu", what, number);
    for (size_t i = 0; i < BUILD_FIELDS; i++)
        b->columns[i].v[b->columns[i].n++] = fields[i];
    return true;
}

/* First and last name are enough: no product is called product_name. */
static bool is_heading(const struct str *fields, size_t n)
{
    return n == BUILD_FIELDS && str_eq(fields[BUILD_PRODUCT], STR("product_name")) &&
           str_eq(fields[BUILD_URL], STR("archive_url"));
}

/* `datil dumppv` writes a heading, other programs may not: it is known by its names. */
bool builds_read_csv(struct builds *b, struct str text, struct err *err)
{
    struct csv c;
    struct str fields[BUILD_FIELDS];
    size_t n;
    csv_begin(&c, text);
    for (;;) {
        if (!csv_next(&c, b->arena, fields, BUILD_FIELDS, &n, err))
            return false;
        if (n == 0)
            return true;
        if (c.line == 1 && is_heading(fields, n))
            continue;
        if (n != BUILD_FIELDS)
            return err_set(err, ERR_INVALID, "line %zu: %zu fields, wanted are %d", c.line, n,
                           BUILD_FIELDS);
        if (!builds_add(b, fields, "line", c.line, err))
            return false;
    }
}

/* Build systems write numbers as such; of other types there is none that would be a name. */
static bool field_of(struct builds *b, const json_t *entry, size_t field, struct str *ret)
{
    const json_t *v = json_object_get(entry, build_field_names[field]);
    if (!v || json_is_null(v))
        *ret = STR("");
    else if (json_is_string(v))
        *ret = str_copy(b->arena, str_n(json_string_value(v), json_string_length(v)));
    else if (json_is_integer(v) && (field == BUILD_ID || field == BUILD_MAJOR))
        *ret = str_of(db_int(b->arena, json_integer_value(v)));
    else
        return false;
    return true;
}

/* A key that is none of ours is a misspelled one, and would be lost without a word. */
static bool check_keys(const json_t *entry, size_t number, struct err *err)
{
    const char *key;
    json_t *v;
    json_object_foreach ((json_t *)entry, key, v) {
        bool is_known = false;
        for (size_t i = 0; i < BUILD_FIELDS; i++)
            is_known |= strcmp(key, build_field_names[i]) == 0;
        if (!is_known)
            return err_set(err, ERR_INVALID, "entry %zu: unknown key '%.60s'", number, key);
    }
    return true;
}

/* The major version may be left out, where it can be read off the release. */
static bool add_entry(struct builds *b, const json_t *entry, size_t number, struct err *err)
{
    struct str fields[BUILD_FIELDS];
    uint64_t major;
    if (!json_is_object(entry))
        return err_set(err, ERR_INVALID, "entry %zu is no object", number);
    if (!check_keys(entry, number, err))
        return false;
    for (size_t i = 0; i < BUILD_FIELDS; i++)
        if (!field_of(b, entry, i, &fields[i]))
            return err_set(err, ERR_INVALID, "entry %zu: %s is no text", number,
                           build_field_names[i]);
    if (fields[BUILD_MAJOR].n == 0 && build_major(fields[BUILD_RELEASE], &major))
        fields[BUILD_MAJOR] = str_of(db_int(b->arena, (int64_t)major));
    return builds_add(b, fields, "entry", number, err);
}

/* A list of entries, or one without its brackets: what a build system sends by itself. */
bool builds_read_json(struct builds *b, struct str text, struct err *err)
{
    json_auto_t *doc = jparse_given(text, text.n, err);
    if (!doc)
        return false;
    if (!json_is_array(doc))
        return add_entry(b, doc, 1, err);
    for (size_t i = 0; i < json_array_size(doc); i++)
        if (!add_entry(b, json_array_get(doc, i), i + 1, err))
            return false;
    return true;
}

bool builds_put(const struct builds *b, struct db *db, int64_t *ret_added, struct err *err)
{
    const char *p[BUILD_FIELDS];
    DB_ROWS rows = {0};
    for (size_t i = 0; i < BUILD_FIELDS; i++)
        p[i] = db_text_array(b->arena, b->columns[i]);
    if (!DB_RUN(db, &q_product_version_put, &rows, err, p[BUILD_PRODUCT], p[BUILD_CHANNEL],
                p[BUILD_MAJOR], p[BUILD_RELEASE], p[BUILD_VERSION], p[BUILD_ID], p[BUILD_URL]))
        return false;
    *ret_added = db_col_int(&rows, 0, Q_PRODUCT_VERSION_PUT_COL_COUNT, 0);
    return true;
}
