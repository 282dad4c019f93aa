/*
 * What the parts of a form become, decided part by part while the body is still coming in: the
 * sender is not waited for, and files go to the disk as they arrive.
 *
 * Most of the cases here exist because clients in the field send them: annotations as one JSON
 * part called `extra` (or by any other name, with or without a file name), as text parts, or both;
 * charsets; NUL in values; names without end.  The rule for all of them: what is wrong with one
 * value costs that value, with a note in the raw crash.  Refused is what leaves no report to note
 * it in: a form that is none, annotations whose JSON cannot be mended, no annotation at all, too
 * many parts, and a file that would take the place of one of ours.  A JSON part of doubtful meaning
 * is kept as a file and decided about at the end, when all names have been seen.
 */
#include "fcgi/collector/report_form.h"

#include <assert.h>
#include <stdio.h>

#include "fcgi/collector/charset.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/json/repair.h"
#include "lib/web/params.h"

void report_init(struct report *r, const struct spool *spool, const struct field_table *fields,
                 const char *main_dump, size_t annotations_max)
{
    *r = (struct report){
        .main_dump = main_dump,
        .fields = fields,
        .annotations_max = annotations_max,
        .entry = {.spool = spool},
        .annotations = json_object(),
        .notes = json_array(),
        .checksums = json_object(),
        .file = {.fd = -1},
    };
    sb_init(&r->text, REPORT_ANNOTATIONS_MAX);
}

void report_release(struct report *r)
{
    spool_file_drop(&r->file);
    spool_discard(&r->entry);
    json_decref(r->annotations);
    json_decref(r->notes);
    json_decref(r->checksums);
    json_decref(r->after_deferred);
    sb_release(&r->text);
    free(r->name);
    free(r->deferred_name);
    free(r->deferred_type);
    *r = (struct report){.file = {.fd = -1}};
}

bool report_malformed(struct report *r, const char *reason, struct err *err)
{
    r->reason = reason;
    return err_set(err, ERR_INVALID, "malformed: %s", reason);
}

void report_note(struct report *r, const char *fmt, ...)
{
    if (json_array_size(r->notes) >= REPORT_NOTES_MAX)
        return;
    STRBUF_AUTO b;
    sb_init(&b, 2000);
    va_list ap;
    va_start(ap, fmt);
    sb_vprintf(&b, fmt, ap);
    va_end(ap);
    json_array_append_new(r->notes, jtext(sb_view(&b)));
}

/* Removes NUL in place; true if there was one.  PostgreSQL's text cannot hold it, and too much of C
 * behind us would take it for an end. */
static bool drop_nul(char *p, size_t *n)
{
    size_t kept = 0, had = *n;
    for (size_t i = 0; i < had; i++)
        if (p[i])
            p[kept++] = p[i];
    *n = kept;
    return kept != had;
}

/* The limit of names in all is not held here but at the end (report_drop_surplus): only then is it
 * known which of them the field table knows. */
static void set_annotation(struct report *r, const char *name, struct str value)
{
    r->has_fields = true;
    if (strlen(name) > REPORT_NAME_MAX) {
        report_note(r, "dropped annotation: name longer than %d bytes", REPORT_NAME_MAX);
        return;
    }
    if (r->annotation_bytes + value.n > REPORT_ANNOTATIONS_MAX) {
        report_note(r, "extract payload text part exception: body part is too large");
        return;
    }
    r->annotation_bytes += value.n + strlen(name);
    jset_text(r->annotations, name, value);
    if (r->after_deferred)
        jset_text(r->after_deferred, name, value);
}

/* What does not decode is left out and not mended: a wrong charset would make an annotation out of
 * noise that then groups crashes. */
static void end_text(struct report *r)
{
    if (r->text_too_long) {
        report_note(r, "extract payload text part exception: body part is too large");
        return;
    }
    STRBUF_AUTO decoded;
    sb_init(&decoded, REPORT_ANNOTATIONS_MAX);
    if (!charset_decode(sb_view(&r->text), r->charset, &decoded)) {
        report_note(r, "extract payload text part exception: invalid text or charset: %s",
                    r->charset);
        return;
    }
    if (decoded.n && drop_nul(decoded.p, &decoded.n))
        r->nul_members++;
    set_annotation(r, r->name, sb_view(&decoded));
}

/* Names that are too long go, with a note. */
static void drop_long_names(struct report *r, json_t *object)
{
    void *tmp;
    const char *key;
    json_t *value;
    json_object_foreach_safe (object, tmp, key, value)
        if (strlen(key) > REPORT_NAME_MAX) {
            report_note(r, "dropped annotation: name longer than %d bytes", REPORT_NAME_MAX);
            json_object_del(object, key);
        }
}

