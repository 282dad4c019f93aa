/*
 * archivescraper: which builds there are of products that are released through an archive like
 * Mozilla's, so that "63.0" and a build id become 63.0b4.
 *
 *     DIR/releases/VERSION/                                 what is released
 *     DIR/candidates/VERSION-candidates/buildN/PLATFORM/en-US/NAME.json
 *
 * The archive is a web server with lists of links; a list is read for the texts of its links, which
 * are names of files and folders.  Addresses are always put together from our own base and such a
 * name, never taken from a page, so a page cannot lead the job elsewhere; and a name is a few plain
 * characters or is not looked at.
 *
 * The tree is walked level by level, all pages of a level at once with AT_ONCE requests in flight.
 * A page or file that cannot be had counts as empty: the next run, an hour later, sees it.
 *
 * The last build of a version becomes the version itself when that is released, until then it is a
 * release candidate (63.0rc2); candidates of a release go to users of the beta channel.
 */
#include <stdio.h>

#include "cron/job_context.h"
#include "cron/jobs/job_functions.h"
#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/crash/builds.h"
#include "lib/db/db.h"
#include "lib/http/http.h"
#include "lib/json/json.h"
#include "queries.h"

enum {
    AT_ONCE = 20,             /* what archive.mozilla.org takes from one client without a word */
    PAGE_BYTES_MAX = 8 << 20, /* the largest list, of all releases, has 200 KB */
    NAMES_MAX = 20000,        /* on a level: of one product there are 1,500 in a usual run */
    NAME_BYTES_MAX = 128,
    BUILD_MAX = 1000, /* buildN */
    MAJORS_KEPT = 4,  /* older majors get no builds any more */
    ROWS_MAX = 2 * NAMES_MAX,
};

static const struct {
    const char *product, *dir;
} archives[] = {
    {"Firefox", "firefox"},
    {"Thunderbird", "thunderbird"},
    {"DevEdition", "devedition"},
};

/* Folders beside the platforms that hold no builds of them. */
static const char *const no_platforms[] = {
    "beetmover", "contrib",         "funnelcake", "jsshell", "logs",
    "mar-tools", "partner-repacks", "source",     "update",
};

/* A place in the tree, with what is known of it so far. */
struct archive_page {
    const char *url;
    struct str version; /* "63.0b7" */
    uint64_t build;     /* 2 of build2 */
    bool is_final;      /* the last build of a released version */
};

/* The places of one depth of the tree, in the order in which their pages came. */
struct level {
    VEC(struct archive_page) places;
};

/*
 * One product.  `from` holds the places whose pages are being read, `to` collects what these lead
 * to; walk_level swaps them.  An error in a page's callback is kept in err until the level ends,
 * because http_do_all has no way to be told to stop.
 */
struct scraping {
    struct job_context *x;
    struct arena *arena; /* of one product */
    const char *product;
    struct strs released;
    uint64_t least_major;
    struct level *from, *to;
    bool (*take)(struct scraping *s, const struct archive_page *p, struct str page,
                 struct err *err);
    struct builds rows;
    size_t found;
    struct err err;
};

/* Plain names only: what else stands in a list is decoration, or a trap. */
static bool is_plain_name(struct str name)
{
    if (name.n == 0 || name.n > NAME_BYTES_MAX || name.p[0] == '.')
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (!((name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= 'A' && name.p[i] <= 'Z') ||
              (name.p[i] >= '0' && name.p[i] <= '9') || strchr("._-+~", name.p[i])) ||
            name.p[i] == '\0')
            return false;
    return true;
}

