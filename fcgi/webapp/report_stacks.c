/*
 * Stacks as tables.
 *
 * A table shows what the walker found, top frame first.  A function that the compiler put into
 * another has a row of its own before the frame that holds it, with the number of that frame, so
 * that the rows read like the calls in the source.  Where the processor has cut a stack there is
 * one row that says so.
 *
 * Threads and frames are counted by whoever sent the report, so both have a limit here, and so have
 * the rows of all stacks together; what is left out is said, and is in the raw data.
 *
 * Rows of frames are the one table of the report page that is written here and not in its template
 * (templates/part/report-frames.html has the rest of it).  A report of 40 threads with 1,024 frames
 * each, 12 MB of page, takes 0.92 s of CPU this way; with a template row of eleven columns for each
 * frame it took 1.21 s.
 */
#include "fcgi/webapp/report_stacks.h"

#include "fcgi/webapp/fmt.h"
#include "lib/base/arena.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "rows.h"

enum {
    FRAMES_SHOWN = 1000, /* the processor has cut stacks to 500 (FRAMES_MAX of rules_dump.c) */
    /* Servers have some hundred; their rows are bounded by STACKS_BYTES_SHOWN besides. */
    THREADS_SHOWN = 2000,
    DUMPS_SHOWN = 32,              /* as many as are walked (CRASH_DUMPS_MAX) */
    EXCEPTIONS_SHOWN = 100,        /* of Java, each the cause of the one before; some have a few */
    STACKS_BYTES_SHOWN = 24 << 20, /* twice what the report of 40 threads above needs */
    ROW_BYTES_MAX = 1 << 20,       /* function names of templates have some thousand */
    STACK_KEY_MAX = 256 << 10,     /* 1,000 frames of 256 bytes */
    MEMBERS_NAMED = 20,            /* a line */
};

/* The stacks of one page: what of STACKS_BYTES_SHOWN there still is. */
struct stacks {
    struct arena *a;
    size_t room;
    bool has_reasons; /* the page has a tab that says why frames have no names */
};

static void write_source(struct arena *a, struct html_writer *w, const json_t *holder)
{
    const char *file = jget_str(holder, "file");
    html_raw(w, "<td class=\"src\">");
    if (file && *file) {
        struct source_link link = fmt_source(a, str_of(file), jget_int_or(holder, "line", 0));
        if (link.url.n > 0) {
            html_raw(w, "<a href=\"");
            html_url(w, link.url);
            html_raw(w, "\">");
        }
        html_text(w, link.text);
        if (link.url.n > 0)
            html_raw(w, "</a>");
    }
    html_raw(w, "</td>");
}

/* A stack of the page: the names of its rows begin with these. */
struct stack_name {
    const char *kind; /* a word */
    int64_t number;
};

static void write_row_name(struct html_writer *w, const struct stack_name *s, size_t i)
{
    html_text(w, str_of(s->kind));
    html_printf(w, "-%lld-%zu\"", (long long)s->number, i);
}

/*
 * Number and module: of the frame, also in the rows of what is inlined in it.  The number of a
 * frame is a link to itself, so that a frame can be shown to somebody else.
 */
static void write_place(struct html_writer *w, const json_t *frame, size_t i,
                        const struct stack_name *name)
{
    const char *module = jget_str(frame, "module");
    html_raw(w, "<td class=\"num\">");
    if (name) {
        html_raw(w, "<a href=\"#");
        write_row_name(w, name, i);
        html_raw(w, ">");
    }
    html_printf(w, "%lld", (long long)jget_int_or(frame, "frame", (int64_t)i));
    if (name)
        html_raw(w, "</a>");
    html_raw(w, "</td><td>");
    html_text(w, str_of(module ? module : ""));
    html_raw(w, "</td><td class=\"fn\">");
}

/* Its source is the one of the inlined function; the frame's own is that of the call. */
static void write_inlined(struct arena *a, struct html_writer *w, const json_t *frame,
                          const json_t *in, size_t i)
{
    const char *function = jget_str(in, "function");
    html_raw(w, "<tr class=\"inline\">");
    write_place(w, frame, i, NULL);
    html_text(w, fmt_function(a, str_of(function ? function : "?")));
    html_raw(w, "</td>");
    write_source(a, w, in);
    html_raw(w, "<td><span class=\"trust\">inlined</span></td></tr>\n");
}

/* How sure the walker was: registers of the dump are certain, words that look like
 * addresses not. */
