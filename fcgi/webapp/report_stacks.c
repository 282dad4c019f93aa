#include "fcgi/webapp/fmt.h"
#include "fcgi/webapp/report.h"
#include "lib/base/util.h"

/*
 * Stacks as tables.  Written straight as markup: a report may hold hundreds of threads with
 * hundreds of frames.
 */
enum { STACKS_MAX = 24 << 20, FRAMES_SHOWN = 1000, THREADS_SHOWN = 2000, EXCEPTIONS_SHOWN = 100 };

static void source_cell(struct arena *a, struct html_writer *w, const json_t *holder)
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

static void frame_number(struct html_writer *w, const json_t *frame, size_t i)
{
    html_printf(w, "<td class=\"num\">%lld</td>",
                (long long)jget_int_or(frame, "frame", (int64_t)i));
}

static void text_cell(struct html_writer *w, const char *text)
{
    html_raw(w, "<td>");
    html_text(w, text ? str_of(text) : STR(""));
    html_raw(w, "</td>");
}

static void inline_row(struct arena *a, struct html_writer *w, const json_t *frame,
                       const json_t *in, size_t i)
{
    const char *function = jget_str(in, "function");
    html_raw(w, "<tr class=\"inline\">");
    frame_number(w, frame, i);
    text_cell(w, jget_str(frame, "module"));
    html_raw(w, "<td class=\"fn\">");
    html_text(w, fmt_function(a, function ? str_of(function) : STR("?")));
    html_raw(w, "</td>");
    source_cell(a, w, in);
    html_raw(w, "<td><span class=\"trust\">inlined</span></td></tr>\n");
}

static void trust_cell(struct html_writer *w, const char *trust)
{
    if (trust && strcmp(trust, "context") == 0)
        html_raw(w, "<td><span class=\"trust context\">");
    else if (trust && strstr(trust, "scan"))
        html_raw(w, "<td><span class=\"trust scan\">");
    else
        html_raw(w, "<td><span class=\"trust\">");
    html_text(w, trust ? str_of(trust) : STR(""));
    html_raw(w, "</span></td>");
}

static void frame_row(struct arena *a, struct html_writer *w, const json_t *frame, size_t i,
                      bool is_crash)
{
    const char *cut = jpath_str(frame, "truncated.msg");
    if (cut) {
        html_raw(w, "<tr class=\"cut\"><td colspan=\"5\">");
        html_text(w, str_of(cut));
        html_raw(w, "</td></tr>\n");
        return;
    }
    size_t k;
    const json_t *in;
    json_array_foreach (jget_arr(frame, "inlines"), k, in)
        inline_row(a, w, frame, in, i);
    if (is_crash)
        html_raw(w, "<tr class=\"top-frame\">");
    else
        html_raw(w, "<tr>");
    frame_number(w, frame, i);
    text_cell(w, jget_str(frame, "module"));
    html_raw(w, "<td class=\"fn\">");
    if (jget_bool_or(frame, "missing_symbols", false) && jget_str(frame, "module"))
        html_raw(w, "<span class=\"no-symbols\" title=\"No symbols for this module\">Ø</span> ");
    html_text(w, fmt_frame(a, frame));
    html_raw(w, "</td>");
    source_cell(a, w, frame);
    trust_cell(w, jget_str(frame, "trust"));
    html_raw(w, "</tr>\n");
}

static void frames_table(struct arena *a, struct html_writer *w, const json_t *thread,
                         bool is_crash)
{
    const json_t *frames = jget_arr(thread, "frames");
    size_t i;
    const json_t *frame;
    if (json_array_size(frames) == 0) {
        html_raw(w, "<p class=\"empty\">This thread has no frames.</p>");
        return;
    }
    html_raw(w, "<div class=\"table-wrap\" tabindex=\"0\"><table class=\"data frames\"><thead><tr>"
                "<th scope=\"col\" class=\"num\">Frame</th><th scope=\"col\">Module</th>"
                "<th scope=\"col\">Signature</th><th scope=\"col\">Source</th>"
                "<th scope=\"col\">Trust</th></tr></thead><tbody>\n");
    json_array_foreach (frames, i, frame) {
        if (i == FRAMES_SHOWN) {
            html_printf(
                w, "<tr class=\"cut\"><td colspan=\"5\">and %zu more, in the raw data</td></tr>",
                json_array_size(frames) - FRAMES_SHOWN);
            break;
        }
        frame_row(a, w, frame, i, is_crash && i == 0);
    }
    html_raw(w, "</tbody></table></div>\n");
}

const json_t *report_crashing_thread(const json_t *doc, int64_t *ret_index)
{
    const json_t *threads = jpath(doc, "json_dump.threads");
    int64_t i = -1;
    if (!jget_int(doc, "crashing_thread", &i) &&
        !jget_int(jpath(doc, "json_dump.crash_info"), "crashing_thread", &i))
        i = -1;
    *ret_index = i;
    const json_t *copy = jpath(doc, "json_dump.crashing_thread");
    if (i >= 0 && (size_t)i < json_array_size(threads))
        return json_array_get(threads, (size_t)i);
    return copy;
}

static void thread_title(struct html_writer *w, const json_t *thread, int64_t index)
{
    const char *name = jget_str(thread, "thread_name");
    html_printf(w, " (%lld)", (long long)index);
    if (name && *name) {
        html_raw(w, ", Name: ");
        html_text(w, str_of(name));
    }
}

static void crashing_card(struct arena *a, struct html_writer *w, const json_t *thread,
                          int64_t index)
{
    html_raw(w, "<section class=\"card\" aria-label=\"Crashing thread\"><h2>Crashing Thread");
    thread_title(w, thread, index);
    html_raw(w, "</h2>");
    frames_table(a, w, thread, true);
    html_raw(w, "</section>\n");
}

