/*
 * From the bare stack of a ping to entries with functions, files and lines.
 *
 * An entry is one line of a stack as people and signatures read it: calls that were inlined are
 * entries of their own, in front of the function they stand in.  Of long stacks, which are endless
 * recursions mostly, both ends are kept and a marker says how many entries are left out between.
 *
 * Symbols that nobody has compiled yet are not waited for: the process that asks first has them
 * made by others (symfile/fetchers.h), and the ping comes again.
 */
#include "lib/ping/ping_symbols.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/ping/ping.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/symfind.h"
#include "lib/symfile/symkey.h"

/*
 * PATIENCE_MS: what is compiled already opens in some 50 us, and a process that has none to ask
 * says so at once; more is for another pass.  KEYS_MAX: a batch has 100 pings of some 10 modules in
 * their stacks.
 */
enum {
    PATIENCE_MS = 20,
    KEYS_MAX = 1 << 17,
    ARENA_BYTES = 64 << 20,
    HEX_DIGITS = 16,
    TEXT_MAX = 2048, /* of a name; C++ has longer ones, which nobody reads to their end */
};

void ping_symbols_init(struct ping_symbols *s, struct symbolizer *symbolizer,
                       struct missing *missing)
{
    *s = (struct ping_symbols){.symbolizer = symbolizer, .missing = missing};
    arena_init(&s->arena, ARENA_BYTES);
    textmap_init(&s->keys, KEYS_MAX);
}

void ping_symbols_close(struct ping_symbols *s)
{
    for (size_t i = 0; i < s->open.n; i++)
        if (s->open.v[i].module)
            symbolize_close(s->symbolizer, s->open.v[i].module);
    s->open.n = 0;
    textmap_release(&s->keys);
    arena_reset(&s->arena);
    textmap_init(&s->keys, KEYS_MAX);
}

void ping_symbols_release(struct ping_symbols *s)
{
    ping_symbols_close(s);
    textmap_release(&s->keys);
    VEC_RELEASE(&s->open);
    arena_release(&s->arena);
}

static void note_missing(struct ping_symbols *s, const json_t *doc, const json_t *m)
{
    struct symkey key;
    const struct missing_about about = {
        .code_file = jget_strn(m, "filename"),
        .code_id = jget_strn(m, "code_id"),
        .product = jget_strn(doc, "product"),
        .version = jget_strn(doc, "version"),
    };
    if (s->missing &&
        symkey_of_module(jget_strn(m, "debug_file"), jget_strn(m, "debug_id"), &key, ERR_IGNORED))
        missing_record(s->missing, &key, &about);
}

/* The module of a batch, opened when it first comes; NULL: none that could have symbols. */
static struct symbolize_module *open_module(struct ping_symbols *s, const json_t *doc,
                                            const json_t *m)
{
    const struct symfind_key key = {
        .debug_file = jget_strn(m, "debug_file"),
        .debug_id = jget_strn(m, "debug_id"),
        .code_file = jget_strn(m, "filename"),
        .code_id = jget_strn(m, "code_id"),
    };
    struct symbolize_cost cost;
    if (!key.debug_file.n || !key.debug_id.n)
        return NULL;
    const char *name = arena_printf(&s->arena, STR_FMT "/" STR_FMT, STR_ARG(key.debug_file),
                                    STR_ARG(key.debug_id));
    uint32_t number = textmap_number(&s->keys, NULL, str_of(name));
    if (number == TEXTMAP_FULL)
        return NULL;
    if (number == s->open.n)
        VEC_PUSH(&s->open,
                 ((struct ping_module){.module = symbolize_open(s->symbolizer, &key,
                                                                mono_ms() + PATIENCE_MS, &cost)}));
    struct ping_module *open = &s->open.v[number];
    if (!open->is_noted && open->module->state != SYMFIND_LOADED &&
        open->module->state != SYMFIND_PENDING) {
        note_missing(s, doc, m);
        open->is_noted = true;
    }
    return open->module;
}

static void set_text(struct ping_symbols *s, json_t *entry, const char *name, struct str text)
{
    text = utf8_clean(&s->arena, str_sub(text, 0, TEXT_MAX));
    if (text.n)
        jset_text(entry, name, text);
}

