/*
 * Versions as people of Mozilla write them, made to compare like semantic versions.
 *
 * What stands behind the numbers becomes a list of parts whose first word is chosen for its place
 * in the alphabet: alpha, beta, release, xsr ("esr" must come after the release of the same
 * number). Then "rc" and its number; without one it is 999, which is behind every release
 * candidate.  A beta without a number ends up behind those with one, for a number comes before a
 * text.  All alphas of one version are equal: what stands behind the "a", a number or nothing, is
 * not looked at.
 */
#include "fcgi/webapp/version_order.h"

#include "lib/base/err.h"
#include "lib/base/util.h"

static bool number(struct str s, int64_t *ret)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return str_to_i64(s, 0, INT64_MAX, "version", ret, ERR_IGNORED);
}

static bool add(struct version *v, struct str text)
{
    if (v->pre_count == VERSION_PARTS_MAX)
        return false;
    struct version_part *p = &v->pre[v->pre_count++];
    *p = (struct version_part){.text = text};
    p->is_number = number(text, &p->n);
    return true;
}

/* Up to three numbers, further parts ignored. */
static bool numbers(struct str s, struct version *v)
{
    struct str part;
    for (size_t i = 0; str_split(&s, '.', &part); i++) {
        int64_t n;
        if (!number(part, &n))
            return false;
        if (i < 3)
            v->number[i] = n;
    }
    return true;
}

/* X.Y.Z or X.Y.Z-pre.parts, nothing else. */
static bool semantic(struct str text, struct version *v)
{
    size_t dash = str_find_char(text, '-', 0);
    struct str core = str_sub(text, 0, dash), part, pre = STR("");
    size_t dots = 0;
    for (size_t i = 0; i < core.n; i++)
        dots += core.p[i] == '.';
    if (dots != 2 || !numbers(core, v))
        return false;
    if (dash == SIZE_MAX)
        return add(v, STR("release")) && add(v, STR("rc")) && add(v, STR("999"));
    pre = str_sub(text, dash + 1, SIZE_MAX);
    if (pre.n == 0)
        return false;
    while (str_split(&pre, '.', &part))
        if (part.n == 0 || !add(v, part))
            return false;
    return true;
}

static bool has_two(struct str s, char c)
{
    size_t first = str_find_char(s, c, 0);
    return first != SIZE_MAX && str_find_char(s, c, first + 1) != SIZE_MAX;
}

static bool end_with_rc(struct version *v, struct str rc)
{
    return add(v, STR("rc")) && add(v, rc);
}

/* 63.0b4, 60.2.0esr, 62.0rc1, 70.0a1: the part in front of "rc". */
static bool mixed(struct str s, struct str rc, struct version *v)
{
    size_t a = str_find_char(s, 'a', 0), b = str_find_char(s, 'b', 0);
    if (a != SIZE_MAX) {
        struct str after = str_sub(s, a + 1, SIZE_MAX);
        int64_t n;
        return !has_two(s, 'a') && (after.n == 0 || number(after, &n)) &&
               numbers(str_sub(s, 0, a), v) && add(v, STR("alpha")) && add(v, STR("1")) &&
               end_with_rc(v, rc);
    }
    if (b != SIZE_MAX) {
        struct str after = str_sub(s, b + 1, SIZE_MAX);
        int64_t n;
        if (has_two(s, 'b') || !numbers(str_sub(s, 0, b), v) || !add(v, STR("beta")))
            return false;
        if (after.n > 0 && (!number(after, &n) || !add(v, after)))
            return false;
        return end_with_rc(v, rc);
    }
    size_t esr = str_find(s, STR("esr"), 0);
    bool is_esr = esr != SIZE_MAX && esr + 3 == s.n;
    return numbers(is_esr ? str_sub(s, 0, esr) : s, v) &&
           add(v, is_esr ? STR("xsr") : STR("release")) && end_with_rc(v, rc);
}

bool version_parse(struct str text, struct version *ret)
{
    struct version v = {0};
    if (text.n == 0)
        return false;
    if (semantic(text, &v)) {
        *ret = v;
        return true;
    }
    v = (struct version){0};
    size_t rc = str_find(text, STR("rc"), 0);
    struct str rc_number = rc == SIZE_MAX ? STR("999") : str_sub(text, rc + 2, SIZE_MAX);
    int64_t n;
    if (!number(rc_number, &n) || !mixed(str_sub(text, 0, rc), rc_number, &v))
        return false;
    *ret = v;
    return true;
}

static int cmp_int(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int cmp_part(const struct version_part *a, const struct version_part *b)
{
    if (a->is_number && b->is_number)
        return cmp_int(a->n, b->n);
    if (a->is_number != b->is_number)
        return a->is_number ? -1 : 1;
    return str_cmp(a->text, b->text);
}

int version_cmp(const struct version *a, const struct version *b)
{
    int d = 0;
    for (size_t i = 0; i < 3 && d == 0; i++)
        d = cmp_int(a->number[i], b->number[i]);
    for (size_t i = 0; d == 0 && i < MIN(a->pre_count, b->pre_count); i++)
        d = cmp_part(&a->pre[i], &b->pre[i]);
    return d ? d : cmp_int((int64_t)a->pre_count, (int64_t)b->pre_count);
}
