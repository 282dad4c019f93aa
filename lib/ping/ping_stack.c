/*
 * The bare stack of a ping: modules, and the frames of the thread that crashed.
 *
 * The same members have three spellings: those of Glean, camel case (Android), and those of older
 * pings with a crash_info of its own.  The address of the crash may be data out of memory, so only
 * what kind of address it is stays; of file names the last part, since the rest is a place on
 * somebody's disk.
 */
#include "lib/ping/ping.h"

#include <stdio.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"

/* TEXT_MAX is what a signature may be; debug ids have 33 to 40 digits, code ids up to 64. */
enum { TEXT_MAX = 255, ID_MAX = 80, VERSION_MAX = 64, NULL_PAGE = 0x10000, HEX_DIGITS = 16 };

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

json_t *ping_member(const json_t *obj, const char *const *names)
{
    for (; *names; names++) {
        json_t *v = json_object_get(obj, *names);
        if (v && !json_is_null(v))
            return v;
    }
    return NULL;
}

struct str ping_base_name(struct str path)
{
    size_t slash = str_rfind_char(path, '/');
    if (slash != SIZE_MAX)
        path = str_sub(path, slash + 1, SIZE_MAX);
    size_t back = str_rfind_char(path, '\\');
    return back == SIZE_MAX ? path : str_sub(path, back + 1, SIZE_MAX);
}

bool ping_hex(const json_t *v, uint64_t *ret)
{
    if (!json_is_string(v))
        return false;
    struct str text = str_n(json_string_value(v), json_string_length(v));
    if (str_starts_nocase(text, STR("0x")))
        text = str_sub(text, 2, SIZE_MAX);
    return text.n > 0 && text.n <= HEX_DIGITS && hex_digit(text.p[0]) >= 0 &&
           str_to_u64(text, 16, UINT64_MAX, "address", ret, ERR_IGNORED);
}

static void set_hex(json_t *obj, const char *name, const json_t *v)
{
    uint64_t n;
    if (ping_hex(v, &n))
        json_object_set_new(obj, name, jhex(n, HEX_DIGITS));
}

static void set_if(json_t *obj, const char *name, json_t *v)
{
    if (v)
        json_object_set_new(obj, name, v);
}

/* Identifiers are digits and letters; anything else is none. */
static json_t *id_text(struct arena *a, const json_t *v)
{
    json_t *text = ping_text(a, v, ID_MAX);
    for (const char *p = text ? json_string_value(text) : ""; *p; p++)
        if (hex_digit(*p) < 0) {
            json_decref(text);
            return NULL;
        }
    return text;
}

static json_t *name_text(struct arena *a, const json_t *v)
{
    if (!json_is_string(v))
        return NULL;
    struct str path = str_n(json_string_value(v), json_string_length(v));
    json_auto_t *name = jtext(ping_base_name(path));
    return ping_text(a, name, TEXT_MAX);
}

static json_t *read_module(struct arena *a, const json_t *m)
{
    json_t *out = json_object();
    set_hex(out, "base_address", ping_member(m, NAMES("base_address", "baseAddress", "base_addr")));
    set_hex(out, "end_address", ping_member(m, NAMES("end_address", "endAddress", "end_addr")));
    set_if(out, "filename", name_text(a, ping_member(m, NAMES("filename"))));
    set_if(out, "version", ping_text(a, ping_member(m, NAMES("version")), VERSION_MAX));
    set_if(out, "code_id", id_text(a, ping_member(m, NAMES("code_id", "codeId"))));
    set_if(out, "debug_file", name_text(a, ping_member(m, NAMES("debug_file", "debugFile"))));
    set_if(out, "debug_id", id_text(a, ping_member(m, NAMES("debug_id", "debugId"))));
    return out;
}

static const char *const trusts[] = {"context",  "prewalked", "cfi",  "frame_pointer",
                                     "cfi_scan", "scan",      "none", NULL};

/* A number that is none in the text of the program that sent it stays away: a frame without ip is
 * shown as an error. */
