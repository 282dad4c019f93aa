/*
 * symbols lookup, compile, verify, expire: the store of symbols under the hands of an
 * administrator. What the scheduled jobs do (cron/jobs/symbol_upkeep.c) is done by the same modules
 * of lib/symfile.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/symbytes.h"
#include "lib/symfile/symexpire.h"
#include "lib/symfile/symfind.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symreader.h"
#include "lib/symfile/symstore.h"
#include "lib/symfile/symverify.h"
#include "tools/datil/app.h"
#include "tools/datil/progress.h"

/* As people copy them from reports, with or without 0x. */
static bool parse_offset(const char *text, uint64_t *ret, struct err *err)
{
    struct str s = str_of(text);
    if (str_starts(s, STR("0x")) || str_starts(s, STR("0X")))
        s = str_sub(s, 2, SIZE_MAX);
    return str_to_u64(s, 16, UINT64_MAX, "offset", ret, err) ||
           err_wrap(err, "%s: the address less the base of its module, hexadecimal", text);
}

/* A line without a file says nothing; a file without a line is where the compiler made code up. */
static void print_place(struct str file, uint32_t line)
{
    if (file.n && line)
        printf("  " STR_FMT ":%u", STR_ARG(file), line);
    else if (file.n)
        printf("  " STR_FMT, STR_ARG(file));
}

/* The order of a stack: what was inlined stands above the function it was inlined into. */
static void print_lookup(const struct csym *c, const char *text, uint64_t addr)
{
    FREE_LATER struct csym_hit *hit = xcalloc(1, sizeof *hit);
    if (!csym_lookup(c, addr, hit)) {
        printf("%s  no function\n", text);
        return;
    }
    for (size_t i = 0; i < hit->inline_count; i++) {
        printf("%s  " STR_FMT, text, STR_ARG(hit->inlines[i].function));
        print_place(hit->inlines[i].file, hit->inlines[i].line);
        puts("  (inlined)");
    }
    printf("%s  " STR_FMT " + 0x%llx", text, STR_ARG(hit->function),
           (unsigned long long)(addr - hit->function_addr));
    print_place(hit->file, hit->line);
    puts(hit->is_public ? "  (public symbol: no size, no lines)" : "");
}

/* Compiled beside the cache: somebody who tries out a file does not want it there. */
static bool open_text_file(struct app *app, const char *path, struct csym *ret, struct err *err)
{
    const char *temp_dir = conf_text(&app->conf, CONF_SYMBOLS_CACHE_DIR);
    struct symreader *r = NULL;
    struct csym_stats stats;
    FD_AUTO in = open(path, O_RDONLY | O_CLOEXEC);
    FD_AUTO out = -1;
    if (in < 0)
        return err_set(err, ERR_NOT_FOUND, "%s cannot be read", path);
    if (!symbytes_temp(temp_dir, &out, err) || !symreader_start(in, temp_dir, &r, err))
        return false;
    bool ok = symreader_load(r, NULL, NULL, err) && symreader_ask_compile(r, out, err) &&
              symreader_take_compile(r, &stats, err);
    symreader_stop(r);
    if (!ok)
        return err_wrap(err, "%s", path);
    if (stats.bad_lines)
        fprintf(stderr, "%s: %llu lines are no records of a symbols file\n", path,
                (unsigned long long)stats.bad_lines);
    return csym_open_fd(out, ret, err);
}

/* As a stack walk would find it, so that what is printed is what a crash would get; the file behind
 * a second slash, as `symbols list` shows it, is passed over. */
static bool open_stored(struct app *app, const char *name, struct csym *ret, struct err *err)
{
    struct symstore store = symstore_of_conf(&app->conf);
    const struct symfind_options opt = {.cache_dir = store.cache_dir,
                                        .cache_max_bytes = store.cache_max_bytes,
                                        .store_dir = store.dir};
    struct str text = str_of(name);
    size_t slash = str_find_char(text, '/', 0);
    if (slash == SIZE_MAX)
        return err_set(err, ERR_INVALID,
                       "%s: neither a file nor <debug file>/<debug id>, as `datil symbols list` "
                       "shows them",
                       name);
    struct str id = str_sub(text, slash + 1, SIZE_MAX);
    size_t end = str_find_char(id, '/', 0);
    const struct symfind_key key = {.debug_file = str_sub(text, 0, slash),
                                    .debug_id = str_sub(id, 0, end)};
    struct symfind *find;
    struct symfind_result found;
    if (!symfind_new(&opt, &find, err))
        return false;
    symfind_get(find, &key, &found);
    symfind_free(find);
    FD_AUTO fd = found.fd;
    if (found.state != SYMFIND_LOADED)
        return err_set(err, ERR_NOT_FOUND, "%s: %s", name,
                       found.state == SYMFIND_CORRUPT ? "the stored file is no symbols file"
                                                      : "no such file, and not in the store");
    if (!csym_open_fd(fd, ret, err))
        return false;
    if (!str_eq(ret->debug_file, key.debug_file)) /* the same module under another name */
        fprintf(stderr, "by its id, from the symbols of " STR_FMT "\n", STR_ARG(ret->debug_file));
    return true;
}

