/*
 * Values as people read them.  Everything is pure and in English: numbers have commas, times are
 * UTC, and what cannot be read is shown as it came, since a report that lies is still to be looked
 * at.  Bytes are counted in thousands, as disks and downloads are.
 *
 * Texts are made as Crash Stats makes them, because people compare pages of both and copy from them
 * into bugs.  Only the pages use them: the API gives numbers as numbers.
 */
#include "fcgi/webapp/fmt.h"

#include <stdio.h>

#include "lib/base/err.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/web/human.h"

const char *fmt_seconds(struct arena *a, int64_t s)
{
    const char *total = arena_printf(a, "%s second%s", human_count(a, s), s == 1 ? "" : "s");
    return s < 60 ? total : arena_printf(a, "%s (%s)", total, human_duration(a, s));
}

/*
 * The number itself comes first, for sizes in reports are compared to the byte; the unit behind it
 * is for the eye.  From 999.995 on two decimals would print 1000.00.
 */
const char *fmt_bytes(struct arena *a, int64_t n)
{
    static const char *const units[] = {"KB", "MB", "GB", "TB", "PB", "EB"};
    const char *total = arena_printf(a, "%s byte%s", human_count(a, n), n == 1 ? "" : "s");
    if (n <= 1024)
        return total;
    double v = (double)n / 1000;
    size_t i = 0;
    while (v >= 999.995 && i + 1 < ARRAY_LEN(units)) { /* would be printed as 1000.00 */
        v /= 1000;
        i++;
    }
    return arena_printf(a, "%s (%.2f %s)", total, v, units[i]);
}

const char *fmt_percent(struct arena *a, int64_t part, int64_t whole, int decimals)
{
    return arena_printf(a, "%.*f", decimals, whole > 0 ? 100.0 * (double)part / (double)whole : 0);
}

const char *fmt_names(struct arena *a, struct strs names)
{
    STRBUF_AUTO b;
    size_t most = 0;
    for (size_t i = 0; i < names.n; i++)
        most += names.v[i].n + 2;
    sb_init(&b, most);
    for (size_t i = 0; i < names.n; i++) {
        sb_text(&b, i > 0 ? ", " : "");
        sb_str(&b, names.v[i]);
    }
    return arena_strdup(a, sb_cstr(&b));
}

const char *fmt_minute(struct arena *a, int64_t us)
{
    struct civil c = civil_of_us(us);
    return arena_printf(a, "%04d-%02d-%02dT%02d:%02d", c.year, c.month, c.day, c.hour, c.minute);
}

const char *fmt_iso_time(struct arena *a, const char *iso)
{
    int64_t us;
    if (!iso)
        return "";
    return time_parse(str_of(iso), &us, ERR_IGNORED) ? human_time(a, us) : arena_strdup(a, iso);
}

/*
 * Build ids begin with a date by convention; one that is none gives no date.  Nothing was built
 * before 1990: such digits are a number that somebody counts up.
 */
const char *fmt_build_date(struct arena *a, struct str build_id)
{
    uint64_t n;
    if (build_id.n < 8 ||
        !str_to_u64(str_sub(build_id, 0, 8), 10, 99991231, "date", &n, ERR_IGNORED))
        return "";
    int year = (int)(n / 10000), month = (int)(n / 100 % 100), day = (int)(n % 100);
    if (year < 1990 || !civil_date_exists(year, month, day))
        return "";
    return arena_printf(a, "%04d-%02d-%02d", year, month, day);
}

/* Most crashes come early: the first hour is told apart finely, and all after it is one range. */
static const struct {
    int64_t below_s;
    const char *name;
} uptime_ranges[UPTIME_RANGES] = {
    {60, "< 1 min"},     {300, "1-5 min"},        {900, "5-15 min"},
    {3600, "15-60 min"}, {INT64_MAX, "> 1 hour"},
};

size_t fmt_uptime_index(int64_t uptime_s)
{
    size_t i = 0;
    while (i + 1 < UPTIME_RANGES && uptime_s >= uptime_ranges[i].below_s)
        i++;
    return i;
}

const char *fmt_uptime_range(size_t i)
{
    return uptime_ranges[i].name;
}

/*
 * Fewer than five places are noise, and not shown.  Up is positive, though a better rank is a
 * smaller number.
 */
const char *fmt_rank_change(struct arena *a, int64_t rank_now, int64_t rank_before)
{
    int64_t up = rank_before - rank_now;
    if (up > -5 && up < 5)
        return "";
    return arena_printf(a, "%+lld", (long long)up);
}

/*
 * No space before "*", "&" and ",", one behind a comma: compilers write the same function in
 * several ways, and a reader who looks for one name must find it.  A comma may need a byte more,
 * hence twice the length.
 */
struct str fmt_function(struct arena *a, struct str function)
{
    STRBUF_AUTO b;
    sb_init(&b, function.n * 2 + 1);
    for (size_t i = 0; i < function.n; i++) {
        size_t next = i;
        while (next < function.n && function.p[next] == ' ')
            next++;
        if (next > i && next < function.n && strchr("*&,", function.p[next])) {
            i = next;
        }
        sb_char(&b, function.p[i]);
        if (function.p[i] == ',') {
            sb_char(&b, ' ');
            while (i + 1 < function.n && function.p[i + 1] == ' ')
                i++;
        }
    }
    return str_copy(a, str_rtrim(sb_view(&b)));
}

