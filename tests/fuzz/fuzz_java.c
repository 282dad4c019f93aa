/*
 * Java traces and exceptions: the first byte says which ('{' is an exception).  What the rules
 * make public must hold no message, whatever the text looks like.
 */
#include <assert.h>
#include <stdint.h>

#include "lib/crash/reduce.h"
#include "tests/fuzz/rule_job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Behind the class there are stack lines only. */
static void check_trace(struct str trace)
{
    struct str line;
    assert(trace.p);
    if (str_eq(trace, STR("malformed")))
        return;
    str_split(&trace, '\n', &line);
    while (str_split(&trace, '\n', &line))
        assert(str_starts(line, STR("\t")) && str_find(line, STR("\r"), 0) == SIZE_MAX);
}

static void check_exception(const json_t *public_doc)
{
    size_t i;
    const json_t *v;
    const json_t *values = jpath(public_doc, "java_exception.exception.values");
    json_array_foreach (values, i, v)
        assert(!json_object_get(v, "value") && !jpath(v, "stacktrace.value"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct siglists *lists;
    if (!lists && !siglists_load(NULL, &lists, ERR_IGNORED))
        return 0;
    struct rule_job j;
    rule_job_begin(&j);
    j.job.siglists = lists;
    struct str text = str_n((const char *)data, size);
    bool is_exception = size > 0 && data[0] == '{';
    jset_text(j.job.raw, is_exception ? "JavaException" : "JavaStackTrace", text);
    rule_job_apply(&j, "CopyFromRawCrash");
    rule_job_apply(&j, "JavaStackTrace");
    rule_job_apply(&j, "SignatureGenerator");
    assert(json_string_length(json_object_get(j.job.processed, "signature")) > 0);
    json_auto_t *public_doc = reduce_processed(&fields_builtin, j.job.processed, PERM_PUBLIC, NULL);
    if (!is_exception && size > 0)
        check_trace(jget_strn(public_doc, "java_stack_trace"));
    check_exception(public_doc);
    assert(!json_object_get(public_doc, "java_stack_trace_raw"));
    rule_job_end(&j);
    return 0;
}
