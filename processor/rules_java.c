/*
 * Traces of Java exceptions and breadcrumbs: annotations that are documents themselves.
 *
 * The message of an exception may quote whatever the program handled, a URL or a text of the user.
 * So there are two keys: the trace as it came, protected, and a public one of class names and stack
 * lines alone.  Exceptions behind it ("Suppressed:", "Caused by:") have messages of their own and
 * are left out of the public form altogether.
 */
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/crash/schema.h"
#include "lib/json/json.h"
#include "lib/signature/sig_text.h"
#include "processor/job.h"
#include "processor/rules.h"

bool java_stack_trace_applies(const struct job *job)
{
    return has_annotation(job, "JavaStackTrace");
}

/* Next line that is not blank. */
static bool next_line(struct str *rest, struct str *ret_line)
{
    while (text_next_line(rest, ret_line))
        if (text_trim(*ret_line).n > 0)
            return true;
    return false;
}

/*
 * The class of the exception: what stands before the colon.  Without one the message may
 * be part of the line, so only a leading name counts.
 */
static struct str class_of(struct str line)
{
    line = text_trim(line);
    size_t colon = str_find_char(line, ':', 0), n = 0;
    if (colon != SIZE_MAX)
        return text_trim(str_sub(line, 0, colon));
    while (n < line.n && line.p[n] && strchr(RULE_WORD_CHARS ".$", line.p[n]))
        n++;
    return str_sub(line, 0, n);
}

static bool begins_other_exception(struct str line)
{
    line = text_trim(line);
    return str_starts(line, STR("Suppressed:")) || str_starts(line, STR("Caused by:"));
}

/*
 * Class and stack lines, without any message.  False if it does not look like a trace:
 * after the message every line begins with a tabulator.
 */
static bool put_public_trace(struct str trace, struct strbuf *out)
{
    struct str line;
    if (!next_line(&trace, &line))
        return false;
    sb_str(out, class_of(line));
    bool in_message = true;
    while (next_line(&trace, &line)) {
        if (in_message && !str_starts(line, STR("\tat ")))
            continue;
        /* Once it began, what follows are stack lines or the next exception. */
        if (!in_message && begins_other_exception(line))
            return true;
        in_message = false;
        if (!str_starts(line, STR("\t")))
            return false;
        sb_char(out, '\n');
        sb_str(out, line);
    }
    return true;
}

/*
 * JavaStackTrace. What cannot be told apart into message and stack is "malformed" in public: when
 * in doubt nothing is shown.
 */
bool java_stack_trace_act(struct job *job, struct err *err)
{
    (void)err;
    struct str trace = annotation_text(job, "JavaStackTrace");
    STRBUF_AUTO text = {0};
    sb_init(&text, trace.n + 16);
    set_text(job, "java_stack_trace_raw", trace);
    if (put_public_trace(trace, &text)) {
        set_text(job, "java_stack_trace", sb_view(&text));
        return true;
    }
    set_text(job, "java_stack_trace", STR("malformed"));
    job_note(job, "JavaStackTrace: malformed JavaStackTrace");
    return true;
}

/*
 * Breadcrumbs: what the user did last, protected. Sentry's libraries send {"values": [...]},
 * others the list itself; a list that does not have the types of the field table is not kept.
 */
bool breadcrumbs_applies(const struct job *job)
{
    return has_annotation(job, "Breadcrumbs");
}

bool breadcrumbs_act(struct job *job, struct err *err)
{
    (void)err;
    json_auto_t *doc =
        jparse_given(annotation_text(job, "Breadcrumbs"), JSON_BYTES_MAX, ERR_IGNORED);
    if (!doc) {
        job_note(job, "Breadcrumbs: malformed: not valid json");
        return true;
    }
    json_t *list = doc;
    if (json_object_get(doc, "values"))
        list = json_object_get(doc, "values");
    const struct schema_key *key = schema_find(&job->fields->processed, STR("breadcrumbs"));
    const char *misfit = schema_misfit(key, list);
    if (misfit)
        job_note(job, "Breadcrumbs: malformed: wrong type of %s", misfit);
    else
        set_value(job, "breadcrumbs", json_incref(list));
    return true;
}
