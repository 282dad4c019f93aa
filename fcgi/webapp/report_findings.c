/*
 * What the numbers of a report mean, in words.  A person who has read a thousand crashes sees at
 * once that 0x18 is a null pointer with an offset and e5e5e5e5 is freed memory; everybody else gets
 * it told here, and why it is thought so, so that nobody has to believe it.
 *
 * Each finding is a function that looks at what this reader may see of the processed crash; the
 * table at the end is the order in which they stand on the page, the surest first.  A finding is
 * about what the report itself says: nothing is searched for, so it costs nothing.
 */
#include "fcgi/webapp/report_findings.h"

#include <inttypes.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/json/json.h"
#include "lib/tpl/tpl.h"
#include "lib/web/human.h"
#include "rows.h"

enum {
    NULL_PAGE = 0x10000,    /* Windows never maps its first 64 KiB, Linux by default neither */
    RECURSION_FRAMES = 50,  /* of one function in one stack: no program means to go so deep */
    BIT_FLIP_SURE = 50,     /* per cent; any null pointer has a few */
    MEMORY_FULL = 95,       /* per cent in use; what is left is the system's own */
    START_SECONDS = 10,     /* most programs have shown their window by then */
    WALL_OF_USER_BITS = 47, /* addresses of amd64 have their upper 17 bits alike */
    SMALL_ALLOCATION = 1 << 20,
};

/* What a function fills in: the finding, and the reason for it. */
struct finding {
    const char *text, *why;
};

static bool address_of(const char *text, uint64_t *ret)
{
    struct str s = str_of(text ? text : "");
    return str_starts(s, STR("0x")) &&
           str_to_u64(str_sub(s, 2, SIZE_MAX), 16, UINT64_MAX, "address", ret, ERR_IGNORED);
}

/*
 * Where the instruction reads or writes, of its accesses the one that says most: on amd64 the
 * system reports 0 or all ones for addresses that cannot exist, and the accesses have the true one.
 */
static bool accessed(const struct report_page *c, uint64_t *ret)
{
    const json_t *all = jpath(c->doc, "json_dump.crash_info.memory_accesses"), *one;
    size_t i;
    bool found = false;
    json_array_foreach (all, i, one) {
        uint64_t address;
        if (address_of(jget_str(one, "address"), &address) &&
            (!found || address < NULL_PAGE || address >> WALL_OF_USER_BITS)) {
            *ret = address;
            found = true;
        }
    }
    return found || address_of(jpath_str(c->doc, "json_dump.crash_info.address"), ret);
}

static struct str reason_of(const struct report_page *c)
{
    return str_of(jget_str(c->doc, "reason") ? jget_str(c->doc, "reason") : "");
}

static bool reason_has(const struct report_page *c, const char *part)
{
    return str_find(reason_of(c), str_of(part), 0) != SIZE_MAX;
}

/* The crash is one of memory that may not be used so; others have an address without a meaning. */
static bool is_access(const struct report_page *c)
{
    return reason_has(c, "ACCESS_VIOLATION") || reason_has(c, "SIGSEGV") ||
           reason_has(c, "SIGBUS") || reason_has(c, "BAD_ACCESS");
}

static bool is_amd64(const struct report_page *c)
{
    const char *cpu = jget_str(c->doc, "cpu_arch");
    return cpu && (strcmp(cpu, "amd64") == 0 || strcmp(cpu, "x86_64") == 0);
}

static const char *instruction_of(const struct report_page *c)
{
    const char *text = jpath_str(c->doc, "json_dump.crash_info.instruction");
    return text ? arena_printf(c->a, " by %s", text) : "";
}

static bool find_null_pointer(const struct report_page *c, struct finding *f)
{
    uint64_t address;
    if (!is_access(c) || !accessed(c, &address) || address >= NULL_PAGE)
        return false;
    f->text = address ? arena_printf(c->a, "Null pointer, at offset 0x%" PRIx64, address)
                      : "Null pointer";
    f->why = arena_printf(c->a, "The address used%s is in the first 64 KiB, which nothing has: %s.",
                          instruction_of(c),
                          address ? "a member or an element of an object that is not there"
                                  : "the pointer itself is null");
    return true;
}

/* What allocators fill memory with: 0xe5 and 0xe4 are jemalloc's, 0xdd and 0xcd those of Windows.
 */
static bool find_poison(const struct report_page *c, struct finding *f)
{
    static const struct {
        unsigned char byte;
        const char *text, *what;
    } fills[] = {
        {0xe5, "Memory that was freed", "freed memory"},
        {0xdd, "Memory that was freed", "freed memory in debug builds of Windows"},
        {0xcd, "Memory that was never set", "new memory in debug builds of Windows"},
        {0xe4, "Memory that was never set", "new memory"},
    };
    uint64_t address;
    if (!is_access(c) || !accessed(c, &address))
        return false;
    /* The lower two bytes may have moved by an offset. */
    uint64_t upper = address >> 16, width = address >> 32 ? 0xffffffffffff : 0xffff;
    for (size_t i = 0; i < ARRAY_LEN(fills); i++) {
        if (upper != ((uint64_t)fills[i].byte * 0x010101010101 & width))
            continue;
        f->text = fills[i].text;
        f->why = arena_printf(c->a, "The address 0x%" PRIx64 " is made of 0x%02x, which fills %s.",
                              address, fills[i].byte, fills[i].what);
        return true;
    }
    return false;
}

