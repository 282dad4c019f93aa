/*
 * Every key of the configuration, in one table: the programs, `datil config check`, --help-config
 * and docs/configuration.md all read it.  A value comes from the environment, else from the file
 * that DATIL_CONFIG names, else from the fallback, in which $DATIL_VAR and $DATIL_RUN stand for
 * what was found for them.  What a key does not allow stops the start with the key's name.
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

/* clang-format off */
const struct conf_key conf_keys[] = {
    /* installation */
    {"DATIL_VAR", CONF_PATH, "./var", 0, 0, false, "directory of everything Datil writes: cluster, store, spool, index, symbols, logs"},
    {"DATIL_RUN", CONF_PATH, "$DATIL_VAR/run", 0, 0, false, "directory of the unix sockets and pid files (paths of sockets are limited to 107 bytes)"},
    {"DATIL_USER", CONF_TEXT, "datil", 0, 0, false, "system user that programs started by root work as when DATIL_VAR belongs to root; otherwise they work as its owner"},
    {"DATIL_SHARE", CONF_TEXT, "", 0, 0, false, "directory holding templates/, static/ and migrations/; empty: found from the program's own place"},
    {"DATIL_CONFIG", CONF_TEXT, "", 0, 0, false, "file of KEY=value lines read before the environment"},
    {"DATIL_BIND", CONF_TEXT, "127.0.0.1", 0, 0, false, "address nginx listens on"},
    {"DATIL_PORT", CONF_INT, "8080", 1, 65535, false, "port nginx listens on"},
    {"DATIL_MONITOR_PORT", CONF_INT, "0", 0, 65535, false, "loopback port with counters and health for monitoring (as the socket DATIL_RUN/nginx/local.sock; never to be proxied); 0: none"},
    {"DATIL_BASE_URL", CONF_TEXT, "", 0, 0, false, "public address of the web pages; empty: http://DATIL_BIND:DATIL_PORT"},
    {"DATABASE_URL", CONF_TEXT, "host=$DATIL_RUN/pg user=datil dbname=datil", 0, 0, true, "libpq connection string"},
    {"LOGGING_LEVEL", CONF_TEXT, "info", 0, 0, false, "error, warn, info or debug"},
    {"STATSD_HOST", CONF_TEXT, "", 0, 0, false, "host that gets statsd lines; empty: none"},
    {"STATSD_PORT", CONF_INT, "8125", 1, 65535, false, "its port"},
    {"HOSTNAME", CONF_TEXT, "", 0, 0, false, "host name for logs and notes; empty: that of the machine"},
    {"BASEDIR", CONF_TEXT, "", 0, 0, false, "where version.json lies; empty: DATIL_SHARE"},

    /* collector */
    {"COLLECTOR_WORKERS", CONF_INT, "4", 1, 256, false, "collector worker processes"},
    {"BREAKPAD_DUMP_FIELD", CONF_TEXT, "upload_file_minidump", 0, 0, false, "name of the form part that holds the main minidump"},
    {"BREAKPAD_FIELD_NAMES", CONF_BOOL, "on", 0, 0, false, "map prod, ver, … of Breakpad and Crashpad clients when ProductName is absent"},
    {"BREAKPAD_STAGE_SUBMITTER_BEARER_TOKEN", CONF_TEXT, "", 0, 0, true, "tokens (comma-separated) that may send reports with a crash id of their own"},
    {"BREAKPAD_THROTTLER_RULES", CONF_TEXT, "default", 0, 0, false, "default, accept_all, or path of a rules file"},
    {"COLLECTOR_REMOVE_ANNOTATIONS", CONF_TEXT, "Email,TelemetryClientId,TelemetryServerURL,TelemetrySessionId", 0, 0, false, "annotations that are never stored"},
    {"CRASHMOVER_CRASHSTORAGE_CLASS", CONF_TEXT, "fs", 0, 0, false, "object store: fs"},
    {"CRASHMOVER_CRASHSTORAGE_FS_ROOT", CONF_PATH, "$DATIL_VAR/store", 0, 0, false, "root directory of the fs object store"},
    {"CRASHMOVER_CRASHPUBLISH_CLASS", CONF_TEXT, "pg", 0, 0, false, "work queue: pg, or noop to store without processing"},
    {"CRASHMOVER_MAX_ATTEMPTS", CONF_INT, "5", 1, 100, false, "tries before the mover sets an entry aside for a while"},
    {"CRASHMOVER_RETRY_SLEEP_SECONDS", CONF_INT, "2", 0, 3600, false, "first pause of the mover after a failure; doubles up to 5 minutes"},
    {"SPOOL_DIR", CONF_PATH, "$DATIL_VAR/spool", 0, 0, false, "where accepted reports are made durable"},
    {"SPOOL_MIN_FREE_BYTES", CONF_INT, "268435456", 0, INT64_MAX, false, "below this much free disk the collector answers 503"},
    {"SPOOL_FSYNC", CONF_BOOL, "on", 0, 0, false, "off only for tests: an accepted report may then be lost with the machine"},
    {"COLLECTOR_DEDUPLICATE", CONF_BOOL, "on", 0, 0, false, "answer a report that is sent again (same dump, CrashTime, BuildID and ProductName) as the first time"},
    {"COLLECTOR_MAX_DECOMPRESSED_BYTES", CONF_INT, "268435456", 65536, INT64_MAX, false, "limit of a report after decompression"},
    {"COLLECTOR_MAX_ANNOTATIONS", CONF_INT, "5000", 100, 1000000, false, "annotations kept of one report; what is over goes, with a note"},
    {"RATE_LIMIT_SUBMIT", CONF_INT, "0", 0, 1000000, false, "reports per address and minute; 0: no limit"},

    /* processor */
    {"PROCESSOR_WORKERS", CONF_INT, "0", 0, 256, false, "processor worker processes; 0: number of cores"},
    {"PROCESSOR_WALK_TIMEOUT_S", CONF_INT, "120", 1, 3600, false, "wall time of one minidump walk"},
    {"PROCESSOR_WALK_MEMORY_BYTES", CONF_INT, "2147483648", 67108864, INT64_MAX, false, "address space of one minidump walk"},
    {"PROCESSOR_TMP_DIR", CONF_PATH, "$DATIL_VAR/tmp", 0, 0, false, "temporary directories, one per crash in work"},
    {"SIGNATURE_LISTS_DIR", CONF_TEXT, "", 0, 0, false, "directory of signature lists to use instead of the built-in ones"},
    {"RETENTION_DAYS", CONF_INT, "182", 1, 36500, false, "crashes older than this disappear from store, ledger and index"},

    /* search index */
    {"INDEX_DIR", CONF_PATH, "$DATIL_VAR/index", 0, 0, false, "directory of the crash index"},
    {"INDEX_SCRUB_EVERY_S", CONF_INT, "86400", 0, 31536000, false, "seconds between two scrubs, which read every byte of the index and compare the checksums; 0: never"},
    {"INDEX_SCRUB_BYTES_S", CONF_INT, "104857600", 65536, INT64_MAX, false, "bytes that a scrub reads in a second at most"},

    /* symbols */
    {"SYMBOLS_DIR", CONF_PATH, "$DATIL_VAR/symbols", 0, 0, false, "symbol store"},
    {"SYMBOLS_CACHE_DIR", CONF_PATH, "$DATIL_VAR/symcache", 0, 0, false, "compiled .csym files"},
    {"SYMBOLS_CACHE_MAX_BYTES", CONF_INT, "42949672960", 1048576, INT64_MAX, false, "size limit of the .csym cache; least recently used files go first"},
    {"SYMBOLS_WORKERS", CONF_INT, "6", 1, 256, false, "symbol server worker processes"},
    {"SYMBOLS_PUBLIC_URL", CONF_TEXT, "", 0, 0, false, "address of the stored files for the redirects of downloads; empty: /symbols-files of the symbol server itself"},
    {"UPLOAD_TEMPDIR", CONF_PATH, "$DATIL_VAR/tmp/uploads", 0, 0, false, "where uploaded archives of symbols are unpacked"},
    {"UPLOAD_MAX_MEMBERS", CONF_INT, "10000", 1, 1000000, false, "files in one uploaded archive"},
    {"UPLOAD_MAX_UNCOMPRESSED", CONF_INT, "21474836480", 1048576, INT64_MAX, false, "bytes in one uploaded archive, uncompressed"},
    {"DISALLOWED_SYMBOLS_SNIPPETS", CONF_TEXT, "qcom/proprietary", 0, 0, false, "comma-separated texts that no file name in an archive may contain"},
    {"SYMBOLS_UPLOAD_MAX_BYTES", CONF_INT, "2147483648", 1048576, INT64_MAX, false, "limit of an uploaded archive"},

    /* web */
    {"WEBAPP_WORKERS", CONF_INT, "4", 1, 256, false, "web application worker processes"},
    {"SESSION_COOKIE_SECURE", CONF_BOOL, "off", 0, 0, false, "mark cookies Secure: switch on wherever the pages are served over https"},
    {"SESSION_DAYS", CONF_INT, "14", 1, 365, false, "life of a log-in session"},
    {"LOGIN_MAX_ATTEMPTS", CONF_INT, "10", 1, 10000, false, "failed log-ins per address or account in 15 minutes before a pause"},
    {"RATE_LIMIT_API_ANONYMOUS", CONF_INT, "100", 0, 1000000, false, "API calls per address and minute without log-in; 0: no limit"},
    {"RATE_LIMIT_API_USER", CONF_INT, "1000", 0, 1000000, false, "the same with log-in or token"},
    {"RATE_LIMIT_SEARCH_ANONYMOUS", CONF_INT, "10", 0, 1000000, false, "Super Search pages per address and minute without log-in; 0: no limit"},
    {"RATE_LIMIT_SEARCH_USER", CONF_INT, "100", 0, 1000000, false, "the same with log-in"},
    {"RATE_LIMIT_PAGES_ANONYMOUS", CONF_INT, "60", 0, 1000000, false, "pages that search by themselves (home, Top Crashers, signatures, reports) per address and minute without log-in; 0: no limit"},
    {"RATE_LIMIT_PAGES_USER", CONF_INT, "600", 0, 1000000, false, "the same with log-in"},
    {"BUG_TRACKER_URL", CONF_TEXT, "https://bugzilla.mozilla.org/show_bug.cgi?id=", 0, 0, false, "address of a bug report; its number is put behind"},
    {"SEARCH_TIMEOUT_S", CONF_INT, "30", 1, 3600, false, "time limit of a request's searches, from its arrival until the answer is built; 120 with run_long_queries"},
    {"SEARCH_MAX_CONCURRENT", CONF_INT, "0", 0, 255, false, "searches at once; 0 and everything above: one less than WEBAPP_WORKERS, so that a worker stays free"},
    {"SEARCH_MAX_PER_ADDRESS", CONF_INT, "2", 0, 256, false, "searches at once of one address or user; 0: no limit"},
    {"SEARCH_MAX_BUCKETS", CONF_INT, "65536", 100, 10000000, false, "buckets in all aggregations of one search together; more is a 400"},
    {"SEARCH_MAX_BYTES", CONF_INT, "268435456", 16777216, INT64_MAX, false, "memory that counters and answer of one search may take; more is a 400"},

    /* scheduled jobs */
    {"CRON_INTERVAL_S", CONF_INT, "300", 1, 86400, false, "seconds between two looks at the job table"},
};
/* clang-format on */

