#ifndef HANDLER_SEND_H
#define HANDLER_SEND_H

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * send - one multipart POST of a report: part `extra` (annotations as JSON) and
 * part `upload_file_minidump`.
 *
 * Errors     ERR_UNAVAILABLE: no answer, one that says "later" (429, 5xx), or an
 *            address that cannot be asked: keep the report.  ERR_INVALID: the collector does
 *            not want this report and never will; the message has its reason.
 * Limits     A crash id has 36 characters, and collectors put "bp-" in front of it.
 */
enum { SEND_ID_MAX = 64 };

/* ret_id gets the crash id as the collector gave it (bp-…). */
bool send_report(const char *url, struct str json, const char *dump_path, char ret_id[SEND_ID_MAX],
                 struct err *err);

/* The URL with /submit when it has no path.  Into out, terminated; false when too long or not
 * http(s). */
bool send_url(const char *url, char *out, size_t size, struct err *err);

/* Reads an answer of the collector; pure, for tests. */
bool send_judge(long status, struct str body, char ret_id[SEND_ID_MAX], struct err *err);

#endif
