#ifndef CORRELATIONS_ATTRIBUTES_H
#define CORRELATIONS_ATTRIBUTES_H

#include "lib/correlations/traits.h"
#include "lib/search/sample.h"

/*
 * attributes - from two samples of crashes to the properties that may tell them apart.
 *
 * Ownership  Texts of items lie in the values or in the arena, their bits in the struct traits.
 */
/* What the samples must have been read with: fields of this table, public ones alone. */
struct sample_values *attribute_values_new(const struct field_table *fields);

/* phrases: separated by ';', looked for in the notes of crashes. */
void traits_make(struct arena *a, const struct sample_values *values,
                 const struct sample samples[SET_COUNT], const char *phrases, struct traits *ret);
void traits_release(struct traits *items);

#endif
