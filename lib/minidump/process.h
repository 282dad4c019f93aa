#ifndef MINIDUMP_PROCESS_H
#define MINIDUMP_PROCESS_H

#include "lib/minidump/mdmp.h"

/*
 * process - what a dump says about the process and the machine besides threads,
 * modules and memory.  All of it is optional; unreadable streams count as absent.
 *
 * Ownership  Texts live in the pool's arena or point into the dump; they may hold
 *            broken UTF-8 where the dump does.
 * Limits     /proc/PID/limits has 16 lines; MDMP_MAC_RECORDS_MAX is that of Breakpad's format
 *            (MDRawMacCrashInfo); handles are cut where reports would cut them (report_json.c).
 */
enum { MDMP_HANDLES_MAX = 65536, MDMP_LIMITS_MAX = 256, MDMP_MAC_RECORDS_MAX = 20 };

struct mdmp_process {
    bool has_pid, has_create_time, has_microcode;
    uint32_t pid, create_time_s;
    uint64_t microcode;
};
struct mdmp_process mdmp_process_read(const struct mdmp *d);

/* "0x…" as a number; false for anything else. */
bool mdmp_parse_microcode(struct str text, uint64_t *ret);

struct mdmp_lsb {
    struct str id, release, codename, description; /* empty if unset */
};
bool mdmp_lsb_read(const struct mdmp *d, struct mdmp_lsb *ret);

struct mdmp_limit {
    struct str name, soft, hard, unit; /* texts of /proc/PID/limits */
};
struct mdmp_limits {
    struct mdmp_limit *v;
    size_t n;
};
bool mdmp_limits_read(const struct mdmp *d, struct arena *a, struct mdmp_limits *ret);

struct mdmp_handle {
    uint64_t handle;
    struct str type_name, object_name; /* p NULL: none */
};
struct mdmp_handles {
    struct mdmp_handle *v;
    size_t n;
};
bool mdmp_handles_read(const struct mdmp *d, struct mdmp_pool *pool, struct mdmp_handles *ret);

/* "EXPRESSION in function F at file F:LINE" from AssertionInfo; false: none. */
bool mdmp_assertion_read(const struct mdmp *d, struct mdmp_pool *pool, struct str *ret);

/* One record of macOS' crash info; zero and empty mean absent. */
struct mdmp_mac_record {
    uint64_t thread, dialog_mode, abort_cause;
    struct str module, message, signature_string, backtrace, message2;
};
struct mdmp_mac_info {
    struct mdmp_mac_record v[MDMP_MAC_RECORDS_MAX];
    size_t n;
};
bool mdmp_mac_info_read(const struct mdmp *d, struct mdmp_mac_info *ret);
bool mdmp_mac_bootargs_read(const struct mdmp *d, struct mdmp_pool *pool, struct str *ret);

/* JSON text of the writer's own errors; borrowed. */
bool mdmp_soft_errors_read(const struct mdmp *d, struct str *ret);

#endif
