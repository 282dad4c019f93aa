/*
 * Which processor, which operating system, and the texts that reports show of both.
 *
 * The texts are compared with those of other stack walkers and are searched for, so they are built
 * exactly as there, odd details included: family, model and stepping for x86 and amd64 (with the
 * vendor for x86 only), architecture, vendor, part and features for arm, nothing for the others.
 *
 * The numbers are PROCESSOR_ARCHITECTURE_* and VER_PLATFORM_* of Windows' headers, and above 0x8000
 * those that Breakpad's writers added for the systems that have none.
 */
#include "lib/minidump/system.h"

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"

static const struct {
    uint16_t arch;
    enum mdmp_cpu cpu;
    uint8_t word_bytes;
    const char *name;
} cpus[] = {
    {0, MDMP_CPU_X86, 4, "x86"},
    {1, MDMP_CPU_MIPS, 4, "mips"},
    {3, MDMP_CPU_PPC, 4, "ppc"},
    {5, MDMP_CPU_ARM, 4, "arm"},
    {9, MDMP_CPU_AMD64, 8, "amd64"},
    {10, MDMP_CPU_X86, 4, "x86"}, /* IA-32 on 64-bit Windows */
    {12, MDMP_CPU_ARM64, 8, "arm64"},
    {0x8001, MDMP_CPU_SPARC, 4, "sparc"},
    {0x8002, MDMP_CPU_PPC64, 8, "ppc64"},
    {MDMP_ARCH_ARM64_OLD, MDMP_CPU_ARM64, 8, "arm64"},
    {0x8004, MDMP_CPU_MIPS64, 8, "mips64"},
    {0x8005, MDMP_CPU_RISCV, 4, "riscv"},
    {0x8006, MDMP_CPU_RISCV64, 8, "riscv64"},
};

static const struct {
    uint32_t platform;
    enum mdmp_os os;
    const char *name;
} systems[] = {
    {2, MDMP_OS_WINDOWS, "Windows NT"},   {3, MDMP_OS_WINDOWS, "Windows NT"},
    {0x8101, MDMP_OS_MAC, "Mac OS X"},    {0x8102, MDMP_OS_IOS, "iOS"},
    {0x8201, MDMP_OS_LINUX, "Linux"},     {0x8202, MDMP_OS_SOLARIS, "Solaris"},
    {0x8203, MDMP_OS_ANDROID, "Android"}, {0x8204, MDMP_OS_PS3, "PS3"},
    {0x8205, MDMP_OS_NACL, "NaCl"},       {0x8206, MDMP_OS_FUCHSIA, "Fuchsia"},
};

/* ARM implementers and parts as Breakpad's writer records them. */
static const struct {
    uint8_t code;
    const char *name;
} arm_vendors[] = {{0x41, "ARM"}, {0x51, "Qualcomm"}, {0x56, "Marvell"}, {0x69, "Intel/Marvell"}};

static const struct {
    uint32_t cpuid;
    const char *name;
} arm_parts[] = {
    {0x4100c050, "Cortex-A5"},    {0x4100c080, "Cortex-A8"}, {0x4100c090, "Cortex-A9"},
    {0x4100c0f0, "Cortex-A15"},   {0x4100c140, "Cortex-R4"}, {0x4100c150, "Cortex-R5"},
    {0x4100b360, "ARM1136"},      {0x4100b560, "ARM1156"},   {0x4100b760, "ARM1176"},
    {0x4100b020, "ARM11-MPCore"}, {0x41009260, "ARM926"},    {0x41009460, "ARM946"},
    {0x41009660, "ARM966"},       {0x510006f0, "Krait"},     {0x510000f0, "Scorpion"},
};

/* Names of the bits of ELF_HWCAP on 32-bit arm, from bit 0 (asm/hwcap.h). */
static const char *const arm_features[] = {
    "swp",    "half",    "thumb", "26bit", "fastmult", "fpa", "vfpv2", "edsp",  "java",  "iwmmxt",
    "crunch", "thumbee", "neon",  "vfpv3", "vfpv3d16", "tls", "vfpv4", "idiva", "idivt",
};

/* Fixed part of the stream, as far as it is used. */
struct raw {
    uint16_t arch, level, revision;
    uint8_t cpu_count;
    uint32_t major, minor, build, platform, csd_rva;
    uint8_t vendor[12];         /* x86 */
    uint32_t cpuid, elf_hwcaps; /* arm: the same bytes as numbers */
};

/*
 * The last 24 bytes are a union by CPU: on x86 they begin with the vendor text of cpuid, on arm
 * with two words.  Both views are read; the CPU decides later which one means something.
 */
static struct raw read_raw(struct rd *r)
{
    struct raw s = {0};
    s.arch = rd_u16(r);
    s.level = rd_u16(r);
    s.revision = rd_u16(r);
    s.cpu_count = rd_u8(r);
    rd_skip(r, 1); /* product type */
    s.major = rd_u32(r);
    s.minor = rd_u32(r);
    s.build = rd_u32(r);
    s.platform = rd_u32(r);
    s.csd_rva = rd_u32(r);
    rd_skip(r, 4); /* suite mask, reserved */
    struct rd arm = *r;
    s.cpuid = rd_u32(&arm);
    s.elf_hwcaps = rd_u32(&arm);
    for (int i = 0; i < 3; i++) { /* three words whose little-endian bytes are the text */
        uint32_t word = rd_u32(r);
        for (int b = 0; b < 4; b++)
            s.vendor[4 * i + b] = (uint8_t)(word >> (8 * b));
    }
    rd_skip(r, 12);
    return s;
}

