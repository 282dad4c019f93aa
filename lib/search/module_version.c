/*
 * Versions of modules.  They are what the files of a program say of themselves: four numbers on
 * Windows, anything elsewhere, so whatever is no number has an order, too, and no version is
 * refused.
 */
#include "lib/search/module_version.h"

#include "lib/base/str.h"
#include "lib/base/util.h"

static const struct {
    struct str text;
    enum cond_op op;
} comparisons[] = {
    {STR_INIT("<="), COND_LE},
    {STR_INIT(">="), COND_GE},
    {STR_INIT("<"), COND_LT},
    {STR_INIT(">"), COND_GT},
};

bool module_version_split(struct str text, struct cond_value *ret)
{
    for (size_t i = 1; i < text.n; i++)
        for (size_t k = 0; k < ARRAY_LEN(comparisons); k++) {
            struct str rest = str_sub(text, i, SIZE_MAX);
            if (!str_starts(rest, comparisons[k].text))
                continue;
            ret->module = str_trim(str_sub(text, 0, i));
            ret->compare = comparisons[k].op;
            ret->version = str_trim(str_sub(rest, comparisons[k].text.n, SIZE_MAX));
            return ret->module.n > 0 && ret->version.n > 0;
        }
    return false;
}

/* Digits from the front, without leading zeros; *s is what follows them. */
static struct str take_digits(struct str *s)
{
    size_t n = 0, zeros = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    while (zeros < n && s->p[zeros] == '0')
        zeros++;
    struct str digits = str_sub(*s, zeros, n - zeros);
    *s = str_sub(*s, n, SIZE_MAX);
    return digits;
}

static int compare_parts(struct str a, struct str b)
{
    struct str x = take_digits(&a), y = take_digits(&b);
    if (x.n != y.n)
        return x.n < y.n ? -1 : 1;
    int by_number = str_cmp(x, y);
    return by_number ? by_number : str_cmp(a, b);
}

int module_version_compare(struct str a, struct str b)
{
    while (a.n > 0 || b.n > 0) {
        struct str x = STR(""), y = STR("");
        if (a.n > 0)
            str_split(&a, '.', &x);
        if (b.n > 0)
            str_split(&b, '.', &y);
        int by_part = compare_parts(x, y);
        if (by_part)
            return by_part;
    }
    return 0;
}

bool module_version_holds(const struct cond_value *v, struct str element)
{
    size_t n = v->module.n;
    if (element.n <= n + 1 || element.p[n] != '/' || !str_starts(element, v->module))
        return false;
    struct str version = str_sub(element, n + 1, SIZE_MAX);
    return cond_range_holds(v->compare, module_version_compare(version, v->version));
}
