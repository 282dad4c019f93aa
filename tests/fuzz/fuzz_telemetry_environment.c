/* The annotation TelemetryEnvironment: copied, asked for the distribution, made public,
 * exported. */
#include <assert.h>
#include <stdint.h>

#include "lib/crash/reduce.h"
#include "lib/crash/telemetry.h"
#include "tests/fuzz/rule_job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rule_job j;
    rule_job_begin(&j);
    jset_text(j.job.raw, "TelemetryEnvironment", str_n((const char *)data, size));
    rule_job_apply(&j, "DeNull");
    rule_job_apply(&j, "CopyFromRawCrash");
    rule_job_apply(&j, "DistributionId");
    assert(json_string_length(json_object_get(j.job.processed, "distribution_id")) > 0);
    json_auto_t *public_doc = reduce_processed(&fields_builtin, j.job.processed, PERM_PUBLIC, NULL);
    json_auto_t *again = reduce_processed(&fields_builtin, public_doc, PERM_PUBLIC, NULL);
    assert(json_equal(public_doc, again));
    json_auto_t *record = telemetry_record(&fields_builtin, j.job.processed, NULL);
    assert(!json_object_get(record, "telemetry_environment"));
    rule_job_end(&j);
    return 0;
}
