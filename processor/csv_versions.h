#ifndef PROCESSOR_CSV_VERSIONS_H
#define PROCESSOR_CSV_VERSIONS_H

#include "processor/job.h"

/*
 * csv_versions - a version source from a file, for runs without database: lines of product_name,
 * release_channel, major_version, release_version, version_string, build_id, archive_url.
 *
 * Ownership  Owns the text; the source's ctx is the struct csv_versions.
 * Format     Plain commas, no quotes (no such value contains a comma).  Lines with too few fields
 *            are left out.
 */
struct csv_versions;

bool csv_versions_load(const char *path, struct csv_versions **ret, struct err *err);
void csv_versions_free(struct csv_versions *v);
struct version_source csv_versions_source(struct csv_versions *v);

#endif
