/*
 * loadpv, dumppv, version load: which version strings a build of a product has.  Crashes of a beta
 * say "63.0" and a build id; with these rows they are crashes of 63.0b4.  A release archive fills
 * the table by itself (cron/jobs/archive_scraper.c); this is the way for every other product.
 *
 * The file is CSV, its columns in the order of the table, with or without their names in the first
 * line.  A file with a bad line loads nothing: half of a release would be worse than none.
 */
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/csv.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "queries.h"
#include "tools/datil/app.h"

enum {
    FILE_BYTES_MAX = 64 << 20, /* half a million builds */
    ROWS_MAX = 500000,         /* the same, at 130 bytes a row */
    FIELD_BYTES_MAX = 200,     /* chosen: names of products and channels have a few dozen */
    URL_BYTES_MAX = 1000,      /* chosen: addresses of archives have a hundred or two */
    BUILD_BYTES_MAX = 50,      /* as the column says */
};

/* The columns of the table product_version, in the order of the file. */
enum version_field { PRODUCT, CHANNEL, MAJOR, RELEASE, VERSION, BUILD, URL, FIELD_COUNT };

static const struct {
    const char *name;
    size_t max_bytes;
    bool may_be_empty;
} version_fields[] = {
    [PRODUCT] = {"product_name", FIELD_BYTES_MAX, false},
    [CHANNEL] = {"release_channel", FIELD_BYTES_MAX, false},
    [MAJOR] = {"major_version", FIELD_BYTES_MAX, false},
    [RELEASE] = {"release_version", FIELD_BYTES_MAX, false},
    [VERSION] = {"version_string", FIELD_BYTES_MAX, false},
    [BUILD] = {"build_id", BUILD_BYTES_MAX, false},
    [URL] = {"archive_url", URL_BYTES_MAX, true},
};

/* First and last name are enough: no product is called product_name. */
static bool is_heading(const struct str *fields, size_t n)
{
    return n == FIELD_COUNT && str_eq(fields[PRODUCT], str_of(version_fields[PRODUCT].name)) &&
           str_eq(fields[URL], str_of(version_fields[URL].name));
}

/* Says the number of the line, which is what people need to mend a file. */
static bool check_fields(const struct csv *c, const struct str *fields, size_t n, struct err *err)
{
    uint64_t major;
    if (n != FIELD_COUNT)
        return err_set(err, ERR_INVALID, "line %zu: %zu fields, wanted are %d", c->line, n,
                       FIELD_COUNT);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (fields[i].n > version_fields[i].max_bytes ||
            (fields[i].n == 0 && !version_fields[i].may_be_empty))
            return err_set(err, ERR_INVALID, "line %zu: %s has %zu bytes", c->line,
                           version_fields[i].name, fields[i].n);
        if (!utf8_valid(fields[i]) || memchr(fields[i].p, '\0', fields[i].n))
            return err_set(err, ERR_INVALID, "line %zu: %s is not UTF-8", c->line,
                           version_fields[i].name);
    }
    return str_to_u64(fields[MAJOR], 10, INT32_MAX, version_fields[MAJOR].name, &major, err) ||
           err_wrap(err, "line %zu", c->line);
}

/* Rows become columns, as the statement takes them. */
static bool read_versions(struct app *app, struct str text, struct strs columns[FIELD_COUNT],
                          struct err *err)
{
    struct csv c;
    struct str fields[FIELD_COUNT];
    size_t n;
    csv_begin(&c, text);
    for (size_t i = 0; i < FIELD_COUNT; i++)
        columns[i].v = arena_array(&app->arena, ROWS_MAX, sizeof(struct str));
    for (;;) {
        if (!csv_next(&c, &app->arena, fields, FIELD_COUNT, &n, err))
            return false;
        if (n == 0)
            return true;
        if (c.line == 1 && is_heading(fields, n))
            continue;
        if (!check_fields(&c, fields, n, err))
            return false;
        if (columns[0].n == ROWS_MAX)
            return err_set(err, ERR_TOO_LARGE, "more than %d lines", ROWS_MAX);
        for (size_t i = 0; i < FIELD_COUNT; i++)
            columns[i].v[columns[i].n++] = fields[i];
    }
}

