/*
 * A function name without what differs between builds and compilers, in steps of one pass each:
 * return type and qualifiers, template arguments ("<T>"), parameters, numbers of lambdas, hashes of
 * Rust.  Their order matters, each sees what the one before left.
 *
 * Slices between delimiters are found with a counter and not with a grammar: names come demangled
 * by many tools, cut at some length, or made up, and a text whose brackets do not fit must give
 * some answer, the same every time.  All steps are linear in the text; the only recursion, into the
 * arguments of IPC::ParamTraits, has a limit.
 */
#include "lib/signature/function.h"

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/signature/sig_text.h"

/*
 * A name has 64 KiB at most (SIG_FUNCTION_BYTES_MAX), and no step makes it sixteen times as long.
 * NESTING_MAX is of IPC::ParamTraits inside each other, whose arguments are kept: each is a
 * recursion, and names of programs have one.
 */
enum { TEXT_MAX = 1 << 20, NESTING_MAX = 32 };

/*
 * Writes what becomes of one slice (with its delimiters).  `before` is the text between the
 * end of the slice before and this one; it has been written already.
 */
typedef void slice_fn(struct str before, struct str inside, int nesting, struct strbuf *out);

static void replace_slices(struct str text, char open, char close, slice_fn *replace, int nesting,
                           struct strbuf *out)
{
    size_t done = 0, start = 0, depth = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == open && depth++ == 0) {
            start = i;
        } else if (text.p[i] == close && depth > 0 && --depth == 0) {
            struct str before = str_sub(text, done, start - done);
            sb_str(out, before);
            replace(before, str_sub(text, start, i + 1 - start), nesting, out);
            done = i + 1;
        }
    }
    if (depth > 0) { /* never closed: it goes on to the end */
        struct str before = str_sub(text, done, start - done);
        sb_str(out, before);
        replace(before, str_sub(text, start, SIZE_MAX), nesting, out);
        done = text.n;
    }
    sb_str(out, str_sub(text, done, SIZE_MAX));
}

/* Without its last character, which need not be the delimiter if that is missing. */
static struct str without_last(struct str s)
{
    if (s.n > 0)
        s.n--;
    while (s.n > 0 && ((unsigned char)s.p[s.n] & 0xc0) == 0x80)
        s.n--;
    return s;
}

/*
 * Template arguments become "<T>", unless they are no arguments: a trait of Rust ("<X as Y>"), a
 * name that is not known ("<unknown in x.dll>") or was left out, or an operator ("operator<").
 * IPC::ParamTraits is told apart by the message it is for, which is its argument.
 */
static void collapse_type(struct str before, struct str inside, int nesting, struct strbuf *out)
{
    if (str_eq(inside, STR("<name omitted>")) || text_contains(inside, " as ") ||
        text_contains(inside, " in ") || str_ends(before, STR("operator"))) {
        sb_str(out, inside);
    } else if (str_ends(before, STR("IPC::ParamTraits")) && nesting < NESTING_MAX) {
        struct str inner = without_last(str_sub(inside, 1, SIZE_MAX));
        sb_char(out, '<');
        replace_slices(inner, '<', '>', collapse_type, nesting + 1, out);
        sb_char(out, '>');
    } else {
        sb_text(out, "<T>");
    }
}

/* Rust: a slice with " as " is the trait that a method belongs to, and stays whole. */
static void collapse_rust_type(struct str before, struct str inside, int nesting,
                               struct strbuf *out)
{
    (void)before, (void)nesting;
    sb_str(out, text_contains(inside, " as ") ? inside : STR("<T>"));
}

/* Parameters go; "(anonymous namespace)" is part of a name and "operator()" is one. */
static void collapse_arguments(struct str before, struct str inside, int nesting,
                               struct strbuf *out)
{
    (void)nesting;
    if (str_eq(inside, STR("(anonymous namespace)")) || str_ends(before, STR("operator")))
        sb_str(out, inside);
}