const size_t conf_key_count = ARRAY_LEN(conf_keys);

static const struct conf_key *find_key(struct str name)
{
    for (size_t i = 0; i < conf_key_count; i++)
        if (str_eq(name, str_of(conf_keys[i].name)))
            return &conf_keys[i];
    return NULL;
}

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
    const char *key, *choices[8]; /* any case; ended by NULL */
} choice_keys[] = {
    {"LOGGING_LEVEL", {"error", "warn", "info", "debug"}},
    {"CRASHMOVER_CRASHSTORAGE_CLASS", {"fs", "noop"}},
    {"CRASHMOVER_CRASHPUBLISH_CLASS", {"pg", "noop"}},
};
static const char *const url_keys[] = {"DATIL_BASE_URL", "SYMBOLS_PUBLIC_URL", "BUG_TRACKER_URL"};

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

static bool check_text(const struct conf_key *key, const char *value, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(choice_keys); i++)
        if (strcmp(choice_keys[i].key, key->name) == 0)
            return check_choice(choice_keys[i].choices, key, value, err);
    for (size_t i = 0; i < ARRAY_LEN(url_keys); i++)
        if (strcmp(url_keys[i], key->name) == 0 && *value &&
            !str_starts_nocase(str_of(value), STR("http://")) &&
            !str_starts_nocase(str_of(value), STR("https://")))
            return err_set(err, ERR_INVALID,
                           "%s: not an address beginning with http:// or https://", key->name);
    return true;
}

