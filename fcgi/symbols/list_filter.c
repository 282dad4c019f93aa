/*
 * Filters of lists.  Every condition narrows a range, whatever the order, so a filter with twenty
 * conditions costs the database as much as one with two.  The syntax is Tecken's, and so are the
 * texts of refusals, which scripts show to people.
 *
 * A condition is an operator, or none, and a value: a size with a unit of 1024, a day, a moment, a
 * word such as today. The result are the least and the most, and they are parameters of a
 * statement; nothing of what was typed becomes SQL. Sizes are read with whole numbers, because
 * 1.1mb is no number that a double holds, and a file just at the limit must fall on one side for
 * all servers.
 */
#include "fcgi/symbols/list_filter.h"

#include "lib/base/time.h"
#include "lib/base/util.h"

enum {
    DIGITS_MAX = 15,    /* of a size before the point: a million gigabytes */
    DECIMALS = 9,       /* behind it; what follows is below one byte of a gigabyte */
    REFUSED_SHOWN = 100 /* bytes of a condition that are repeated */
};

enum operator{ EQUAL, LESS, LESS_OR_EQUAL, MORE, MORE_OR_EQUAL };

/* The longer ones first. */
static const struct {
    const char *text;
    enum operator op;
} operators[] = {
    {"<=", LESS_OR_EQUAL}, {">=", MORE_OR_EQUAL}, {"<", LESS}, {">", MORE}, {"=", EQUAL}};

static enum operator take_operator(struct str *text)
{
    for (size_t i = 0; i < ARRAY_LEN(operators); i++)
        if (str_starts(*text, str_of(operators[i].text))) {
            *text = str_trim(str_sub(*text, strlen(operators[i].text), SIZE_MAX));
            return operators[i].op;
        }
    return EQUAL;
}

/* 1024 to this power; the longer names first. */
static const struct {
    const char *name;
    int power;
} units[] = {{"kb", 1}, {"mb", 2}, {"gb", 3}, {"k", 1}, {"m", 2}, {"g", 3}, {"b", 0}};

static int take_unit(struct str *text)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t n = strlen(units[i].name);
        if (text->n >= n && str_eq_nocase(str_sub(*text, text->n - n, n), str_of(units[i].name))) {
            *text = str_trim(str_sub(*text, 0, text->n - n));
            return units[i].power;
        }
    }
    return 0;
}

/* Of digits alone; behind the point they count as if there were DECIMALS of them. */
static bool read_digits(struct str text, size_t most, bool is_fraction, uint64_t *ret)
{
    uint64_t n = 0;
    if (text.n == 0 || text.n > most)
        return false;
    for (size_t i = 0; i < (is_fraction ? most : text.n); i++) {
        if (i < text.n && (text.p[i] < '0' || text.p[i] > '9'))
            return false;
        n = n * 10 + (i < text.n ? (uint64_t)(text.p[i] - '0') : 0);
    }
    *ret = n;
    return true;
}

/* Bytes, rounded down, and whether anything was cut off. */
static bool read_size(struct str text, int64_t *ret_bytes, bool *ret_is_cut)
{
    static const uint64_t parts_of_one = 1000000000; /* ten to the power of DECIMALS */
    int power = take_unit(&text);
    size_t dot = str_find_char(text, '.', 0);
    uint64_t whole, part = 0;
    if (!read_digits(dot == SIZE_MAX ? text : str_sub(text, 0, dot), DIGITS_MAX, false, &whole) ||
        (dot != SIZE_MAX && !read_digits(str_sub(text, dot + 1, SIZE_MAX), DECIMALS, true, &part)))
        return false;
    unsigned __int128 n = (unsigned __int128)whole * parts_of_one + part;
    n <<= 10 * power;
    *ret_is_cut = n % parts_of_one != 0;
    n /= parts_of_one;
    *ret_bytes = n > INT64_MAX - 1 ? INT64_MAX - 1 : (int64_t)n;
    return true;
}