static void drop(struct str before, struct str inside, int nesting, struct strbuf *out)
{
    (void)before, (void)inside, (void)nesting, (void)out;
}

static const char openers[] = "({[<`", closers[] = ")}]>'";

/* Pushes an opener; a closer pops the one it fits.  Returns the depth. */
static size_t track_nesting(char *stack, size_t depth, char c)
{
    const char *kind;
    if (c && (kind = strchr(openers, c)) != NULL)
        stack[depth++] = closers[kind - openers];
    else if (depth > 0 && stack[depth - 1] == c)
        depth--;
    return depth;
}

/*
 * The last word, words being separated by single spaces outside all delimiters.  A last
 * word that begins with '(' or "[clone" belongs to the one before it.
 */
static struct str last_word(struct str text)
{
    FREE_LATER char *stack = xmalloc(text.n + 1);
    FREE_LATER size_t *starts = xmalloc((text.n + 1) * sizeof *starts);
    size_t words = 1, depth = 0, end = text.n;
    starts[0] = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (depth == 0 && text.p[i] == ' ')
            starts[words++] = i + 1;
        else
            depth = track_nesting(stack, depth, text.p[i]);
    }
    if (words > 1 && starts[words - 1] == text.n) { /* nothing behind the last space */
        words--;
        end = text.n - 1;
    }
    struct str word;
    do {
        words--;
        word = str_sub(text, starts[words], end - starts[words]);
    } while (words > 0 && (str_starts(word, STR("(")) || str_starts(word, STR("[clone"))));
    return word;
}

/*
 * In this order, each once. A combination that is not in the list ("const &&") leaves its first
 * word as the whole name; signatures with it exist, so it stays.
 */
static struct str cut_qualifiers(struct str text)
{
    static const char *const qualifiers[] = {"const", "const&", "const &", "&&", "&"};
    for (size_t i = 0; i < ARRAY_LEN(qualifiers); i++) {
        struct str q = str_of(qualifiers[i]);
        if (str_ends(text, q))
            text = text_trim(str_sub(text, 0, text.n - q.n));
    }
    return text;
}

static void replace_all(struct str text, struct str what, struct str with, struct strbuf *out)
{
    size_t done = 0, at;
    while ((at = str_find(text, what, done)) != SIZE_MAX) {
        sb_str(out, str_sub(text, done, at - done));
        sb_str(out, with);
        done = at + what.n;
    }
    sb_str(out, str_sub(text, done, SIZE_MAX));
}

/* Length of "::$_DIGITS::" at `at`, or 0. */
static size_t lambda_number(struct str text, size_t at)
{
    struct str start = STR("::$_");
    size_t i = at + start.n;
    if (!str_starts(str_sub(text, at, SIZE_MAX), start))
        return 0;
    while (i < text.n && text.p[i] >= '0' && text.p[i] <= '9')
        i++;
    bool has_digits = i > at + start.n;
    return has_digits && str_starts(str_sub(text, i, SIZE_MAX), STR("::")) ? i + 2 - at : 0;
}

/* Lambdas are numbered by file: one more above them would change the names of all below. */
static void drop_lambda_numbers(struct str text, struct strbuf *out)
{
    size_t done = 0, at, n;
    while ((at = str_find(text, STR("::$_"), done)) != SIZE_MAX) {
        sb_str(out, str_sub(text, done, at - done));
        n = lambda_number(text, at);
        sb_text(out, n ? "::$::" : "::$_");
        done = at + (n ? n : 4);
    }
    sb_str(out, str_sub(text, done, SIZE_MAX));
}

/* Compilers differ in where they set blanks around pointers and commas. */
static bool is_dropped_space(struct str text, size_t i)
{
    return i + 1 < text.n && text.p[i] == ' ' && strchr("*&,", text.p[i + 1]) && text.p[i + 1];
}

/* No space before '*', '&' and ',', then one behind each ','. */
static void fix_spaces(struct str text, struct strbuf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        if (is_dropped_space(text, i))
            continue;
        sb_char(out, text.p[i]);
        bool has_space = i + 1 < text.n && text.p[i + 1] == ' ' && !is_dropped_space(text, i + 1);
        if (text.p[i] == ',' && !has_space)
            sb_char(out, ' ');
    }
}