/* The last digit stays, so that zero is 0x0; what is no hexadecimal number stays as it is. */
struct str fmt_strip_zeros(struct arena *a, struct str hex)
{
    if (!str_starts_nocase(hex, STR("0x")))
        return hex;
    size_t i = 2;
    while (i + 1 < hex.n && hex.p[i] == '0')
        i++;
    return str_of(arena_printf(a, "0x" STR_FMT, STR_ARG(str_sub(hex, i, SIZE_MAX))));
}

/* Code that was in memory and is no more; the first module it may have been is shown. */
static struct str unloaded_text(struct arena *a, const json_t *frame)
{
    const json_t *first = json_array_get(jget_arr(frame, "unloaded_modules"), 0);
    const char *module = jget_str(first, "module");
    const char *offset = json_string_value(json_array_get(jget_arr(first, "offsets"), 0));
    if (!module)
        return STR_NONE;
    struct str at = fmt_strip_zeros(a, str_of(offset ? offset : "0x0"));
    return str_of(arena_printf(a, "(unloaded %s@" STR_FMT ")", module, STR_ARG(at)));
}

/*
 * The best that is known of a frame: its function, else file and line, else the place in a module,
 * else the address alone.
 */
struct str fmt_frame(struct arena *a, const json_t *frame)
{
    const char *function = jget_str(frame, "function"), *file = jget_str(frame, "file");
    const char *module = jget_str(frame, "module"), *offset = jget_str(frame, "module_offset");
    const char *address = jget_str(frame, "offset");
    int64_t line;
    if (function && *function)
        return fmt_function(a, str_of(function));
    if (file && *file && jget_int(frame, "line", &line))
        return str_of(arena_printf(a, "%s#%lld", file, (long long)line));
    if (module && *module) {
        struct str at = fmt_strip_zeros(a, str_of(offset ? offset : "0x0"));
        return str_of(arena_printf(a, "%s@" STR_FMT, module, STR_ARG(at)));
    }
    struct str unloaded = unloaded_text(a, frame);
    if (unloaded.p)
        return unloaded;
    struct str at = fmt_strip_zeros(a, str_of(address ? address : "0x0"));
    return str_of(arena_printf(a, "@" STR_FMT, STR_ARG(at)));
}

/*
 * Files of version-control builds are named kind:server/repository:path:revision.
 * Placeholders: %R repository, %P path, %V revision, %L line; the server is part of the pattern.
 */
static const struct {
    const char *kind, *server, *url;
} source_kinds[] = {
    {"hg", "hg.mozilla.org", "https://hg.mozilla.org/%R/file/%V/%P#l%L"},
    {"git", "github.com", "https://github.com/%R/blob/%V/%P#L%L"},
    {"git", "gitlab.com", "https://gitlab.com/%R/-/blob/%V/%P#L%L"},
};

struct vcs_file {
    struct str kind, server, repo, path, revision;
};

/* False: an ordinary path. */
static bool vcs_split(struct str file, struct vcs_file *f)
{
    struct str rest = file, place;
    if (!str_split(&rest, ':', &f->kind) || !str_split(&rest, ':', &place) ||
        !str_split(&rest, ':', &f->path))
        return false;
    f->revision = rest;
    size_t slash = str_find_char(place, '/', 0);
    f->server = str_sub(place, 0, slash);
    f->repo = slash == SIZE_MAX ? STR("") : str_sub(place, slash + 1, SIZE_MAX);
    return f->path.n > 0 && f->kind.n > 1; /* one letter is a drive: C:\x.c */
}

static struct str fill_url(struct arena *a, const char *pattern, const struct vcs_file *f,
                           int64_t line)
{
    STRBUF_AUTO b;
    sb_init(&b, 4096);
    for (const char *p = pattern; *p; p++) {
        if (*p != '%') {
            sb_char(&b, *p);
            continue;
        }
        switch (*++p) {
        case 'R':
            sb_str(&b, f->repo);
            break;
        case 'P':
            sb_str(&b, f->path);
            break;
        case 'V':
            sb_str(&b, f->revision);
            break;
        default:
            sb_printf(&b, "%lld", (long long)line);
        }
    }
    return str_copy(a, sb_view(&b));
}

/*
 * Generated files lie below their own hash, which says nothing to a reader.  128 digits are a
 * SHA-512.
 */
static struct str without_hash(struct str path)
{
    size_t slash = str_find_char(path, '/', 0);
    return slash == 128 ? str_sub(path, 129, SIZE_MAX) : path;
}

/*
 * A known server gives a link, an unknown one only a name that reads well; so an installation whose
 * code is elsewhere loses nothing but the links.
 */
struct source_link fmt_source(struct arena *a, struct str file, int64_t line)
{
    struct vcs_file f;
    struct str name = file, url = STR("");
    if (vcs_split(file, &f)) {
        name = without_hash(f.path);
        for (size_t i = 0; i < ARRAY_LEN(source_kinds); i++)
            if (str_eq(f.kind, str_of(source_kinds[i].kind)) &&
                str_eq(f.server, str_of(source_kinds[i].server)))
                url = fill_url(a, source_kinds[i].url, &f, line);
    }
    if (name.n == 0)
        return (struct source_link){STR(""), STR("")};
    struct str text =
        line > 0 ? str_of(arena_printf(a, STR_FMT ":%lld", STR_ARG(name), (long long)line)) : name;
    return (struct source_link){text, url};
}
