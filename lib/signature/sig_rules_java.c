/*
 * Signatures of Java crashes: class and first method, from the sanitised trace as text or
 * from the exception as an object.  Line numbers of Java files and object addresses change
 * with every build and run, so they go; what a trace does not have is left out, with a note.
 */
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/signature/gen.h"
#include "lib/signature/sig_text.h"

/* Objects print as Class@1a2b3c4d; the number differs every time. */
static void put_without_addresses(struct strbuf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        size_t digits = 0;
        while (s.p[i] == '@' && digits < 8 && i + 1 + digits < s.n &&
               strchr("0123456789abcdef", s.p[i + 1 + digits]) && s.p[i + 1 + digits])
            digits++;
        if (digits == 8) {
            sb_text(out, "@<addr>");
            i += 8;
        } else {
            sb_char(out, s.p[i]);
        }
    }
}

/* "….java:123)" without the line number. */
static void put_method(struct strbuf *out, struct str line)
{
    struct str s = line;
    if (s.n > 0 && s.p[s.n - 1] == ')') {
        s.n--;
        size_t with_digits = s.n;
        while (s.n > 0 && s.p[s.n - 1] >= '0' && s.p[s.n - 1] <= '9')
            s.n--;
        if (s.n < with_digits && str_ends(s, STR(".java:"))) {
            sb_str(out, str_sub(s, 0, s.n - 1));
            sb_char(out, ')');
            return;
        }
    }
    sb_str(out, line);
}

struct java_parts {
    struct str class_name;
    struct strbuf description, method;
};

/*
 * "CLASS: MESSAGE". Of a public trace the message has been removed, of others it may be all that
 * tells two crashes apart.
 */
static void read_first_line(struct sig_gen *g, struct str line, struct java_parts *p)
{
    size_t colon = str_find_char(line, ':', 0);
    p->class_name = text_trim(str_sub(line, 0, colon));
    if (colon == SIZE_MAX) {
        sig_note(g, "JavaSignatureTool: stack trace line 1 is not in the expected format");
        return;
    }
    put_without_addresses(&p->description, text_trim(str_sub(line, colon + 1, SIZE_MAX)));
}

/* "at CLASS.METHOD(FILE.java:LINE)": the first frame is the place. */
static void read_second_line(struct sig_gen *g, struct str rest, struct java_parts *p)
{
    struct str line;
    if (!text_next_line(&rest, &line)) {
        sig_note(g, "JavaSignatureTool: stack trace line 2 is missing");
        return;
    }
    put_method(&p->method, text_trim(line));
    if (p->method.n == 0)
        sig_note(g, "JavaSignatureTool: stack trace line 2 is empty");
}

static void put_part(struct strbuf *out, const char *separator, struct str part)
{
    if (part.n == 0)
        return;
    if (out->n > 0)
        sb_text(out, separator);
    sb_str(out, part);
}

/*
 * A description that ends with an address is followed by a colon, others by a blank. Too long, it
 * is the description that goes: class and method stay.
 */
static void put_java_signature(struct sig_gen *g, const struct java_parts *p, struct strbuf *out)
{
    bool has_address = str_ends(sb_view(&p->description), STR("<addr>"));
    put_part(out, ": ", p->class_name);
    put_part(out, ": ", sb_view(&p->description));
    put_part(out, has_address || p->description.n == 0 ? ": " : " ", sb_view(&p->method));
    if (text_chars(sb_view(out)) <= SIG_LENGTH_MAX)
        return;
    sig_note(g, "JavaSignatureTool: dropped Java exception description due to length");
    sb_reset(out);
    sb_str(out, p->class_name);
    sb_text(out, ": ");
    sb_str(out, sb_view(&p->method));
}

void sig_java_trace(struct sig_gen *g, struct str trace)
{
    struct str line;
    if (!text_next_line(&trace, &line)) {
        sig_note(g, "JavaSignatureTool: stack trace not in expected format");
        sig_set(g, STR("EMPTY: Java stack trace not in expected format"));
        return;
    }
    struct java_parts p = {0};
    sb_init(&p.description, SIG_TEXT_MAX);
    sb_init(&p.method, SIG_TEXT_MAX);
    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_TEXT_MAX);
    read_first_line(g, text_trim(line), &p);
    read_second_line(g, trace, &p);
    put_java_signature(g, &p, &text);
    if (text.n > 0)
        sig_set(g, sb_view(&text));
    sb_release(&p.description);
    sb_release(&p.method);
}

static void put_dotted(struct strbuf *out, struct str a, struct str b)
{
    put_part(out, ".", a);
    put_part(out, ".", b);
}

static void put_java_frame(struct strbuf *out, const json_t *frame)
{
    struct str module = text_of(frame, "module"), function = text_of(frame, "function");
    struct str file = text_of(frame, "filename");
    if (module.n == 0 && function.n == 0) {
        sb_text(out, "unknown");
        return;
    }
    STRBUF_AUTO name = {0};
    sb_init(&name, SIG_TEXT_MAX);
    put_dotted(&name, module, function);
    sb_str(out, sb_view(&name));
    if (file.n > 0) {
        sb_char(out, '(');
        sb_str(out, file);
        sb_char(out, ')');
    }
}

/*
 * The exception as an object: module and type of the first value, and the topmost frame of its
 * stack.
 */
void sig_java_exception(struct sig_gen *g, const json_t *exception)
{
    const json_t *first = json_array_get(jget_arr(jget_obj(exception, "exception"), "values"), 0);
    const json_t *trace = jget_obj(first, "stacktrace");
    if (json_object_size(trace) == 0) {
        sig_note(g, "JavaExceptionSignatureTool: value not in expected format");
        sig_set(g, STR("EMPTY: Java exception not in expected format"));
        return;
    }
    STRBUF_AUTO text = {0};
    sb_init(&text, SIG_TEXT_MAX);
    struct str module = text_of(trace, "module"), type = jget_strn(trace, "type");
    if (!type.p)
        type = STR("Unknown"); /* the package still says something */
    if (module.n > 0 && type.n > 0)
        put_dotted(&text, module, type);
    else
        sb_str(&text, type);
    const json_t *frames = jget_arr(trace, "frames");
    if (json_array_size(frames) > 0) {
        sb_text(&text, ": at ");
        put_java_frame(&text, json_array_get(frames, 0));
    }
    sig_set(g, sb_view(&text));
}
