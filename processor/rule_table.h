#ifndef PROCESSOR_RULE_TABLE_H
#define PROCESSOR_RULE_TABLE_H

#include "processor/job.h"

/*
 * rule_table - the rows behind rules_run, for the tests.
 */
struct rule {
    const char *name;
    bool (*applies)(const struct job *job);
    bool (*act)(struct job *job, struct err *err);
    /* Keys separated by blanks, "raw:" in front of annotations; a '*' at the end stands for any
     * rest; "dumps": the files; "@copied": the keys the field table copies annotations to. */
    const char *reads, *writes;
};
extern const struct rule rule_table[];
extern const size_t rule_count;

#endif