static bool find_impossible_address(const struct report_page *c, struct finding *f)
{
    uint64_t address;
    struct finding poison;
    if (!is_access(c) || !is_amd64(c) || !accessed(c, &address) || find_poison(c, &poison))
        return false;
    uint64_t upper = address >> WALL_OF_USER_BITS;
    if (upper == 0 || upper == UINT64_MAX >> WALL_OF_USER_BITS)
        return false;
    f->text = "A pointer that is none";
    f->why = arena_printf(c->a,
                          "No program can have the address 0x%" PRIx64
                          ": the pointer was overwritten, or read from memory that is gone.",
                          address);
    return true;
}

static bool find_guard_page(const struct report_page *c, struct finding *f)
{
    if (!jget_bool_or(c->doc, "has_guard_page_access", false))
        return false;
    f->text = "Ran over the end of a buffer";
    f->why = "The address is in a guard page, which stands behind memory to catch this.";
    return true;
}

/* A function that calls itself fills the stack with its own name. */
static bool find_stack_overflow(const struct report_page *c, struct finding *f)
{
    const json_t *thread = report_crashing_thread(c->doc, &(int64_t){0}), *frame;
    const char *first = NULL;
    size_t i, same = 0;
    json_array_foreach (jget_arr(thread, "frames"), i, frame) {
        const char *function = jget_str(frame, "function");
        if (i >= 1 && i <= 4 && same < RECURSION_FRAMES && function) {
            size_t k, n = 0;
            const json_t *other;
            json_array_foreach (jget_arr(thread, "frames"), k, other) {
                const char *name = jget_str(other, "function");
                n += name && strcmp(name, function) == 0;
            }
            if (n > same) {
                same = n;
                first = function;
            }
        }
    }
    bool is_told = reason_has(c, "STACK_OVERFLOW");
    if (!is_told && same < RECURSION_FRAMES)
        return false;
    f->text = same >= RECURSION_FRAMES ? "Endless recursion" : "Stack overflow";
    f->why = same >= RECURSION_FRAMES
                 ? arena_printf(c->a, "%s is %zu times in the stack of the crashing thread.", first,
                                same)
                 : "The system reports that the stack of the thread is used up.";
    return true;
}

static bool find_use_after_free(const struct report_page *c, struct finding *f)
{
    const char *kind = jget_str(c->doc, "phc_kind");
    if (!kind || !*kind)
        return false;
    f->text = strcmp(kind, "FreedPage") == 0 ? "Memory that was freed" : "Heap memory misused";
    f->why = arena_printf(c->a,
                          "The heap checker watched this allocation (%s); the details say "
                          "where it was allocated and freed.",
                          kind);
    return true;
}

static bool find_bit_flip(const struct report_page *c, struct finding *f)
{
    int64_t sure = jget_int_or(c->doc, "possible_bit_flips_max_confidence", 0);
    if (sure < BIT_FLIP_SURE)
        return false;
    f->text = "Probably a flipped bit";
    f->why = arena_printf(c->a,
                          "With one bit changed the address is a good one (confidence %" PRId64
                          " %%): the machine's memory or processor may be faulty, and the program "
                          "innocent.",
                          sure);
    return true;
}

static bool find_out_of_memory(const struct report_page *c, struct finding *f)
{
    int64_t size = jget_int_or(c->doc, "oom_allocation_size", 0);
    const char *signature = jget_str(c->doc, "signature");
    if (size <= 0 && !(signature && str_starts(str_of(signature), STR("OOM |"))))
        return false;
    f->text = "Out of memory";
    f->why = size <= 0 ? "The program says so; it does not know how much it asked for."
             : size < SMALL_ALLOCATION
                 ? arena_printf(c->a,
                                "%s could not be had: the process or the machine had nearly "
                                "nothing left.",
                                human_size(c->a, size))
                 : arena_printf(c->a,
                                "%s in one piece could not be had, which may fail with much "
                                "memory left.",
                                human_size(c->a, size));
    return true;
}

static bool find_full_machine(const struct report_page *c, struct finding *f)
{
    int64_t used = jget_int_or(c->doc, "system_memory_use_percentage", 0);
    if (used < MEMORY_FULL || used > 100)
        return false;
    f->text = "The machine was nearly out of memory";
    f->why = arena_printf(c->a, "%" PRId64 " %% of it was in use.", used);
    return true;
}

