/*
 * crashme - an example of a program that reports its crashes with libdatil-client.
 *
 * It dies in the way it is asked to.  Everything a real program needs is in
 * start_reports() and annotate().
 */
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "client/datil_client.h"
#include "client/examples/crashes.h"

/* Half of what the library takes (DATIL_CLIENT_ANNOTATIONS_MAX). */
enum { ANNOTATIONS_MAX = 64 };

/* From the command line; what the library wants to know lies in `client`. */
struct crashme_options {
    struct datil_client_options client;
    const char *channel, *build_id;
    const char *annotations[ANNOTATIONS_MAX]; /* KEY=VALUE */
    size_t annotation_count;
    const char *way;
    bool no_wait;
};

/* Options without a value. */
static bool parse_flag(struct crashme_options *o, const char *name)
{
    const struct {
        const char *name;
        bool *field;
    } table[] = {
        {"--no-wait", &o->no_wait},
        {"--send-command-line", &o->client.send_command_line},
        {"--send-environment", &o->client.send_environment},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(name, table[i].name) == 0)
            return *table[i].field = true;
    return false;
}

static void print_usage(FILE *out)
{
    fputs(
        "usage: crashme WAY [options]\n"
        "  --url URL            collector that gets the report, e.g. http://127.0.0.1:8080/submit\n"
        "  --database DIR       where reports are kept (default: crashme-reports in $TMPDIR)\n"
        "  --annotation K=V     adds an annotation; may be repeated\n"
        "  --product NAME       (Crashme)    --version V  --channel NAME  --build-id DIGITS\n"
        "  --handler PATH       datil-client-handler (default: the one beside this program)\n"
        "  --timeout-ms N       how long to wait for the handler\n"
        "  --no-wait            die as soon as the report is on disk; the handler sends it alone\n"
        "  --send-command-line  --send-environment\n"
        "                       what else goes into the minidump; left out of it otherwise\n"
        "ways:\n  list               prints the names of the others\n  report             sends a "
        "report and lives on\n",
        out);
    for (size_t i = 0; i < crash_count; i++)
        fprintf(out, "  %-18s %s\n", crashes[i].name, crashes[i].what);
}

/* Options with a value; false: unknown, or one annotation too many. */
static bool parse_option(struct crashme_options *o, const char *name, const char *value)
{
    const struct {
        const char *name;
        const char **field;
    } table[] = {
        {"--url", &o->client.url},
        {"--database", &o->client.database},
        {"--product", &o->client.product},
        {"--version", &o->client.version},
        {"--handler", &o->client.handler_path},
        {"--channel", &o->channel},
        {"--build-id", &o->build_id},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(name, table[i].name) == 0) {
            *table[i].field = value;
            return true;
        }
    if (strcmp(name, "--timeout-ms") == 0) {
        o->client.timeout_ms = (unsigned)strtoul(value, NULL, 10);
        return true;
    }
    if (strcmp(name, "--annotation") != 0 || o->annotation_count == ANNOTATIONS_MAX)
        return false;
    o->annotations[o->annotation_count++] = value;
    return true;
}

static bool parse_arguments(int argc, char **argv, struct crashme_options *o)
{
    for (int i = 1; i < argc; i++) {
        if (parse_flag(o, argv[i]))
            continue;
        if (argv[i][0] != '-' && !o->way)
            o->way = argv[i];
        else if (i + 1 >= argc || !parse_option(o, argv[i], argv[i + 1]))
            return false;
        else
            i++;
    }
    return o->way != NULL;
}

/*
 * A build id of 14 digits, YYYYMMDDhhmmss, as collectors and pages read build ids: when this
 * program was linked.
 */
static void build_time(char out[32], long long *ret_s)
{
    struct stat st;
    struct tm t = {0};
    if (stat("/proc/self/exe", &st) == 0 && gmtime_r(&st.st_mtime, &t)) {
        *ret_s = (long long)st.st_mtime;
        strftime(out, 32, "%Y%m%d%H%M%S", &t);
    }
}

/*
 * de-DE of de_DE.UTF-8; without a locale en-US, the language of the texts that such programs show.
 */
static void locale_tag(char *out, size_t size)
{
    const char *name = setlocale(LC_MESSAGES, "");
    if (!name || strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0 ||
        strncmp(name, "C.", 2) == 0)
        name = "en-US";
    snprintf(out, size, "%.*s", (int)strcspn(name, ".@"), name);
    for (char *c = out; *c; c++)
        if (*c == '_')
            *c = '-';
}

/*
 * What reports of a product are usually sorted by.  Called when reports are on, so that a crash in
 * here has the annotations made so far.
 */
static void annotate(const struct crashme_options *o)
{
    char built[32] = "20260101000000", locale[32], notes[160];
    long long built_s = 0;
    build_time(built, &built_s);
    locale_tag(locale, sizeof locale);
    struct utsname u;
    if (uname(&u) == 0) {
        snprintf(notes, sizeof notes, "crashme %s on %.64s %.64s", o->way, u.sysname, u.release);
        datil_client_annotate("Notes", notes);
    }
    datil_client_annotate("Vendor", "Datil");
    datil_client_annotate("ReleaseChannel", o->channel);
    datil_client_annotate("BuildID", o->build_id ? o->build_id : built);
    datil_client_annotate("useragent_locale", locale);
    datil_client_annotate_int("InstallTime", built_s);
    datil_client_annotate("SubmittedFrom", "Auto");

    for (size_t i = 0; i < o->annotation_count; i++) {
        char key[DATIL_CLIENT_KEY_MAX + 2];
        const char *equals = strchr(o->annotations[i], '=');
        if (!equals)
            continue;
        snprintf(key, sizeof key, "%.*s", (int)(equals - o->annotations[i]), o->annotations[i]);
        if (!datil_client_annotate(key, equals + 1))
            fprintf(stderr, "crashme: no room for annotation %s\n", key);
    }
}

/* The directory has the user's number: two users of one machine must not share their reports. */
static bool start_reports(struct crashme_options *o)
{
    static char database[PATH_MAX]; /* o keeps it */
    char why[256];
    if (!o->client.database) {
        const char *tmp = getenv("TMPDIR");
        snprintf(database, sizeof database, "%s/crashme-reports-%u", tmp ? tmp : "/tmp",
                 (unsigned)getuid());
        o->client.database = database;
    }
    o->client.wait_for_upload = !o->no_wait;
    if (!datil_client_start(&o->client, why, sizeof why)) {
        fprintf(stderr, "crashme: no crash reports: %s\n", why);
        return false;
    }
    annotate(o);
    return true;
}

int main(int argc, char **argv)
{
    struct crashme_options o = {
        .client = {.product = "Crashme", .version = DATIL_VERSION},
        .channel = "nightly",
    };
    if (!parse_arguments(argc, argv, &o)) {
        print_usage(stderr);
        return 2;
    }
    if (strcmp(o.way, "list") == 0) {
        for (size_t i = 0; i < crash_count; i++)
            puts(crashes[i].name);
        return 0;
    }
    if (!start_reports(&o))
        return 1;
    if (strcmp(o.way, "report") == 0) {
        bool ok = datil_client_report();
        datil_client_stop();
        return ok ? 0 : 1;
    }
    for (size_t i = 0; i < crash_count; i++)
        if (strcmp(o.way, crashes[i].name) == 0)
            crashes[i].run();
    fprintf(stderr, "crashme: still alive; ways to die are printed by: crashme list\n");
    return 2;
}
