#ifndef CRASH_RAW_H
#define CRASH_RAW_H

#include "lib/json/json.h"

/*
 * raw - raw crashes as older collectors wrote them, made to look like ours.
 *
 * Version 1 (or none is named) has what the collector says of a report among the annotations, where
 * version 2 has an object `metadata`: notes, checksums of files, the rate of sampling.  They are
 * moved there, so readers know one place only and the report has no annotation that its sender did
 * not make.  Checksums of version 1 are MD5.
 *
 * Ownership  The document is changed in place; it is a working copy, never what is stored.
 */
/* True if there was something to move. */
bool raw_crash_upgrade(json_t *raw);

/* A checksum of 32 digits is MD5, whatever collector wrote it. */
bool raw_checksum_is_md5(struct str checksum);

#endif
