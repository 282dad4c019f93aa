#ifndef HANDLER_TARGET_H
#define HANDLER_TARGET_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"

/*
 * target - the process a dump is made of, seen from outside: its threads, memory
 * and the text files of /proc.
 *
 * Ownership  target_open allocates; target_close detaches and frees.
 * Trust      Everything that is read may be nonsense: the process has crashed.
 * Threads    ptrace ties a target to the thread that opened it.
 */
struct mapping {
    uint64_t start, end, offset, inode;
    bool readable, writable, executable;
    const char *path; /* "" for anonymous memory; borrowed from the target */
};

struct span {
    uint64_t start, end; /* behind the last byte; both 0: unknown */
};

struct target_thread {
    pid_t tid;
    int signal;    /* it was about to get this one when it stopped: given back on close; or 0 */
    char name[32]; /* terminated, may be empty */
};

struct target {
    pid_t pid;
    pid_t alive; /* a thread that lives: the first one may have ended before the others */
    VEC(struct target_thread) threads;  /* stopped ones, the first thread first */
    VEC(struct mapping) maps;           /* by address */
    struct strbuf maps_text;            /* of /proc/PID/maps, as is */
    char *paths;                        /* owned: where mapping.path points */
    int mem_fd;                         /* of /proc/PID/mem, or -1 */
    struct span arguments, environment; /* their texts, at the top of the first stack */
};

/*
 * Registers and list entries of so many threads take 5 MiB of DUMP_BYTES_MAX.  Maps: four times as
 * many as the kernel lets a process have (vm.max_map_count, 65,530 unless an administrator says
 * otherwise).
 */
enum { TARGET_THREADS_MAX = 4096, TARGET_MAPS_MAX = 1 << 18 };

/*
 * Stops every thread of the process and reads its memory map.  A thread that does
 * not stop within two seconds (it hangs in the kernel) is left out.
 * ERR_NOT_FOUND: no such process.  ERR_FORBIDDEN: not ours to look at.
 */
bool target_open(pid_t pid, struct target *ret_target, struct err *err);
void target_close(struct target *t); /* lets the threads run on */

/* Reads up to n bytes; returns how many could be read in one piece from addr on. */
size_t target_read(const struct target *t, uint64_t addr, void *out, size_t n);

/* The mapping that holds addr, or NULL; and the first one that ends above addr. */
const struct mapping *target_mapping(const struct target *t, uint64_t addr);
const struct mapping *target_mapping_from(const struct target *t, uint64_t addr);

/* Appends /proc/PID/NAME (or `path` when it is absolute) up to b's limit; a missing file is
 * empty. */
void target_slurp(pid_t pid, const char *path, struct strbuf *b);

/* Numbers of /proc/PID/stat by the field numbers of proc(5), rising, from 4 on. */
bool target_stat(pid_t pid, const int *fields, size_t n, uint64_t *ret);

/* Splits maps_text into maps and paths, which target_close frees. */
void target_parse_maps(struct target *t);

#endif