/* The text of the next link, without the slash behind folders. */
static bool next_link(struct str *page, struct str *ret_name, bool *ret_is_folder)
{
    for (;;) {
        size_t link = str_find(*page, STR("<a "), 0);
        size_t text = link == SIZE_MAX ? SIZE_MAX : str_find_char(*page, '>', link);
        size_t end = text == SIZE_MAX ? SIZE_MAX : str_find_char(*page, '<', text);
        if (end == SIZE_MAX)
            return false;
        struct str name = str_trim(str_sub(*page, text + 1, end - text - 1));
        *page = str_sub(*page, end, SIZE_MAX);
        *ret_is_folder = str_ends(name, STR("/"));
        name.n -= *ret_is_folder;
        *ret_name = name;
        if (is_plain_name(name))
            return true;
    }
}

/* A place below p: its address is that of p and the name, never one that stands in the page. */
static bool add_place(struct scraping *s, struct archive_page p, struct str name,
                      const char *behind, const char *below, struct err *err)
{
    if (s->to->places.n >= NAMES_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s: more than %d pages", s->product, NAMES_MAX);
    p.url = arena_printf(s->arena, "%s" STR_FMT "%s%s", p.url, STR_ARG(name), behind, below);
    p.version = str_copy(s->arena, p.version);
    VEC_PUSH(&s->to->places, p);
    return true;
}

/* Versions begin with a digit; "latest", "devpreview" and the like are names for one of them. */
static bool starts_with_digit(struct str s)
{
    return s.n > 0 && s.p[0] >= '0' && s.p[0] <= '9';
}

/* What is released, by name; whether a candidate became it is decided when its builds are known. */
static bool take_releases(struct scraping *s, const struct archive_page *p, struct str page,
                          struct err *err)
{
    struct str name;
    bool is_folder;
    (void)p, (void)err;
    while (next_link(&page, &name, &is_folder))
        if (starts_with_digit(name) && s->released.n < NAMES_MAX)
            s->released.v[s->released.n++] = str_copy(s->arena, name);
    return true;
}

/*
 * Folders of versions whose builds are wanted: of the last majors, and of extended support
 * releases, which get builds for years.
 */
static bool take_candidates(struct scraping *s, const struct archive_page *p, struct str page,
                            struct err *err)
{
    struct str name, suffix = STR("-candidates");
    bool is_folder;
    while (next_link(&page, &name, &is_folder)) {
        uint64_t major = 0;
        if (!starts_with_digit(name) || !str_ends(name, suffix))
            continue;
        struct archive_page next = *p;
        next.version = str_sub(name, 0, name.n - suffix.n);
        if (str_find(name, STR("esr"), 0) == SIZE_MAX &&
            (!build_major(next.version, &major) || major < s->least_major))
            continue;
        if (!add_place(s, next, name, "/", "", err))
            return false;
    }
    return true;
}

/* The builds of a version; the one with the highest number is the last. */
static bool take_version(struct scraping *s, const struct archive_page *p, struct str page,
                         struct err *err)
{
    bool has[BUILD_MAX + 1] = {false}, is_folder, is_released = false;
    struct str name;
    uint64_t n, last = 0;
    while (next_link(&page, &name, &is_folder))
        if (is_folder && str_starts(name, STR("build")) &&
            str_to_u64(str_sub(name, 5, SIZE_MAX), 10, BUILD_MAX, "build", &n, ERR_IGNORED)) {
            has[n] = true;
            last = MAX(last, n);
        }
    for (size_t i = 0; i < s->released.n; i++)
        is_released |= str_eq(s->released.v[i], p->version);
    for (n = 0; n <= last; n++) {
        struct archive_page next = *p;
        char folder[32];
        next.build = n;
        next.is_final = is_released && n == last;
        snprintf(folder, sizeof folder, "build%llu", (unsigned long long)n);
        if (has[n] && !add_place(s, next, str_of(folder), "/", "", err))
            return false;
    }
    return true;
}

/* The platforms of a build.  One locale is enough: all have the same build ids. */
static bool take_build(struct scraping *s, const struct archive_page *p, struct str page,
                       struct err *err)
{
    struct str name;
    bool is_folder;
    while (next_link(&page, &name, &is_folder)) {
        bool is_platform = is_folder;
        for (size_t i = 0; i < ARRAY_LEN(no_platforms); i++)
            is_platform &= str_find(name, str_of(no_platforms[i]), 0) == SIZE_MAX;
        if (is_platform && !add_place(s, *p, name, "/", "en-US/", err))
            return false;
    }
    return true;
}

/* One file says all about a build; buildhub.json is the newer form. */
static bool take_platform(struct scraping *s, const struct archive_page *p, struct str page,
                          struct err *err)
{
    struct str name, best = STR_NONE;
    bool is_folder;
    while (next_link(&page, &name, &is_folder)) {
        if (is_folder || !str_ends(name, STR(".json")) ||
            str_find(name, STR("mozinfo"), 0) != SIZE_MAX ||
            str_find(name, STR("test_packages"), 0) != SIZE_MAX)
            continue;
        if (!best.n ||
            (str_ends(name, STR("buildhub.json")) && !str_ends(best, STR("buildhub.json"))))
            best = name;
    }
    return !best.n || add_place(s, *p, best, "", "", err);
}

/* A row that does not fit, above all a version without a number in front, which has no place in the
 * order of versions, is left out. */
static bool add_row(struct scraping *s, const char *channel, const char *release,
                    const char *version, const char *build_id, const char *url)
{
    uint64_t major;
    if (!build_major(str_of(release), &major))
        return false;
    const struct str values[BUILD_FIELDS] = {
        [BUILD_PRODUCT] = str_of(s->product),
        [BUILD_CHANNEL] = str_copy(s->arena, str_of(channel)),
        [BUILD_MAJOR] = str_of(db_int(s->arena, (int64_t)major)),
        [BUILD_RELEASE] = str_copy(s->arena, str_of(release)),
        [BUILD_VERSION] = str_of(version),
        [BUILD_ID] = str_copy(s->arena, str_of(build_id)),
        [BUILD_URL] = str_of(url),
    };
    return builds_add(&s->rows, values, "build", s->found, ERR_IGNORED);
}

/* A build is one row, or two: what it was offered as before, and what it is. */
static void add_build(struct scraping *s, const struct archive_page *p, const char *channel,
                      const char *release, const char *build_id)
{
    bool is_release = strcmp(channel, "release") == 0;
    const char *rc =
        arena_printf(s->arena, STR_FMT "rc%llu", STR_ARG(p->version), (unsigned long long)p->build);
    const char *version = arena_printf(s->arena, STR_FMT, STR_ARG(p->version));
    if (p->is_final)
        add_row(s, channel, release, version, build_id, p->url);
    s->found += add_row(s, is_release ? "beta" : channel, release, rc, build_id, p->url);
}

/* Two forms of the file have been written over the years; its name tells which this is. */
static bool take_json(struct scraping *s, const struct archive_page *p, struct str page,
                      struct err *err)
{
    (void)err;
    json_t *doc = jparse_given(page, PAGE_BYTES_MAX, ERR_IGNORED);
    bool is_hub = str_ends(str_of(p->url), STR("buildhub.json"));
    const char *channel =
        is_hub ? jpath_str(doc, "target.channel") : jget_str(doc, "moz_update_channel");
    const char *release =
        is_hub ? jpath_str(doc, "target.version") : jget_str(doc, "moz_app_version");
    const char *build_id = is_hub ? jpath_str(doc, "build.id") : jget_str(doc, "buildid");
    if (channel && release && build_id)
        add_build(s, p, channel, release, build_id);
    json_decref(doc);
    return true;
}

static void on_page(void *arg, size_t index, struct http_response *answer, const struct err *err)
{
    struct scraping *s = arg;
    (void)err; /* a page that fails is an empty one */
    if (answer && answer->status == 200 && !s->err.code)
        s->take(s, &s->from->places.v[index], str_n(answer->body, answer->n), &s->err);
}

/* Reads the pages of s->from; what they lead to is in s->from afterwards. */
static bool walk_level(struct scraping *s,
                       bool (*take)(struct scraping *, const struct archive_page *, struct str,
                                    struct err *),
                       struct err *err)
{
    size_t n = s->from->places.n;
    struct http_request *requests = arena_array(s->arena, n + 1, sizeof *requests);
    for (size_t i = 0; i < n; i++)
        requests[i] = (struct http_request){
            .url = s->from->places.v[i].url,
            .may_reach_reserved = true, /* a mirror of the house, chosen by the administrator */
            .timeout_ms = (int)conf_int(s->x->conf, CONF_ARCHIVE_TIMEOUT_MS),
            .max_bytes = PAGE_BYTES_MAX};
    s->take = take;
    s->to->places.n = 0;
    if (!http_do_all(requests, n, AT_ONCE, on_page, s, err))
        return false;
    struct level *read = s->from;
    s->from = s->to;
    s->to = read;
    return !s->err.code || err_set(err, s->err.code, "%s", s->err.msg);
}

static bool start_at(struct scraping *s, const char *url)
{
    s->from->places.n = 0;
    VEC_PUSH(&s->from->places, ((struct archive_page){.url = url}));
    return true;
}

/* By product, as the majors of one say nothing about another's. */
static bool find_least_major(struct scraping *s, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(s->x->db, &q_product_version_newest_major, &rows, err, s->product))
        return false;
    int64_t newest = db_col_int(&rows, 0, Q_PRODUCT_VERSION_NEWEST_MAJOR_COL_MAJOR, 0);
    s->least_major = (uint64_t)MAX(newest - MAJORS_KEPT, 0);
    return true;
}

