/*
 * SymbolsWanted: why frames of this crash have no names, and what makes them have some.
 *
 * One entry for each module whose symbols the walker asked for and could not use: who was asked
 * and what each said, how many frames lie in it, and the command that makes and adds its symbols.
 * Modules that a scan of the stack only touched are among them, with no frames: their unwind rules
 * would have told whether a frame is there.  Who sees the crash may see all of it: names and ids of
 * modules are public, and nothing else of the report goes in.
 *
 * The command is meant for copying into a shell, and a dump may say anything.  So it is made of
 * names alone that could be the key of a stored file (lib/symfile/symkey.h), which have neither
 * quotes nor control characters, and these are quoted.
 */
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/json/json.h"
#include "lib/symfile/symasked.h"
#include "lib/symfile/symfind.h"
#include "lib/symfile/symkey.h"
#include "processor/rules.h"

enum {
    WANTED_MAX = 200, /* half of all modules of the largest dump at hand, most without a frame */
    COMMAND_MAX = 4 * SYMKEY_PART_MAX + 200,
};

struct wanted_symbols {
    const json_t *module; /* borrowed from json_dump */
    struct str filename;
    int64_t frames, crashing_frames;
};

struct wanted_list {
    VEC(struct wanted_symbols) list;
    json_t *by_name; /* filename -> position; frames name their module so */
};

static bool is_wanted(const json_t *module)
{
    return jget_bool_or(module, "missing_symbols", false) ||
           jget_bool_or(module, "corrupt_symbols", false);
}

/* A file mapped twice is one entry: the first. */
static void collect_wanted(const struct job *job, struct wanted_list *w)
{
    size_t i;
    const json_t *module;
    json_array_foreach (jget_arr(job_json_dump(job), "modules"), i, module) {
        const char *name = jget_str(module, "filename");
        if (!is_wanted(module) || !name || !*name || json_object_get(w->by_name, name))
            continue;
        json_object_set_new(w->by_name, name, json_integer((json_int_t)w->list.n));
        VEC_PUSH(&w->list, ((struct wanted_symbols){.module = module, .filename = str_of(name)}));
    }
}

static void count_frames(const json_t *frames, struct wanted_list *w, bool is_crashing)
{
    size_t i;
    const json_t *frame;
    json_array_foreach (frames, i, frame) {
        const char *name = jget_str(frame, "module");
        const json_t *at = name ? json_object_get(w->by_name, name) : NULL;
        size_t number = (size_t)json_integer_value(at);
        if (!at || number >= w->list.n)
            continue;
        struct wanted_symbols *m = &w->list.v[number];
        m->frames++;
        m->crashing_frames += is_crashing;
    }
}

static void count_all_frames(const struct job *job, struct wanted_list *w)
{
    int64_t crashing = crashing_thread_index(job, -1);
    size_t i;
    const json_t *thread;
    json_array_foreach (jget_arr(job_json_dump(job), "threads"), i, thread)
        count_frames(jget_arr(thread, "frames"), w, (int64_t)i == crashing);
}

/* What would improve the crash most comes first. */
static int by_use(const void *a, const void *b)
{
    const struct wanted_symbols *x = a, *y = b;
    if (x->crashing_frames != y->crashing_frames)
        return x->crashing_frames < y->crashing_frames ? 1 : -1;
    if (x->frames != y->frames)
        return x->frames < y->frames ? 1 : -1;
    return str_cmp(x->filename, y->filename);
}

/* As a word of a shell; the caller has seen to it that there is no quote in it. */
static void put_word(struct strbuf *out, const char *text)
{
    static const char plain[] = RULE_WORD_CHARS "./+:@-";
    const char *quote = text[strspn(text, plain)] ? "'" : "";
    sb_printf(out, "%s%s%s%s", quote, text[0] == '-' ? "./" : "", text, quote);
}

static bool ends_in(const char *name, const char *ending)
{
    struct str s = str_of(name), e = str_of(ending);
    return s.n > e.n && str_eq_nocase(str_sub(s, s.n - e.n, e.n), e);
}

/*
 * Where the debug information is: of Windows in the PDB, of macOS in the dSYM folder, and both are
 * added as they are; of everything else in the file itself or in one that lies elsewhere on that
 * machine, which our own tool finds from it.
 */