static bool find_hang(const struct report_page *c, struct finding *f)
{
    const char *signature = jget_str(c->doc, "signature");
    struct str s = str_of(signature ? signature : "");
    bool at_end = str_starts(s, STR("shutdownhang |")) ||
                  str_starts(s, STR("AsyncShutdownTimeout |")) ||
                  jget_str(c->doc, "async_shutdown_timeout") ||
                  jget_str(c->doc, "quota_manager_shutdown_timeout");
    const char *hang = jget_str(c->doc, "hang");
    if (!at_end && !(hang && *hang) && !str_starts(s, STR("hang |")))
        return false;
    f->text = at_end ? "Hang while ending" : "Hang";
    f->why = at_end ? "The program did not end by itself in time and was ended by its own watch: "
                      "look for what the main thread waits for."
                    : "The process answered no more and was ended from outside: look for what its "
                      "thread waits for.";
    return true;
}

static bool find_own_stop(const struct report_page *c, struct finding *f)
{
    const char *said = jget_str(c->doc, "moz_crash_reason");
    if (!said || !*said)
        said = jget_str(c->doc, "abort_message");
    bool is_stop = reason_has(c, "SIGABRT") || reason_has(c, "BREAKPOINT") ||
                   reason_has(c, "SIGTRAP") || (said && *said);
    if (!is_stop)
        return false;
    f->text = "The program stopped itself";
    f->why = said && *said ? arena_printf(c->a, "It says: %.300s", said)
                           : arena_printf(c->a, STR_FMT " is what an assertion or abort() raises.",
                                          STR_ARG(reason_of(c)));
    return true;
}

static bool find_instruction(const struct report_page *c, struct finding *f)
{
    if (reason_has(c, "DIVIDE_BY_ZERO") || reason_has(c, "FPE_INTDIV")) {
        f->text = "Division by zero";
        f->why = arena_printf(c->a, "The processor refused a division%s.", instruction_of(c));
        return true;
    }
    if (!reason_has(c, "ILLEGAL_INSTRUCTION") && !reason_has(c, "SIGILL"))
        return false;
    f->text = "An instruction that the processor does not have";
    f->why = "The code was built for a newer processor, was overwritten, or stops itself so.";
    return true;
}

static bool find_no_code(const struct report_page *c, struct finding *f)
{
    const json_t *thread = report_crashing_thread(c->doc, &(int64_t){0});
    const json_t *top = json_array_get(jget_arr(thread, "frames"), 0);
    if (!top || !is_access(c) || jget_str(top, "module") || jget_str(top, "function") ||
        json_array_size(jpath(c->doc, "json_dump.modules")) == 0)
        return false;
    const char *at = jget_str(top, "offset");
    bool was_module = json_array_size(jget_arr(top, "unloaded_modules")) > 0;
    f->text = was_module ? "Ran into a module that is gone" : "Ran into memory that is no module";
    f->why = arena_printf(c->a, "The instruction pointer %s is %s.", at ? at : "",
                          was_module ? "where a module was before it was unloaded"
                                     : "outside of all modules: a call by a bad pointer, or code "
                                       "that was made at run time");
    return true;
}

static bool find_contradiction(const struct report_page *c, struct finding *f)
{
    const json_t *all = jget_arr(c->doc, "crash_inconsistencies"), *one;
    const char *list = "";
    size_t i;
    json_array_foreach (all, i, one)
        if (json_is_string(one) && i < 5)
            list = arena_printf(c->a, "%s%s%s", list, *list ? ", " : "", json_string_value(one));
    if (!*list)
        return false;
    f->text = "The report contradicts itself";
    f->why = arena_printf(c->a,
                          "What the system says does not fit to the instruction (%s): a "
                          "faulty machine, or something that reached into the process.",
                          list);
    return true;
}

static bool find_start(const struct report_page *c, struct finding *f)
{
    int64_t uptime = -1;
    bool is_known = jget_int(c->doc, "uptime", &uptime) && uptime > 0;
    bool is_told = jget_bool_or(c->doc, "startup_crash", false);
    if (!is_told && !(is_known && uptime <= START_SECONDS))
        return false;
    f->text = "Crashed while starting";
    f->why = is_told ? "The program says that it had not finished starting."
                     : arena_printf(c->a, "It had run for %s.", human_duration(c->a, uptime));
    return true;
}

static bool (*const finders[])(const struct report_page *c, struct finding *f) = {
    find_null_pointer,   find_poison,   find_impossible_address, find_guard_page,
    find_use_after_free, find_no_code,  find_stack_overflow,     find_out_of_memory,
    find_hang,           find_own_stop, find_instruction,        find_bit_flip,
    find_contradiction,  find_start,    find_full_machine,
};

void report_set_findings(const struct report_page *c, struct tpl_values *v)
{
    struct tpl_rows *rows = tpl_list(v, LIST_FINDINGS);
    for (size_t i = 0; i < ARRAY_LEN(finders); i++) {
        struct finding f = {0};
        if (!finders[i](c, &f))
            continue;
        struct tpl_row *row = tpl_row_add(rows);
        tpl_col_cstr(row, FINDING_TEXT, f.text);
        tpl_col_cstr(row, FINDING_WHY, f.why);
    }
    tpl_bool(v, "has_findings", tpl_rows_count(rows) > 0);
}
