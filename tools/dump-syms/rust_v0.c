/*
 * Rust's second mangling scheme ("v0", names that start with _R; RFC 2603): a prefix notation of
 * paths and types in which whatever occurred before may be referred to by its place.  References
 * make small names big, so steps, depth and output are limited.  Each function below reads one rule
 * of the RFC's grammar and writes it in the syntax of Rust as it goes; there is no tree in between.
 *
 * The first misfit makes the parser bad for good: peek() then sees the end, so every loop and every
 * rule comes to its own, and what was written so far is thrown away by rust_v0_name.  What is not
 * understood (structures as constants) fails in the same way, and the name stays mangled in the
 * report.
 */
#include <ctype.h>

#include "lib/base/str.h"
#include "lib/base/util.h"
#include "tools/dump-syms/rust_name.h"

/* Bounds of what a hostile name may cost.  LIFETIMES_MAX is the alphabet: 'a to 'z. */
enum { DEPTH_MAX = 128, STEPS_MAX = 20000, OUTPUT_MAX = 1 << 16, LIFETIMES_MAX = 26 };

struct rust_parser {
    struct str s; /* behind _R */
    size_t at;
    struct strbuf *out; /* NULL: read on without writing */
    unsigned depth, steps;
    uint64_t binders; /* lifetimes of the for<> around */
    bool is_open;     /* the last trait's arguments: no '>' yet */
    bool bad;
};

static void path(struct rust_parser *p, bool in_value);
static void type(struct rust_parser *p);
static void constant(struct rust_parser *p);

/* The next character, '\0' at the end and when the name is bad; no rule begins with that. */
static char peek(const struct rust_parser *p)
{
    return !p->bad && p->at < p->s.n ? p->s.p[p->at] : '\0';
}

static bool eat(struct rust_parser *p, char c)
{
    bool found = peek(p) == c && c != '\0';
    p->at += found;
    return found;
}

static char next(struct rust_parser *p)
{
    char c = peek(p);
    p->bad |= c == '\0';
    p->at += !p->bad;
    return c;
}

static void put(struct rust_parser *p, const char *text)
{
    if (p->out && !p->bad)
        sb_text(p->out, text);
}