static bool check(const struct conf_key *key, const char *value, struct err *err)
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
    return key->type != CONF_TEXT || check_text(key, value, err);
}

static bool set(struct conf *c, const struct conf_key *key, const char *value, struct err *err)
{
    if (!check(key, value, err))
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
    return set(c, key, value, err) || err_wrap(err, "%s:%d", path, number);
}

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
        if (key && !set(c, key, *e + eq + 1, err))
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
        static const char *const names[] = {"DATIL_VAR", "DATIL_RUN"};
        size_t used = 0;
        for (size_t i = 0; rest.p[0] == '$' && i < ARRAY_LEN(names); i++)
            if (str_starts(str_sub(rest, 1, SIZE_MAX), str_of(names[i]))) {
                sb_text(&b, conf_text(c, names[i]));
                used = 1 + strlen(names[i]);
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
    *c = (struct conf){.values = xcalloc(conf_key_count, sizeof(char *))};
    const char *file = getenv("DATIL_CONFIG");
    if ((file && *file && !load_file(c, file, err)) || !load_environment(c, err)) {
        conf_release(c);
        return false;
    }
    for (size_t i = 0; i < conf_key_count; i++) { /* DATIL_VAR and DATIL_RUN come first */
        if (!c->values[i])
            c->values[i] = expand(c, conf_keys[i].fallback);
        if (conf_keys[i].type == CONF_PATH)
            make_absolute(&c->values[i]);
    }
    return true;
}

