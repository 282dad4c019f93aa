/*
 * One frame as one line of text.  What is known best comes first: the function, the place in a
 * source file, the module, an unloaded module, the bare offset.  A frame of which nothing is known
 * is the empty text and counts for nothing.
 *
 * The text must be the same for the same code in another build, or crashes fall apart into groups
 * of one.  So addresses are used only where there is nothing else, and functions lose what
 * compilers and versions add (function.c).
 */
#include "lib/signature/frame.h"

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/signature/function.h"
#include "lib/signature/sig_text.h"

static struct str read_line(const json_t *v, struct sig_frame *f)
{
    if (json_is_string(v))
        return str_n(json_string_value(v), json_string_length(v));
    if (!json_is_integer(v))
        return STR("");
    f->is_line_zero = json_integer_value(v) == 0;
    int n = snprintf(f->line_text, sizeof f->line_text, "%lld", (long long)json_integer_value(v));
    return str_n(f->line_text, (size_t)n);
}

void sig_frame_read(const json_t *frame, const json_t *inlined, struct sig_frame *ret)
{
    const json_t *own = inlined ? inlined : frame;
    *ret = (struct sig_frame){
        .module = text_of(frame, "module"),
        .offset = text_of(frame, "offset"),
        .function = text_of(own, "function"),
        .file = text_of(own, "file"),
        .unloaded_modules = inlined ? NULL : jget_arr(frame, "unloaded_modules"),
    };
    ret->function.n = utf8_prefix_bytes(ret->function, SIG_FUNCTION_BYTES_MAX);
    ret->line = read_line(json_object_get(own, "line"), ret);
}

/*
 * The path inside a source tree: "VCS:ROOT:PATH:REVISION", "D:\path" or "/path".
 * Empty for anything else.
 */
static struct str source_path(struct str file)
{
    struct str parts[4], rest = file, part;
    size_t n = 0;
    while (str_split(&rest, ':', &part)) {
        if (n < ARRAY_LEN(parts))
            parts[n] = part;
        n++;
    }
    if (n == 4)
        return parts[2];
    if (n == 2)
        return parts[1];
    return str_starts(file, STR("/")) ? file : STR("");
}

/* Rust 1.34 left the module path out of some function names. */
static const struct {
    const char *path, *function, *full;
} rust_names[] = {
    {"src/liballoc/raw_vec.rs", "capacity_overflow", "alloc::raw_vec::capacity_overflow"},
    {"src/libcore/option.rs", "expect_failed", "core::option::expect_failed"},
    {"src/libcore/panicking.rs", "panic_bounds_check", "core::panicking::panic_bounds_check"},
    {"src/libcore/panicking.rs", "panic_fmt", "core::panicking::panic_fmt"},
    {"src/libcore/panicking.rs", "panic", "core::panicking::panic"},
    {"src/libcore/slice/mod.rs", "slice_index_order_fail", "core::slice::slice_index_order_fail"},
    {"src/libstd/panicking.rs", "begin_panic_fmt", "std::panicking::begin_panic_fmt"},
    {"src/libstd/panicking.rs", "continue_panic_fmt", "std::panicking::continue_panic_fmt"},
    {"src/libstd/panicking.rs", "rust_panic_with_hook", "std::panicking::rust_panic_with_hook"},
};

/* Both must fit: "panic" is a frequent name. */
static struct str full_rust_name(struct str path, struct str function)
{
    for (size_t i = 0; i < ARRAY_LEN(rust_names); i++)
        if (str_eq(path, str_of(rust_names[i].path)) &&
            str_eq(function, str_of(rust_names[i].function)))
            return str_of(rust_names[i].full);
    return function;
}

/*
 * Rust and C++ write types and parameters differently; the file says which it is, since demangled
 * names do not.
 */
static void put_function(const struct siglists *l, const struct sig_frame *f, struct strbuf *out)
{
    struct str path = source_path(f->file);
    struct str function = full_rust_name(path, f->function);
    if (str_ends(path, STR(".rs")))
        sig_normalize_rust(l->patterns[LIST_LINE_NUMBERS], function, f->line, out);
    else
        sig_normalize_cpp(l->patterns[LIST_LINE_NUMBERS], function, f->line, out);
}

/*
 * NAME#LINE, the name being what stands behind the last separator; of a path from version control
 * ("hg:host:path/file.cpp:rev") the revision stays at the end of the name. So it has always been.
 */
static void put_file(const struct sig_frame *f, struct strbuf *out)
{
    struct str file = f->file;
    while (file.n > 0 && (file.p[file.n - 1] == '/' || file.p[file.n - 1] == '\\'))
        file.n--;
    size_t slash = str_rfind_char(file, '\\');
    if (slash == SIZE_MAX)
        slash = str_rfind_char(file, '/');
    sb_str(out, slash == SIZE_MAX ? file : str_sub(file, slash + 1, SIZE_MAX));
    sb_char(out, '#');
    sb_str(out, f->line);
}

static bool is_bracket(char c)
{
    return c == '[' || c == ']';
}

/*
 * Brackets around a name ("[vdso]") do not count.
 * Names of Windows modules are in any case, so they are made lower case for that system.
 */
static void put_module(struct str module, bool lower, struct strbuf *out)
{
    while (module.n > 0 && is_bracket(module.p[0]))
        module = str_sub(module, 1, SIZE_MAX);
    while (module.n > 0 && is_bracket(module.p[module.n - 1]))
        module.n--;
    for (size_t i = 0; i < module.n; i++) {
        char c = module.p[i];
        sb_char(out, lower && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
}

/*
 * Somebody calls into a library that is gone: which one is what matters. "None" is how a missing
 * name has been written.
 */
static void put_unloaded(const json_t *list, struct strbuf *out)
{
    const json_t *name = json_object_get(json_array_get(list, 0), "module");
    sb_text(out, "(unloaded ");
    sb_str(out, json_is_string(name) ? str_n(json_string_value(name), json_string_length(name))
                                     : STR("None"));
    sb_char(out, ')');
}

/* "@0x" and the digits without leading zeros, in lower case; as it is if it is no number. */
static void put_offset(struct str offset, struct strbuf *out)
{
    struct str digits = text_trim(offset);
    if (str_starts_nocase(digits, STR("0x")))
        digits = str_sub(digits, 2, SIZE_MAX);
    bool is_hex = digits.n > 0;
    for (size_t i = 0; i < digits.n; i++)
        is_hex = is_hex && hex_digit(digits.p[i]) >= 0;
    sb_char(out, '@');
    if (!is_hex) {
        sb_str(out, offset);
        return;
    }
    while (digits.n > 1 && digits.p[0] == '0')
        digits = str_sub(digits, 1, SIZE_MAX);
    sb_text(out, "0x");
    for (size_t i = 0; i < digits.n; i++)
        sb_char(out, "0123456789abcdef"[hex_digit(digits.p[i])]);
}

void sig_frame_text(const struct siglists *l, const struct sig_frame *f, bool lower_module,
                    struct strbuf *out)
{
    if (f->function.n > 0)
        put_function(l, f, out);
    else if (f->file.n > 0 && f->line.n > 0 && !f->is_line_zero)
        put_file(f, out);
    else if (f->module.n > 0)
        put_module(f->module, lower_module, out);
    else if (json_array_size(f->unloaded_modules) > 0)
        put_unloaded(f->unloaded_modules, out);
    else if (f->offset.n > 0)
        put_offset(f->offset, out);
}