/* Read and checked before the database is asked for anything. */
static bool run_loadpv(struct app *app, struct args args, struct err *err)
{
    FREE_LATER char *text = NULL;
    size_t n;
    struct strs columns[FIELD_COUNT] = {0};
    const char *p[FIELD_COUNT];
    DB_ROWS rows = {0};
    if (!NO_OPTS(&args, 1, 1, err) || !fs_read(args.v[0], FILE_BYTES_MAX, &text, &n, err))
        return false;
    if (!read_versions(app, str_n(text, n), columns, err))
        return err_wrap(err, "%s", args.v[0]);
    if (!app_db(app, err))
        return false;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        p[i] = db_text_array(&app->arena, columns[i]);
    if (!DB_RUN(app->db, &q_product_version_put, &rows, err, p[PRODUCT], p[CHANNEL], p[MAJOR],
                p[RELEASE], p[VERSION], p[BUILD], p[URL]))
        return false;
    int64_t added = db_col_int(&rows, 0, Q_PRODUCT_VERSION_PUT_COL_COUNT, 0);
    printf("%lld builds added, %lld were there already\n", (long long)added,
           (long long)columns[0].n - (long long)added);
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    return str_cmp(*x, *y);
}

/* A line without its end, in the arena of the command. */
static struct str version_line(struct app *app, const struct db_rows *rows, int row)
{
    static const int columns[FIELD_COUNT] = {
        [PRODUCT] = Q_PRODUCT_VERSION_ALL_COL_PRODUCT_NAME,
        [CHANNEL] = Q_PRODUCT_VERSION_ALL_COL_RELEASE_CHANNEL,
        [MAJOR] = Q_PRODUCT_VERSION_ALL_COL_MAJOR_VERSION,
        [RELEASE] = Q_PRODUCT_VERSION_ALL_COL_RELEASE_VERSION,
        [VERSION] = Q_PRODUCT_VERSION_ALL_COL_VERSION_STRING,
        [BUILD] = Q_PRODUCT_VERSION_ALL_COL_BUILD_ID,
        [URL] = Q_PRODUCT_VERSION_ALL_COL_ARCHIVE_URL,
    };
    STRBUF_AUTO b;
    sb_init(&b, FIELD_COUNT * 2 * (URL_BYTES_MAX + 3));
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (i)
            sb_char(&b, ',');
        csv_put(&b, str_of(db_col(rows, row, columns[i])));
    }
    return str_copy(&app->arena, sb_view(&b));
}

/* Sorted by bytes, so that two of them can be compared line by line. */
static bool run_dumppv(struct app *app, struct args args, struct err *err)
{
    DB_ROWS rows = {0};
    if (!NO_OPTS(&args, 1, 1, err) || !app_db(app, err) ||
        !DB_RUN(app->db, &q_product_version_all, &rows, err))
        return false;
    size_t n = (size_t)rows.count;
    struct str *lines = arena_array(&app->arena, n + 1, sizeof *lines);
    for (size_t i = 0; i < n; i++)
        lines[i] = version_line(app, &rows, (int)i);
    qsort(lines, n, sizeof *lines, by_bytes);
    STRBUF_AUTO b;
    sb_init(&b, SIZE_MAX / 2);
    for (size_t i = 0; i < FIELD_COUNT; i++)
        sb_printf(&b, "%s%s", i ? "," : "", version_fields[i].name);
    sb_char(&b, '\n');
    for (size_t i = 0; i < n; i++) {
        sb_str(&b, lines[i]);
        sb_char(&b, '\n');
    }
    if (strcmp(args.v[0], "-") == 0) {
        fwrite(sb_cstr(&b), 1, b.n, stdout);
        return true;
    }
    if (!fs_write_atomic(args.v[0], sb_cstr(&b), b.n, FS_FILE_MODE, err))
        return false;
    printf("%zu builds\n", n);
    return true;
}

const struct command version_commands[] = {
    {"version load", "FILE",
     "Adds the builds of a product from a CSV file.\n"
     "Columns: product_name, release_channel, major_version, release_version, version_string,\n"
     "build_id, archive_url.  Crashes of these builds then get their version string: a beta says\n"
     "63.0, its build that it is 63.0b4.",
     run_loadpv},
    {"loadpv", "FILE", "The same.", run_loadpv},
    {"dumppv", "FILE|-", "Writes all known builds as such a file.", run_dumppv},
    {0},
};