static void write_trust(struct html_writer *w, const char *trust)
{
    if (trust && strcmp(trust, "context") == 0)
        html_raw(w, "<td><span class=\"trust context\">");
    else if (trust && strstr(trust, "scan"))
        html_raw(w, "<td><span class=\"trust scan\">");
    else
        html_raw(w, "<td><span class=\"trust\">");
    html_text(w, str_of(trust ? trust : ""));
    html_raw(w, "</span></td>");
}

static void write_cut(struct html_writer *w, const char *text)
{
    html_raw(w, "<tr class=\"cut\"><td colspan=\"5\">");
    html_text(w, str_of(text));
    html_raw(w, "</td></tr>\n");
}

/* The mark of a frame whose module has no symbols; it leads to the reasons. */
static void write_no_symbols(const struct stacks *s, struct html_writer *w)
{
    if (s->has_reasons)
        html_raw(w, "<a class=\"no-symbols\" href=\"#tab-symbols\" "
                    "title=\"No symbols for this module: why\">Ø</a> ");
    else
        html_raw(w, "<span class=\"no-symbols\" title=\"No symbols for this module\">Ø</span> ");
}

static bool is_scanned(const json_t *frame)
{
    const char *trust = jget_str(frame, "trust");
    return trust && strstr(trust, "scan");
}

static void write_frame(const struct stacks *s, struct html_writer *w, const json_t *frame,
                        size_t i, const struct stack_name *name, bool is_crash)
{
    struct arena *a = s->a;
    const char *cut = jpath_str(frame, "truncated.msg");
    if (cut) {
        write_cut(w, cut);
        return;
    }
    size_t k;
    const json_t *in;
    json_array_foreach (jget_arr(frame, "inlines"), k, in)
        write_inlined(a, w, frame, in, i);
    html_raw(w, "<tr id=\"");
    write_row_name(w, name, i);
    if (is_crash)
        html_raw(w, " class=\"top-frame\"");
    else if (is_scanned(frame))
        html_raw(w, " class=\"scan\"");
    html_raw(w, ">");
    write_place(w, frame, i, name);
    if (jget_bool_or(frame, "missing_symbols", false) && jget_str(frame, "module"))
        write_no_symbols(s, w);
    html_text(w, fmt_frame(a, frame));
    html_raw(w, "</td>");
    write_source(a, w, frame);
    write_trust(w, jget_str(frame, "trust"));
    html_raw(w, "</tr>\n");
}

/*
 * The room is looked at before each row, so a table never ends inside one: it may grow beyond the
 * room by the last row, which ROW_BYTES_MAX bounds.
 */
static struct html frame_rows(struct stacks *s, const json_t *frames, const struct stack_name *name,
                              bool is_crash)
{
    HTML_WRITER_AUTO w;
    size_t n = json_array_size(frames), i;
    const json_t *frame;
    html_init(&w, s->room + ROW_BYTES_MAX);
    json_array_foreach (frames, i, frame) {
        if (i == FRAMES_SHOWN || w.b.n >= s->room) {
            write_cut(&w, report_more_text(s->a, n, i));
            break;
        }
        write_frame(s, &w, frame, i, name, is_crash && i == 0);
    }
    s->room -= MIN(w.b.n, s->room);
    return html_done(&w, s->a);
}

/* One thread, or the first of several with one stack: `label` and `members` say which. */
static void add_thread(struct stacks *s, struct tpl_rows *threads, const json_t *thread,
                       int64_t index, bool is_crash, const char *label, const char *members)
{
    const json_t *frames = jget_arr(thread, "frames"), *first = json_array_get(frames, 0);
    struct tpl_row *row = tpl_row_add(threads);
    tpl_col_int(row, THREAD_NUMBER, index);
    tpl_col_cstr(row, THREAD_NAME, jget_str(thread, "thread_name"));
    tpl_col_cstr(row, THREAD_LABEL, label);
    tpl_col_cstr(row, THREAD_MEMBERS, members);
    tpl_col_text(row, THREAD_TOP, first ? fmt_frame(s->a, first) : STR("no frames"));
    tpl_col_bool(row, THREAD_HAS_FRAMES, first != NULL);
    const struct stack_name name = {"thread", index};
    tpl_col_html(row, THREAD_FRAME_ROWS, frame_rows(s, frames, &name, is_crash));
}

static const char *in_app_text(const json_t *frame)
{
    const json_t *in_app = json_object_get(frame, "in_app");
    return json_is_boolean(in_app) ? (json_is_true(in_app) ? "yes" : "no") : "";
}

