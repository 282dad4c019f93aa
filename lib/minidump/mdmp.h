#ifndef MINIDUMP_MDMP_H
#define MINIDUMP_MDMP_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"

/*
 * mdmp - read-only view of one minidump held in memory: header, directory, streams,
 * lists and strings.  What the streams mean is in system.h, thread.h, module.h, …
 *
 * Ownership  The caller owns the bytes and keeps them alive and unchanged while
 *            the view is in use.  The view allocates nothing; there is no free.
 *            Converted texts live in the arena of the text pool.
 * Errors     True on success.  On failure: false, *err filled, every ret_
 *            parameter untouched.
 * Trust      The bytes are hostile.  The answer to any input is a value or an
 *            error; never a read outside the buffer, never an endless loop.
 * Threads    Immutable once opened; may be shared.
 */
enum {
    MDMP_HEADER_SIZE = 32,
    MDMP_DIR_ENTRY_SIZE = 12,
    MDMP_VERSION = 0xa793,
    /* Directory entries that are looked at: writers make some twenty. */
    MDMP_STREAMS_MAX = 4096,
    MDMP_STRING_MAX =
        64 << 10, /* of one string: the longest path of Windows, 32,767 UTF-16 units */
};

/*
 * Up to 24 Microsoft's (minidumpapiset.h, MINIDUMP_STREAM_TYPE); 0x4767…  Breakpad's, 0x4350…
 * Crashpad's, 0x4d7a… Mozilla's, each with the letters of its owner in front.
 */
enum mdmp_stream_type {
    MDMP_THREAD_LIST = 3,
    MDMP_MODULE_LIST = 4,
    MDMP_MEMORY_LIST = 5,
    MDMP_EXCEPTION = 6,
    MDMP_SYSTEM_INFO = 7,
    MDMP_THREAD_EX_LIST = 8,
    MDMP_MEMORY64_LIST = 9,
    MDMP_HANDLE_DATA = 12,
    MDMP_UNLOADED_MODULE_LIST = 14,
    MDMP_MISC_INFO = 15,
    MDMP_MEMORY_INFO_LIST = 16,
    MDMP_THREAD_NAMES = 24,
    MDMP_BREAKPAD_INFO = 0x47670001,
    MDMP_ASSERTION_INFO = 0x47670002,
    MDMP_LINUX_CPU_INFO = 0x47670003,
    MDMP_LINUX_PROC_STATUS = 0x47670004,
    MDMP_LINUX_LSB_RELEASE = 0x47670005,
    MDMP_LINUX_MAPS = 0x47670009,
    MDMP_CRASHPAD_INFO = 0x43500001,
    MDMP_MOZ_MACOS_CRASH_INFO = 0x4d7a0001,
    MDMP_MOZ_MACOS_BOOTARGS = 0x4d7a0002,
    MDMP_MOZ_LINUX_LIMITS = 0x4d7a0003,
    MDMP_MOZ_SOFT_ERRORS = 0x4d7a0004,
};

struct mdmp {
    struct rd file;
    struct rd dir; /* stream_count entries of 12 bytes, known to fit */
    uint32_t stream_count;
    uint32_t time_s; /* when the dump was written, seconds since 1970 UTC */
    uint64_t flags;
};

/*
 * err->msg starts with the public name of the failure and " - ": MissingHeader,
 * HeaderMismatch, VersionMismatch or MissingDirectory.
 */
bool mdmp_open(const void *bytes, size_t len, struct mdmp *ret_dump, struct err *err);

/*
 * Bytes of the stream `type`; when a type occurs twice the last one wins.
 * ERR_NOT_FOUND: the dump has none.  ERR_INVALID: it points outside the file.
 */
bool mdmp_stream(const struct mdmp *d, uint32_t type, struct rd *ret_body, struct err *err);

/* Directory entry `index` (below stream_count and MDMP_STREAMS_MAX). */
struct mdmp_dir_entry {
    uint32_t type, size_bytes, rva;
};
struct mdmp_dir_entry mdmp_dir_entry(const struct mdmp *d, uint32_t index);
const char *mdmp_stream_name(uint32_t type); /* "Unknown" for types that nobody knows */

/* `len` bytes at file offset `off`; bad if they are not all there. */
struct rd mdmp_at(const struct mdmp *d, uint64_t off, uint64_t len);

/* Entries of one size, one behind the other.  Never more than the stream can hold. */
struct mdmp_list {
    struct rd body; /* starts at the first entry */
    size_t step;    /* bytes from entry to entry */
    size_t count;   /* whole entries that are there */
};

/*
 * u32 count, then entries of entry_size bytes; four bytes of padding behind the count
 * are recognised by the stream's length.
 */
bool mdmp_list(struct rd body, size_t entry_size, struct mdmp_list *ret, struct err *err);

/* Starts with size of header, size of entry, count (u64 if has_wide_count); entries may be longer
 * than `known_size`, not shorter. */
bool mdmp_list_ex(struct rd body, size_t known_size, bool has_wide_count, struct mdmp_list *ret,
                  struct err *err);

/* Reader over entry `index`, which must be below count. */
struct rd mdmp_list_entry(const struct mdmp_list *l, size_t index);

/*
 * Where converted strings go.  text_left bounds their sum: a dump can point thousands
 * of times at one long string.
 */
struct mdmp_pool {
    struct arena *arena;
    size_t text_left;
};

/*
 * UTF-16 string at `rva` as UTF-8.  ERR_INVALID: outside the file, odd length, lone
 * surrogate.  ERR_TOO_LARGE: longer than MDMP_STRING_MAX or the pool is used up.
 */
bool mdmp_string(const struct mdmp *d, uint64_t rva, struct mdmp_pool *pool, struct str *ret,
                 struct err *err);

/* Crashpad's UTF-8 string at `rva`; NUL-terminated in the file.  Borrowed from the dump. */
bool mdmp_utf8_string(const struct mdmp *d, uint64_t rva, size_t max, struct str *ret,
                      struct err *err);

/* UTF-16 units up to the first NUL, at most unit_count; lone surrogates become U+FFFD. */
struct str mdmp_utf16_field(struct rd *r, size_t unit_count, struct mdmp_pool *pool);

/* 32 upper-case hex digits of the GUID at r, terminated; false if it is all zero. */
bool mdmp_guid(struct rd *r, char out[33]);

/*
 * "[anon:…]", "[anon_shmem:…]": what a process called memory without a file.  It is no
 * path, although slashes are common in it ("[anon:dalvik-/system/framework/boot.art]").
 */
bool mdmp_is_label(struct str path);

/* Text after the last '/' or '\', whatever the platform; a label as a whole. */
struct str mdmp_base_name(struct str path);

#endif
