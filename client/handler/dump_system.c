/*
 * The streams of a dump that describe machine and process: system info, times, and files of /proc
 * as Breakpad's Linux writer copies them.  Stream numbers and sizes are those of minidumpapiset.h
 * and of Breakpad's and Firefox's extensions.
 */
#include "client/handler/dump_system.h"

#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "client/handler/registers.h"
#include "client/handler/target.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

/* As in dump.c; those of Breakpad hold files of /proc as they are. */
enum system_stream_type {
    SYSTEM_INFO = 7,
    MISC_INFO = 15,
    LINUX_CPU_INFO = 0x47670003,
    LINUX_PROC_STATUS = 0x47670004,
    LINUX_LSB_RELEASE = 0x47670005,
    LINUX_CMD_LINE = 0x47670006,
    LINUX_ENVIRON = 0x47670007,
    LINUX_AUXV = 0x47670008,
    LINUX_MAPS = 0x47670009,
    MOZ_LINUX_LIMITS = 0x4d7a0003,
};

/*
 * 4 MiB of map text are some 40,000 mappings; readers look at the text for the permissions of an
 * address and for labels.
 */
enum { PLATFORM_LINUX = 0x8201, MAPS_BYTES_MAX = 4 << 20 };

static void write_system_info(struct writer *w)
{
    struct utsname u;
    char text[sizeof u + 8] = "";
    if (uname(&u) == 0)
        snprintf(text, sizeof text, "%s %s %s %s", u.sysname, u.release, u.version, u.machine);
    uint32_t csd = w_string(w, str_of(text));

    STRBUF_AUTO cpuinfo;
    sb_init(&cpuinfo, 1 << 16);
    target_slurp(0, "/proc/cpuinfo", &cpuinfo);
    struct cpu_identity cpu = context_cpu_identity(sb_view(&cpuinfo));
    long processors = sysconf(_SC_NPROCESSORS_CONF);

    uint32_t begin = w_begin(w);
    w_u16(w, context_processor_architecture);
    w_u16(w, cpu.level);
    w_u16(w, cpu.revision);
    w_u8(w, (uint8_t)(processors > 255 ? 255 : MAX(processors, 1)));
    w_u8(w, 0);        /* product type */
    w_zeros(w, 3 * 4); /* version 0.0.0: readers take it from the text */
    w_u32(w, PLATFORM_LINUX);
    w_u32(w, csd);
    w_u32(w, 0); /* suite mask */
    sb_put(w->out, cpu.vendor, sizeof cpu.vendor);
    w_zeros(w, 12);
    w_stream(w, SYSTEM_INFO, begin);
}

/* User time, system time and start, in ticks. */
static bool process_times(pid_t pid, uint64_t ret_ticks[3])
{
    static const int fields[] = {14, 15, 22};
    return target_stat(pid, fields, ARRAY_LEN(fields), ret_ticks);
}

static uint64_t boot_time(void)
{
    STRBUF_AUTO stat;
    sb_init(&stat, 1 << 20);
    target_slurp(0, "/proc/stat", &stat);
    struct str rest = sb_view(&stat), line;
    uint64_t boot = 0;
    while (str_split(&rest, '\n', &line))
        if (str_starts(line, STR("btime ")))
            str_to_u64(str_trim(str_sub(line, 6, SIZE_MAX)), 10, UINT32_MAX, "btime", &boot,
                       ERR_IGNORED);
    return boot;
}

/*
 * The start of the process is known in clock ticks since the boot, so the time of the boot is
 * added.  Without either of them the stream says that it has no times.
 */
static void write_misc_info(struct writer *w, const struct target *t)
{
    /* MINIDUMP_MISC_INFO and its flags (minidumpapiset.h). */
    enum { SIZE = 24, HAS_PID = 1, HAS_TIMES = 2 };
    uint64_t ticks[3] = {0}, boot = boot_time();
    uint64_t per_second = (uint64_t)sysconf(_SC_CLK_TCK);
    bool times = process_times(t->pid, ticks) && boot && per_second;
    if (!times)
        per_second = 1;
    uint32_t begin = w_begin(w);
    w_u32(w, SIZE);
    w_u32(w, HAS_PID | (times ? HAS_TIMES : 0));
    w_u32(w, (uint32_t)t->pid);
    w_u32(w, (uint32_t)(boot + ticks[2] / per_second));
    w_u32(w, (uint32_t)(ticks[0] / per_second));
    w_u32(w, (uint32_t)(ticks[1] / per_second));
    w_stream(w, MISC_INFO, begin);
}

/*
 * Files of the system, as they are.  Command line and environment only for those who
 * asked: people keep passwords and tokens there.
 *
 * The sizes are several times what these files have: /proc/cpuinfo has 1.5 KB for each processor
 * (all say the same, and a cut after the fortieth loses nothing), status and limits 1.5 KB, auxv
 * twenty pairs of 16 bytes.  Arguments and environment may have 2 MiB (execve); 32 KiB of them are
 * shown.
 */
static const struct text_stream {
    uint32_t type;
    const char *path, *otherwise; /* below /proc/PID unless absolute */
    size_t max_bytes;
} text_streams[] = {
    {LINUX_CPU_INFO, "/proc/cpuinfo", NULL, 64 << 10},
    {LINUX_PROC_STATUS, "status", NULL, 16 << 10},
    {LINUX_LSB_RELEASE, "/etc/lsb-release", "/etc/os-release", 16 << 10},
    {LINUX_CMD_LINE, "cmdline", NULL, 32 << 10},
    {LINUX_ENVIRON, "environ", NULL, 32 << 10},
    {LINUX_AUXV, "auxv", NULL, 4 << 10},
    {MOZ_LINUX_LIMITS, "limits", NULL, 16 << 10},
};

static void write_texts(struct writer *w, const struct target *t, bool send_command_line,
                        bool send_environment)
{
    for (size_t i = 0; i < ARRAY_LEN(text_streams); i++) {
        const struct text_stream *s = &text_streams[i];
        if ((s->type == LINUX_CMD_LINE && !send_command_line) ||
            (s->type == LINUX_ENVIRON && !send_environment))
            continue;
        STRBUF_AUTO text;
        sb_init(&text, s->max_bytes);
        target_slurp(t->pid, s->path, &text);
        if (text.n == 0)
            target_slurp(t->alive, s->otherwise ? s->otherwise : s->path, &text);
        if (text.n == 0)
            continue;
        w_stream(w, s->type, w_blob(w, text.p, text.n).rva);
    }
    struct str maps = str_sub(sb_view(&t->maps_text), 0, MAPS_BYTES_MAX);
    w_stream(w, LINUX_MAPS, w_blob(w, maps.p, maps.n).rva);
}

void dump_write_system(struct writer *w, const struct target *t, bool send_command_line,
                       bool send_environment)
{
    write_system_info(w);
    write_misc_info(w, t);
    write_texts(w, t, send_command_line, send_environment);
}