static void add_java_frame(struct arena *a, struct tpl_rows *frames, const json_t *frame, size_t i)
{
    const char *file = jget_str(frame, "filename");
    int64_t line;
    struct tpl_row *row = tpl_row_add(frames);
    if (jget_int(frame, "lineno", &line))
        file = arena_printf(a, "%s:%lld", file ? file : "", (long long)line);
    tpl_col_int(row, JAVA_FRAME_NUMBER, (int64_t)i);
    tpl_col_cstr(row, JAVA_FRAME_MODULE, jget_str(frame, "module"));
    tpl_col_cstr(row, JAVA_FRAME_FUNCTION, jget_str(frame, "function"));
    tpl_col_cstr(row, JAVA_FRAME_SOURCE, file);
    tpl_col_cstr(row, JAVA_FRAME_IN_APP, in_app_text(frame));
}

/*
 * The message of an exception quotes what the program worked on, so it is protected; for readers
 * who may not see it the reducer has taken it away.
 */
static void add_java_exception(struct arena *a, struct tpl_rows *exceptions, const json_t *value)
{
    const json_t *trace = jget_obj(value, "stacktrace"), *frames = jget_arr(trace, "frames"),
                 *frame;
    const char *module = jget_str(trace, "module"), *type = jget_str(trace, "type");
    const char *message = jget_str(trace, "value"); /* protected: absent for other readers */
    struct tpl_row *row = tpl_row_add(exceptions);
    struct tpl_rows *rows = tpl_col_rows(row, JAVA_EXCEPTION_FRAMES);
    size_t i;
    tpl_col_cstr(row, JAVA_EXCEPTION_NAME,
                 arena_printf(a, "%s.%s", module ? module : "?", type ? type : "?"));
    tpl_col_bool(row, JAVA_EXCEPTION_HAS_MESSAGE, message != NULL);
    tpl_col_cstr(row, JAVA_EXCEPTION_MESSAGE, message);
    tpl_col_cstr(row, JAVA_EXCEPTION_MORE,
                 report_more_text(a, json_array_size(frames), FRAMES_SHOWN));
    json_array_foreach (frames, i, frame)
        if (i < FRAMES_SHOWN)
            add_java_frame(a, rows, frame, i);
}

/* False: the report has none. */
static bool set_java(const struct report_page *c, struct tpl_values *v)
{
    struct tpl_rows *exceptions = tpl_list(v, LIST_JAVA_EXCEPTIONS);
    const json_t *value;
    size_t i;
    json_array_foreach (jpath(c->doc, "java_exception.exception.values"), i, value)
        if (i < EXCEPTIONS_SHOWN)
            add_java_exception(c->a, exceptions, value);
    return i > 0;
}

/* What makes two stacks the same: where each frame is.  A stack too long for it is like no other.
 */
static struct str stack_key(struct arena *a, const json_t *thread, size_t index)
{
    STRBUF_AUTO key;
    size_t i;
    const json_t *frame;
    sb_init(&key, STACK_KEY_MAX);
    json_array_foreach (jget_arr(thread, "frames"), i, frame) {
        const char *parts[] = {
            jget_str(frame, "module"), jget_str(frame, "function"),
            jget_str(frame, jget_str(frame, "module") ? "module_offset" : "offset")};
        for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
            sb_text(&key, parts[k] ? parts[k] : "");
            sb_char(&key, 0);
        }
    }
    return key.overflow ? str_of(arena_printf(a, "%zu", index)) : str_copy(a, sb_view(&key));
}

/* Threads of a pool wait at one place: they are shown once, with the numbers of all of them. */
struct group {
    size_t first, n;
    const char *numbers;
};

static void join_group(struct arena *a, struct group *g, size_t thread)
{
    if (g->n == 0)
        *g = (struct group){.first = thread, .numbers = ""};
    g->n++;
    if (g->n <= MEMBERS_NAMED)
        g->numbers = arena_printf(a, "%s%s%zu", g->numbers, g->n > 1 ? ", " : "", thread);
    else if (g->n == MEMBERS_NAMED + 1)
        g->numbers = arena_printf(a, "%s …", g->numbers);
}

static void add_groups(struct stacks *s, struct tpl_rows *rows, const json_t *threads,
                       const json_t *crashing, size_t n)
{
    struct textmap keys;
    struct group *groups = arena_array(s->a, n + 1, sizeof *groups);
    size_t count = 0;
    textmap_init(&keys, n + 1);
    for (size_t i = 0; i < n; i++) {
        const json_t *thread = json_array_get(threads, i);
        if (thread == crashing)
            continue;
        uint32_t at = textmap_number(&keys, NULL, stack_key(s->a, thread, i));
        join_group(s->a, &groups[at], i);
        count = MAX(count, (size_t)at + 1);
    }
    textmap_release(&keys);
    for (size_t i = 0; i < count; i++) {
        const struct group *g = &groups[i];
        const json_t *thread = json_array_get(threads, g->first);
        const char *label = g->n > 1 ? arena_printf(s->a, "%zu threads", g->n)
                                     : arena_printf(s->a, "Thread %zu", g->first);
        add_thread(s, rows, thread, (int64_t)g->first, false, label, g->n > 1 ? g->numbers : "");
    }
}

