#ifndef PROCESSOR_JOB_H
#define PROCESSOR_JOB_H

#include "lib/base/arena.h"
#include "lib/base/metrics.h"
#include "lib/crash/field.h"
#include "lib/json/json.h"
#include "lib/signature/signature.h"
#include "lib/sandbox/walker.h"

/*
 * job - one crash in work: what the rules read and write.
 *
 * Ownership  The worker makes it, runs the rules, stores the result and releases it.
 *            Texts live in the arena; raw and processed are owned JSON trees.
 * Rules      May run without database and network: everything they need is in here.
 */
struct job_dump {
    const char *name; /* upload_file_minidump, … */
    const char *path; /* readable copy or the object itself */
    size_t size_bytes;
};

/*
 * Where the real version of a beta is looked up.  find answers a new list of version
 * texts of that product, channel (lower case) and build id in a stable order, or NULL.
 */
struct version_source {
    json_t *(*find)(void *ctx, struct str product, struct str channel, struct str build_id);
    void *ctx;
};

/*
 * Which crash had this fingerprint first.  find fills *ret and makes the asking crash the first if
 * there was none; false: it cannot be told.
 */
struct twin_question {
    const char *crash_id;
    char fingerprint[65]; /* SHA-256, hexadecimal */
    int64_t crash_time;   /* seconds, by the clock of the client */
};
struct twin_original {
    char crash_id[37];
    int64_t crash_time;
};
struct twin_source {
    bool (*find)(void *ctx, const struct twin_question *q, struct twin_original *ret);
    void *ctx;
};

struct job {
    struct arena *arena;
    const char *crash_id;
    const char *ruleset; /* "default", "regenerate_signature" */
    json_t *raw;         /* owned; rules may change it */
    json_t *processed;   /* owned */
    struct job_dump *dumps;
    size_t dump_count;
    json_t *notes;       /* owned array of strings */
    const char *tmp_dir; /* this crash's own directory */
    const struct field_table *fields;
    const struct siglists *siglists;
    const struct walker_options *walker;   /* NULL: walking is switched off for this crash */
    const struct version_source *versions; /* NULL: nothing is known */
    const struct twin_source *twins;       /* NULL: duplicates are not looked for */
    const char *symbol_hosts; /* our own symbol servers, separated by blanks, or NULL */
    struct metrics *metrics;  /* may be NULL */
    int64_t now_us;
    const char *hostname;
};

/* A public note: fixed texts and error class names only, never annotation values. */
void job_note(struct job *job, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Runs the rule set of the job: success, started_datetime, first note, every rule in
 * order, processor_notes, processor_history (from old_processed, may be NULL),
 * completed_datetime.  "default" starts from an empty job->processed, others from a copy
 * of old_processed, made here if job->processed is empty.  Rules that fail are noted and
 * skipped.  ERR_TOO_LARGE: the crash takes more memory than its arena may hold;
 * nothing may be stored.  The rule set is one that rules_has_set knows: whoever got its name from
 * outside asks first and answers in his own words; here it is ERR_INTERNAL.
 */
bool rules_run(struct job *job, const json_t *old_processed, struct err *err);

bool rules_has_set(const char *ruleset);

/* One rule by name (with or without the suffix "Rule"), for --apply-rule.  ERR_NOT_FOUND. */
bool rules_apply_one(struct job *job, const char *name, struct err *err);

#endif
