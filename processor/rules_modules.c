/*
 * Rules that list files and modules, each as one text that searches can look into.  Names of
 * modules are whatever a dump says: only characters that names of files and ids have are kept, so
 * that the separators (";" between modules, "/" inside) are the only ones.
 */
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "processor/rules.h"

/* TopMostFiles: the file of the topmost frame that has one, for grouping by component. */
bool top_most_files_applies(const struct job *job)
{
    return json_array_size(crashing_frames(job, -1)) > 0;
}

/* First file of a frame: those of inlined calls come before its own. */
static struct str first_file(const json_t *frame)
{
    size_t i;
    const json_t *inlined;
    json_array_foreach (jget_arr(frame, "inlines"), i, inlined)
        if (jget_strn(inlined, "file").n > 0)
            return jget_strn(inlined, "file");
    return jget_strn(frame, "file");
}

bool top_most_files_act(struct job *job, struct err *err)
{
    (void)err;
    size_t i;
    const json_t *frame;
    json_array_foreach (crashing_frames(job, -1), i, frame) {
        struct str file = first_file(frame);
        if (file.n > 0) {
            set_text(job, "topmost_filenames", file);
            break;
        }
    }
    return true;
}

static const char file_chars[] = RULE_WORD_CHARS ".-";

/* Names of modules in the stack, as a set. */
static json_t *names_in_stack(const struct job *job)
{
    json_t *names = json_object();
    size_t i;
    const json_t *frame;
    json_array_foreach (crashing_frames(job, -1), i, frame) {
        const char *name = jget_str(frame, "module");
        if (name && *name)
            json_object_set_new(names, name, json_true());
    }
    return names;
}

/*
 * ModulesInStack: "FILE/DEBUGID;…" of the modules that the crashing stack runs through, sorted.
 * Correlations of crashes with versions of drivers are made from it. No key when there is none.
 */
bool modules_in_stack_applies(const struct job *job)
{
    return json_array_size(crashing_frames(job, -1)) > 0;
}

bool modules_in_stack_act(struct job *job, struct err *err)
{
    (void)err;
    json_auto_t *names = names_in_stack(job);
    struct text_set set = {0};
    size_t i;
    const json_t *module;
    json_array_foreach (jget_arr(job_json_dump(job), "modules"), i, module) {
        const char *name = jget_str(module, "filename");
        if (!name || !json_object_get(names, name))
            continue;
        STRBUF_AUTO text = {0};
        sb_init(&text, 4096);
        put_only(&text, str_of(name), file_chars);
        sb_char(&text, '/');
        put_only(&text, jget_strn(module, "debug_id"), RULE_HEX_DIGITS);
        set_add(&set, sb_view(&text));
    }
    json_t *joined = set_join(&set, ";");
    if (joined)
        set_value(job, "modules_in_stack", joined);
    set_release(&set);
    return true;
}

/* FILENAME/VERSION/DEBUGID[/CODEID] */
static void put_missing(struct strbuf *out, const json_t *module)
{
    struct str version = jget_strn(module, "version"), debug_id = jget_strn(module, "debug_id");
    struct str code_id = jget_strn(module, "code_id");
    put_only(out, jget_strn(module, "filename"), file_chars);
    sb_char(out, '/');
    for (size_t i = 0; i < version.n; i++) {
        if (version.p[i] == '/')
            sb_char(out, '\\');
        sb_char(out, version.p[i]);
    }
    sb_text(out, version.n ? "/" : "None/");
    put_only(out, debug_id.n ? debug_id : STR("000000000000000000000000000000000"),
             RULE_HEX_DIGITS);
    if (code_id.n == 0)
        return;
    sb_char(out, '/');
    put_only(out, code_id, RULE_HEX_DIGITS);
}

/*
 * MissingSymbols: modules whose symbols the walker looked for in vain, for those who can upload
 * them. Without a file name nobody could.
 */
bool missing_symbols_act(struct job *job, struct err *err)
{
    (void)err;
    struct text_set set = {0};
    size_t i;
    const json_t *module;
    json_array_foreach (jget_arr(job_json_dump(job), "modules"), i, module) {
        if (jget_strn(module, "filename").n == 0 || !jget_bool_or(module, "missing_symbols", false))
            continue;
        STRBUF_AUTO text = {0};
        sb_init(&text, 4096);
        put_missing(&text, module);
        set_add(&set, sb_view(&text));
    }
    json_t *joined = set_join(&set, ";");
    if (joined)
        set_value(job, "missing_symbols", joined);
    set_release(&set);
    return true;
}
