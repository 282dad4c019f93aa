/*
 * From a body of any form to the document that is kept.
 *
 * Two tables decide everything: `members` says where each member of the native form stands in each
 * of the three forms, `metadata` in ping_metadata.c which annotations may come along.  A member
 * that no row names is never looked at.  The forms are those of Firefox: Glean's crash ping, the
 * older telemetry ping (also with the names it gets in a warehouse), and ours.
 *
 * Numbers and texts are cut to what the columns of crash_ping take, and names of systems, channels
 * and processes made one, so that counters of all three forms meet.
 */
#include <math.h>
#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/moz_reason.h"
#include "lib/json/json.h"
#include "lib/ping/ping.h"

/* Texts of reasons are assertions and some have a stack in them; 2048 is what search shows of one.
 */
enum {
    SHORT_MAX = 64, /* versions, builds, names of systems */
    REASON_MAX = 2048,
    ACTORS_MAX = 16, /* Firefox has seven */
    CONDITIONS_MAX = 100,
    NAME_MAX_BYTES = 255,
};

enum ping_form ping_form_of(const json_t *body)
{
    if (json_object_get(body, "metrics"))
        return PING_GLEAN;
    return json_object_get(body, "payload") ? PING_LEGACY : PING_NATIVE;
}

const char *ping_form_name(enum ping_form form)
{
    static const char *const names[PING_FORMS] = {"native", "glean", "legacy"};
    return names[form];
}

bool ping_id_read(struct str text, char out[PING_ID_SIZE])
{
    if (text.n != PING_ID_SIZE - 1)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = text.p[i];
        if (is_dash ? c != '-' : hex_digit(c) < 0)
            return false;
        out[i] = (char)(c >= 'A' && c <= 'F' ? c + 'a' - 'A' : c);
    }
    out[text.n] = '\0';
    return true;
}

void ping_id_new(char out[PING_ID_SIZE])
{
    uint8_t b[16];
    char hex[2 * sizeof b + 1];
    random_bytes(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 9562: version 4, variant 10 */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    hex_encode(b, sizeof b, hex);
    snprintf(out, PING_ID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
             hex + 20);
}

/* Valid UTF-8 without NUL and other control characters, which no name has and no column takes. */
json_t *ping_text(struct arena *a, const json_t *v, size_t max)
{
    if (!json_is_string(v))
        return NULL;
    struct str text = str_n(json_string_value(v), json_string_length(v));
    text = utf8_clean(a, str_sub(text, 0, max * 4)); /* cleaning may shorten it */
    text = str_sub(text, 0, utf8_prefix_bytes(text, max));
    char *out = arena_memdup0(a, text.p, text.n);
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)out[i] < ' ')
            out[i] = ' ';
    text = str_trim(str_n(out, text.n));
    return text.n ? jtext(text) : NULL;
}

/* "a.b" of Glean may have become "a_b". */
static json_t *child(const json_t *obj, struct str name, bool is_last)
{
    char key[100];
    if (name.n >= sizeof key)
        return NULL;
    snprintf(key, sizeof key, STR_FMT, STR_ARG(name));
    json_t *v = json_object_get(obj, key);
    if (v || !is_last)
        return v;
    for (char *p = key; *p; p++)
        if (*p == '.')
            *p = '_';
    return json_object_get(obj, key);
}

json_t *ping_path(const json_t *root, const char *path)
{
    struct str rest = str_of(path), name;
    const json_t *at = root;
    while (at && str_split(&rest, '/', &name))
        at = child(at, name, rest.n == 0);
    return at && !json_is_null(at) ? (json_t *)at : NULL;
}

typedef json_t *read_member(struct arena *a, const json_t *v, size_t max);

static json_t *read_number_or_text(struct arena *a, const json_t *v, size_t max)
{
    char text[24];
    if (!json_is_integer(v))
        return ping_text(a, v, max);
    snprintf(text, sizeof text, "%lld", (long long)json_integer_value(v));
    return json_string(text);
}