/* Releases come first, since a build is final only if its version is released. */
static bool walk_archive(struct scraping *s, const char *root, struct err *err)
{
    return start_at(s, arena_printf(s->arena, "%sreleases/", root)) &&
           walk_level(s, take_releases, err) &&
           start_at(s, arena_printf(s->arena, "%scandidates/", root)) &&
           walk_level(s, take_candidates, err) && walk_level(s, take_version, err) &&
           walk_level(s, take_build, err) && walk_level(s, take_platform, err) &&
           walk_level(s, take_json, err);
}

static bool scrape_product(struct job_context *x, const char *product, const char *root,
                           struct err *err)
{
    struct arena a;
    struct level from = {0}, to = {0};
    struct scraping s = {.x = x, .arena = &a, .product = product, .from = &from, .to = &to};
    int64_t added = 0;
    arena_init(&a, 256 << 20); /* NAMES_MAX addresses and versions on six levels, and the rows */
    s.released.v = arena_array(&a, NAMES_MAX, sizeof(struct str));
    builds_init(&s.rows, &a, ROWS_MAX);
    bool ok = find_least_major(&s, err) && walk_archive(&s, root, err) &&
              builds_put(&s.rows, x->db, &added, err);
    VEC_RELEASE(&from.places);
    VEC_RELEASE(&to.places);
    arena_release(&a);
    job_did(x, s.found);
    if (ok)
        printf("%s: found %zu builds; inserted %lld builds\n", product, s.found, (long long)added);
    return ok;
}

bool job_archivescraper(struct job_context *x, struct err *err)
{
    const char *base = conf_text(x->conf, CONF_ARCHIVE_BASE_URL);
    if (!base[0]) {
        puts("ARCHIVE_BASE_URL is not set: nothing to do (datil version load is the other way)");
        return true;
    }
    const char *slash = str_ends(str_of(base), STR("/")) ? "" : "/";
    for (size_t i = 0; i < ARRAY_LEN(archives); i++)
        if (!scrape_product(x, archives[i].product,
                            arena_printf(x->arena, "%s%s%s/", base, slash, archives[i].dir), err))
            return false;
    return true;
}