static void narrow_size(struct size_range *r, enum operator op, int64_t bytes, bool is_cut)
{
    int64_t above = bytes + 1, up = is_cut ? bytes + 1 : bytes; /* least that are > and >= it */
    if (op == EQUAL || op == MORE_OR_EQUAL)
        r->least = MAX(r->least, up);
    if (op == MORE)
        r->least = MAX(r->least, above);
    if (op == EQUAL || op == LESS_OR_EQUAL)
        r->most = MIN(r->most, bytes);
    if (op == LESS)
        r->most = MIN(r->most, up - 1);
}

bool list_filter_part(struct str *rest, struct str *ret)
{
    while (str_split(rest, ',', ret)) {
        *ret = str_trim(*ret);
        if (ret->n > 0)
            return true;
    }
    return false;
}

static struct str shown(struct str condition)
{
    return str_sub(condition, 0, utf8_prefix_bytes(condition, REFUSED_SHOWN));
}

bool size_filter_parse(struct str text, struct size_range *ret, struct err *err)
{
    struct size_range r = {.least = 0, .most = INT64_MAX};
    struct str condition;
    while (list_filter_part(&text, &condition)) {
        struct str rest = condition;
        enum operator op = take_operator(&rest);
        int64_t bytes;
        bool is_cut;
        if (!read_size(rest, &bytes, &is_cut))
            return err_set(err, ERR_INVALID, "'" STR_FMT "' is not a valid size",
                           STR_ARG(shown(condition)));
        narrow_size(&r, op, bytes, is_cut);
        r.is_set = true;
    }
    *ret = r;
    return true;
}

static void narrow_time(struct time_range *r, enum operator op, int64_t us)
{
    bool is_day = us % DAY_US == 0, is_second = us % SECOND_US == 0;
    int64_t length_us = is_day ? DAY_US : is_second ? SECOND_US : 1;
    if (op == EQUAL || op == MORE_OR_EQUAL)
        r->from_us = MAX(r->from_us, us);
    if (op == MORE)
        r->from_us = MAX(r->from_us, us + SECOND_US + 1);
    if (op == EQUAL)
        r->end_us = MIN(r->end_us, us + length_us);
    if (op == LESS)
        r->end_us = MIN(r->end_us, us);
    if (op == LESS_OR_EQUAL)
        r->end_us = MIN(r->end_us, us + 1);
    r->is_set = true;
}

static bool read_time(struct str text, int64_t now_us, int64_t *ret_us)
{
    int64_t midnight = now_us - now_us % DAY_US;
    if (str_eq_nocase(text, STR("today")))
        *ret_us = midnight;
    else if (str_eq_nocase(text, STR("yesterday")))
        *ret_us = midnight - DAY_US;
    else
        return time_parse(text, ret_us, ERR_IGNORED);
    return true;
}

bool time_filter_parse(struct str text, int64_t now_us, struct time_range *ret, struct err *err)
{
    /* The years that a timestamp of the database and a text of ours both can have. */
    static const int64_t first_us = -62135596800LL * 1000000, last_us = 253402300799LL * 1000000;
    struct time_range r = {.from_us = first_us, .end_us = last_us};
    struct str condition;
    while (list_filter_part(&text, &condition)) {
        struct str rest = condition;
        enum operator op = take_operator(&rest);
        int64_t us;
        if (str_eq_nocase(rest, STR("null")) || str_eq_nocase(rest, STR("incomplete")))
            r.must_be_null = true;
        else if (read_time(rest, now_us, &us) && us >= first_us && us < last_us)
            narrow_time(&r, op, us);
        else
            return err_set(err, ERR_INVALID, "Unable to parse '" STR_FMT "'",
                           STR_ARG(shown(condition)));
    }
    *ret = r;
    return true;
}

const char *like_pattern(struct arena *a, struct str text)
{
    char *out = arena_alloc(a, 2 * text.n + 3);
    size_t n = 0;
    out[n++] = '%';
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '%' || text.p[i] == '_' || text.p[i] == '\\')
            out[n++] = '\\';
        out[n++] = text.p[i];
    }
    out[n++] = '%';
    out[n] = '\0';
    return out;
}
