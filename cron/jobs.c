/*
 * The jobs.  Times are UTC.  What deletes comes behind what looks for losses (verifyprocessed at
 * 04:00, retention at 05:00).  A job whose limit of time is four hours goes through everything
 * there is; the others are done in minutes or are stuck.  The last column is the key without which
 * there is nothing to do; DATIL_VAR is always set.
 */
#include "cron/jobs.h"
#include "cron/jobs/job_functions.h"
#include "lib/base/conf.h"
#include "lib/base/util.h"

/* clang-format off */
const struct cron_job cron_jobs[] = {
    {"crontest", "1d", NULL, 0, 60, job_crontest, NULL,
     "nothing; proves that the scheduler works", CONF_DATIL_VAR},
    {"retention", "1d", "05:00", JOB_STORE, 4 * 3600, job_retention, NULL,
     "deletes crashes older than RETENTION_DAYS from store, ledger and index", CONF_DATIL_VAR},
    {"purge", "5m", NULL, JOB_STORE, 4 * 3600, job_purge, NULL,
     "looks for and deletes the crashes that /siteadmin/purge/ was asked to remove", CONF_DATIL_VAR},
    {"compactindex", "7d", "06:00", 0, 4 * 3600, job_compactindex, NULL,
     "rewrites index partitions with many replaced or deleted crashes", CONF_DATIL_VAR},
    {"verifyprocessed", "1d", "04:00", JOB_BACKFILL | JOB_STORE, 4 * 3600, job_verifyprocessed, NULL,
     "finds reports of the day before that were never processed and queues them", CONF_DATIL_VAR},
    {"updatemissing", "1d", "03:00", JOB_STORE, 1800, job_updatemissing, NULL,
     "notes which of the missing crashes have been processed since", CONF_DATIL_VAR},
    {"republish", "1h", NULL, JOB_STORE, 1800, job_republish, NULL,
     "queues reports that are stored or in the ledger and have no message in the queue", CONF_DATIL_VAR},
    {"reprocesslacking", "5m", NULL, 0, 600, job_reprocesslacking, NULL,
     "queues crashes whose symbols have arrived since, see SYMBOLS_REPROCESS_DAYS", CONF_DATIL_VAR},
    {"clearsessions", "7d", "05:00", 0, 1800, job_clearsessions, NULL,
     "deletes expired web sessions", CONF_DATIL_VAR},
    {"clear-tokens", "1d", "05:50", 0, 1800, job_clear_tokens, NULL,
     "deletes API tokens that expired 90 days ago", CONF_DATIL_VAR},
    {"cleanse_cronlog", "7d", "05:00", 0, 1800, job_cleanse_cronlog, NULL,
     "deletes log rows of scheduled jobs older than 180 days", CONF_DATIL_VAR},
    {"auditgroups", "1d", "05:00", 0, 1800, job_auditgroups, NULL,
     "takes access to protected data from accounts that should not have it any more", CONF_DATIL_VAR},
    {"update_graphics_pci", "7d", "04:00", 0, 1800, job_update_graphics_pci, NULL,
     "names of graphics devices from PCI_IDS_URL", CONF_PCI_IDS_URL},
    {"bugassociations", "1h", NULL, JOB_LAST_SUCCESS, 1800, job_bugassociations, NULL,
     "which bugs are about which signatures, from BZAPI_BASE_URL", CONF_BZAPI_BASE_URL},
    {"updatesignatures", "1h", NULL, JOB_LAST_SUCCESS | JOB_BACKFILL, 1800, job_updatesignatures, NULL,
     "first builds and dates of signatures, from the statistics", CONF_DATIL_VAR},
    {"archivescraper", "1h", NULL, 0, 1800, job_archivescraper, NULL,
     "which version a build is, from a release archive at ARCHIVE_BASE_URL", CONF_ARCHIVE_BASE_URL},
    {"telemetry_rollup", "1d", "01:00", JOB_BACKFILL | JOB_STORE, 4 * 3600, job_telemetry_rollup, NULL,
     "public records of the day before become files below DATIL_VAR/telemetry", CONF_DATIL_VAR},
    {"correlations", "1d", "02:00", 0, 4 * 3600, job_correlations, NULL,
     "what is special about the top signatures of each channel; files below DATIL_VAR/correlations", CONF_DATIL_VAR},
    {"expire-symbols", "1d", "05:30", 0, 4 * 3600, job_expire_symbols, NULL,
     "removes symbols files that are old (SYMBOLS_…_RETENTION_DAYS) and not in use", CONF_DATIL_VAR},
    {"clear-uploads", "1d", "05:40", 0, 1800, job_clear_uploads, NULL,
     "deletes the history of old uploads of symbols", CONF_DATIL_VAR},
    {"clear-missing-symbols", "1d", "05:45", 0, 1800, job_clear_missing_symbols, NULL,
     "forgets missing symbols that nobody asked for in 30 days", CONF_DATIL_VAR},
    {"clear-orphans", "1m", NULL, 0, 300, job_clear_orphans, NULL,
     "removes what uploads that died left in UPLOAD_TEMPDIR", CONF_DATIL_VAR},
    {"symcache-janitor", "10m", NULL, 0, 1800, job_symcache_janitor, NULL,
     "keeps the cache of compiled symbols below SYMBOLS_CACHE_MAX_BYTES", CONF_DATIL_VAR},
    {"verify-storage", "7d", "04:30", 0, 4 * 3600, job_verify_storage, NULL,
     "compares symbols files with their rows, mends both", CONF_DATIL_VAR},
};
/* clang-format on */
const size_t cron_job_count = ARRAY_LEN(cron_jobs);
