/*
 * "Create a bug": links made from the product's templates.  Only public values go into them,
 * whoever is reading, because the tracker is public: somebody with access to protected data would
 * otherwise publish it with one click.  So the document is reduced anew here, for the public.
 *
 * The limits are those of Bugzilla and of Crash Stats, whose bugs people compare with ours: a title
 * of 255 characters, the ten top frames with 80 characters of each function, 5,000 of a Java trace.
 * TEXT_MAX bounds a link; addresses beyond the room of a web server for them would lead nowhere.
 */
#include "fcgi/webapp/report_bugs.h"

#include "fcgi/webapp/webapp.h"
#include "fcgi/webapp/fmt.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/reduce.h"
#include "lib/db/db.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/site.h"
#include "lib/web/web.h"
#include "queries.h"
#include "rows.h"

/*
 * The numbers of Crash Stats, whose bugs these are to look like: a summary of 255 characters, which
 * is what Bugzilla's field holds; ten frames with at most 80 characters of each function, or the
 * first 5,000 characters of a trace.  The text becomes part of an address, so it is to be short;
 * how long an address may be is up to the bug tracker.  TEXT_MAX is room to put a link together.
 */
enum { TITLE_MAX = 255, FRAMES_MAX = 10, SIGNATURE_MAX = 80, TRACE_MAX = 5000, TEXT_MAX = 1 << 16 };

/*
 * Names of operating systems as Bugzilla's own list has them; others are given as they are.  By the
 * beginning, since os_pretty_version goes on with a version.
 */
static const char *op_sys(const json_t *doc)
{
    static const struct {
        const char *start, *name;
    } names[] = {
        {"OS X", "macOS"},
        {"macOS", "macOS"},
        {"Windows 8.1", "Windows 8"},
        {"Windows Unknown", "Windows"},
        {"Windows 2000", "Windows"},
    };
    const char *text = jget_str(doc, "os_pretty_version");
    if (!text || !*text)
        text = jget_str(doc, "os_name");
    for (size_t i = 0; text && i < ARRAY_LEN(names); i++)
        if (str_starts(str_of(text), str_of(names[i].start)))
            return names[i].name;
    return text ? text : "";
}

/* One line for each frame, as people paste stacks: number, module, function, place. */
static void frame_line(struct arena *a, struct strbuf *b, size_t number, const char *module,
                       struct str signature, const json_t *source)
{
    const char *file = jget_str(source, "file");
    struct str shown = str_sub(signature, 0, utf8_prefix_chars(signature, SIGNATURE_MAX));
    sb_printf(b, "%zu %s  " STR_FMT, number, module ? module : "", STR_ARG(shown));
    if (file && *file) {
        struct str text = fmt_source(a, str_of(file), jget_int_or(source, "line", 0)).text;
        sb_printf(b, "  " STR_FMT, STR_ARG(text));
    }
    sb_char(b, '\n');
}

/*
 * Inlined functions count as frames here: people know them by name, and the top ten matter.  A
 * frame marked "truncated" stands for those that the processor left out of a long stack, and is
 * none.
 */
static void frames_text(struct arena *a, struct strbuf *b, const json_t *thread)
{
    size_t i, number = 0;
    const json_t *frame;
    json_array_foreach (jget_arr(thread, "frames"), i, frame) {
        size_t k;
        const json_t *in;
        const char *module = jget_str(frame, "module");
        json_array_foreach (jget_arr(frame, "inlines"), k, in) {
            const char *function = jget_str(in, "function");
            if (number < FRAMES_MAX)
                frame_line(a, b, number++, module,
                           fmt_function(a, str_of(function ? function : "?")), in);
        }
        if (number >= FRAMES_MAX)
            return;
        if (!jget_obj(frame, "truncated"))
            frame_line(a, b, number++, module, fmt_frame(a, frame), frame);
    }
}

/* The frames of the first exception; the others are on the page. */
static bool java_text(struct strbuf *b, const json_t *doc)
{
    size_t i;
    const json_t *frame;
    const json_t *values = jpath(doc, "java_exception.exception.values");
    const json_t *frames = jpath(json_array_get(values, 0), "stacktrace.frames");
    json_array_foreach (frames, i, frame) {
        const char *module = jget_str(frame, "module"), *function = jget_str(frame, "function");
        const char *file = jget_str(frame, "filename");
        if (i == FRAMES_MAX)
            break;
        sb_printf(b, "%zu  %s  %s  %s\n", i, module ? module : "", function ? function : "",
                  file ? file : "");
    }
    return json_array_size(frames) > 0;
}

/*
 * The best stack there is: of the crashing thread; else of thread 0, saying so, because a bug whose
 * stack belongs to nobody misleads; else of Java; else the trace as it came.
 */
static void stack_text(struct arena *a, struct strbuf *b, const json_t *doc)
{
    int64_t index;
    const json_t *thread = report_crashing_thread(doc, &index);
    if (!thread) {
        thread = json_array_get(jpath(doc, "json_dump.threads"), 0);
        if (thread)
            sb_text(b, "No crashing thread identified; using thread 0.\n\n");
    }
    if (json_array_size(jget_arr(thread, "frames")) > 0) {
        sb_printf(b, "Top %d frames:\n```\n", FRAMES_MAX);
        frames_text(a, b, thread);
        sb_text(b, "```\n");
        return;
    }
    const char *trace = jget_str(doc, "java_stack_trace");
    sb_text(b, "```\n");
    if (!java_text(b, doc)) {
        struct str text = trace ? str_of(trace) : STR("No stack.");
        sb_str(b, str_sub(text, 0, utf8_prefix_chars(text, TRACE_MAX)));
        sb_char(b, '\n');
    }
    sb_text(b, "```\n");
}

