#ifndef CRASH_CRASH_ID_H
#define CRASH_CRASH_ID_H

#include "lib/base/str.h"

/*
 * crash_id - the name of one report: a lower-case UUIDv4 whose last seven characters
 * are a throttle digit and the UTC date of receipt, YYMMDD.
 */
enum { CRASH_ID_LEN = 36, CRASH_ID_SIZE = CRASH_ID_LEN + 1, CRASH_DATE_SIZE = 9 };

void crash_id_new(int64_t now_us, int throttle_digit, char out[CRASH_ID_SIZE]);

/* Exactly 36 characters of the pattern with a date that exists; is_strict: the digit is 0 or 1. */
bool crash_id_valid(struct str id, bool is_strict);

/* Accepts the form with the prefix "bp-" too; copies the bare id.  False if invalid. */
bool crash_id_parse(struct str text, char out[CRASH_ID_SIZE]);

void crash_id_date(const char *id, char out[CRASH_DATE_SIZE]); /* YYYYMMDD */
int crash_id_digit(const char *id);

#endif
