/*
 * Why frames have no names: a card for each module whose symbols could not be used, with what each
 * source said and the command that adds them.
 *
 * The command was made by the processor (processor/rules_symbols.c), which sees to it that nothing
 * in a dump can become more than a file's name in it.  Here it is text like any other.
 */
#include "fcgi/webapp/report_symbols.h"

#include "fcgi/webapp/webapp.h"
#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "rows.h"

/* A crash lacks some tens of modules at most, each asked for at a handful of servers; the rest is
 * in the processed crash. */
enum { WANTED_SHOWN = 200, ASKED_SHOWN = 32 };

/* Each state of a module in words, with what to do about it beside the command. */
static const struct wanted_state {
    const char *name, *label, *advice;
} wanted_states[] = {
    {"missing", "not found",
     "No source has symbols of this build. Run the command where the file of exactly this build "
     "lies:"},
    {"pending", "still being fetched",
     "A source was still sending them when the stack was walked; they are used as soon as they are "
     "here. Or add them yourself:"},
    {"corrupt", "not usable",
     "There is a file of this name and id, but it is damaged or of another build. Make it again:"},
    {"unidentified", "cannot be identified",
     "Without a debug id, or with a name that no file of symbols could have, nothing can be found. "
     "Link the module with --build-id (a PDB or dSYM has an id always)."},
};

/* An id and no command, by rules_symbols.c; or a mapping that has no file, as "[vdso]". */
static const char no_file[] =
    "The system itself puts this module into every process; there is no file of it to add.";

static const struct wanted_state *state_of(const json_t *wanted)
{
    const char *name = jget_str(wanted, "state");
    for (size_t i = 0; name && i < ARRAY_LEN(wanted_states); i++)
        if (strcmp(name, wanted_states[i].name) == 0)
            return &wanted_states[i];
    return &wanted_states[0];
}

static const char *frames_text(struct arena *a, int64_t crashing, int64_t all)
{
    const char *of_all =
        arena_printf(a, "%s %s", human_count(a, all), all == 1 ? "frame" : "frames");
    if (all == 0)
        return "no frames: a scan of the stack touched it";
    if (crashing == 0)
        return of_all;
    return crashing == all
               ? arena_printf(a, "%s, all in the crashing thread", of_all)
               : arena_printf(a, "%s, %s in the crashing thread", of_all, human_count(a, crashing));
}

static void add_wanted(struct arena *a, struct tpl_rows *rows, const json_t *wanted, size_t i)
{
    const char *name = jget_str(wanted, "filename");
    const char *command = jget_str(wanted, "command");
    int64_t crashing = jget_int_or(wanted, "crashing_frames", 0);
    struct tpl_row *row = tpl_row_add(rows);
    tpl_col_int(row, WANTED_NUMBER, (int64_t)i + 1);
    tpl_col_cstr(row, WANTED_FILENAME, name ? name : "?");
    tpl_col_cstr(row, WANTED_VERSION, jget_str(wanted, "version"));
    tpl_col_cstr(row, WANTED_DEBUG_FILE, jget_str(wanted, "debug_file"));
    tpl_col_cstr(row, WANTED_DEBUG_ID, jget_str(wanted, "debug_id"));
    tpl_col_cstr(row, WANTED_CODE_ID, jget_str(wanted, "code_id"));
    tpl_col_cstr(row, WANTED_STATE, state_of(wanted)->label);
    bool is_no_file = !command && (jget_str(wanted, "debug_id") || (name && name[0] == '['));
    tpl_col_cstr(row, WANTED_ADVICE, is_no_file ? no_file : state_of(wanted)->advice);
    tpl_col_cstr(row, WANTED_COMMAND, command ? command : "");
    tpl_col_cstr(row, WANTED_FRAMES, frames_text(a, crashing, jget_int_or(wanted, "frames", 0)));
    tpl_col_bool(row, WANTED_IS_OPEN, crashing > 0);
    struct tpl_rows *asked = tpl_col_rows(row, WANTED_ASKED);
    const json_t *one;
    size_t k;
    json_array_foreach (jget_arr(wanted, "asked"), k, one) {
        if (k == ASKED_SHOWN)
            break;
        struct tpl_row *line = tpl_row_add(asked);
        tpl_col_cstr(line, ASKED_SOURCE, jget_str(one, "source"));
        tpl_col_cstr(line, ASKED_ANSWER, jget_str(one, "answer"));
    }
}

size_t report_wanted_symbols(const struct report_page *c)
{
    return json_array_size(jget_arr(c->doc, "symbols_wanted"));
}

/* How much of the stack that matters is without names, and whose fault that is most. */
static void set_notice(const struct report_page *c, struct tpl_values *v, int64_t nameless)
{
    const json_t *first = json_array_get(jget_arr(c->doc, "symbols_wanted"), 0);
    const char *name = jget_str(first, "filename");
    size_t others = report_wanted_symbols(c) - 1;
    const char *frames = "1 frame of the crashing thread has no name", *modules = "";
    if (nameless != 1)
        frames = arena_printf(c->a, "%s frames of the crashing thread have no names",
                              human_count(c->a, nameless));
    if (others > 0)
        modules = arena_printf(c->a, " and %s more module%s", human_count(c->a, (int64_t)others),
                               others == 1 ? "" : "s");
    const char *notice = "";
    if (nameless > 0 && name)
        notice = arena_printf(c->a, "%s, because symbols of %s%s could not be used.", frames, name,
                              modules);
    tpl_cstr(v, "symbols_notice", notice);
}

void report_set_symbols(const struct report_page *c, struct tpl_values *v)
{
    struct tpl_rows *rows = tpl_list(v, LIST_WANTED_SYMBOLS);
    const json_t *wanted;
    int64_t nameless = 0;
    size_t i;
    json_array_foreach (jget_arr(c->doc, "symbols_wanted"), i, wanted) {
        nameless += MAX(jget_int_or(wanted, "crashing_frames", 0), (int64_t)0);
        if (i < WANTED_SHOWN)
            add_wanted(c->a, rows, wanted, i);
    }
    tpl_bool(v, "has_wanted_symbols", i > 0);
    tpl_cstr(v, "base_url", app_of(c->req)->base_url);
    set_notice(c, v, nameless);
}
