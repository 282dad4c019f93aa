#ifndef COLLECTOR_REPORT_FORM_H
#define COLLECTOR_REPORT_FORM_H

#include "fcgi/collector/names.h"
#include "lib/crash/field.h"
#include "lib/json/json.h"
#include "lib/json/repair.h"
#include "lib/spool/receive.h"
#include "lib/web/multipart.h"

/*
 * report_form - one crash report while it comes in: what each part of the form becomes.
 *
 *   JSON part      annotations; replaces those seen before it
 *   text part      one annotation
 *   anything else  a file, streamed into the spool
 *
 * Ownership  report_release frees annotations, notes and checksums and removes the spool entry
 *            unless it was committed.
 * Errors     A malformed report: false with `reason` set to the word for the sender (NULL: the
 *            grammar of the form) and err ERR_INVALID or ERR_TOO_LARGE.  Other errors are ours
 *            (disk).
 * Limits     REPORT_… below.  What is over a limit for one value costs that value, not the crash.
 * Trust      The bytes are hostile.  What comes out is valid UTF-8 without NUL.
 *
 * The limits hold one report's memory below REPORT_ANNOTATIONS_MAX and a few copies.  The bodies
 * that nginx lets in have 25 MiB: one text that fills most of it is still taken, and a packed body
 * may hold somewhat more in many.  Clients send 100 to 250 annotations and up to five dumps; twenty
 * times as many parts, and files for every process of a large program, are no report of theirs.
 */
enum {
    REPORT_TEXT_MAX = 20 << 20,        /* one text part */
    REPORT_ANNOTATIONS_MAX = 32 << 20, /* all of them */
    REPORT_NAME_MAX = 256,             /* the longest of lib/crash/fields.tsv has 29 */
    REPORT_PARTS_MAX = 5000,
    REPORT_FILES_MAX = 64,
    REPORT_JSON_DEPTH_MAX = JSON_GIVEN_DEPTH_MAX,
    REPORT_NOTES_MAX = 200, /* of the collector: about as many as clients send annotations */
};

enum part_kind { PART_SKIPPED, PART_TEXT, PART_JSON, PART_FILE };

struct report {
    const char
        *main_dump; /* name of the form part with the main dump; stored under its usual name */
    const struct field_table *fields; /* borrowed */
    size_t annotations_max;           /* names kept */
    struct spool_entry entry;
    json_t *annotations; /* object, owned */
    json_t *notes;       /* array, owned */
    json_t *checksums;   /* object: dump name -> SHA-256, owned */
    const char *reason;  /* of a malformed report */
    size_t part_count, file_count;
    bool has_json, has_fields;
    bool sentry_is_text; /* a JSON part of that name is one annotation, not all of them */

    /* the part at hand */
    enum part_kind kind;
    char *name; /* owned, cleaned */
    char dump_name[DUMP_NAME_SIZE];
    char charset[64];
    struct strbuf text; /* of text and JSON parts */
    bool text_too_long;
    struct spool_file file;
    bool part_is_deferred;

    size_t annotation_bytes;
    size_t nul_members;
    size_t json_parts;
    bool has_extra; /* a part named extra, or a first JSON part without filename, was taken */
    /* A first JSON part with another name: it holds the annotations if no part `extra` follows. */
    bool has_deferred;
    char deferred[DUMP_NAME_SIZE];
    char *deferred_name; /* of the form part, for the note; owned */
    char *deferred_type;
    json_t *after_deferred; /* fields seen behind it; owned */
};

extern const struct multipart_events report_events; /* arg: struct report * */

void report_init(struct report *r, const struct spool *spool, const struct field_table *fields,
                 const char *main_dump, size_t annotations_max);
void report_release(struct report *r);
/* Call once behind the last part: settles what could not be known before. */
bool report_finish(struct report *r, struct err *err);
/* Over annotations_max the names that the field table does not know go, then any; with a note. */
void report_drop_surplus(struct report *r);
/* A sender's JSON, mended and within the limits of depth and count; NULL: there is none.  New. */
json_t *report_json(struct str text, struct jrepairs *ret_repairs);
void report_note(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* False and the reason set. */
bool report_malformed(struct report *r, const char *reason, struct err *err);

#endif