/* All offsets are checked first: a typing mistake in the last one prints nothing. */
static bool run_lookup(struct app *app, struct args args, struct err *err)
{
    struct csym c;
    if (!NO_OPTS(&args, 2, -1, err) || !app_is_somewhere(app, err))
        return false;
    for (int i = 1; i < args.n; i++) {
        uint64_t addr;
        if (!parse_offset(args.v[i], &addr, err))
            return false;
    }
    bool is_file = fs_exists(args.v[0]);
    if (!(is_file ? open_text_file : open_stored)(app, args.v[0], &c, err))
        return false;
    for (int i = 1; i < args.n; i++) {
        uint64_t addr = 0;
        parse_offset(args.v[i], &addr, ERR_IGNORED);
        print_lookup(&c, args.v[i], addr);
    }
    csym_close(&c);
    return true;
}

/* What a pass over the store counts. */
struct compiling {
    struct symfind *find;
    struct progress progress;
    size_t done, bad;
};

/* How many there are is known before the work begins, for the bar. */
static bool count_module(void *arg, const struct symkey *key, const struct symstore_found *file)
{
    size_t *n = arg;
    (void)file;
    *n += symkey_is_of_module(key);
    return true;
}

/* Finding a module compiles it if it must; there is no second way to do it. */
static bool compile_module(void *arg, const struct symkey *key, const struct symstore_found *file)
{
    struct compiling *c = arg;
    struct symfind_result found;
    if (!symkey_is_of_module(key))
        return true;
    const struct symfind_key k = {.debug_file = str_of(key->debug_file),
                                  .debug_id = str_of(key->debug_id)};
    symfind_get(c->find, &k, &found);
    FD_AUTO fd = found.fd;
    progress_step(&c->progress, (int64_t)file->stored_size);
    c->done += fd >= 0;
    if (fd < 0) {
        c->bad++;
        progress_clear(&c->progress);
        fprintf(stderr, "%s/%s: no usable symbols file\n", key->debug_file, key->debug_id);
    }
    return true;
}

/*
 * What has its .csym costs one look at it.  Beyond the limit of the cache the first ones would be
 * evicted for the last ones, so that is said before and not found out afterwards.
 */
static bool run_compile(struct app *app, struct args args, struct err *err)
{
    struct symstore store = symstore_of_conf(&app->conf);
    const struct symfind_options opt = {.cache_dir = store.cache_dir,
                                        .cache_max_bytes = store.cache_max_bytes,
                                        .store_dir = store.dir};
    struct compiling c = {.progress = {.what = "compiling"}};
    if (!NO_OPTS(&args, 0, 0, err) || !app_is_somewhere(app, err) ||
        !symfind_new(&opt, &c.find, err))
        return false;
    bool ok = true;
    for (enum symstore_area a = 0; ok && a < SYMSTORE_AREA_COUNT; a++)
        ok = symstore_list(&store, a, count_module, &c.progress.total, err);
    for (enum symstore_area a = 0; ok && a < SYMSTORE_AREA_COUNT; a++)
        ok = symstore_list(&store, a, compile_module, &c, err);
    symfind_free(c.find);
    progress_clear(&c.progress);
    if (ok)
        printf("%zu modules have compiled symbols, %zu have no usable ones\n", c.done, c.bad);
    app->exit_status = c.bad ? EXIT_FAILURE : EXIT_SUCCESS;
    return ok;
}

struct differences {
    struct progress progress;
    size_t n, mended;
};