/*
 * The first comment of the bug.  Reason and stack are in blocks of Markdown, so that brackets and
 * underscores of functions stay what they are.
 */
static const char *description(const struct report_page *c, const json_t *doc)
{
    const char *moz = jget_str(doc, "moz_crash_reason"), *reason = jget_str(doc, "reason");
    STRBUF_AUTO b;
    sb_init(&b, TEXT_MAX);
    sb_printf(&b, "Crash report: %s/report/index/%s\n\n", app_of(c->req)->base_url, c->id);
    if (moz && *moz)
        sb_printf(&b, "MOZ_CRASH Reason:\n```\n%s\n```\n\n", moz);
    else if (reason && *reason)
        sb_printf(&b, "Reason:\n```\n%s\n```\n\n", reason);
    stack_text(c->a, &b, doc);
    return str_adup(c->a, sb_view(&b));
}

/* "Crash in [@ SIGNATURE]", cut to what a summary of Bugzilla may have. */
static const char *title(struct arena *a, const char *signature)
{
    struct str whole = str_of(arena_printf(a, "Crash in [@ %s]", signature));
    if (utf8_prefix_chars(whole, TITLE_MAX) == whole.n)
        return whole.p;
    struct str cut = str_sub(whole, 0, utf8_prefix_chars(whole, TITLE_MAX - 3));
    return arena_printf(a, STR_FMT "...", STR_ARG(cut));
}

struct placeholder {
    const char *name, *value;
};

/*
 * Replaces %(name)s by the URL-encoded value; unknown names vanish.  The form is that of Python, as
 * product files of Crash Stats have it; what has no end is left as text.
 */
static struct str replace_placeholders(struct arena *a, const char *template,
                                       const struct placeholder *v, size_t n)
{
    STRBUF_AUTO b;
    sb_init(&b, TEXT_MAX);
    struct str rest = str_of(template);
    while (rest.n > 0) {
        size_t open = str_find(rest, STR("%("), 0), close = str_find(rest, STR(")s"), 0);
        if (open == SIZE_MAX || close == SIZE_MAX || close < open) {
            sb_str(&b, rest);
            break;
        }
        sb_str(&b, str_sub(rest, 0, open));
        struct str name = str_sub(rest, open + 2, close - open - 2);
        for (size_t i = 0; i < n; i++)
            if (str_eq(name, str_of(v[i].name)))
                url_encode_to(&b, str_of(v[i].value));
        rest = str_sub(rest, close + 2, SIZE_MAX);
    }
    return str_copy(a, sb_view(&b));
}

/* Without a product there are no templates, and without a signature there is nothing to report. */
static void set_links(const struct report_page *c, struct tpl_rows *rows)
{
    json_auto_t *doc = reduce_processed(app_fields(c->req), c->stored, PERM_PUBLIC, NULL);
    const char *signature = jget_str(doc, "signature"), *arch = jget_str(doc, "cpu_arch");
    if (!c->product || !signature)
        return;
    const struct placeholder values[] = {
        {"bug_type", "defect"},
        {"op_sys", op_sys(doc)},
        {"rep_platform", arch ? arch : ""},
        {"signature", arena_printf(c->a, "[@ %s]", signature)},
        {"title", title(c->a, signature)},
        {"description", description(c, doc)},
    };
    for (char **l = c->product->bug_links; l && l[0] && l[1]; l += 2) {
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, LINK_TEXT, l[0]);
        tpl_col_url(row, LINK_URL, replace_placeholders(c->a, l[1], values, ARRAY_LEN(values)));
    }
}

/*
 * Bugs that name the signature, and links for a new one.  The bugs are those of the table
 * bug_association; the tracker itself is not asked.
 */
bool report_set_bugs(const struct report_page *c, struct tpl_values *v, struct err *err)
{
    const char *signature = jget_str(c->doc, "signature");
    struct tpl_rows *bugs = tpl_list(v, LIST_REPORT_BUGS), *links = tpl_list(v, LIST_BUG_LINKS);
    DB_ROWS rows = {0};
    struct str s = str_of(signature ? signature : "");
    if (!DB_RUN(req_db(c->req), &q_web_bugs, &rows, err, db_text_array(c->a, (struct strs){&s, 1}),
                db_bool(req_user(c->req)->is_logged_in)))
        return err_wrap(err, "looking up bugs");
    for (int i = 0; i < rows.count; i++) {
        const char *id = db_col(&rows, i, Q_WEB_BUGS_COL_BUG_ID);
        struct tpl_row *row = tpl_row_add(bugs);
        tpl_col_cstr(row, REPORT_BUG_TEXT, arena_printf(c->a, "Bug %s", id));
        tpl_col_url(row, REPORT_BUG_URL, site_bug_url(c->req, id));
        tpl_col_cstr(row, REPORT_BUG_SIGNATURE, db_col(&rows, i, Q_WEB_BUGS_COL_SIGNATURE));
    }
    set_links(c, links);
    tpl_bool(v, "has_bugs", rows.count > 0);
    tpl_bool(v, "has_bug_links", tpl_rows_count(links) > 0);
    return true;
}
