/*
 * The name of a symbols file: <debug file>/<debug id>/<file>, the layout of Microsoft's symbol
 * store that Breakpad, Tecken and debuggers share.  Names come from strangers and become paths, so
 * every part is checked here and nowhere else: no dot in front, no separators, no control
 * characters, limited length.
 */
#include "lib/symfile/symkey.h"

#include <stdio.h>

#include "lib/symfile/sym_module.h"

/* What the upload protocol allows: no control characters, nothing that means something in a URL or
 * a path, and of Unicode all but U+0080 to U+00FF. */
static bool is_allowed(uint32_t cp)
{
    if (cp < 0x20 || (cp >= 0x7f && cp <= 0xff))
        return false;
    return cp > 0x7f || !strchr("\\^`<>{}[]#%\"'|/", (int)cp);
}

/* Parts are file names of their own: one that is "..", hidden or too long is refused, so no key
 * leads out of the folder of its store. */
static bool copy_part(struct str part, const char *what, char out[SYMKEY_PART_MAX + 1],
                      struct err *err)
{
    if (part.n == 0 || part.n > SYMKEY_PART_MAX)
        return err_set(err, ERR_INVALID, "%s: %zu bytes, allowed are 1 to %d", what, part.n,
                       SYMKEY_PART_MAX);
    if (part.p[0] == '.' || !utf8_valid(part))
        return err_set(err, ERR_INVALID, "%s: starts with a dot or is not UTF-8", what);
    for (size_t off = 0; off < part.n;)
        if (!is_allowed(utf8_next(part, &off)))
            return err_set(err, ERR_INVALID, "%s: has a character that is not allowed", what);
    memcpy(out, part.p, part.n);
    out[part.n] = '\0';
    return true;
}

/* Ids are stored in upper case, however they came: the same module is then the same path. */
bool symkey_make(struct str debug_file, struct str debug_id, struct str file, struct symkey *ret,
                 struct err *err)
{
    struct symkey k;
    if (debug_file.n + debug_id.n + file.n + 2 > SYMKEY_MAX)
        return err_set(err, ERR_INVALID, "key longer than %d bytes", SYMKEY_MAX);
    if (!copy_part(debug_file, "debug file", k.debug_file, err) ||
        !copy_part(file, "file name", k.file, err))
        return false;
    if (debug_id.n == 0 || debug_id.n > SYMKEY_ID_MAX)
        return err_set(err, ERR_INVALID, "debug id: %zu digits, allowed are 1 to %d", debug_id.n,
                       SYMKEY_ID_MAX);
    for (size_t i = 0; i < debug_id.n; i++) {
        char c = debug_id.p[i];
        if (hex_digit(c) < 0)
            return err_set(err, ERR_INVALID, "debug id: not hexadecimal");
        k.debug_id[i] = c >= 'a' ? (char)(c - 'a' + 'A') : c;
    }
    k.debug_id[debug_id.n] = '\0';
    *ret = k;
    return true;
}

/* Exactly three parts: a third "/" is a character that no part may have. */
bool symkey_parse(struct str text, struct symkey *ret, struct err *err)
{
    size_t first = str_find_char(text, '/', 0);
    size_t second = first == SIZE_MAX ? SIZE_MAX : str_find_char(text, '/', first + 1);
    if (second == SIZE_MAX)
        return err_set(err, ERR_INVALID, "a key has three parts");
    return symkey_make(str_sub(text, 0, first), str_sub(text, first + 1, second - first - 1),
                       str_sub(text, second + 1, SIZE_MAX), ret, err);
}

/* "xul.pdb" has symbols in "xul.sym", everything else in its name with ".sym" behind it; the ending
 * .pdb is compared without case, as the tools that write it do not agree. */
bool symkey_file_name(struct str debug_file, char *out, size_t out_size, struct err *err)
{
    if (debug_file.n == 0 || str_eq(debug_file, STR(".")) || str_eq(debug_file, STR("..")))
        return err_set(err, ERR_INVALID, "no file name");
    for (size_t i = 0; i < debug_file.n; i++) {
        unsigned char c = (unsigned char)debug_file.p[i];
        if (c < 0x20 || c == 0x7f || c == '/' || c == '\\')
            return err_set(err, ERR_INVALID, "a file name with a path or control characters");
    }
    struct str stem = debug_file;
    if (stem.n >= 4 && str_eq_nocase(str_sub(stem, stem.n - 4, 4), STR(".pdb")))
        stem.n -= 4;
    if (stem.n + sizeof ".sym" > out_size)
        return err_set(err, ERR_INVALID, "a file name of %zu bytes", debug_file.n);
    snprintf(out, out_size, STR_FMT ".sym", STR_ARG(stem));
    return true;
}

/* What a look-up of the module finds: xul.pdb/<ID>/xul.sym. */
bool symkey_of_module(struct str debug_file, struct str debug_id, struct symkey *ret,
                      struct err *err)
{
    char file[SYMKEY_PART_MAX + 1];
    return symkey_file_name(debug_file, file, sizeof file, err) &&
           symkey_make(debug_file, debug_id, str_of(file), ret, err);
}

/* Only this file of a module is what symfind looks for, and so the only one to compile. */
bool symkey_is_of_module(const struct symkey *k)
{
    char file[SYMKEY_PART_MAX + 1];
    return symkey_file_name(str_of(k->debug_file), file, sizeof file, ERR_IGNORED) &&
           str_eq(str_of(file), str_of(k->file));
}

bool symkey_is_text(const struct symkey *k)
{
    const char *dot = strrchr(k->file, '.');
    return dot && str_eq_nocase(str_of(dot), STR(".sym"));
}

void symkey_text(const struct symkey *k, char out[SYMKEY_MAX + 1])
{
    snprintf(out, SYMKEY_MAX + 1, "%s/%s/%s", k->debug_file, k->debug_id, k->file);
}

static struct str next_word(struct str *rest)
{
    size_t n = str_find_char(*rest, ' ', 0);
    struct str w = str_sub(*rest, 0, n);
    *rest = str_trim(str_sub(*rest, w.n, SIZE_MAX));
    return w;
}

/* INFO CODE_ID id [code file], INFO GENERATOR text; a line of another kind says nothing to us. */
static void read_info(struct str line, struct symheader *h)
{
    next_word(&line);
    struct str kind = next_word(&line);
    if (str_eq(kind, STR("CODE_ID"))) {
        h->code_id = next_word(&line);
        h->code_file = line;
    } else if (str_eq(kind, STR("GENERATOR"))) {
        h->generator = line;
    }
}

/* MODULE and the INFO lines right behind it; the first other line ends the header. */
bool symheader_read(struct str text, struct symheader *ret, struct err *err)
{
    struct symheader h = {0};
    struct sym_module m;
    struct str line;
    if (!str_split(&text, '\n', &line) || !sym_parse_module(str_rtrim(line), &m, err))
        return err_set(err, ERR_INVALID, "the file does not start with a MODULE line");
    h.os = m.os;
    h.arch = m.arch;
    h.debug_id = m.debug_id;
    h.debug_file = m.debug_file;
    while (str_split(&text, '\n', &line) && str_starts(line, STR("INFO ")))
        read_info(str_rtrim(line), &h);
    *ret = h;
    return true;
}