/* Up to the '_': "_" is 0, "0_" is 1.  Digits are 0-9, a-z, A-Z in this order. */
static uint64_t base62(struct rust_parser *p)
{
    uint64_t n = 0;
    if (eat(p, '_'))
        return 0;
    while (!eat(p, '_')) {
        char c = next(p);
        uint64_t digit = c >= '0' && c <= '9'   ? (uint64_t)(c - '0')
                         : c >= 'a' && c <= 'z' ? (uint64_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'Z' ? (uint64_t)(c - 'A') + 36
                                                : UINT64_MAX;
        p->bad |= digit == UINT64_MAX || n > (UINT64_MAX - 62) / 62;
        if (p->bad)
            return 0;
        n = n * 62 + digit;
    }
    return n + 1;
}

/* A number behind a letter; 0 when the letter is not there. */
static uint64_t optional(struct rust_parser *p, char letter)
{
    return eat(p, letter) ? base62(p) + 1 : 0;
}

/*
 * A length.  Leading zeros are not allowed by the grammar, so "0" is a number of its own; growth
 * stops above 32 bits, since no name is so long, and the length is compared with what is there
 * afterwards.
 */
static uint64_t decimal(struct rust_parser *p)
{
    uint64_t n = 0;
    if (eat(p, '0'))
        return 0;
    p->bad |= !isdigit((unsigned char)peek(p));
    while (isdigit((unsigned char)peek(p)) && n < UINT32_MAX)
        n = n * 10 + (uint64_t)(next(p) - '0');
    return n;
}

/* One level deeper, unless that is too deep or has gone on for too long. */
static bool enter(struct rust_parser *p)
{
    p->bad |= ++p->steps > STEPS_MAX || ++p->depth > DEPTH_MAX || (p->out && p->out->overflow);
    return !p->bad;
}

/*
 * Goes back to the place that a reference names and reads that; the place must lie before the
 * reference.  When nothing is written (inside a path that is skipped) nothing is read there either,
 * which keeps skipping linear.
 */
static void reference(struct rust_parser *p, void (*read)(struct rust_parser *))
{
    size_t start = p->at - 1;
    uint64_t to = base62(p);
    p->bad |= to >= start;
    size_t back = p->at;
    if (p->out && enter(p)) {
        p->at = (size_t)to;
        read(p);
        p->at = back;
        p->depth--;
    }
}

struct identifier {
    struct str text;
    bool is_punycode;
    uint64_t disambiguator;
};

/*
 * An optional number that tells equal names apart (of closures, of versions of a crate), then the
 * length and the name.
 */
static struct identifier identifier(struct rust_parser *p)
{
    struct identifier i = {.disambiguator = optional(p, 's'), .is_punycode = eat(p, 'u')};
    uint64_t n = decimal(p);
    eat(p, '_'); /* separates a length from a name that starts with a digit */
    p->bad |= n > p->s.n - MIN(p->at, p->s.n);
    if (!p->bad) {
        i.text = str_sub(p->s, p->at, (size_t)n);
        p->at += (size_t)n;
    }
    return i;
}

/* Names outside ASCII are rare enough to be shown as they are written. */
static void put_identifier(struct rust_parser *p, const struct identifier *i)
{
    if (!p->out || p->bad)
        return;
    if (i->is_punycode)
        sb_text(p->out, "punycode{");
    sb_str(p->out, i->text);
    if (i->is_punycode)
        sb_char(p->out, '}');
}

/* 0 is '_; others count outwards from the innermost binder. */
static void lifetime(struct rust_parser *p, uint64_t index)
{
    char name[3] = "'_";
    p->bad |= index > p->binders;
    if (index > 0) {
        uint64_t depth = p->binders - index;
        name[1] = depth < LIFETIMES_MAX ? (char)('a' + depth) : '?';
    }
    put(p, name);
}

/*
 * for<'a, 'b>; returns how many lifetimes end with what follows.  The caller takes as many off
 * p->binders when that is over.
 */
static uint64_t binder(struct rust_parser *p)
{
    uint64_t n = optional(p, 'G');
    p->bad |= n > LIFETIMES_MAX;
    if (n == 0 || p->bad)
        return 0;
    put(p, "for<");
    for (uint64_t i = 0; i < n; i++) {
        p->binders++;
        put(p, i ? ", " : "");
        lifetime(p, 1);
    }
    put(p, "> ");
    return n;
}

static void generic_argument(struct rust_parser *p)
{
    if (eat(p, 'L'))
        lifetime(p, base62(p));
    else if (eat(p, 'K'))
        constant(p);
    else
        type(p);
}

static void generic_arguments(struct rust_parser *p)
{
    for (bool first = true; !p->bad && !eat(p, 'E'); first = false) {
        put(p, first ? "" : ", ");
        generic_argument(p);
    }
}

/*
 * The module that an impl stands in.  It is read and not written, since the type that follows says
 * enough.
 */
static void skip_impl_path(struct rust_parser *p)
{
    struct strbuf *out = TAKE(p->out);
    optional(p, 's');
    path(p, false);
    p->out = out;
}

/* namespace path identifier: small letters are ordinary names, capitals are special. */
static void nested(struct rust_parser *p, bool in_value)
{
    char space = next(p);
    path(p, in_value);
    struct identifier i = identifier(p);
    if (islower((unsigned char)space)) {
        if (i.text.n) {
            put(p, "::");
            put_identifier(p, &i);
        }
        return;
    }
    p->bad |= !isupper((unsigned char)space);
    char other[2] = {space, '\0'}, number[32];
    put(p, "::{");
    put(p, space == 'C' ? "closure" : space == 'S' ? "shim" : other);
    if (i.text.n) {
        put(p, ":");
        put_identifier(p, &i);
    }
    snprintf(number, sizeof number, "#%llu}", (unsigned long long)i.disambiguator);
    put(p, number);
}

/*
 * Two shapes for reference(), which calls what it refers to without further arguments.  In a value
 * path arguments are written as in an expression, Vec::<u8>::new, else as in a type, Vec<u8>.
 */
static void value_path(struct rust_parser *p)
{
    path(p, true);
}

static void type_path(struct rust_parser *p)
{
    path(p, false);
}

static void as_trait(struct rust_parser *p)
{
    put(p, "<");
    type(p);
    put(p, " as ");
    path(p, false);
    put(p, ">");
}

static void path(struct rust_parser *p, bool in_value)
{
    if (!enter(p))
        return;
    switch (next(p)) {
    case 'C': {
        struct identifier crate = identifier(p);
        put_identifier(p, &crate);
        break;
    }
    case 'M':
        skip_impl_path(p);
        put(p, "<");
        type(p);
        put(p, ">");
        break;
    case 'X':
        skip_impl_path(p);
        as_trait(p);
        break;
    case 'Y':
        as_trait(p);
        break;
    case 'N':
        nested(p, in_value);
        break;
    case 'I':
        path(p, in_value);
        put(p, in_value ? "::<" : "<");
        generic_arguments(p);
        put(p, ">");
        break;
    case 'B':
        reference(p, in_value ? value_path : type_path);
        break;
    default:
        p->bad = true;
    }
    p->depth--;
}

/* One small letter each (RFC 2603, "basic-type"); 'p' is the placeholder _ and 'v' the ... of C. */
static const char *basic_type(char letter)
{
    static const char *const names[26] = {
        "i8",    "bool", "char", "f64", "str",  "f32",  NULL,  "u8", "isize",
        "usize", NULL,   "i32",  "u32", "i128", "u128", "_",   NULL, NULL,
        "i16",   "u16",  "()",   "...", NULL,   "i64",  "u64", "!",
    };
    return letter >= 'a' && letter <= 'z' ? names[letter - 'a'] : NULL;
}

static void pointer_to(struct rust_parser *p, const char *prefix)
{
    put(p, prefix);
    type(p);
}

/* A lifetime that was erased ('_) is not written: it would stand in nearly every name. */
static void reference_type(struct rust_parser *p, const char *mut)
{
    put(p, "&");
    if (eat(p, 'L')) {
        uint64_t index = base62(p);
        if (index > 0) {
            lifetime(p, index);
            put(p, " ");
        }
    }
    pointer_to(p, mut);
}

/* A tuple of one has a comma, as in Rust, where (T) is just T. */
static void tuple(struct rust_parser *p)
{
    size_t n = 0;
    put(p, "(");
    for (; !p->bad && !eat(p, 'E'); n++) {
        put(p, n ? ", " : "");
        type(p);
    }
    put(p, n == 1 ? ",)" : ")");
}

/*
 * "C" has a letter of its own; in other names '-' is written as '_', since symbols cannot hold it.
 */
static void abi(struct rust_parser *p)
{
    if (!eat(p, 'K'))
        return;
    put(p, "extern \"");
    if (eat(p, 'C')) {
        put(p, "C");
    } else {
        struct identifier name = identifier(p);
        for (size_t i = 0; i < name.text.n; i++) {
            char letter[2] = {name.text.p[i] == '_' ? '-' : name.text.p[i], '\0'};
            put(p, letter);
        }
    }
    put(p, "\" ");
}

/*
 * A function that returns (), which has the letter 'u', is written without a return type, as in
 * sources.
 */
static void function_type(struct rust_parser *p)
{
    uint64_t bound = binder(p);
    if (eat(p, 'U'))
        put(p, "unsafe ");
    abi(p);
    put(p, "fn(");
    for (bool first = true; !p->bad && !eat(p, 'E'); first = false) {
        put(p, first ? "" : ", ");
        type(p);
    }
    put(p, ")");
    if (!eat(p, 'u')) {
        put(p, " -> ");
        type(p);
    }
    p->binders -= bound;
}

/*
 * The path of a trait.  Its arguments are left open (is_open), for the types it is bound to go on
 * in the same brackets; they may have been written before and be referred to here.
 */
static void trait_path(struct rust_parser *p)
{
    if (eat(p, 'B')) {
        reference(p, trait_path);
    } else if (eat(p, 'I')) {
        path(p, false);
        put(p, "<");
        generic_arguments(p);
        p->is_open = true;
    } else {
        path(p, false);
        p->is_open = false;
    }
}

/* A trait with the types it is bound to: Iterator<Item = u8>. */
static void dyn_trait(struct rust_parser *p)
{
    p->is_open = false;
    trait_path(p);
    bool open = p->is_open;
    while (!p->bad && eat(p, 'p')) {
        put(p, open ? ", " : "<");
        open = true;
        struct identifier name = identifier(p);
        put_identifier(p, &name);
        put(p, " = ");
        type(p);
    }
    put(p, open ? ">" : "");
}

static void dyn(struct rust_parser *p)
{
    put(p, "dyn ");
    uint64_t bound = binder(p);
    for (bool first = true; !p->bad && !eat(p, 'E'); first = false) {
        put(p, first ? "" : " + ");
        dyn_trait(p);
    }
    p->binders -= bound;
    p->bad |= !eat(p, 'L');
    uint64_t index = base62(p);
    if (index > 0) {
        put(p, " + ");
        lifetime(p, index);
    }
}

static void array(struct rust_parser *p)
{
    put(p, "[");
    type(p);
    put(p, "; ");
    constant(p);
    put(p, "]");
}

static void slice(struct rust_parser *p)
{
    put(p, "[");
    type(p);
    put(p, "]");
}

static void type(struct rust_parser *p)
{
    if (!enter(p))
        return;
    char letter = next(p);
    const char *basic = basic_type(letter);
    switch (letter) {
    case 'A':
        array(p);
        break;
    case 'S':
        slice(p);
        break;
    case 'T':
        tuple(p);
        break;
    case 'R':
        reference_type(p, "");
        break;
    case 'Q':
        reference_type(p, "mut ");
        break;
    case 'P':
        pointer_to(p, "*const ");
        break;
    case 'O':
        pointer_to(p, "*mut ");
        break;
    case 'F':
        function_type(p);
        break;
    case 'D':
        dyn(p);
        break;
    case 'B':
        reference(p, type);
        break;
    default:
        if (basic) {
            put(p, basic);
        } else {
            p->at -= !p->bad;
            path(p, false);
        }
    }
    p->depth--;
}

static void put_wide(struct rust_parser *p, const char *sign, struct str digits)
{
    put(p, sign);
    put(p, "0x");
    if (p->out && !p->bad)
        sb_str(p->out, digits);
}

/*
 * As Rust's {:?} writes it.  What is not ASCII stays a number: whether it can be seen would take
 * Unicode's tables.
 */
static void put_char(struct rust_parser *p, uint64_t c)
{
    static const char escaped[] = "\0\t\n\r'\\", letters[] = "0tnr'\\";
    char text[32];
    const char *found = c < 0x7f ? memchr(escaped, (int)c, sizeof escaped - 1) : NULL;
    if (found)
        snprintf(text, sizeof text, "'\\%c'", letters[found - escaped]);
    else if (c >= ' ' && c < 0x7f)
        snprintf(text, sizeof text, "'%c'", (char)c);
    else
        snprintf(text, sizeof text, "'\\u{%llx}'", (unsigned long long)c);
    put(p, text);
}

/*
 * Hexadecimal digits up to '_', with 'n' in front of a negative number.  The letter of the type
 * decides how it is shown: bool as a word, char in quotes, all others as a decimal number, up to 64
 * bits.
 */
static void constant_number(struct rust_parser *p, char of)
{
    uint64_t n = 0;
    size_t digits = 0;
    char text[40];
    const char *sign = eat(p, 'n') ? "-" : "";
    size_t start = p->at;
    while (!p->bad && !eat(p, '_')) {
        int digit = hex_digit(next(p));
        p->bad |= digit < 0 || ++digits > 32;
        n = n << 4 | (uint64_t)(digit & 15);
    }
    if (of == 'b')
        put(p, n ? "true" : "false");
    else if (digits > 16) /* 128 bits: as they are written */
        put_wide(p, sign, str_sub(p->s, start, digits));
    else if (of == 'c')
        put_char(p, n);
    else {
        snprintf(text, sizeof text, "%s%llu", sign, (unsigned long long)n);
        put(p, text);
    }
}

static void constant(struct rust_parser *p)
{
    if (!enter(p))
        return;
    char letter = next(p);
    if (letter == 'B')
        reference(p, constant);
    else if (letter == 'p')
        put(p, "_");
    else if (letter != '\0' && strchr("hatmyoxnslbcij", letter))
        constant_number(p, letter);
    else
        p->bad = true; /* structures as constants: left to the fallback */
    p->depth--;
}

/*
 * A name may be followed by the path of the crate that made this instance of a generic function; it
 * is read, so that the end is found, and not written.  Then nothing may follow but what compilers
 * append behind a dot or '$'.
 */
bool rust_v0_name(const char *mangled, struct strbuf *out)
{
    struct str all = str_of(mangled);
    if (!str_starts(all, STR("_R")))
        return false;
    size_t before = out->n;
    STRBUF_AUTO text;
    sb_init(&text, OUTPUT_MAX);
    struct rust_parser p = {.s = str_sub(all, 2, SIZE_MAX), .out = &text};
    path(&p, true);
    if (isupper((unsigned char)peek(&p))) { /* the crate that made this instance */
        p.out = NULL;
        path(&p, false);
    }
    bool end = p.at == p.s.n || peek(&p) == '.' || peek(&p) == '$'; /* ".llvm.123" */
    if (p.bad || !end || text.overflow || text.n == 0)
        return false;
    sb_str(out, sb_view(&text));
    return out->n > before;
}
