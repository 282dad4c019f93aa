#ifndef MINIDUMP_WINDOWS_CODES_H
#define MINIDUMP_WINDOWS_CODES_H

#include <stdint.h>

/*
 * windows_codes - tables of Windows numbers and their names, generated from
 * windows-codes.tsv.  windows_code_name is the way in.
 */
struct windows_code {
    uint32_t value, name_off; /* into windows_names */
};

struct windows_table {
    const char *name;
    const struct windows_code *v; /* sorted by value */
    unsigned long n;
};

extern const struct windows_table windows_tables[];
extern const unsigned long windows_table_count;
extern const char windows_names[];

/* table: exception, facility, fastfail, winerror, ntstatus.  NULL: no such code. */
const char *windows_code_name(const char *table, uint32_t value);

#endif
