#ifndef CRON_JOBS_JOB_FUNCTIONS_H
#define CRON_JOBS_JOB_FUNCTIONS_H

#include "cron/job_context.h"

/* The functions behind the table in ../jobs.c; each says what it does in its file. */
bool job_crontest(struct job_context *x, struct err *err);
bool job_retention(struct job_context *x, struct err *err);
bool job_purge(struct job_context *x, struct err *err);
bool job_compactindex(struct job_context *x, struct err *err);
bool job_verifyprocessed(struct job_context *x, struct err *err);
bool job_updatemissing(struct job_context *x, struct err *err);
bool job_republish(struct job_context *x, struct err *err);
bool job_reprocesslacking(struct job_context *x, struct err *err);
bool job_clearsessions(struct job_context *x, struct err *err);
bool job_clear_tokens(struct job_context *x, struct err *err);
bool job_update_graphics_pci(struct job_context *x, struct err *err);
bool job_bugassociations(struct job_context *x, struct err *err);
bool job_updatesignatures(struct job_context *x, struct err *err);
bool job_archivescraper(struct job_context *x, struct err *err);
bool job_auditgroups(struct job_context *x, struct err *err);
bool job_expire_symbols(struct job_context *x, struct err *err);
bool job_clear_uploads(struct job_context *x, struct err *err);
bool job_clear_missing_symbols(struct job_context *x, struct err *err);
bool job_clear_orphans(struct job_context *x, struct err *err);
bool job_symcache_janitor(struct job_context *x, struct err *err);
bool job_verify_storage(struct job_context *x, struct err *err);
bool job_correlations(struct job_context *x, struct err *err);
bool job_telemetry_rollup(struct job_context *x, struct err *err);
bool job_cleanse_cronlog(struct job_context *x, struct err *err);

#endif
