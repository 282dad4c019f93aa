#ifndef WEBAPP_OPERATORS_H
#define WEBAPP_OPERATORS_H

#include "lib/crash/field.h"
#include "lib/json/json.h"

/*
 * operators - what may stand in front of a filter value, as the form offers it and as the search
 * reads it.
 */
struct operator_label {
    const char *code, *label;
};

/* Offered for this kind of field, the default first; ended by a row without label. */
const struct operator_label *operators_of(enum query_type type);

/* Splits a filter value as the search does: "!", operator, value. */
struct filter_value {
    struct str op; /* with its "!", "" for plain */
    struct str value;
};
struct filter_value filter_split(const struct search_field *field, struct str text);

/* The comma-separated choices that the field table itself names.  Empty for "@versions" and the
 * like, which stand for what the installation knows. */
struct str choices_of(const struct search_field *field);

const char *query_type_name(enum query_type type); /* "enum", "string", "date", … */

/* For the form's script: kind of field to its pairs of label and operator.  New reference. */
json_t *operators_json(void);

#endif