/*
 * Some functions are so long that they say nothing (an interpreter's loop): the list says of which
 * the line is part of the name.
 */
static void put_line_number(const struct patterns *line_numbers, struct strbuf *text,
                            struct str line)
{
    if (!patterns_match(line_numbers, sb_view(text)))
        return;
    sb_char(text, ':');
    sb_str(text, line.n ? line : STR("None"));
}

/* Without a symbol hash "::h" and hexadecimal digits at the very end. */
static struct str cut_rust_hash(struct str text)
{
    size_t n = text.n;
    while (n > 0 && hex_digit(text.p[n - 1]) >= 0)
        n--;
    /* 'h' is no digit, so it is what stopped us. */
    bool is_hash = n < text.n && n >= 3 && str_ends(str_sub(text, 0, n), STR("::h"));
    return is_hash ? str_sub(text, 0, n - 3) : text;
}

/* Two buffers that change roles: a step reads one and fills the other. */
struct work {
    struct strbuf buf[2];
    int at;
};

static struct str view(struct work *w)
{
    return sb_view(&w->buf[w->at]);
}

static struct strbuf *next_buf(struct work *w)
{
    w->at = !w->at;
    sb_reset(&w->buf[w->at]);
    return &w->buf[w->at];
}

/* Where the next step reads, and (returned) where it writes. */
static struct strbuf *swap_buffers(struct work *w, struct str *ret_text)
{
    *ret_text = view(w);
    return next_buf(w);
}

static void work_init(struct work *w)
{
    *w = (struct work){.at = 0};
    sb_init(&w->buf[0], TEXT_MAX);
    sb_init(&w->buf[1], TEXT_MAX);
}

static void work_release(struct work *w)
{
    sb_release(&w->buf[0]);
    sb_release(&w->buf[1]);
}

/*
 * "operator Obj* const &" has blanks that are no separators: names with "::operator" keep
 * everything before it. Cold parts of functions that gcc has split off are called like the
 * function.
 */
void sig_normalize_cpp(const struct patterns *line_numbers, struct str function, struct str line,
                       struct strbuf *out)
{
    struct work w;
    struct str text;
    struct strbuf *next;
    work_init(&w);
    function = cut_qualifiers(function);
    if (!text_contains(function, "::operator"))
        function = last_word(function);
    sb_str(next_buf(&w), function);
    next = swap_buffers(&w, &text);
    replace_all(text, STR("`anonymous namespace'"), STR("(anonymous namespace)"), next);
    next = swap_buffers(&w, &text);
    drop_lambda_numbers(text, next);
    next = swap_buffers(&w, &text);
    replace_slices(text, '<', '>', collapse_type, 0, next);
    next = swap_buffers(&w, &text);
    replace_slices(text, '(', ')', collapse_arguments, 0, next);
    if (text_contains(view(&w), "clone .cold")) {
        next = swap_buffers(&w, &text);
        replace_slices(text, '[', ']', drop, 0, next);
    }
    put_line_number(line_numbers, &w.buf[w.at], line);
    fix_spaces(view(&w), out);
    work_release(&w);
}

void sig_normalize_rust(const struct patterns *line_numbers, struct str function, struct str line,
                        struct strbuf *out)
{
    struct work w;
    struct str text;
    struct strbuf *next;
    work_init(&w);
    sb_str(next_buf(&w), last_word(function));
    next = swap_buffers(&w, &text);
    replace_slices(text, '<', '>', collapse_rust_type, 0, next);
    next = swap_buffers(&w, &text);
    replace_slices(text, '(', ')', drop, 0, next);
    put_line_number(line_numbers, &w.buf[w.at], line);
    next = swap_buffers(&w, &text);
    fix_spaces(text, next);
    sb_str(out, cut_rust_hash(view(&w)));
    work_release(&w);
}
