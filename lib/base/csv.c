/*
 * RFC 4180 leaves open what a quote in the middle of an unquoted field is; here it is a character
 * like any other, as in what spreadsheets write.  A quote at the start of a field must have its
 * end, and behind the end only a comma or the end of the record may stand: everything else is a
 * file that was damaged or is none, and is refused rather than guessed.
 *
 * Records are read one at a time from a text that lies in memory; fields borrow from it, and only
 * quoted ones are copied, since theirs are the only characters that change.  Lines are counted as
 * an editor counts them, also those within quotes, because the number is all that an error has to
 * show.
 */
#include "lib/base/csv.h"

/* A byte order mark is what spreadsheets put before UTF-8; it is no part of the first field. */
void csv_begin(struct csv *c, struct str text)
{
    *c = (struct csv){.rest = text, .next_line = 1};
    if (str_starts(text, STR("\xef\xbb\xbf")))
        c->rest = str_sub(text, 3, SIZE_MAX);
}

/* Where the closing quote is: the first that is not one of a pair.  SIZE_MAX: nowhere. */
static size_t closing_quote(struct str s)
{
    size_t i = str_find_char(s, '"', 1);
    while (i != SIZE_MAX && i + 1 < s.n && s.p[i + 1] == '"')
        i = str_find_char(s, '"', i + 2);
    return i;
}

/* The field without the quotes around it, and one of each pair in it. */
static bool take_quoted(struct csv *c, struct arena *a, struct str *ret, struct err *err)
{
    size_t end = closing_quote(c->rest), n = 0;
    if (end == SIZE_MAX)
        return err_set(err, ERR_INVALID, "line %zu: a quote that does not end", c->line);
    char *out = arena_alloc(a, end);
    for (size_t i = 1; i < end; i++) {
        c->next_line += c->rest.p[i] == '\n';
        out[n++] = c->rest.p[i];
        i += c->rest.p[i] == '"';
    }
    *ret = str_n(out, n);
    c->rest = str_sub(c->rest, end + 1, SIZE_MAX);
    return true;
}

/* A CR alone is a character; only before LF it ends the record. */
static struct str take_plain(struct csv *c)
{
    size_t n = 0;
    while (n < c->rest.n && c->rest.p[n] != ',' && c->rest.p[n] != '\n' &&
           !(c->rest.p[n] == '\r' && n + 1 < c->rest.n && c->rest.p[n + 1] == '\n'))
        n++;
    struct str field = str_sub(c->rest, 0, n);
    c->rest = str_sub(c->rest, n, SIZE_MAX);
    return field;
}

/* *ret_more: another field follows. */
static bool take_separator(struct csv *c, bool *ret_more, struct err *err)
{
    *ret_more = false;
    if (c->rest.n == 0)
        return true;
    size_t n = c->rest.p[0] == '\r' && c->rest.n > 1 && c->rest.p[1] == '\n' ? 2 : 1;
    char last = c->rest.p[n - 1];
    if (last != ',' && last != '\n')
        return err_set(err, ERR_INVALID, "line %zu: text behind a closing quote", c->line);
    *ret_more = last == ',';
    c->next_line += last == '\n';
    c->rest = str_sub(c->rest, n, SIZE_MAX);
    return true;
}

static void skip_empty_lines(struct csv *c)
{
    while (c->rest.n > 0 && (c->rest.p[0] == '\n' || str_starts(c->rest, STR("\r\n")))) {
        c->rest = str_sub(c->rest, c->rest.p[0] == '\n' ? 1 : 2, SIZE_MAX);
        c->next_line++;
    }
}

/* More fields than there is room for are counted and not kept: the caller says how many it wanted.
 */
bool csv_next(struct csv *c, struct arena *a, struct str *fields, size_t max, size_t *ret_n,
              struct err *err)
{
    bool more = true;
    *ret_n = 0;
    skip_empty_lines(c);
    c->line = c->next_line;
    if (c->rest.n == 0)
        return true;
    while (more) {
        struct str field;
        if (!str_starts(c->rest, STR("\"")))
            field = take_plain(c);
        else if (!take_quoted(c, a, &field, err))
            return false;
        if (!take_separator(c, &more, err))
            return false;
        if (*ret_n < max)
            fields[*ret_n] = field;
        ++*ret_n;
    }
    return true;
}

static bool has_any(struct str text, struct str of)
{
    for (size_t i = 0; i < text.n; i++)
        if (str_find_char(of, text.p[i], 0) != SIZE_MAX)
            return true;
    return false;
}

static void put_field(struct strbuf *b, struct str guard, struct str field)
{
    if (!has_any(field, STR(",\"\r\n"))) {
        sb_str(b, guard);
        sb_str(b, field);
        return;
    }
    sb_char(b, '"');
    sb_str(b, guard);
    for (size_t i = 0; i < field.n; i++) {
        if (field.p[i] == '"')
            sb_char(b, '"');
        sb_char(b, field.p[i]);
    }
    sb_char(b, '"');
}

void csv_put(struct strbuf *b, struct str field)
{
    put_field(b, STR(""), field);
}

/* The characters are those that spreadsheets begin a formula with, and blanks that they skip. */
void csv_put_guarded(struct strbuf *b, struct str field)
{
    bool is_formula = has_any(str_sub(field, 0, 1), STR("=+-@\t\r"));
    put_field(b, is_formula ? STR("'") : STR(""), field);
}
