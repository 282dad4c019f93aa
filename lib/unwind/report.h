#ifndef UNWIND_REPORT_H
#define UNWIND_REPORT_H

#include "lib/json/jw.h"
#include "lib/unwind/analysis.h"
#include "lib/unwind/walk.h"

/*
 * walk_report - what a walk found, as the json_dump object that everything downstream reads,
 * or as text for people.
 *
 * JSON keys are sorted, every documented key is present (null when unknown), addresses
 * are hexadecimal strings of the dump's pointer width.
 */
enum { REPORT_BYTES_MAX = 64 << 20 };

struct walk_report {
    const struct facts *facts;
    const struct walk *walk;
    const struct walk_symbols *symbols;
    const struct analysis *analysis;
    const json_t *annotations; /* ModuleSignatureInfo, CPUMicrocodeVersion; or NULL */
    struct arena *arena;       /* for lookups while writing */
    int64_t elapsed_ms;
    bool is_pretty;
    bool is_brief; /* text only: the crashing thread alone */
};

/* ERR_TOO_LARGE: more than out may hold. */
bool report_json(const struct walk_report *r, struct strbuf *out, struct err *err);
void report_text(const struct walk_report *r, struct strbuf *out);

/*
 * What a frame's code belongs to, and where in it: its module; outside of all modules the
 * label of the memory, if its owner gave it one (a JIT compiler's code).  False: nothing.
 */
bool report_place(const struct walk_report *r, const struct walk_frame *frame, struct str *ret_name,
                  uint64_t *ret_offset);

/* Signer of a module by its file name, from the annotations. */
struct cert {
    struct str file, signer;
};
struct certs {
    struct cert *v; /* sorted by file */
    size_t n;
};
struct certs report_certs(const struct walk_report *r);
struct str report_signer(const struct certs *certs, struct str file); /* p NULL: none */

/* Text of a dump without control characters: it goes to somebody's terminal. */
void report_put_text(struct strbuf *out, struct str s);

/* The microcode version from the dump or, failing that, from the annotations. */
bool report_microcode(const struct walk_report *r, uint64_t *ret);

/* Windows' GetLastError of a thread; p NULL: unknown. */
struct str report_last_error(const struct walk_report *r, size_t thread);

/* "crash_info" of the JSON report. */
void report_crash_info(const struct walk_report *r, struct jw *w);

/* "threads": the list, and "crashing_thread": the copy with registers. */
void report_threads(const struct walk_report *r, struct jw *w);
void report_crashing_thread(const struct walk_report *r, struct jw *w);

/* Unloaded modules covering an address, grouped by name; offsets sorted and distinct. */
struct unloaded_hit {
    struct str module;
    uint64_t offset;
};
/* At most max hits, sorted by name and offset. */
size_t report_unloaded_at(const struct facts *f, uint64_t addr, struct unloaded_hit *out,
                          size_t max);

#endif