static void java_row(struct html_writer *w, const json_t *frame, size_t i)
{
    int64_t line;
    html_printf(w, "<tr><td class=\"num\">%zu</td>", i);
    text_cell(w, jget_str(frame, "module"));
    html_raw(w, "<td class=\"fn\">");
    html_text(w, str_of(jget_str(frame, "function") ? jget_str(frame, "function") : ""));
    html_raw(w, "</td><td class=\"src\">");
    html_text(w, str_of(jget_str(frame, "filename") ? jget_str(frame, "filename") : ""));
    if (jget_int(frame, "lineno", &line))
        html_printf(w, ":%lld", (long long)line);
    html_raw(w, "</td><td>");
    if (json_is_boolean(json_object_get(frame, "in_app"))) {
        if (jget_bool_or(frame, "in_app", false))
            html_raw(w, "yes");
        else
            html_raw(w, "no");
    }
    html_raw(w, "</td></tr>\n");
}

static void java_exception(struct html_writer *w, const json_t *value)
{
    const json_t *trace = jget_obj(value, "stacktrace");
    const char *module = jget_str(trace, "module"), *type = jget_str(trace, "type");
    const char *message = jget_str(trace, "value"); /* protected: absent for other readers */
    html_raw(w, "<section class=\"card\"><h2>Java exception: ");
    html_text(w, str_of(module ? module : "?"));
    html_raw(w, ".");
    html_text(w, str_of(type ? type : "?"));
    html_raw(w, "</h2>");
    if (message) {
        html_raw(w, "<p class=\"card-pad\"><span class=\"tag secret\">protected</span> ");
        html_text(w, str_of(message));
        html_raw(w, "</p>");
    }
    html_raw(w, "<div class=\"table-wrap\" tabindex=\"0\"><table class=\"data frames\"><thead><tr>"
                "<th scope=\"col\" class=\"num\">Frame</th><th scope=\"col\">Module</th>"
                "<th scope=\"col\">Function</th><th scope=\"col\">Source</th>"
                "<th scope=\"col\">In app?</th></tr></thead><tbody>");
    size_t i;
    const json_t *frame;
    json_array_foreach (jget_arr(trace, "frames"), i, frame)
        if (i < FRAMES_SHOWN)
            java_row(w, frame, i);
    html_raw(w, "</tbody></table></div>");
    size_t all = json_array_size(jget_arr(trace, "frames"));
    if (all > FRAMES_SHOWN)
        html_printf(w, "<p class=\"muted\">and %zu more, in the raw data</p>", all - FRAMES_SHOWN);
    html_raw(w, "</section>\n");
}

static bool java(struct html_writer *w, const json_t *doc)
{
    const json_t *values = jpath(doc, "java_exception.exception.values");
    size_t i;
    const json_t *value;
    json_array_foreach (values, i, value)
        if (i < EXCEPTIONS_SHOWN)
            java_exception(w, value);
    return json_array_size(values) > 0;
}

static struct html main_stack(const struct report_page *c, const json_t *thread, int64_t index)
{
    HTML_WRITER_AUTO w;
    html_init(&w, STACKS_MAX);
    bool has_java = java(&w, c->doc);
    if (thread)
        crashing_card(c->a, &w, thread, MAX(index, (int64_t)0));
    else if (json_array_size(jpath(c->doc, "json_dump.threads")) > 0)
        html_raw(
            &w,
            "<p class=\"notice info\">No crashing thread identified: all threads are below.</p>");
    else if (!has_java)
        html_raw(&w,
                 "<p class=\"notice info\">This report has no stack: it came without a minidump, "
                 "or the minidump could not be read.</p>");
    return html_done(&w, c->a);
}

static struct html other_threads(const struct report_page *c, const json_t *crashing)
{
    const json_t *threads = jpath(c->doc, "json_dump.threads");
    size_t n = json_array_size(threads), i;
    const json_t *thread;
    if (n == 0 || (n == 1 && crashing))
        return (struct html){STR("")};
    HTML_WRITER_AUTO w;
    html_init(&w, STACKS_MAX);
    if (crashing)
        html_raw(&w, "<details class=\"fold card\" id=\"threads\"><summary>Show other threads "
                     "<span class=\"muted\">");
    else
        html_raw(&w, "<details class=\"fold card\" id=\"threads\" open><summary>Threads "
                     "<span class=\"muted\">");
    html_printf(&w, "%zu", n - (crashing ? 1 : 0));
    html_raw(&w, "</span></summary><div class=\"inside stack\">\n");
    json_array_foreach (threads, i, thread) {
        if (thread == crashing || i >= THREADS_SHOWN)
            continue;
        html_raw(&w, "<section class=\"card\"><h3 class=\"card-title\">Thread");
        thread_title(&w, thread, (int64_t)i);
        html_raw(&w, "</h3>");
        frames_table(c->a, &w, thread, false);
        html_raw(&w, "</section>\n");
    }
    if (json_array_size(threads) > THREADS_SHOWN)
        html_printf(&w, "<p class=\"muted\">and %zu more, in the raw data</p>",
                    json_array_size(threads) - THREADS_SHOWN);
    html_raw(&w, "</div></details>");
    return html_done(&w, c->a);
}

void report_set_stacks(const struct report_page *c, struct tpl_values *v)
{
    int64_t index;
    const json_t *crashing = report_crashing_thread(c->doc, &index);
    tpl_html(v, "stacks", main_stack(c, crashing, index));
    tpl_html(v, "other_threads", other_threads(c, crashing));
}