static json_t *read_id(struct arena *a, const json_t *v, size_t max)
{
    char id[PING_ID_SIZE];
    (void)a, (void)max;
    bool is_id = json_is_string(v) && ping_id_read(str_of(json_string_value(v)), id);
    return is_id ? json_string(id) : NULL;
}

/* Annotations have "1" and "0". */
static json_t *read_bool(struct arena *a, const json_t *v, size_t max)
{
    (void)a, (void)max;
    const char *text = json_string_value(v);
    if (json_is_boolean(v))
        return json_boolean(json_is_true(v));
    if (text && (strcmp(text, "1") == 0 || strcmp(text, "true") == 0))
        return json_true();
    return text && (strcmp(text, "0") == 0 || strcmp(text, "false") == 0) ? json_false() : NULL;
}

static json_t *read_size(struct arena *a, const json_t *v, size_t max)
{
    int64_t n;
    (void)a, (void)max;
    if (json_is_integer(v))
        n = json_integer_value(v);
    else if (!json_is_string(v) || !str_to_i64(str_trim(str_of(json_string_value(v))), 0, INT64_MAX,
                                               "size", &n, ERR_IGNORED))
        return NULL;
    return n >= 0 ? json_integer(n) : NULL;
}

/* Names of Glean's time units. */
static const struct {
    const char *unit;
    double seconds;
} time_units[] = {{"nanosecond", 1e-9}, {"microsecond", 1e-6}, {"millisecond", 1e-3}, {"second", 1},
                  {"minute", 60},       {"hour", 3600},        {"day", 86400}};

static bool seconds_of_timespan(const json_t *v, double *ret)
{
    const char *unit = jget_str(v, "time_unit");
    const json_t *value = json_object_get(v, "value");
    for (size_t i = 0; json_is_number(value) && unit && i < ARRAY_LEN(time_units); i++)
        if (strcmp(unit, time_units[i].unit) == 0) {
            *ret = json_number_value(value) * time_units[i].seconds;
            return true;
        }
    return false;
}

/* Seconds, to the millisecond; a program runs no thousand years. */
static json_t *read_uptime(struct arena *a, const json_t *v, size_t max)
{
    double s, most = 86400.0 * 366 * 1000;
    (void)a, (void)max;
    bool is_there = json_is_object(v) ? seconds_of_timespan(v, &s)
                    : json_is_string(v)
                        ? str_to_double(str_of(json_string_value(v)), "uptime", &s, ERR_IGNORED)
                        : json_is_number(v);
    if (is_there && json_is_number(v))
        s = json_number_value(v);
    if (!is_there || !isfinite(s) || s < 0 || s > most)
        return NULL;
    s = round(s * 1000) / 1000;
    return s == floor(s) ? json_integer((json_int_t)s) : json_real(s);
}

/* By the hour: minutes would tell people apart who crash seldom. */
static json_t *read_hour(struct arena *a, const json_t *v, size_t max)
{
    int64_t us;
    char text[TIME_TEXT_MAX];
    (void)a, (void)max;
    if (!json_is_string(v) || !time_parse(str_of(json_string_value(v)), &us, ERR_IGNORED))
        return NULL;
    struct civil c = civil_of_us(us);
    if (c.year < 1970 || c.year > 9999)
        return NULL;
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:00:00Z", c.year, c.month, c.day, c.hour);
    return json_string(text);
}

static json_t *read_os(struct arena *a, const json_t *v, size_t max)
{
    (void)a, (void)max;
    return json_is_string(v) ? json_string(ping_os(str_of(json_string_value(v)))) : NULL;
}

