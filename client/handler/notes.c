/*
 * The annotations of one report as a JSON object: what the program set, then what the handler
 * knows.  A key is written once and the first one wins, so a program may override everything below,
 * and a damaged table cannot make an object with doubled keys, which readers resolve differently.
 *
 * Values are texts, as all annotations are.
 */
#include "client/handler/notes.h"

#include "client/handler/registers.h"
#include "client/handler/target.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"

struct object {
    struct strbuf *out;
    VEC(char *) keys;  /* owned */
    int64_t started_s; /* 0: the program did not say */
};

static bool has_key(const struct object *o, const char *key)
{
    for (size_t i = 0; i < o->keys.n; i++)
        if (strcmp(o->keys.v[i], key) == 0)
            return true;
    return false;
}

static void member(struct object *o, const char *key, struct str value)
{
    if (has_key(o, key))
        return;
    if (o->keys.n)
        sb_char(o->out, ',');
    VEC_PUSH(&o->keys, xstrdup(key));
    log_json_string(o->out, str_of(key));
    sb_char(o->out, ':');
    log_json_string(o->out, value);
}

static void member_i64(struct object *o, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    member(o, key, str_of(text));
}

static void program_member(void *arg, const char *key, const char *value, size_t n)
{
    struct object *o = arg;
    member(o, key, str_n(value, n));
    if (strcmp(key, "StartupTime") == 0)
        str_to_i64(str_n(value, n), 1, UINT32_MAX, "start", &o->started_s, ERR_IGNORED);
}

/* "Key:   123 kB" in bytes, -1 when absent. */
static int64_t meminfo_bytes(struct str text, struct str key)
{
    struct str line;
    while (str_split(&text, '\n', &line)) {
        struct str name;
        int64_t kb;
        if (!str_split(&line, ':', &name) || !str_eq(name, key))
            continue;
        struct str number = str_trim(line);
        if (str_ends(number, STR(" kB")))
            number.n -= 3;
        if (str_to_i64(number, 0, INT64_MAX / 1024, "kB", &kb, ERR_IGNORED))
            return kb * 1024;
    }
    return -1;
}

static const struct {
    const char *key;
    struct str of;   /* in /proc/meminfo */
    struct str less; /* subtracted, not below 0 */
} memory_members[] = {
    {"TotalPhysicalMemory", STR_INIT("MemTotal"), {NULL, 0}},
    {"AvailablePhysicalMemory", STR_INIT("MemFree"), {NULL, 0}},
    {"AvailableVirtualMemory", STR_INIT("MemAvailable"), {NULL, 0}},
    {"TotalPageFile", STR_INIT("CommitLimit"), {NULL, 0}},
    {"AvailablePageFile", STR_INIT("CommitLimit"), STR_INIT("Committed_AS")},
};

static void memory(struct object *o)
{
    STRBUF_AUTO text;
    sb_init(&text, 1 << 16);
    target_slurp(0, "/proc/meminfo", &text);
    for (size_t i = 0; i < ARRAY_LEN(memory_members); i++) {
        int64_t bytes = meminfo_bytes(sb_view(&text), memory_members[i].of);
        if (bytes < 0)
            continue;
        if (memory_members[i].less.p) {
            int64_t used = meminfo_bytes(sb_view(&text), memory_members[i].less);
            bytes = used > bytes ? 0 : bytes - MAX(used, 0);
        }
        member_i64(o, memory_members[i].key, bytes);
    }
}

/*
 * A clock that was set back since the start or the last crash would give negative times; they are
 * left out.
 */
static void times(struct object *o, const struct notes_facts *f)
{
    int64_t now_s = f->now_us / 1000000;
    member_i64(o, "CrashTime", now_s);
    if (o->started_s > 0 && o->started_s <= now_s) {
        char text[32];
        snprintf(text, sizeof text, "%.3f", (double)(f->now_us - o->started_s * 1000000) / 1e6);
        member(o, "UptimeTS", str_of(text));
    }
    if (f->last_crash_s > 0 && f->last_crash_s <= now_s)
        member_i64(o, "SecondsSinceLastCrash", now_s - f->last_crash_s);
}

void notes_json(const struct annotations *table, const struct notes_facts *facts,
                struct strbuf *out)
{
    struct object o = {.out = out};
    sb_char(out, '{');
    if (table && !datil_annotations_each(table, program_member, &o))
        member(&o, "DumperError", STR("the annotation table is damaged"));
    if (facts->dumper_error)
        member(&o, "DumperError", str_of(facts->dumper_error));
    times(&o, facts);
    memory(&o);
    member(&o, "CPUArchitecture", str_of(context_machine));
    sb_char(out, '}');
    for (size_t i = 0; i < o.keys.n; i++)
        free(o.keys.v[i]);
    VEC_RELEASE(&o.keys);
}
