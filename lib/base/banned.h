#ifndef BASE_BANNED_H
#define BASE_BANNED_H

/*
 * banned - calls that this project does not use.  Included on every command line
 * (-include), after the headers that declare them: whoever calls one gets an
 * undeclared name that says what to use instead.
 */
#include <alloca.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef alloca
#undef sprintf /* clang with fortified headers has macros for these */
#undef vsprintf
#define strcpy    strcpy_is_banned_use_strbuf
#define strcat    strcat_is_banned_use_strbuf
#define sprintf   sprintf_is_banned_use_snprintf
#define vsprintf  vsprintf_is_banned_use_vsnprintf
#define strncpy   strncpy_is_banned_use_memcpy
#define strtok    strtok_is_banned_use_str_split
#define gets      gets_is_banned
#define alloca    alloca_is_banned_use_arena
#define gmtime    gmtime_is_banned_use_civil_of_us
#define localtime localtime_is_banned_use_civil_of_us
#define ctime     ctime_is_banned_use_time_iso
#define asctime   asctime_is_banned_use_time_iso
#define rand      rand_is_banned_use_random_u64
#define srand     srand_is_banned
#define system    system_is_banned
#define popen     popen_is_banned
#define atoi      atoi_is_banned_use_str_to_i64
#define atol      atol_is_banned_use_str_to_i64
#define atof      atof_is_banned_use_str_to_double

#endif