/* One name for each; everything else as it came. */
struct ping_alias {
    const char *from, *to;
};
static json_t *aliased(struct arena *a, const json_t *v, size_t max, const struct ping_alias *rows)
{
    json_t *text = ping_text(a, v, max);
    for (; text && rows->from; rows++)
        if (strcmp(json_string_value(text), rows->from) == 0) {
            json_decref(text);
            return json_string(rows->to);
        }
    return text;
}

static json_t *read_arch(struct arena *a, const json_t *v, size_t max)
{
    static const struct ping_alias rows[] = {
        {"x86-64", "amd64"}, {"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i686", "x86"}, {0}};
    return aliased(a, v, max, rows);
}

static json_t *read_process(struct arena *a, const json_t *v, size_t max)
{
    static const struct ping_alias rows[] = {{"parent", "main"},  {"browser", "main"},
                                             {"default", "main"}, {"web", "content"},
                                             {"tab", "content"},  {0}};
    return aliased(a, v, max, rows);
}

/* A list, or an annotation with commas. */
static json_t *read_actors(struct arena *a, const json_t *v, size_t max)
{
    json_t *out = json_array();
    struct str rest = json_is_string(v) ? str_of(json_string_value(v)) : STR(""), part;
    for (size_t i = 0; i < MIN(json_array_size(v), (size_t)ACTORS_MAX); i++) {
        json_t *text = ping_text(a, json_array_get(v, i), max);
        if (text)
            json_array_append_new(out, text);
    }
    while (json_array_size(out) < ACTORS_MAX && str_split(&rest, ',', &part)) {
        json_auto_t *one = jtext(part);
        json_t *text = ping_text(a, one, max);
        if (text)
            json_array_append_new(out, text);
    }
    if (json_array_size(out))
        return out;
    json_decref(out);
    return NULL;
}

static json_t *read_reason(struct arena *a, const json_t *v, size_t max)
{
    json_auto_t *text = ping_text(a, v, max);
    return text ? jtext(moz_reason_public(str_of(json_string_value(text)))) : NULL;
}

/* Names alone: the states of conditions quote what a user had open. */
static json_t *names_of(struct arena *a, const json_t *list)
{
    json_t *out = json_array();
    for (size_t i = 0; i < MIN(json_array_size(list), (size_t)CONDITIONS_MAX); i++) {
        const json_t *one = json_array_get(list, i);
        json_t *name =
            ping_text(a, json_is_object(one) ? json_object_get(one, "name") : one, NAME_MAX_BYTES);
        if (name)
            json_array_append_new(out, name);
    }
    return out;
}

/* One that cannot be read stays one: signatures of reports say UNKNOWN of those as well. */
static json_t *read_shutdown(struct arena *a, const json_t *v, size_t max)
{
    (void)max;
    json_auto_t *parsed = json_is_string(v)
                              ? jparse_given(str_n(json_string_value(v), json_string_length(v)),
                                             JSON_BYTES_MAX, ERR_IGNORED)
                              : NULL;
    if (json_is_string(v))
        v = parsed;
    if (!json_is_object(v))
        return json_string("unreadable");
    json_t *out = json_object();
    const char *const blockers[] = {"broken_add_blockers", "brokenAddBlockers", NULL};
    json_t *phase = ping_text(a, json_object_get(v, "phase"), NAME_MAX_BYTES);
    if (phase)
        json_object_set_new(out, "phase", phase);
    json_object_set_new(out, "conditions", names_of(a, jget_arr(v, "conditions")));
    json_object_set_new(out, "broken_add_blockers", names_of(a, ping_member(v, blockers)));
    return out;
}

static json_t *read_java_member(struct arena *a, const json_t *v, size_t max)
{
    (void)max;
    return ping_read_java(a, v);
}

enum { PATHS_MAX = 4 };