void report_drop_surplus(struct report *r)
{
    size_t had = json_object_size(r->annotations), left = had;
    void *tmp;
    const char *key;
    json_t *value;
    /* First those that nothing behind us reads; then, if that was not enough, any. */
    for (int round = 0; round < 2; round++)
        json_object_foreach_safe (r->annotations, tmp, key, value)
            if (left > r->annotations_max &&
                (round == 1 || !annotation_find(r->fields, str_of(key)))) {
                json_object_del(r->annotations, key);
                left--;
            }
    if (left < had)
        report_note(r, "dropped %zu annotations: more than %zu names", had - left,
                    r->annotations_max);
}

/*
 * Programs write their last JSON while they crash, and some by hand: what jrepair can mend (a lone
 * surrogate, a NUL, a number beyond all bounds) must not cost the crash.
 */
json_t *report_json(struct str text, struct jrepairs *ret_repairs)
{
    STRBUF_AUTO repaired;
    sb_init(&repaired, 2 * REPORT_ANNOTATIONS_MAX);
    if (!jrepair(text, REPORT_JSON_DEPTH_MAX, &repaired, ret_repairs, ERR_IGNORED))
        return NULL;
    return jparse(sb_view(&repaired), 2 * REPORT_ANNOTATIONS_MAX, ERR_IGNORED);
}

/* All annotations at once: what came in text parts before is replaced, as clients that send both
 * mean the JSON.  Text parts behind it are added. */
static bool take_json(struct report *r, struct str text, struct err *err)
{
    struct jrepairs repairs = {0};
    json_auto_t *object = report_json(text, &repairs);
    if (!object)
        return report_malformed(r, "invalid_json", err);
    if (!json_is_object(object))
        return report_malformed(r, "invalid_json_value", err);
    r->has_json = true;
    r->nul_members += repairs.nul_members;
    if (repairs.lone_surrogates)
        report_note(r, "replaced %zu lone surrogates", repairs.lone_surrogates);
    drop_long_names(r, object);
    r->annotation_bytes = text.n;
    json_decref(r->annotations);
    r->annotations = json_incref(object);
    return true;
}

static bool end_json(struct report *r, struct err *err)
{
    if (r->text_too_long) {
        r->reason = "payload_too_large";
        return err_set(err, ERR_TOO_LARGE, "JSON annotations of more than %d bytes",
                       REPORT_ANNOTATIONS_MAX);
    }
    return take_json(r, sb_view(&r->text), err);
}

/* A file is written and hashed as it comes.  Of two parts with one name the later one stays. */
static bool begin_file(struct report *r, const struct multipart_part *part, struct err *err)
{
    if (++r->file_count > REPORT_FILES_MAX)
        return report_malformed(r, "too_many_parts", err);
    enum dump_name_change change = dump_name_of(part->name, r->dump_name);
    /* The rest of the system knows the main dump by one name, whatever this installation's clients
     * call it. */
    if (strcmp(r->dump_name, r->main_dump) == 0)
        snprintf(r->dump_name, sizeof r->dump_name, "upload_file_minidump");
    if (dump_name_is_reserved(r->dump_name) && !r->part_is_deferred)
        return report_malformed(r, "invalid_dump_name", err);
    if (!r->part_is_deferred && !str_eq_nocase(part->content_type, STR("application/octet-stream")))
        report_note(r, "unknown content type: " STR_FMT " " STR_FMT, STR_ARG(part->name),
                    STR_ARG(part->content_type));
    if (change == DUMP_NAME_WAS_EMPTY)
        report_note(r, "file part without usable name stored as unnamed");
    else if (change == DUMP_NAME_WAS_DUMP)
        report_note(r, "file part dump stored as dump_file");
    return spool_file_begin(&r->entry, r->dump_name, &r->file, err);
}

static bool end_file(struct report *r, struct err *err)
{
    char sha[SHA256_HEX + 1];
    if (!spool_file_end(&r->entry, &r->file, sha, err))
        return false;
    if (!r->part_is_deferred && r->has_deferred && strcmp(r->deferred, r->dump_name) == 0)
        r->has_deferred = false; /* a later file of the same name has replaced it */
    jset_cstr(r->checksums, r->dump_name, sha);
    if (r->part_is_deferred) {
        r->has_deferred = true;
        memcpy(r->deferred, r->dump_name, sizeof r->deferred);
        r->after_deferred = json_object();
    }
    return true;
}

/* The JSON part that was kept aside turns out to be the annotations. */
static bool take_deferred(struct report *r, struct err *err)
{
    FREE_LATER char *text = NULL;
    size_t n;
    if (!spool_file_take(&r->entry, r->deferred, REPORT_ANNOTATIONS_MAX, &text, &n, err)) {
        if (err->code == ERR_TOO_LARGE)
            r->reason = "payload_too_large";
        return false;
    }
    json_object_del(r->checksums, r->deferred);
    if (!take_json(r, str_n(text, n), err))
        return false;
    json_object_update(r->annotations, r->after_deferred);
    return true;
}

