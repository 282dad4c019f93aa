/*
 * The three tests behind correlations.  With one degree of freedom the tail of chi square is that
 * of the normal distribution, so erfc of <math.h> is all it takes.  Fisher's test sums the
 * hypergeometric distribution over all tables with the same margins; the first term comes from
 * logarithms of factorials, its neighbours by multiplication, and the sum ends where terms no
 * longer count, since a thousand candidates with twenty thousand tables each would take seconds.
 */
#include "lib/correlations/significance.h"

#include <math.h>
#include <stdbool.h>

#include "lib/base/util.h"

/*
 * The correction never turns a difference round: it takes half a crash, or all of the difference.
 */
double chi_square(const struct fourfold *t)
{
    double r1 = t->a + t->b, r2 = t->c + t->d, c1 = t->a + t->c, c2 = t->b + t->d, n = r1 + r2;
    if (r1 <= 0 || r2 <= 0 || c1 <= 0 || c2 <= 0)
        return 0;
    double difference = fabs(t->a - r1 * c1 / n); /* the same in all four cells */
    difference -= MIN(0.5, difference);
    return difference * difference * n * n * n / (r1 * r2 * c1 * c2);
}

double chi_square_p(double chi2)
{
    return erfc(sqrt(chi2 / 2));
}

static double log_choose(double n, double k)
{
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

struct tables {
    double row1, col1, n;
    double low, high; /* of the first cell */
    double limit;     /* tables that are more likely than that do not count */
};

/* How much likelier the table with k + 1 in the first cell is than that with k. */
static double step_up(const struct tables *t, double k)
{
    return (t->row1 - k) * (t->col1 - k) / ((k + 1) * (t->n - t->row1 - t->col1 + k + 1));
}

/*
 * The likelihoods rise to one side of the table, past the most likely one, and fall from there.
 * Relative to that of the table itself, which is 1.
 */
static double sum_of_side(const struct tables *t, double from, bool up)
{
    static const double negligible = 1e-18; /* below the last digit of the sum */
    double term = 1, sum = 0, last = 1;
    for (double k = from; up ? k < t->high : k > t->low; k += up ? 1 : -1) {
        term *= up ? step_up(t, k) : 1 / step_up(t, k - 1);
        if (term <= t->limit)
            sum += term;
        if (term < last && term < negligible)
            break;
        last = term;
        if (isinf(term)) /* the table is so unlikely that the rest of the world is on this side */
            break;
    }
    return sum;
}

/* Equal likelihoods differ in their last digits; a hundred-millionth is what others allow, too. */
double fisher_p(const struct fourfold *f)
{
    struct tables t = {.row1 = f->a + f->b, .col1 = f->a + f->c, .limit = 1 + 1e-7};
    t.n = t.row1 + f->c + f->d;
    t.low = MAX(0.0, t.row1 + t.col1 - t.n);
    t.high = MIN(t.row1, t.col1);
    if (f->a < t.low || f->a > t.high || t.n <= 0)
        return 1;
    double own = exp(log_choose(t.col1, f->a) + log_choose(t.n - t.col1, t.row1 - f->a) -
                     log_choose(t.n, t.row1));
    double relative = 1 + sum_of_side(&t, f->a, true) + sum_of_side(&t, f->a, false);
    return MIN(1.0, own * relative);
}

double difference_at_least(double count1, double total1, double count2, double total2)
{
    static const double z95 = 1.96; /* of the normal distribution, two-sided */
    if (total1 <= 0 || total2 <= 0)
        return 0;
    double p1 = count1 / total1, p2 = count2 / total2, d = p1 - p2;
    double width =
        z95 * sqrt(p1 * (1 - p1) / total1 + p2 * (1 - p2) / total2) + (1 / total1 + 1 / total2) / 2;
    return MIN(fabs(d - width), fabs(d + width));
}
