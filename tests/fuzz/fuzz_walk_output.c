/*
 * What a walker that was taken over may write: any JSON at all as the json_dump of a crash,
 * through every rule behind the walk, the reducer and the export.
 */
#include <assert.h>
#include <stdint.h>

#include "lib/crash/reduce.h"
#include "lib/crash/telemetry.h"
#include "tests/fuzz/rule_job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIGNATURE_MAX = 255 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct siglists *lists;
    if (!lists && !siglists_load(NULL, &lists, ERR_IGNORED))
        return 0;
    json_t *dump = jparse(str_n((const char *)data, size), JSON_BYTES_MAX, ERR_IGNORED);
    if (!json_is_object(dump)) { /* the walk counts as failed */
        json_decref(dump);
        return 0;
    }
    struct rule_job j;
    rule_job_begin(&j);
    j.job.siglists = lists;
    json_object_set_new(j.job.processed, "json_dump", dump);
    for (size_t i = 0; i < rule_count; i++)
        rule_job_apply(&j, rule_table[i].name);
    size_t n = json_string_length(json_object_get(j.job.processed, "signature"));
    assert(n > 0 && n <= SIGNATURE_MAX);
    json_auto_t *public_doc = reduce_processed(&fields_builtin, j.job.processed, PERM_PUBLIC, NULL);
    json_auto_t *record = telemetry_record(&fields_builtin, j.job.processed, NULL);
    free(jdump(public_doc, NULL)); /* both can be written */
    free(jdump(record, NULL));
    rule_job_end(&j);
    return 0;
}
