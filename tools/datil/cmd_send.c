/*
 * crash send: a report over HTTP, as a crashing program would send it: a dump with annotations from
 * the command line, or a directory as the store lays it out (raw_crash.json and dumps), which sends
 * a stored report once more.  Of raw_crash.json only what a client sends goes along; what the
 * collector writes itself it will write again.
 *
 * The address is that of the web server, as for everybody, so the whole way is tried out.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/opts.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/http/http.h"
#include "lib/json/json.h"
#include "tools/datil/app.h"

/*
 * A report has some hundred annotations.  An answer is one line; 64 KiB leave room for an error
 * page of a proxy.
 */
enum { PARTS_MAX = 1000, ANSWER_BYTES_MAX = 1 << 16 };

struct outgoing_report {
    struct http_part parts[PARTS_MAX];
    size_t n;
    struct arena *arena;
};

static bool set_part(struct outgoing_report *r, struct http_part part, struct err *err)
{
    for (size_t i = 0; i < r->n; i++)
        if (!part.path && !r->parts[i].path && strcmp(r->parts[i].name, part.name) == 0) {
            r->parts[i] = part; /* the command line wins over the file */
            return true;
        }
    if (r->n == PARTS_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %d parts", PARTS_MAX);
    r->parts[r->n++] = part;
    return true;
}

static bool add_dump(struct outgoing_report *r, const char *name, const char *path, struct err *err)
{
    return set_part(r,
                    (struct http_part){.name = name,
                                       .filename = "dump.dmp",
                                       .content_type = "application/octet-stream",
                                       .path = path},
                    err);
}

/* Annotations of raw_crash.json; what the collector adds itself stays out. */
static bool add_annotations(struct outgoing_report *r, const char *path, struct err *err)
{
    static const char *const collectors_own[] = {"uuid", "submitted_timestamp", "metadata",
                                                 "version"};
    FREE_LATER char *text = NULL;
    size_t n;
    if (!fs_read(path, JSON_BYTES_MAX, &text, &n, err))
        return false;
    json_auto_t *doc = jparse(str_n(text, n), JSON_BYTES_MAX, err);
    if (!doc)
        return err_wrap(err, "%s", path);
    const char *key;
    json_t *value;
    json_object_foreach (doc, key, value) {
        bool is_own = !json_is_string(value);
        for (size_t i = 0; i < ARRAY_LEN(collectors_own); i++)
            is_own = is_own || strcmp(key, collectors_own[i]) == 0;
        struct str text_value = str_n(json_string_value(value), json_string_length(value));
        if (!is_own && !set_part(r,
                                 (struct http_part){.name = arena_strdup(r->arena, key),
                                                    .value = str_copy(r->arena, text_value)},
                                 err))
            return false;
    }
    return true;
}

/* "upload_file_minidump_browser.dmp" -> "upload_file_minidump_browser" */
static const char *part_name(struct arena *a, const char *file)
{
    struct str name = str_of(file);
    if (str_ends(name, STR(".dmp")))
        name.n -= 4;
    return str_eq(name, STR("dump")) ? "upload_file_minidump" : str_adup(a, name);
}

/*
 * In the order of their names, so that the same directory makes the same request.  Other JSON files
 * are the server's own.
 */
static bool add_dir(struct outgoing_report *r, const char *dir, struct err *err)
{
    struct dirent **found = NULL;
    int n = scandir(dir, &found, NULL, alphasort);
    if (n < 0)
        return err_errno(err, errno, "%s", dir);
    bool ok = true;
    for (int i = 0; i < n; i++) {
        const char *name = found[i]->d_name;
        const char *path = arena_printf(r->arena, "%s/%s", dir, name);
        if (ok && strcmp(name, "raw_crash.json") == 0)
            ok = add_annotations(r, path, err);
        else if (ok && name[0] != '.' && !str_ends(str_of(name), STR(".json")))
            ok = add_dump(r, part_name(r->arena, name), path, err);
        free(found[i]);
    }
    free(found);
    return ok;
}

static bool add_option(struct outgoing_report *r, const char *text, struct err *err)
{
    struct str s = str_of(text);
    size_t eq = str_find_char(s, '=', 0);
    if (eq == SIZE_MAX || eq == 0)
        return err_set(err, ERR_INVALID, "--annotation: say NAME=VALUE, not '%.60s'", text);
    return set_part(r,
                    (struct http_part){.name = str_adup(r->arena, str_sub(s, 0, eq)),
                                       .value = str_sub(s, eq + 1, SIZE_MAX)},
                    err);
}

/* The start script writes a scheme, a host name of at most 253 characters, and a port. */
enum { ADDRESS_BYTES_MAX = 512 };

/* Where the start script says that it serves this installation ("" where it does not run it). */
static const char *running_address(struct app *app)
{
    struct err err = {0};
    char *text = NULL;
    size_t n = 0;
    const char *path =
        arena_printf(&app->arena, "%s/address", conf_text(&app->conf, CONF_DATIL_RUN));
    if (!fs_read(path, ADDRESS_BYTES_MAX, &text, &n, &err))
        return "";
    const char *address = str_adup(&app->arena, str_trim(str_n(text, n)));
    free(text);
    return address;
}

/*
 * In this order: the address that is configured, the one that the start script has noted, the one
 * that nginx would be bound to.
 */
static const char *submit_url(struct app *app)
{
    const char *base = conf_text(&app->conf, CONF_DATIL_BASE_URL);
    if (!*base)
        base = running_address(app);
    if (*base)
        return arena_printf(&app->arena, "%s/submit", base);
    return arena_printf(&app->arena, "http://%s:%s/submit", conf_text(&app->conf, CONF_DATIL_BIND),
                        conf_text(&app->conf, CONF_DATIL_PORT));
}

/*
 * "CrashID=…" is the answer to a report that was accepted; a refusal is a text that says why, and
 * is repeated here.
 */
static bool submit_report(struct app *app, const struct outgoing_report *r, const char *url,
                          struct err *err)
{
    struct http_request q = {
        .url = url ? url : submit_url(app),
        .may_reach_reserved = true, /* the collector mostly stands beside */
        .parts = r->parts,
        .part_count = r->n,
        .max_bytes = ANSWER_BYTES_MAX,
    };
    struct http_response answer = {0};
    if (!http_do(&q, &answer, err))
        return err_wrap(err,
                        "%s does not answer; is Datil running, and do DATIL_PORT and "
                        "DATIL_BIND say where (or --url)?",
                        q.url);
    struct str body = str_trim(str_n(answer.body, answer.n));
    bool ok = answer.status == 200 && str_starts(body, STR("CrashID="));
    if (ok)
        printf(STR_FMT "\n", STR_ARG(body));
    else
        err_set(err, ERR_FORBIDDEN, "the collector answers %d: " STR_FMT, answer.status,
                (int)MIN(body.n, (size_t)150), body.p);
    http_response_release(&answer);
    return ok;
}

static bool run_send(struct app *app, struct args args, struct err *err)
{
    struct opt_list annotations = {0};
    const char *url = NULL;
    const struct opt opts[] = {{"--annotation", OPT_LIST, &annotations}, {"--url", OPT_TEXT, &url}};
    struct stat st;
    if (!OPTS_PARSE(opts, &args, 1, 1, err))
        return false;
    if (stat(args.v[0], &st) != 0)
        return err_errno(err, errno, "%s", args.v[0]);
    struct outgoing_report *r = arena_alloc(&app->arena, sizeof *r);
    r->arena = &app->arena;
    bool ok = S_ISDIR(st.st_mode) ? add_dir(r, args.v[0], err)
                                  : add_dump(r, "upload_file_minidump", args.v[0], err);
    for (size_t i = 0; ok && i < annotations.n; i++)
        ok = add_option(r, annotations.v[i], err);
    return ok && submit_report(app, r, url, err);
}

const struct command send_commands[] = {
    {"crash send", "DIR|DUMP [--annotation NAME=VALUE]… [--url URL]",
     "Sends a report to the collector and prints its crash id.\n"
     "DIR holds raw_crash.json and dump files; a DUMP alone needs at least the annotations\n"
     "ProductName and Version.",
     run_send},
    {0},
};