void conf_release(struct conf *c)
{
    for (size_t i = 0; c->values && i < conf_key_count; i++)
        free(c->values[i]);
    free(c->values);
    c->values = NULL;
}

const char *conf_text(const struct conf *c, const char *name)
{
    const struct conf_key *key = find_key(str_of(name));
    assert(key);
    return c->values[key - conf_keys];
}

int64_t conf_int(const struct conf *c, const char *name)
{
    int64_t v = 0;
    bool ok = str_to_i64(str_of(conf_text(c, name)), INT64_MIN, INT64_MAX, name, &v, NULL);
    assert(ok && find_key(str_of(name))->type == CONF_INT);
    (void)ok;
    return v;
}

bool conf_bool(const struct conf *c, const char *name)
{
    bool v = false;
    bool ok = parse_bool(conf_text(c, name), &v);
    assert(ok && find_key(str_of(name))->type == CONF_BOOL);
    (void)ok;
    return v;
}

void conf_print_help(const struct conf *c, FILE *out)
{
    for (size_t i = 0; i < conf_key_count; i++) {
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
    for (size_t i = 0; i < conf_key_count; i++) {
        const struct conf_key *k = &conf_keys[i];
        fprintf(out, "| `%s` | %s%s | %s%s%s | %s |\n", k->name, types[k->type],
                k->is_secret ? ", secret" : "", *k->fallback ? "`" : "", k->fallback,
                *k->fallback ? "`" : "", k->help);
    }
}
