/*
 * The crash reason of Windows: names of exceptions, and where the code is none, of the errors that
 * become one (winerror, ntstatus).  Three exceptions carry more in their parameters: the kind of
 * access, the status of a failed read from disk, the reason of a fail-fast.
 *
 * The names come from windows-codes.tsv: a build step makes one blob of text and tables sorted by
 * value of it.
 */
#include "lib/minidump/reason.h"

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/minidump/windows_codes.h"

/* STATUS_* of ntstatus.h.  STACK_BUFFER_OVERRUN is what __fastfail raises for every cause. */
enum {
    ACCESS_VIOLATION = 0xc0000005,
    IN_PAGE_ERROR = 0xc0000006,
    STACK_BUFFER_OVERRUN = 0xc0000409,
};

const char *windows_code_name(const char *table, uint32_t value)
{
    const struct windows_table *t = windows_tables;
    while (strcmp(t->name, table) != 0)
        if (++t == windows_tables + windows_table_count)
            return NULL;
    size_t lo = 0, hi = t->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t->v[mid].value == value)
            return windows_names + t->v[mid].name_off;
        if (t->v[mid].value < value)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/*
 * Win32 errors first: they are small numbers, and statuses of the kernel have their severity in the
 * top bits, so few values are in both tables.
 */
struct str mdmp_windows_error(uint32_t code, struct arena *a)
{
    const char *name = windows_code_name("winerror", code);
    if (!name)
        name = windows_code_name("ntstatus", code);
    if (name)
        return str_of(name);
    /* A module's own codes: top bits, a facility, and a plain error number. */
    const char *facility = windows_code_name("facility", code >> 16 & 0xfff);
    const char *error = windows_code_name("winerror", code & 0xffff);
    if (code >> 28 && facility && error)
        return str_of(arena_printf(a, "%s / %s", facility, error));
    return str_of(arena_printf(a, "unknown 0x%08x", code));
}

static const char *name_or_hex(const char *table, uint32_t code, struct arena *a)
{
    const char *name = windows_code_name(table, code);
    return name ? name : arena_printf(a, "0x%08x", code);
}

/* "_READ", "_WRITE", "_EXEC", or NULL when the kind of access is not one of them. */
static const char *access_suffix(const struct mdmp_exception *x)
{
    switch (x->parameters[0]) {
    case 0:
        return "_READ";
    case 1:
        return "_WRITE";
    case 8:
        return "_EXEC";
    default:
        return NULL;
    }
}

struct str reason_windows(const struct mdmp_exception *x, struct arena *a)
{
    const char *suffix = access_suffix(x);
    if (x->code == ACCESS_VIOLATION && x->parameter_count >= 1 && suffix)
        return str_of(arena_printf(a, "EXCEPTION_ACCESS_VIOLATION%s", suffix));
    if (x->code == IN_PAGE_ERROR && x->parameter_count >= 3 && suffix)
        return str_of(arena_printf(a, "EXCEPTION_IN_PAGE_ERROR%s / %s", suffix,
                                   name_or_hex("ntstatus", (uint32_t)x->parameters[2], a)));
    if (x->code == STACK_BUFFER_OVERRUN && x->parameter_count >= 1)
        return str_of(arena_printf(a, "EXCEPTION_STACK_BUFFER_OVERRUN / %s",
                                   name_or_hex("fastfail", (uint32_t)x->parameters[0], a)));
    const char *name = windows_code_name("exception", x->code);
    return name ? str_of(name) : mdmp_windows_error(x->code, a);
}