#define META "payload/metadata/"
/* clang-format off */
static const struct {
    const char *name;
    read_member *read;
    size_t max;
    const char *paths[PING_FORMS][PATHS_MAX]; /* the first that is there */
} members[] = {
    {"document_id", read_id, 0, {{"document_id"}, {"document_id"}, {"document_id", "id"}}},
    {"product", ping_text, SHORT_MAX,
     {{"product"}, {"product"}, {META "ProductName", "application/name"}}},
    {"version", read_number_or_text, SHORT_MAX,
     {{"version"}, {"metrics/string/crash.app_display_version", "client_info/app_display_version"},
      {META "Version", "application/version"}}},
    {"build_id", read_number_or_text, SHORT_MAX,
     {{"build_id"}, {"metrics/string/crash.app_build", "client_info/app_build"},
      {META "BuildID", "application/buildId"}}},
    {"channel", ping_text, SHORT_MAX,
     {{"channel"}, {"metrics/string/crash.app_channel", "client_info/app_channel"},
      {META "ReleaseChannel", "application/channel"}}},
    {"os", read_os, 0, {{"os"}, {"client_info/os"}, {"environment/system/os/name"}}},
    {"os_version", read_number_or_text, SHORT_MAX,
     {{"os_version"}, {"client_info/os_version"}, {"environment/system/os/version"}}},
    {"arch", read_arch, SHORT_MAX,
     {{"arch"}, {"client_info/architecture"}, {"application/architecture"}}},
    {"process_type", read_process, SHORT_MAX,
     {{"process_type"}, {"metrics/string/crash.process_type"},
      {"payload/processType", "payload/process_type"}}},
    {"utility_actors", read_actors, SHORT_MAX,
     {{"utility_actors"}, {"metrics/string_list/crash.utility_actors_name"},
      {META "UtilityActorsName", "payload/utility_actors_name"}}},
    {"crash_time", read_hour, 0,
     {{"crash_time"}, {"metrics/datetime/crash.time"},
      {"payload/crashTime", "payload/crash_time", "payload/crashDate", "payload/crash_date"}}},
    {"startup_crash", read_bool, 0,
     {{"startup_crash", "metadata/StartupCrash"}, {"metrics/boolean/crash.startup"},
      {META "StartupCrash", "payload/startup_crash"}}},
    {"uptime", read_uptime, 0,
     {{"uptime"}, {"metrics/timespan/crash.uptime", "metrics/timespan/environment.uptime"},
      {META "UptimeTS", "payload/uptime_ts"}}},
    {"reason", read_reason, REASON_MAX,
     {{"reason"}, {"metrics/string/crash.moz_crash_reason"},
      {META "MozCrashReason", "payload/moz_crash_reason"}}},
    {"ipc_channel_error", ping_text, NAME_MAX_BYTES,
     {{"ipc_channel_error"}, {"metrics/string/crash.ipc_channel_error"},
      {META "ipc_channel_error", "payload/ipc_channel_error"}}},
    {"oom_size", read_size, 0,
     {{"oom_size", "metadata/OOMAllocationSize"}, {"metrics/quantity/memory.oom_allocation_size"},
      {META "OOMAllocationSize", "payload/oom_allocation_size"}}},
    {"async_shutdown_timeout", read_shutdown, 0,
     {{"async_shutdown_timeout", "metadata/AsyncShutdownTimeout"},
      {"metrics/object/crash.async_shutdown_timeout"},
      {META "AsyncShutdownTimeout", "payload/async_shutdown_timeout"}}},
    {"java_exception", read_java_member, 0,
     {{"java_exception"}, {"metrics/object/crash.java_exception"},
      {META "JavaException", "payload/java_exception", "payload/javaException"}}},
};
/* clang-format on */

static const char *const stack_paths[PING_FORMS][2] = {
    {"stack_traces", NULL},
    {"metrics/object/crash.stack_traces", NULL},
    {"payload/stackTraces", "payload/stack_traces"},
};

static const json_t *first_of(const json_t *body, const char *const *paths, size_t n)
{
    const json_t *v = NULL;
    for (size_t i = 0; i < n && paths[i] && !v; i++)
        v = ping_path(body, paths[i]);
    return v;
}