static void put_command(struct strbuf *out, const struct symkey *key, const char *filename,
                        struct str os)
{
    bool is_mac = str_eq(os, STR("Mac OS X")) || str_eq(os, STR("iOS"));
    if (is_mac || ends_in(key->debug_file, ".pdb")) {
        char source[SYMKEY_PART_MAX + sizeof ".dSYM"];
        snprintf(source, sizeof source, "%s%s", key->debug_file, is_mac ? ".dSYM" : "");
        sb_text(out, "datil symbols add ");
        put_word(out, source);
        return;
    }
    sb_text(out, "datil-dump-syms -o ");
    put_word(out, key->file);
    sb_char(out, ' ');
    put_word(out, filename);
    sb_text(out, " && datil symbols add ");
    put_word(out, key->file);
}

/* What Linux puts into every process by itself, under the names that dumpers give it: it is no
 * file, so nobody has one to add. */
static bool is_of_the_kernel(const char *filename)
{
    static const char *const names[] = {"linux-gate.so", "linux-gate.so.1", "linux-vdso.so.1",
                                        "linux-vdso32.so.1", "linux-vdso64.so.1"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(filename, names[i]) == 0)
            return true;
    return false;
}

/* Symbols of a module without an id could be those of any build: they are never used. */
static bool has_id(const struct symkey *key)
{
    return key->debug_id[strspn(key->debug_id, "0")] != '\0';
}

/* A source that was still fetching them may have them by now. */
static bool is_pending(const json_t *module)
{
    size_t i;
    const json_t *one;
    json_array_foreach (jget_arr(module, "symbols_asked"), i, one) {
        const char *answer = jget_str(one, "answer");
        if (answer && strcmp(answer, symfind_answer_text(SYMFIND_ANSWER_PENDING)) == 0)
            return true;
    }
    return false;
}

static const char *state_of(const json_t *module, bool is_identified)
{
    if (jget_bool_or(module, "corrupt_symbols", false))
        return "corrupt";
    if (!is_identified)
        return "unidentified";
    return is_pending(module) ? "pending" : "missing";
}

/* One entry of the list.  Without a key there is nothing to upload, and no command. */
static json_t *describe(const struct wanted_symbols *m, struct str os)
{
    struct symkey key, file;
    struct str debug_file = jget_strn(m->module, "debug_file");
    if (debug_file.n == 0) /* as the walker asks: MinGW leaves it empty */
        debug_file = m->filename;
    bool has_key =
        symkey_of_module(debug_file, jget_strn(m->module, "debug_id"), &key, ERR_IGNORED);
    bool is_identified = has_key && has_id(&key);
    json_t *entry = json_object();
    jset_text(entry, "filename", m->filename);
    jset_text(entry, "debug_file", debug_file);
    jset_cstr(entry, "debug_id", is_identified ? key.debug_id : NULL);
    jset_cstr(entry, "code_id", jget_str(m->module, "code_id"));
    jset_cstr(entry, "version", jget_str(m->module, "version"));
    jset_cstr(entry, "state", state_of(m->module, is_identified));
    jset_int(entry, "frames", m->frames);
    jset_int(entry, "crashing_frames", m->crashing_frames);
    json_t *asked = json_object_get(m->module, "symbols_asked");
    json_object_set_new(entry, "asked", json_is_array(asked) ? json_incref(asked) : json_array());
    /* The name of the file must be fit for a shell as well; its id does not matter. */
    if (is_identified && symkey_of_module(m->filename, STR("1"), &file, ERR_IGNORED) &&
        !is_of_the_kernel(file.debug_file)) {
        STRBUF_AUTO command;
        sb_init(&command, COMMAND_MAX);
        put_command(&command, &key, file.debug_file, os);
        jset_text(entry, "command", sb_view(&command));
    } else {
        jset_null(entry, "command");
    }
    return entry;
}

bool symbols_wanted_act(struct job *job, struct err *err)
{
    (void)err;
    json_auto_t *by_name = json_object();
    struct wanted_list w = {.by_name = by_name};
    collect_wanted(job, &w);
    count_all_frames(job, &w);
    if (w.list.n > 0) {
        struct str os = jget_strn(jget_obj(job_json_dump(job), "system_info"), "os");
        json_t *list = json_array();
        qsort(w.list.v, w.list.n, sizeof *w.list.v, by_use);
        for (size_t i = 0; i < MIN(w.list.n, (size_t)WANTED_MAX); i++)
            json_array_append_new(list, describe(&w.list.v[i], os));
        set_value(job, "symbols_wanted", list);
    }
    VEC_RELEASE(&w.list);
    return true;
}