static void set_place(struct ping_symbols *s, json_t *entry, struct str file, uint32_t line)
{
    set_text(s, entry, "file", file);
    if (line)
        jset_int(entry, "line", line);
}

/* The inlined calls, then the function they are in. */
static void add_names(struct ping_symbols *s, json_t *entries, json_t *bare,
                      const struct csym_hit *hit, uint64_t offset)
{
    for (size_t i = 0; i < hit->inline_count; i++) {
        json_t *entry = json_copy(bare);
        set_text(s, entry, "function", hit->inlines[i].function);
        set_place(s, entry, hit->inlines[i].file, hit->inlines[i].line);
        json_array_append_new(entries, entry);
    }
    set_text(s, bare, "function", hit->function);
    json_object_set_new(bare, "function_offset", jhex(offset - hit->function_addr, HEX_DIGITS));
    set_place(s, bare, hit->file, hit->line);
    json_array_append(entries, bare);
}

static const json_t *module_of(const json_t *doc, const json_t *frame)
{
    int64_t index;
    if (!jget_int(frame, "module_index", &index) || index < 0)
        return NULL;
    return json_array_get(jpath(doc, "stack_traces.modules"), (size_t)index);
}

static void set_module(json_t *entry, const json_t *m)
{
    json_t *name = json_object_get(m, "filename");
    name = name ? name : json_object_get(m, "debug_file");
    if (name)
        json_object_set(entry, "module", name);
}

static void add_frame(struct ping_symbols *s, const json_t *doc, const json_t *frame,
                      json_t *entries, bool *is_pending)
{
    uint64_t ip, base;
    if (!ping_hex(json_object_get(frame, "ip"), &ip)) {
        json_array_append_new(entries, json_pack("{s:s}", "error", "the address cannot be read"));
        return;
    }
    json_auto_t *entry = json_object();
    const json_t *m = module_of(doc, frame);
    json_t *trust = json_object_get(frame, "trust");
    json_object_set_new(entry, "offset", jhex(ip, HEX_DIGITS));
    if (trust)
        json_object_set(entry, "trust", trust);
    set_module(entry, m);
    bool is_inside = ping_hex(json_object_get(m, "base_address"), &base) && ip >= base &&
                     ip - base <= UINT32_MAX;
    if (is_inside) {
        json_object_set_new(entry, "module_offset", jhex(ip - base, HEX_DIGITS));
        struct symbolize_module *open = open_module(s, doc, m);
        struct csym_hit hit;
        *is_pending |= open && open->state == SYMFIND_PENDING;
        if (open && symbolize_at(open, ip - base, &hit)) {
            add_names(s, entries, entry, &hit, ip - base);
            return;
        }
    }
    json_array_append(entries, entry);
}

/* Both halves of what is allowed, and how many are left out between them; `before` of those were
 * left out already.  Takes the entries. */
static json_t *cut_middle(json_t *entries, size_t before)
{
    enum { HALF = PING_STACK_MAX / 2 };
    size_t n = json_array_size(entries), omitted = before;
    bool is_long = n > PING_STACK_MAX;
    json_t *out = json_array();
    omitted += is_long ? n - PING_STACK_MAX : 0;
    for (size_t i = 0; i < n; i++) {
        if (omitted && i == (is_long ? (size_t)HALF : n / 2))
            json_array_append_new(out, json_pack("{s:I}", "omitted", (json_int_t)omitted));
        if (!is_long || i < HALF || i >= n - HALF)
            json_array_append(out, json_array_get(entries, i));
    }
    json_decref(entries);
    return out;
}

json_t *ping_symbolicate(struct ping_symbols *s, const json_t *doc, bool *ret_is_pending)
{
    const json_t *thread = json_array_get(jpath(doc, "stack_traces.threads"), 0);
    const json_t *frames = jget_arr(thread, "frames");
    size_t n = json_array_size(frames), half = PING_STACK_MAX / 2;
    json_t *entries = json_array();
    *ret_is_pending = false;
    for (size_t i = 0; i < n; i++)
        if (n <= PING_STACK_MAX || i < half || i >= n - half)
            add_frame(s, doc, json_array_get(frames, i), entries, ret_is_pending);
    return cut_middle(entries, n > PING_STACK_MAX ? n - PING_STACK_MAX : 0);
}
