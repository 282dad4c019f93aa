/*
 * UTC in microseconds since 1970, to and from calendar dates, without the time zones and the locale
 * of the C library: a report's date must come out the same on every machine.  Leap seconds do not
 * exist here, as they do not in POSIX time.
 */
#include "lib/base/time.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static int64_t clock_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t now_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

int64_t now_s(void)
{
    return now_us() / 1000000;
}

/* For spans and deadlines: the other clock may be set back or ahead in between. */
int64_t mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t mono_ms(void)
{
    return mono_us() / 1000;
}

void pause_ms(int64_t ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

/* C rounds towards zero; dates before 1970 need the floor. */
static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/*
 * Days <-> civil date in the proleptic Gregorian calendar, by the arithmetic of Howard Hinnant
 * ("chrono-compatible low-level date algorithms").  Years are counted from March, so that the leap
 * day is the last of a year; 400 years are an era of 146097 days, and 719468 days lie between the
 * first of March of the year 0 and 1970.  153 days are five months from March on: 31, 30, 31,
 * 30, 31.
 */
int64_t days_of_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? (int64_t)year - 1 : year;
    int64_t era = floor_div(y, 400);
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

/*
 * The way back.  Of the day in its era the leap days that lie before it are taken out, one in 1460
 * days, less one in 36524, more one in 146096; then every year has 365.
 */
struct civil civil_of_us(int64_t us)
{
    int64_t s = floor_div(us, 1000000);
    int64_t days = floor_div(s, 86400);
    int64_t z = days + 719468;
    int64_t era = floor_div(z, 146097);
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int month = (int)(mp < 10 ? mp + 3 : mp - 9);
    int64_t in_day = s - days * 86400;
    return (struct civil){
        .year = (int)(yoe + era * 400 + (month <= 2)),
        .month = month,
        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
        .hour = (int)(in_day / 3600),
        .minute = (int)(in_day / 60 % 60),
        .second = (int)(in_day % 60),
        .micro = (int)(us - s * 1000000),
    };
}

int64_t civil_to_us(struct civil c)
{
    int64_t s =
        days_of_civil(c.year, c.month, c.day) * 86400 + c.hour * 3600 + c.minute * 60 + c.second;
    return s * 1000000 + c.micro;
}

int weekday_of_us(int64_t us)
{
    int64_t days = floor_div(us, DAY_US);
    int64_t w = (days + 3) % 7; /* 1970-01-01 was a Thursday */
    return (int)(w < 0 ? w + 7 : w);
}

bool civil_date_exists(int year, int month, int day)
{
    static const int len[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12 || day < 1)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= len[month - 1] + (month == 2 && leap);
}

/*
 * The form of Python's isoformat, in which documents and their readers have dates: no fraction when
 * it is zero, and +00:00 rather than Z.
 */
void time_iso(int64_t us, bool with_micro, char out[TIME_TEXT_MAX])
{
    struct civil c = civil_of_us(us);
    char fraction[12] = "";
    if (with_micro || c.micro)
        snprintf(fraction, sizeof fraction, ".%06d", c.micro);
    snprintf(out, TIME_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d%s+00:00", c.year, c.month, c.day,
             c.hour, c.minute, c.second, fraction);
}

void time_iso_s(int64_t s, char out[TIME_TEXT_MAX])
{
    time_iso(s * 1000000, false, out);
}

void time_rfc3339_ms(int64_t us, char out[TIME_TEXT_MAX])
{
    struct civil c = civil_of_us(us);
    snprintf(out, TIME_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", c.year, c.month, c.day,
             c.hour, c.minute, c.second, c.micro / 1000);
}

/* Reads min..max digits. */
static bool digits(struct str s, size_t *off, size_t min, size_t max, int *ret)
{
    int v = 0;
    size_t n = 0;
    while (n < max && *off < s.n && s.p[*off] >= '0' && s.p[*off] <= '9') {
        v = v * 10 + (s.p[*off] - '0');
        ++*off;
        n++;
    }
    *ret = v;
    return n >= min;
}

static bool eat(struct str s, size_t *off, char c)
{
    if (*off >= s.n || s.p[*off] != c)
        return false;
    ++*off;
    return true;
}

/* Digits behind the sixth are read and dropped. */
static bool fraction(struct str s, size_t *off, int *ret_micro)
{
    int v = 0, scale = 100000;
    size_t start = *off;
    for (; *off < s.n && s.p[*off] >= '0' && s.p[*off] <= '9'; ++*off) {
        v += (s.p[*off] - '0') * scale;
        scale /= 10;
    }
    *ret_micro = v;
    return *off > start;
}

/* A blank stands for "+", which is what a decoded query makes of one that nobody escaped. */
static bool zone(struct str s, size_t *off, int *ret_minutes)
{
    *ret_minutes = 0;
    if (*off == s.n || (eat(s, off, 'Z') && *off == s.n))
        return true;
    int sign = s.p[*off] == '-' ? -1 : 1;
    int h, m = 0;
    if (!eat(s, off, '-') && !eat(s, off, '+') && !eat(s, off, ' '))
        return false;
    if (!digits(s, off, 2, 2, &h))
        return false;
    if (*off < s.n) {
        eat(s, off, ':');
        if (!digits(s, off, 2, 2, &m))
            return false;
    }
    *ret_minutes = sign * (h * 60 + m);
    return *off == s.n && h < 24 && m < 60;
}

/* Fields that are not there are 0; the whole text must be used up. */
static bool parse_civil(struct str s, struct civil *c, int *ret_zone_min)
{
    size_t off = 0;
    if (!digits(s, &off, 4, 4, &c->year) || !eat(s, &off, '-') ||
        !digits(s, &off, 1, 2, &c->month) || !eat(s, &off, '-') || !digits(s, &off, 1, 2, &c->day))
        return false;
    if (!civil_date_exists(c->year, c->month, c->day))
        return false;
    *ret_zone_min = 0;
    if (off == s.n)
        return true;
    if (!eat(s, &off, 'T') && !eat(s, &off, ' '))
        return false;
    if (!digits(s, &off, 2, 2, &c->hour) || !eat(s, &off, ':') ||
        !digits(s, &off, 2, 2, &c->minute))
        return false;
    if (eat(s, &off, ':') && !digits(s, &off, 2, 2, &c->second))
        return false;
    if (eat(s, &off, '.') && !fraction(s, &off, &c->micro))
        return false;
    return zone(s, &off, ret_zone_min) && c->hour < 24 && c->minute < 60 && c->second < 60;
}

/* The message holds nothing of the text: it may be a stranger's, and ends in answers and logs. */
bool time_parse(struct str text, int64_t *ret_us, struct err *err)
{
    struct civil c = {0};
    int zone_min = 0;
    if (!parse_civil(text, &c, &zone_min))
        return err_set(err, ERR_INVALID, "not a valid datetime");
    *ret_us = civil_to_us(c) - (int64_t)zone_min * 60 * 1000000;
    return true;
}