/* The bar is taken away first, or its rest would stand behind the line. */
static void print_difference(void *arg, enum symverify_finding finding, const char *name,
                             bool is_mended)
{
    struct differences *d = arg;
    d->n++;
    d->mended += is_mended;
    progress_clear(&d->progress);
    printf("%s: %s%s\n", name, symverify_words[finding], is_mended ? " (mended)" : "");
}

static void on_step(void *arg, uint64_t bytes)
{
    struct differences *d = arg;
    progress_step(&d->progress, (int64_t)bytes);
}

/* Exit status 1 while something is left, so that a script can look at it. */
static bool run_verify(struct app *app, struct args args, struct err *err)
{
    struct symstore store = symstore_of_conf(&app->conf);
    struct differences d = {.progress = {.what = "verifying"}};
    struct symverify v = {.store = &store, .found = print_difference, .step = on_step, .arg = &d};
    const struct opt opts[] = {{"--fix", OPT_FLAG, &v.is_fixing},
                               {"--content", OPT_FLAG, &v.wants_content}};
    if (!OPTS_PARSE(opts, &args, 0, 0, err) || !app_db(app, err))
        return false;
    v.db = app->db;
    v.temp_dir = conf_text(&app->conf, CONF_UPLOAD_TEMPDIR);
    if (!symverify_run(&v, err))
        return false;
    progress_clear(&d.progress);
    printf("%zu files looked at, %zu differences, %zu mended\n", d.progress.files, d.n, d.mended);
    if (d.n > d.mended && !v.is_fixing)
        puts("--fix mends what can be mended");
    else if (d.n > d.mended)
        puts("what is left has to be added again, with `datil symbols add` or an upload");
    app->exit_status = d.n > d.mended ? EXIT_FAILURE : EXIT_SUCCESS;
    return true;
}

/* All of them, where the job's log has the first fifty: who asks by hand wants to know. */
static void print_expired(void *arg, enum symstore_area area, const char *key, int64_t bytes,
                          bool is_in_use)
{
    struct progress *p = arg;
    progress_clear(p);
    printf("%s %s %s\n", is_in_use ? "old, but in use:" : "expired:", symstore_area_names[area],
           key);
    progress_step(p, bytes);
}

/* What the job expire-symbols does, with a bar.  Both at once do no harm: each removes what the
 * other has left. */
static bool run_expire(struct app *app, struct args args, struct err *err)
{
    struct symstore store = symstore_of_conf(&app->conf);
    struct symexpire expiry = symexpire_of_conf(&app->conf, &store, NULL);
    struct progress progress = {.what = "expiring"};
    struct symexpire_counts counts;
    const struct opt opts[] = {{"--dry-run", OPT_FLAG, &expiry.is_dry},
                               {"--force", OPT_FLAG, &expiry.is_forced}};
    if (!OPTS_PARSE(opts, &args, 0, 0, err) || !app_db(app, err) ||
        (!expiry.is_dry &&
         !app_audit(app, "symbols", "", "expire", expiry.is_forced ? "forced" : "by age", err)))
        return false;
    expiry.db = app->db;
    expiry.now_us = now_us();
    expiry.report = print_expired;
    expiry.arg = &progress;
    if (!symexpire_count(&expiry, &progress.total, err) || !symexpire_files(&expiry, &counts, err))
        return false;
    progress_clear(&progress);
    symexpire_print(&expiry, &counts);
    return true;
}

const struct command symbols_care_commands[] = {
    {"symbols lookup", "FILE|DEBUG_FILE/DEBUG_ID OFFSET…",
     "Says what function, file and line an offset (hexadecimal) of a module is.\n"
     "FILE is a symbols file (plain, gzip, zstd); the other form looks into the store, where\n"
     "the id decides: `datil symbols list` shows both.  OFFSET is the address less the base.",
     run_lookup},
    {"symbols compile", "",
     "Compiles every module of the store whose compiled symbols are missing or damaged.\n"
     "Crashes and uploads do that by themselves; this is for a cache that was lost.",
     run_compile},
    {"symbols verify", "[--content] [--fix]",
     "Compares the symbols files with the database, both ways, and checks compiled ones.\n"
     "--content reads all files and compares their checksums; --fix writes and removes rows and\n"
     "removes damaged compiled files, never symbols.  Status 1: something is left.",
     run_verify},
    {"symbols expire", "[--dry-run] [--force]",
     "Removes symbols files that are old and not in use now (also a daily job).\n"
     "It refuses when nothing happened here for a month by this clock; --force says it is meant.",
     run_expire},
    {0},
};