static json_t *read_frame(const json_t *f, size_t modules)
{
    json_t *out = json_object();
    const json_t *index = ping_member(f, NAMES("module_index", "moduleIndex"));
    const char *trust = jget_str(f, "trust");
    set_hex(out, "ip", json_object_get(f, "ip"));
    if (json_is_integer(index) && json_integer_value(index) >= 0 &&
        (uint64_t)json_integer_value(index) < modules)
        jset_int(out, "module_index", json_integer_value(index));
    for (const char *const *t = trusts; trust && *t; t++)
        if (strcmp(trust, *t) == 0)
            jset_cstr(out, "trust", *t);
    return out;
}

static json_t *read_frames(const json_t *thread, size_t modules)
{
    const json_t *list = jget_arr(thread, "frames");
    json_t *out = json_array();
    for (size_t i = 0; i < MIN(json_array_size(list), (size_t)PING_FRAMES_MAX); i++)
        json_array_append_new(out, read_frame(json_array_get(list, i), modules));
    return out;
}

/* Canonical addresses of 64-bit machines have one value in all bits from 47 up. */
static const char *address_class(uint64_t address)
{
    uint64_t high = address >> 47;
    if (address < NULL_PAGE)
        return "null page";
    return high == 0 || high == UINT64_MAX >> 47 ? "other" : "non-canonical";
}

static json_t *number_as_text(struct arena *a, const json_t *v)
{
    char text[24];
    if (!json_is_integer(v))
        return ping_text(a, v, TEXT_MAX);
    snprintf(text, sizeof text, "%lld", (long long)json_integer_value(v));
    return json_string(text);
}

static const json_t *crash_thread(const json_t *traces, const json_t *info)
{
    const json_t *v = ping_member(traces, NAMES("crash_thread", "crashThread"));
    if (!v)
        v = ping_member(info, NAMES("crashing_thread"));
    int64_t index = json_is_integer(v) ? json_integer_value(v) : 0;
    return index < 0 ? NULL : json_array_get(jget_arr(traces, "threads"), (size_t)index);
}

static void set_error(struct arena *a, const json_t *traces, json_t *out)
{
    const json_t *error = ping_member(traces, NAMES("error", "status"));
    const char *text = json_string_value(error);
    if (text && strcmp(text, "OK") != 0)
        set_if(out, "error", ping_text(a, error, TEXT_MAX));
}

void ping_read_stack(struct arena *a, const json_t *traces, json_t *doc)
{
    const json_t *info = jget_obj(traces, "crash_info"), *list = jget_arr(traces, "modules"), *v;
    json_t *out = json_object(), *modules = json_array();
    uint64_t address;
    size_t count = MIN(json_array_size(list), (size_t)PING_MODULES_MAX);
    set_error(a, traces, out);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(modules, read_module(a, json_array_get(list, i)));
    json_t *frames = read_frames(crash_thread(traces, info), count);

    v = ping_member(traces, NAMES("crash_type", "crashType"));
    set_if(doc, "crash_type", number_as_text(a, v ? v : ping_member(info, NAMES("type"))));
    v = ping_member(traces, NAMES("crash_address", "crashAddress"));
    if (ping_hex(v ? v : ping_member(info, NAMES("address")), &address)) {
        if (json_array_size(frames) == 0)
            json_array_append_new(frames, json_pack("{s:o}", "ip", jhex(address, HEX_DIGITS)));
        jset_cstr(doc, "crash_address", address_class(address));
    }
    v = ping_member(traces, NAMES("main_module", "mainModule"));
    if (json_is_integer(v) && json_integer_value(v) >= 0 && (uint64_t)json_integer_value(v) < count)
        jset_int(out, "main_module", json_integer_value(v));
    jset_int(out, "crash_thread", 0);
    json_object_set_new(out, "modules", modules);
    json_object_set_new(out, "threads", json_pack("[{s:o}]", "frames", frames));
    json_object_set_new(doc, "stack_traces", out);
}