/* Folded away beside a crashing thread; without one they are all there is, and open. */
static void set_other_threads(const struct report_page *c, struct stacks *s, struct tpl_values *v,
                              const json_t *crashing)
{
    const json_t *threads = jpath(c->doc, "json_dump.threads");
    size_t n = json_array_size(threads);
    struct tpl_rows *rows = tpl_list(v, LIST_OTHER_THREADS);
    tpl_bool(v, "has_other_threads", n > 1 || (n == 1 && !crashing));
    tpl_bool(v, "has_crashing_thread", crashing != NULL);
    tpl_int(v, "other_thread_count", (int64_t)n - (crashing ? 1 : 0));
    tpl_cstr(v, "threads_more", report_more_text(c->a, n, THREADS_SHOWN));
    add_groups(s, rows, threads, crashing, MIN(n, (size_t)THREADS_SHOWN));
}

/* "upload_file_minidump_browser" is the dump of the browser. */
static const char *process_of_dump(struct arena *a, struct str name)
{
    static const char prefix[] = "upload_file_minidump_";
    return str_adup(a, str_starts(name, STR("upload_file_minidump_"))
                           ? str_sub(name, sizeof prefix - 1, SIZE_MAX)
                           : name);
}

/*
 * One incident may come with several dumps: that of the process that crashed, and those of the
 * browser, of plug-ins and of contents at that moment.  Each shows the thread that matters there,
 * below the one that crashed.
 */
static void set_other_dumps(const struct report_page *c, struct stacks *s, struct tpl_values *v)
{
    struct tpl_rows *rows = tpl_list(v, LIST_OTHER_DUMPS);
    const json_t *name;
    size_t i;
    json_array_foreach (jget_arr(c->doc, "additional_minidumps"), i, name) {
        const json_t *dump = jget_obj(c->doc, json_string_value(name));
        if (!json_is_string(name) || i >= DUMPS_SHOWN)
            continue;
        int64_t index = -1;
        const json_t *thread = report_crashing_thread(dump, &index);
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, OTHER_DUMP_PROCESS,
                     process_of_dump(c->a, str_of(json_string_value(name))));
        tpl_col_cstr(row, OTHER_DUMP_REASON, jpath_str(dump, "json_dump.crash_info.type"));
        tpl_col_cstr(row, OTHER_DUMP_STATUS, jget_str(dump, "mdsw_status_string"));
        tpl_col_bool(row, OTHER_DUMP_HAS_THREAD, thread != NULL);
        tpl_col_int(row, OTHER_DUMP_NUMBER, MAX(index, (int64_t)0));
        tpl_col_cstr(row, OTHER_DUMP_NAME, jget_str(thread, "thread_name"));
        tpl_col_bool(row, OTHER_DUMP_HAS_FRAMES, json_array_size(jget_arr(thread, "frames")) > 0);
        tpl_col_html(row, OTHER_DUMP_FRAME_ROWS,
                     frame_rows(s, jget_arr(thread, "frames"),
                                &(struct stack_name){"dump", (int64_t)i + 1}, thread != NULL));
    }
    tpl_bool(v, "has_other_dumps", i > 0);
    tpl_int(v, "dump_count", (int64_t)i + 1);
}

void report_set_stacks(const struct report_page *c, struct tpl_values *v)
{
    struct stacks s = {.a = c->a,
                       .room = STACKS_BYTES_SHOWN,
                       .has_reasons = json_array_size(jget_arr(c->doc, "symbols_wanted")) > 0};
    int64_t index;
    const json_t *crashing = report_crashing_thread(c->doc, &index);
    struct tpl_rows *rows = tpl_list(v, LIST_CRASHING_THREADS);
    bool has_threads = json_array_size(jpath(c->doc, "json_dump.threads")) > 0;
    bool has_java = set_java(c, v);
    if (crashing)
        add_thread(&s, rows, crashing, MAX(index, (int64_t)0), true, "", "");
    tpl_bool(v, "has_no_crashing_thread", !crashing && has_threads);
    tpl_bool(v, "has_no_stack", !crashing && !has_threads && !has_java);
    set_other_dumps(c, &s, v);
    set_other_threads(c, &s, v, crashing);
}
