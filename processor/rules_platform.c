/*
 * What machine was it?  The dump knows best; annotations stand in where it says nothing.
 * A key that is missing, null or blank says as little as the word "unknown" that CPUInfo
 * and OSInfo write: reports of other makers and rules applied one at a time have those.
 */
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "processor/rules.h"

static const json_t *system_info(const struct job *job)
{
    return jget_obj(job_json_dump(job), "system_info");
}

static struct str info_text(const struct job *job, const char *key, struct str fallback)
{
    struct str v = str_trim(jget_strn(system_info(job), key));
    return v.n ? v : fallback;
}

/* Walkers of old wrote the microcode version as a number, ours as hexadecimal text. */
static void copy_microcode(struct job *job)
{
    const json_t *v = json_object_get(system_info(job), "cpu_microcode_version");
    if (json_is_string(v))
        set_text(job, "cpu_microcode_version", str_of(json_string_value(v)));
    else if (json_is_integer(v))
        set_value(job, "cpu_microcode_version", jhex((uint64_t)json_integer_value(v), 1));
}

/*
 * CPUInfo. Text keys are always there, "unknown" if need be, since facets are made of them; the
 * microcode version only when it is known, and it matters on few machines.
 */
bool cpu_info_act(struct job *job, struct err *err)
{
    (void)err;
    set_text(job, "cpu_info", info_text(job, "cpu_info", STR("unknown")));
    set_text(job, "cpu_arch", info_text(job, "cpu_arch", STR("unknown")));
    jset_int(job->processed, "cpu_count", jget_int_or(system_info(job), "cpu_count", 0));
    copy_microcode(job);
    return true;
}

static bool is_unknown(const struct job *job, const char *key)
{
    struct str v = str_trim(processed_text(job, key));
    return v.n == 0 || str_eq_nocase(v, STR("unknown"));
}

static bool has_words(const struct job *job, const char *annotation)
{
    return str_trim(annotation_text(job, annotation)).n > 0;
}

/*
 * AndroidCPUInfo. Reports of Java crashes have no dump; the ABI that the device names is
 * translated to the words of dumps. An ABI that is none of these (armeabi, mips) stays as it is:
 * better an odd word than none.
 */
bool android_cpu_info_applies(const struct job *job)
{
    return is_unknown(job, "cpu_arch") && has_words(job, "Android_CPU_ABI");
}

bool android_cpu_info_act(struct job *job, struct err *err)
{
    (void)err;
    static const char *const names[][2] = {
        {"armeabi-v7a", "arm"}, {"arm64-v8a", "arm64"}, {"x86_64", "amd64"}};
    struct str abi = str_trim(annotation_text(job, "Android_CPU_ABI"));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(abi, str_of(names[i][0])))
            abi = str_of(names[i][1]);
    set_text(job, "cpu_arch", abi);
    return true;
}

/* OSInfo: name and version as the dump has them. */
bool os_info_act(struct job *job, struct err *err)
{
    (void)err;
    set_text(job, "os_name", info_text(job, "os", STR("Unknown")));
    set_text(job, "os_version", info_text(job, "os_ver", STR("")));
    return true;
}

/*
 * AndroidOSInfo. Minidumps of Android have the version of the kernel, and reports of Java crashes
 * have no dump. The annotation is an API level with the name of a release behind it ("33 (REL)"):
 * the number is the version.
 */
bool android_os_info_applies(const struct job *job)
{
    return (is_unknown(job, "os_name") ||
            str_eq_nocase(str_trim(processed_text(job, "os_name")), STR("android"))) &&
           has_words(job, "Android_Version");
}

bool android_os_info_act(struct job *job, struct err *err)
{
    (void)err;
    struct str version = str_trim(annotation_text(job, "Android_Version"));
    int64_t level;
    version = str_sub(version, 0, str_find_char(version, ' ', 0));
    set_text(job, "os_name", STR("Android"));
    if (str_to_i64(version, 0, INT64_MAX, "Android_Version", &level, ERR_IGNORED))
        set_text(job, "os_version", version);
    return true;
}

/*
 * PlatformInfo. Where dump and Android say nothing, reporters may say it themselves: these
 * annotations stand in for keys that still have the word the rules above leave for "not known",
 * and never replace anything better.
 */
static const struct {
    const char *key, *annotation, *unset;
} stand_ins[] = {
    {"cpu_arch", "CPUArchitecture", "unknown"},
    {"cpu_info", "CPUInfo", "unknown"},
    {"os_name", "OS", "Unknown"},
    {"os_version", "OSVersion", ""},
};

