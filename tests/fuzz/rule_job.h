#ifndef FUZZ_RULE_JOB_H
#define FUZZ_RULE_JOB_H

#include <stdlib.h>

#include "lib/base/util.h"
#include "processor/rule_table.h"

/* One crash for the fuzz targets of rules: no walker, no files but those a target adds. */
struct rule_job {
    struct arena arena;
    struct job job;
};

static inline void rule_job_begin(struct rule_job *j)
{
    arena_init(&j->arena, 256 << 20);
    j->job = (struct job){
        .fields = &fields_builtin,
        .arena = &j->arena,
        .crash_id = "de1bb258-cbbf-4589-a673-34f800240110",
        .ruleset = "default",
        .raw = json_object(),
        .processed = json_object(),
        .notes = json_array(),
        .symbol_hosts = "symbols.example.com",
        .now_us = 1704888794000000,
        .hostname = "fuzz",
    };
}

static inline void rule_job_end(struct rule_job *j)
{
    json_decref(j->job.raw);
    json_decref(j->job.processed);
    json_decref(j->job.notes);
    arena_release(&j->arena);
}

static inline void rule_job_apply(struct rule_job *j, const char *rule)
{
    if (!rules_apply_one(&j->job, rule, ERR_IGNORED))
        abort(); /* the target names a rule that is gone */
}

#endif
