#ifndef SYMBOLS_LIST_FILTER_H
#define SYMBOLS_LIST_FILTER_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * list_filter - the texts of filters, as the lists of the JSON API and of the pages take them, made
 * into ranges.  Conditions are separated by commas and all must hold.
 *
 *     size         [<= >= < > =] NUMBER [b k kb m mb g gb], 1024 of each other: ">1.5mb, <1g"
 *     created_at   [<= >= < > =] DATE [TIME], today, yesterday, null or incomplete
 *
 * Ownership  Nothing is kept.
 * Errors     ERR_INVALID with the text for the client, which quotes the condition.
 * Trust      Texts come from strangers.
 */
/* Cuts the next part that is not empty off the front of *rest, without the blanks around it. */
bool list_filter_part(struct str *rest, struct str *ret);

struct size_range {
    bool is_set;
    int64_t least, most; /* both included; least > most: nothing fits */
};
bool size_filter_parse(struct str text, struct size_range *ret, struct err *err);

struct time_range {
    bool is_set;             /* by times */
    int64_t from_us, end_us; /* the end is excluded */
    bool must_be_null;
};
/*
 * A date alone, or with =, is that whole day, and a time that whole second.  `>` is "later than the
 * second shown": JSON has no microseconds, and the last one shown must not come again.
 */
bool time_filter_parse(struct str text, int64_t now_us, struct time_range *ret, struct err *err);

/* "%text%" for LIKE, with the text's own % _ and \ as they are. */
const char *like_pattern(struct arena *a, struct str text);

#endif
