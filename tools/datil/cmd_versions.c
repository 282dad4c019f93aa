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
#include "lib/crash/builds.h"
#include "lib/db/db.h"
#include "queries.h"
#include "tools/datil/app.h"

enum {
    FILE_BYTES_MAX = 64 << 20, /* half a million builds */
    ROWS_MAX = 500000,         /* the same, at 130 bytes a row */
};

/* Read and checked before the database is asked for anything. */
static bool run_loadpv(struct app *app, struct args args, struct err *err)
{
    FREE_LATER char *text = NULL;
    size_t n;
    int64_t added;
    struct builds builds;
    if (!NO_OPTS(&args, 1, 1, err) || !fs_read(args.v[0], FILE_BYTES_MAX, &text, &n, err))
        return false;
    builds_init(&builds, &app->arena, ROWS_MAX);
    if (!builds_read_csv(&builds, str_n(text, n), err))
        return err_wrap(err, "%s", args.v[0]);
    if (!app_db(app, err) || !builds_put(&builds, app->db, &added, err))
        return false;
    printf("%lld builds added, %lld were there already\n", (long long)added,
           (long long)builds.columns[0].n - (long long)added);
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
    static const int columns[BUILD_FIELDS] = {
        [BUILD_PRODUCT] = Q_PRODUCT_VERSION_ALL_COL_PRODUCT_NAME,
        [BUILD_CHANNEL] = Q_PRODUCT_VERSION_ALL_COL_RELEASE_CHANNEL,
        [BUILD_MAJOR] = Q_PRODUCT_VERSION_ALL_COL_MAJOR_VERSION,
        [BUILD_RELEASE] = Q_PRODUCT_VERSION_ALL_COL_RELEASE_VERSION,
        [BUILD_VERSION] = Q_PRODUCT_VERSION_ALL_COL_VERSION_STRING,
        [BUILD_ID] = Q_PRODUCT_VERSION_ALL_COL_BUILD_ID,
        [BUILD_URL] = Q_PRODUCT_VERSION_ALL_COL_ARCHIVE_URL,
    };
    STRBUF_AUTO b;
    sb_init(&b, BUILD_FIELDS * 2 * (BUILD_URL_BYTES_MAX + 3));
    for (size_t i = 0; i < BUILD_FIELDS; i++) {
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
    for (size_t i = 0; i < BUILD_FIELDS; i++)
        sb_printf(&b, "%s%s", i ? "," : "", build_field_names[i]);
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