/* It stays a file: what begin_file has put off. */
static bool keep_deferred(struct report *r, struct err *err)
{
    if (dump_name_is_reserved(r->deferred))
        return report_malformed(r, "invalid_dump_name", err);
    report_note(r, "unknown content type: %s %s", r->deferred_name, r->deferred_type);
    return true;
}

/*
 * Only the part `extra`, or a first JSON part without filename, surely holds annotations; a first
 * one with another name does if no `extra` comes.  Later ones are files like any other.
 */
static enum part_kind kind_of_json_part(struct report *r, const struct multipart_part *part)
{
    bool is_first = r->json_parts++ == 0;
    bool is_extra = str_eq(part->name, STR("extra"));
    if (is_extra || (is_first && part->filename.n == 0)) {
        r->has_extra = true;
        return PART_JSON;
    }
    r->part_is_deferred = is_first;
    return PART_FILE;
}

static enum part_kind kind_of(struct report *r, const struct multipart_part *part)
{
    if (part->name.n == 0)
        return PART_SKIPPED;
    bool is_sentry =
        r->sentry_is_text && part->filename.n == 0 && str_eq(part->name, STR("sentry"));
    if (is_sentry)
        return PART_TEXT;
    if (str_starts_nocase(part->content_type, STR("application/json")))
        return kind_of_json_part(r, part);
    bool is_text = str_starts_nocase(part->content_type, STR("text/plain"));
    return is_text && part->filename.n == 0 ? PART_TEXT : PART_FILE;
}

/* A part that names no charset is UTF-8, which is what all known clients send. */
static void take_charset(struct report *r, struct str content_type)
{
    STRBUF_AUTO charset;
    sb_init(&charset, sizeof r->charset - 1);
    header_param(content_type, "charset", &charset);
    snprintf(r->charset, sizeof r->charset, "%s", charset.n ? sb_cstr(&charset) : "utf-8");
}

static void take_name(struct report *r, struct str name)
{
    free(r->name);
    r->name = str_dup(name);
    size_t n = name.n;
    if (drop_nul(r->name, &n))
        r->nul_members++;
    r->name[n] = '\0';
    if (n == 0)
        r->kind = PART_SKIPPED;
}

static bool part_begin(void *arg, const struct multipart_part *part, struct err *err)
{
    struct report *r = arg;
    r->part_is_deferred = false;
    if (++r->part_count > REPORT_PARTS_MAX)
        return report_malformed(r, "too_many_parts", err);
    if (part->is_undecodable) {
        report_note(r, "skipped a part whose headers are not text");
        r->kind = PART_SKIPPED;
        return true;
    }
    r->kind = kind_of(r, part);
    take_name(r, part->name);
    take_charset(r, part->content_type);
    sb_reset(&r->text);
    r->text_too_long = false;
    if (r->part_is_deferred) {
        r->deferred_name = str_dup(part->name);
        r->deferred_type = str_dup(part->content_type);
    }
    return r->kind != PART_FILE || begin_file(r, part, err);
}

/* Beyond the limit the bytes of a text are passed over, and its end says so: the parts behind it
 * are still read. */
static bool part_data(void *arg, const void *p, size_t n, struct err *err)
{
    struct report *r = arg;
    if (r->kind == PART_FILE)
        return spool_file_add(&r->file, p, n, err);
    if (r->kind == PART_SKIPPED)
        return true;
    size_t most = r->kind == PART_TEXT ? REPORT_TEXT_MAX : REPORT_ANNOTATIONS_MAX;
    if (n > most - MIN(r->text.n, most))
        r->text_too_long = true;
    else if (!r->text_too_long)
        sb_put(&r->text, p, n);
    return true;
}

static bool part_end(void *arg, struct err *err)
{
    struct report *r = arg;
    switch (r->kind) {
    case PART_FILE:
        return end_file(r, err);
    case PART_JSON:
        return end_json(r, err);
    case PART_TEXT:
        end_text(r);
        return true;
    default:
        return true;
    }
}

const struct multipart_events report_events = {part_begin, part_data, part_end};

/* The order is that of the collector notes, which readers compare between crashes. */
bool report_finish(struct report *r, struct err *err)
{
    if (r->has_deferred && !(r->has_extra ? keep_deferred(r, err) : take_deferred(r, err)))
        return false;
    if (r->has_json && r->has_fields)
        report_note(r, "includes annotations in both json-encoded extra and formdata parts");
    report_drop_surplus(r);
    if (r->nul_members)
        report_note(r, "removed NUL characters from %zu annotations", r->nul_members);
    return json_object_size(r->annotations) > 0 || report_malformed(r, "no_annotations", err);
}