static const char *arm_info(const struct raw *s, struct arena *a)
{
    struct strbuf b;
    sb_init(&b, 1024);
    sb_printf(&b, "ARMv%u", s->level);
    if (s->cpuid) {
        const char *vendor = NULL, *part = NULL;
        for (size_t i = 0; i < ARRAY_LEN(arm_vendors); i++)
            if (arm_vendors[i].code == s->cpuid >> 24)
                vendor = arm_vendors[i].name;
        for (size_t i = 0; i < ARRAY_LEN(arm_parts); i++)
            if (arm_parts[i].cpuid == (s->cpuid & 0xff00fff0))
                part = arm_parts[i].name;
        if (vendor)
            sb_printf(&b, " %s", vendor);
        else
            sb_printf(&b, " vendor(0x%x)", s->cpuid >> 24);
        if (part)
            sb_printf(&b, " %s", part);
        else
            sb_printf(&b, " part(0x%x)", s->cpuid & 0xff00fff0);
    }
    if (s->elf_hwcaps) {
        const char *sep = " features: ";
        for (size_t i = 0; i < ARRAY_LEN(arm_features); i++) {
            if (s->elf_hwcaps >> i & 1) {
                sb_printf(&b, "%s%s", sep, arm_features[i]);
                sep = ",";
            }
        }
    }
    const char *text = arena_strdup(a, sb_cstr(&b));
    sb_release(&b);
    return text;
}

static struct str cpu_info(const struct raw *s, enum mdmp_cpu cpu, struct arena *a)
{
    const char *family = arena_printf(a, "family %u model %u stepping %u", s->level,
                                      s->revision >> 8, s->revision & 0xff);
    if (cpu == MDMP_CPU_X86) {
        struct str vendor = utf8_clean(a, str_n((const char *)s->vendor, sizeof s->vendor));
        return str_of(
            arena_printf(a, STR_FMT "%s%s", STR_ARG(vendor), vendor.n ? " " : "", family));
    }
    if (cpu == MDMP_CPU_AMD64)
        return str_of(family);
    if (cpu == MDMP_CPU_ARM)
        return str_of(arm_info(s, a));
    return STR_NONE;
}

/*
 * Linux writers without a version put the output of `uname -srvmo` into the service
 * pack: "Linux RELEASE BUILD… MACHINE [Linux/GNU]".
 */
static bool uname_version(struct str csd, struct arena *a, struct str *ret)
{
    struct str rest = csd, word, release = STR_NONE;
    if (!str_split(&rest, ' ', &word) || !str_split(&rest, ' ', &release) || !rest.p)
        return false;
    size_t last = str_rfind_char(rest, ' ');
    struct str build = last == SIZE_MAX ? STR_NONE : str_sub(rest, 0, last);
    struct str final = last == SIZE_MAX ? rest : str_sub(rest, last + 1, SIZE_MAX);
    if (str_eq(final, STR("Linux/GNU")) && build.p) {
        last = str_rfind_char(build, ' ');
        build = last == SIZE_MAX ? STR_NONE : str_sub(build, 0, last);
    }
    char *text = arena_alloc(a, release.n + build.n + 2);
    memcpy(text, release.p, release.n);
    size_t n = release.n;
    if (build.p && build.n) {
        text[n++] = ' ';
        memcpy(text + n, build.p, build.n);
        n += build.n;
    }
    *ret = str_n(text, n);
    return true;
}

/*
 * "MAJOR.MINOR.BUILD SERVICE-PACK".  Linux has no such numbers: writers leave them 0 and put uname
 * there.
 */
static struct str os_version(const struct mdmp *d, const struct raw *s, enum mdmp_os os,
                             struct mdmp_pool *pool)
{
    struct str csd = STR_NONE, version;
    mdmp_string(d, s->csd_rva, pool, &csd, ERR_IGNORED);
    csd = str_trim(csd);
    bool is_zero = s->major == 0 && s->minor == 0 && s->build == 0;
    if (os == MDMP_OS_LINUX && is_zero && uname_version(csd, pool->arena, &version))
        return version;

    char number[48];
    snprintf(number, sizeof number, "%u.%u.%u", s->major, s->minor, s->build);
    if (csd.n == 0)
        return str_of(arena_strdup(pool->arena, number));
    size_t n = strlen(number);
    char *text = arena_alloc(pool->arena, n + csd.n + 2);
    memcpy(text, number, n);
    text[n] = ' ';
    memcpy(text + n + 1, csd.p, csd.n);
    return str_n(text, n + 1 + csd.n);
}

bool mdmp_system_read(const struct mdmp *d, struct mdmp_pool *pool, struct mdmp_system *ret,
                      struct err *err)
{
    struct rd body;
    if (!mdmp_stream(d, MDMP_SYSTEM_INFO, &body, err))
        return false;
    struct raw s = read_raw(&body);
    if (!rd_ok(&body))
        return err_set(err, ERR_INVALID, "system info of %zu bytes", body.n);

    struct mdmp_system sys = {.arch = s.arch, .cpu_arch = "unknown", .cpu_count = s.cpu_count};
    for (size_t i = 0; i < ARRAY_LEN(cpus); i++) {
        if (cpus[i].arch == s.arch) {
            sys.cpu = cpus[i].cpu;
            sys.cpu_arch = cpus[i].name;
            sys.word_bytes = cpus[i].word_bytes;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(systems); i++) {
        if (systems[i].platform == s.platform) {
            sys.os = systems[i].os;
            sys.os_name = systems[i].name;
        }
    }
    if (!sys.os_name)
        sys.os_name = arena_printf(pool->arena, "0x%08x", s.platform);
    sys.os_ver = os_version(d, &s, sys.os, pool);
    sys.cpu_info = cpu_info(&s, sys.cpu, pool->arena);
    *ret = sys;
    return true;
}