const char *ping_os(struct str os)
{
    static const struct ping_alias rows[] = {
        {"Windows_NT", "Windows"}, {"WINNT", "Windows"}, {"Windows NT", "Windows"},
        {"Windows", "Windows"},    {"Darwin", "Mac"},    {"macOS", "Mac"},
        {"Mac OS X", "Mac"},       {"Mac", "Mac"},       {"Linux", "Linux"},
        {"Android", "Android"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(os, str_of(rows[i].from)))
            return rows[i].to;
    return "Other";
}

/* Builds with extended support are sent as release by some; their version says what they are. */
const char *ping_channel(struct str channel, struct str version)
{
    static const char *const known[] = {"release", "beta", "nightly", "esr", "aurora"};
    if (str_ends(version, STR("esr")))
        return "esr";
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq_nocase(channel, str_of(known[i])))
            return known[i];
    return "unknown";
}

struct str ping_major(struct str version)
{
    size_t n = 0;
    while (n < version.n && version.p[n] >= '0' && version.p[n] <= '9')
        n++;
    return str_sub(version, 0, n);
}

static void take_given(struct arena *a, json_t *doc, const struct ping_given *given)
{
    const struct {
        const char *name;
        struct str text;
        bool wins;
    } rows[] = {{"document_id", given->document_id, true},
                {"product", given->product, given->product_wins},
                {"version", given->version, false},
                {"channel", given->channel, false},
                {"build_id", given->build_id, false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!rows[i].text.n || (!rows[i].wins && json_object_get(doc, rows[i].name)))
            continue;
        json_auto_t *v = jtext(rows[i].text);
        json_t *text = ping_text(a, v, SHORT_MAX);
        if (text)
            json_object_set_new(doc, rows[i].name, text);
    }
}

/* What every document has, for counters go by it. */
static void complete(json_t *doc)
{
    static const struct ping_alias fallbacks[] = {
        {"version", ""}, {"build_id", ""}, {"os", "Other"}, {"arch", ""}, {"process_type", "main"}};
    for (size_t i = 0; i < ARRAY_LEN(fallbacks); i++)
        if (!json_object_get(doc, fallbacks[i].from))
            jset_cstr(doc, fallbacks[i].from, fallbacks[i].to);
    jset_cstr(doc, "channel", ping_channel(jget_strn(doc, "channel"), jget_strn(doc, "version")));
    if (!json_object_get(doc, "document_id")) {
        char id[PING_ID_SIZE];
        ping_id_new(id);
        jset_cstr(doc, "document_id", id);
    }
    if (strcmp(jget_str(doc, "process_type"), "utility") != 0)
        json_object_del(doc, "utility_actors");
}

bool ping_read(struct arena *a, const json_t *body, const struct ping_given *given,
               json_t **ret_doc, bool *ret_has_content, struct err *err)
{
    if (!json_is_object(body))
        return err_set(err, ERR_INVALID, "a ping is a JSON object");
    enum ping_form form = ping_form_of(body);
    json_t *doc = json_object();
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        const json_t *v = first_of(body, members[i].paths[form], PATHS_MAX);
        json_t *read = v ? members[i].read(a, v, members[i].max) : NULL;
        if (read)
            json_object_set_new(doc, members[i].name, read);
    }
    const json_t *traces = first_of(body, stack_paths[form], 2);
    if (json_is_object(traces))
        ping_read_stack(a, traces, doc);
    json_t *metadata = ping_read_metadata(a, body, form);
    if (metadata)
        json_object_set_new(doc, "metadata", metadata);
    take_given(a, doc, given);
    complete(doc);
    *ret_has_content = json_object_get(doc, "stack_traces") ||
                       json_object_get(doc, "java_exception") || json_object_get(doc, "reason");
    *ret_doc = doc;
    return true;
}
