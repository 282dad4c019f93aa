#ifndef PROCESSOR_CRASH_H
#define PROCESSOR_CRASH_H

#include "processor/job.h"
#include "lib/store/store.h"

/*
 * crash - one crash from the store through the rules to its processed form.
 *
 * Ownership  crash_load fills a struct crash; crash_release frees everything in it and removes
 *            its temporary directory, whatever happened in between.  Texts and the job's paths
 *            live as long as the struct crash, which must not move.
 * Errors     crash_load: ERR_NOT_FOUND: there is no raw crash.  ERR_DAMAGED, ERR_TOO_LARGE: it
 *            cannot be read.  crash_process: as rules_run; the rule set of
 *            the job is one that rules_has_set knows, or it is ERR_INTERNAL.
 */
struct crash_setup {
    const struct field_table *fields;
    const char *tmp_base; /* where temporary directories are made */
    const struct siglists *siglists;
    const struct walker_options *walker;   /* NULL: do not walk */
    const struct version_source *versions; /* may be NULL */
    const struct twin_source *twins;       /* may be NULL */
    const char *symbol_hosts;              /* may be NULL */
    struct metrics *metrics;               /* may be NULL */
    const char *hostname;
    bool is_walk_skipped; /* this crash has killed its workers: no walk, and a note says so */
};

/* Browser, content, GPU, …: five names are known; beyond this many a dump is not looked at. */
enum { CRASH_DUMPS_MAX = 32 };

struct crash {
    struct arena arena;
    struct job job;
    json_t *old_processed;    /* owned, or NULL */
    char tmp_dir[512];        /* empty: none yet */
    int fds[CRASH_DUMPS_MAX]; /* open dumps */
    struct job_dump dumps[CRASH_DUMPS_MAX];
};

bool crash_load(struct crash *c, const struct crash_setup *setup, struct store *store,
                const char *crash_id, const char *ruleset, struct err *err);
/* The parts of crash_load, for crashes that come from elsewhere: begin, set job.raw, add dumps. */
void crash_begin(struct crash *c, const struct crash_setup *setup, const char *crash_id,
                 const char *ruleset);
bool crash_add_dump(struct crash *c, const char *name, int fd, struct err *err); /* takes fd */
bool crash_make_tmp(struct crash *c, const char *base, struct err *err);

bool crash_process(struct crash *c, struct err *err);
void crash_release(struct crash *c);

/* Removes temporary directories whose process is gone (killed workers leave them). */
void crash_sweep_tmp(const char *tmp_base);

#endif
