#ifndef CORRELATIONS_SIGNIFICANCE_H
#define CORRELATIONS_SIGNIFICANCE_H

/*
 * significance - is a difference of two shares more than chance, and is it large?
 *
 * Units      Counts of crashes, as doubles; probabilities from 0 to 1.
 */

/* A table of two rows and two columns. */
struct fourfold {
    double a, b, c, d; /* a b / c d */
};

/* With the correction of Yates; 0 for a table with an empty row or column. */
double chi_square(const struct fourfold *t);
/* The chance of so large a chi square with one degree of freedom. */
double chi_square_p(double chi2);
/* Fisher's exact test, two-sided: the chance of this table or of one that is less likely. */
double fisher_p(const struct fourfold *t);

/*
 * The end nearer to 0 of the 95 % interval around the difference of two shares, as a distance:
 * Wald's interval, widened by the correction for continuity.
 */
double difference_at_least(double count1, double total1, double count2, double total2);

#endif