bool platform_info_act(struct job *job, struct err *err)
{
    (void)err;
    for (size_t i = 0; i < ARRAY_LEN(stand_ins); i++) {
        struct str have = processed_text(job, stand_ins[i].key);
        struct str given = str_trim(annotation_text(job, stand_ins[i].annotation));
        if (given.n > 0 && (str_trim(have).n == 0 || str_eq(have, str_of(stand_ins[i].unset))))
            set_text(job, stand_ins[i].key, given);
    }
    return true;
}

/*
 * OSPrettyVersion: the name under which people know a system, without build and patch level, so
 * that facets have few terms. The parts are numbers: compared as text, 10.0.9600 would be younger
 * than 10.0.21996.
 */
struct os_version {
    int64_t major, minor, build;
};

/* A number off the front; false if there is none. */
static bool take_number(struct str *s, int64_t *ret)
{
    size_t n = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    bool ok = str_to_i64(str_sub(*s, 0, n), 0, INT32_MAX, "version", ret, ERR_IGNORED);
    *s = str_sub(*s, n, SIZE_MAX);
    return ok;
}

static bool take_dot(struct str *s)
{
    if (s->n == 0 || s->p[0] != '.')
        return false;
    *s = str_sub(*s, 1, SIZE_MAX);
    return true;
}

/* "10.0.19045 …"; the build number is 0 if it is missing. */
static bool parse_version(struct str s, struct os_version *ret)
{
    struct os_version v = {0};
    if (!take_number(&s, &v.major) || !take_dot(&s) || !take_number(&s, &v.minor))
        return false;
    if (take_dot(&s))
        take_number(&s, &v.build);
    *ret = v;
    return true;
}

/*
 * By the version of the kernel, which is what dumps have.
 */
static const struct {
    int major, minor;
    const char *name;
} windows_names[] = {
    {3, 5, "Windows NT"},          {4, 0, "Windows NT"},    {4, 1, "Windows 98"},
    {4, 9, "Windows Me"},          {5, 0, "Windows 2000"},  {5, 1, "Windows XP"},
    {5, 2, "Windows Server 2003"}, {6, 0, "Windows Vista"}, {6, 1, "Windows 7"},
    {6, 2, "Windows 8"},           {6, 3, "Windows 8.1"},   {10, 0, "Windows 10"},
};

static void put_windows(struct strbuf *out, const struct os_version *v)
{
    /* Windows 11 calls itself 10.0; 21996 is the first build that leaked under the new name. */
    enum { WINDOWS_11_BUILD = 21996 };
    if (v->major == 10 && v->minor == 0 && v->build >= WINDOWS_11_BUILD) {
        sb_text(out, "Windows 11");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(windows_names); i++) {
        if (v->major == windows_names[i].major && v->minor == windows_names[i].minor) {
            sb_text(out, windows_names[i].name);
            return;
        }
    }
    sb_text(out, "Windows Unknown");
}

static void put_mac(struct strbuf *out, const struct os_version *v)
{
    if (v->major >= 11)
        sb_printf(out, "macOS %lld", (long long)v->major);
    else if (v->major == 10)
        sb_printf(out, "OS X 10.%lld", (long long)v->minor);
    else
        sb_text(out, "OS X Unknown");
}

/*
 * The distribution, as its lsb_release says: from the dump, where Breakpad puts that file, else
 * from the reporter.
 */
static void put_linux(const struct job *job, struct strbuf *out)
{
    struct str text =
        str_trim(jget_strn(jget_obj(job_json_dump(job), "lsb_release"), "description"));
    if (text.n == 0)
        text = str_trim(annotation_text(job, "LinuxLSBDescription"));
    sb_str(out, text.n ? text : STR("Linux"));
}

/* A version that cannot be read, or a system that has no table here: the bare name. */
bool os_pretty_version_act(struct job *job, struct err *err)
{
    (void)err;
    struct str os = processed_text(job, "os_name"), version = processed_text(job, "os_version");
    struct os_version v = {0};
    bool has_version = parse_version(version, &v);
    STRBUF_AUTO text = {0};
    sb_init(&text, 1 << 16);
    if (str_eq(os, STR("Linux"))) {
        put_linux(job, &text);
    } else if (str_eq(os, STR("Android"))) {
        sb_text(&text, version.n ? "Android " : "Android");
        sb_str(&text, version);
    } else if (has_version && str_starts(os, STR("Windows"))) {
        put_windows(&text, &v);
    } else if (has_version && str_eq(os, STR("Mac OS X"))) {
        put_mac(&text, &v);
    } else {
        sb_str(&text, os);
    }
    set_text(job, "os_pretty_version", sb_view(&text));
    return true;
}
