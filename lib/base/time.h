#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * time - UTC only.  Wall time is microseconds since 1970 in an int64_t (`_us`)
 * or seconds (`_s`); durations come from the monotonic clock (`mono_ms`).
 */
#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US   (60 * MINUTE_US)
#define DAY_US    (24 * HOUR_US)

int64_t now_us(void);
int64_t now_s(void);
int64_t mono_us(void);
int64_t mono_ms(void);
void pause_ms(int64_t ms); /* all of it, whatever signals come */

/* The longest form has 32 bytes with a year of four digits; the last one has six and perhaps a
 * sign. */
enum { TIME_TEXT_MAX = 40 };

struct civil {
    int year, month, day; /* month and day from 1 */
    int hour, minute, second, micro;
};

struct civil civil_of_us(int64_t us);
int64_t civil_to_us(struct civil c);                 /* fields in range; no check */
int64_t days_of_civil(int year, int month, int day); /* days since 1970-01-01 */
int weekday_of_us(int64_t us);                       /* 0 Monday … 6 Sunday */
bool civil_date_exists(int year, int month, int day);

/* 2026-01-05T09:37:36.766914+00:00; the fraction is left out when zero unless with_micro. */
void time_iso(int64_t us, bool with_micro, char out[TIME_TEXT_MAX]);
/* 2026-01-05T09:37:36+00:00 */
void time_iso_s(int64_t s, char out[TIME_TEXT_MAX]);
/* 2026-01-05T09:37:36.766Z, for logs. */
void time_rfc3339_ms(int64_t us, char out[TIME_TEXT_MAX]);

/*
 * YYYY-MM-DD, or ISO 8601 with T or a space, seconds and fraction optional, zone
 * Z, +hh:mm, +hhmm, +hh or none (UTC); a blank stands for '+' in front of a zone.
 * One-digit month and day are tolerated.  ERR_INVALID otherwise.
 */
bool time_parse(struct str text, int64_t *ret_us, struct err *err);

#endif
