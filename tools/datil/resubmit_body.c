/*
 * What the collector has added to a report (metadata, submitted_timestamp, version) says how the
 * report came, and is left out; `uuid` stays, so that both installations call the crash the same.
 * Annotations that came as JSON go as one part "extra" again, those of a form as parts of a form:
 * the receiver decides by that what types values have, so a crash that is processed there is
 * processed as here.
 */
#include "tools/datil/resubmit_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/gzip.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"

/* A report has at most 256 MiB (COLLECTOR_MAX_DECOMPRESSED_BYTES); its form some kilobytes more. */
enum { BODY_BYTES_MAX = 300 << 20, NAMES_BYTES_MAX = 1 << 20, BOUNDARY_SIZE = 48 };

static const char default_agent[] = "socorro-submitter/1.0"; /* as Socorro's own submitter */

struct form_writer {
    struct strbuf out;
    char boundary[BOUNDARY_SIZE];
};

/*
 * Names of annotations are a stranger's.  Escaped is what would end the quoted name or its line, as
 * browsers do it (multipart/form-data in the HTML standard).
 */
static void put_name(struct strbuf *out, const char *name)
{
    for (const char *c = name; *c; c++)
        if (*c == '"' || *c == '\r' || *c == '\n')
            sb_printf(out, "%%%02X", (unsigned)*c);
        else
            sb_char(out, *c);
}

static void begin_part(struct form_writer *w, const char *name, const char *more)
{
    sb_printf(&w->out, "--%s\r\nContent-Disposition: form-data; name=\"", w->boundary);
    put_name(&w->out, name);
    sb_printf(&w->out, "\"%s\r\n\r\n", more);
}

static void put_annotations(struct form_writer *w, json_t *annotations, bool is_json)
{
    const char *name;
    json_t *value;
    size_t n;
    if (is_json) {
        FREE_LATER char *text = jdump(annotations, &n);
        begin_part(w, "extra", "\r\nContent-Type: application/json");
        sb_put(&w->out, text, n);
        sb_text(&w->out, "\r\n");
        return;
    }
    json_object_foreach (annotations, name, value) {
        begin_part(w, name, "");
        if (json_is_string(value)) {
            sb_put(&w->out, json_string_value(value), json_string_length(value));
        } else {
            FREE_LATER char *text = json_dumps(value, JSON_ENCODE_ANY);
            sb_text(&w->out, text ? text : "");
        }
        sb_text(&w->out, "\r\n");
    }
}

static bool put_dump(struct form_writer *w, struct store *store, const char *crash_id,
                     const char *name, struct err *err)
{
    FREE_LATER char *bytes = NULL;
    size_t n;
    if (!store_get(store, crash_id, name, BODY_BYTES_MAX, &bytes, &n, err))
        return err_wrap(err, "%s", name);
    begin_part(w, name, "; filename=\"dump.dmp\"\r\nContent-Type: application/octet-stream");
    sb_put(&w->out, bytes, n);
    sb_text(&w->out, "\r\n");
    return true;
}

static bool put_dumps(struct form_writer *w, struct store *store, const char *crash_id,
                      struct err *err)
{
    struct arena a;
    struct strs names;
    arena_init(&a, NAMES_BYTES_MAX);
    bool ok = store_dump_names(store, &a, crash_id, &names, err);
    for (size_t i = 0; ok && i < names.n; i++)
        ok = put_dump(w, store, crash_id, str_adup(&a, names.v[i]), err);
    arena_release(&a);
    return ok;
}

/* A header line ends at a line break, and http_do refuses one with it. */
static void set_agent(struct resubmit_body *b, const json_t *metadata)
{
    const char *agent = jget_str(metadata, "user_agent");
    bool is_known = agent && *agent && strcmp(agent, "None") != 0;
    snprintf(b->user_agent, sizeof b->user_agent, "User-Agent: %s",
             is_known ? agent : default_agent);
    for (char *c = b->user_agent; *c; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
            *c = '?';
}

/* Compressed if the client's was; takes the form over. */
static bool finish(struct resubmit_body *b, struct strbuf *form, struct err *err)
{
    if (form->overflow)
        return err_set(err, ERR_TOO_LARGE, "more than %d bytes", BODY_BYTES_MAX);
    if (b->is_gzip)
        return gzip_pack(sb_view(form), GZIP_FAST, &b->bytes, &b->n, err);
    b->bytes = sb_take(form, &b->n);
    return true;
}

bool resubmit_body_make(struct store *store, const char *crash_id, struct resubmit_body *ret,
                        struct err *err)
{
    static const char *const collectors_own[] = {"metadata", "submitted_timestamp", "version"};
    struct resubmit_body b = {0};
    struct form_writer w = {0};
    json_auto_t *raw = store_get_json(store, crash_id, "raw_crash", BODY_BYTES_MAX, err);
    if (!raw)
        return false;
    json_auto_t *metadata = json_incref(json_object_get(raw, "metadata"));
    const char *payload = jget_str(metadata, "payload"),
               *packed = jget_str(metadata, "payload_compressed");
    b.is_gzip = packed && strcmp(packed, "1") == 0;
    set_agent(&b, metadata);
    for (size_t i = 0; i < ARRAY_LEN(collectors_own); i++)
        json_object_del(raw, collectors_own[i]);
    jset_cstr(raw, "uuid", crash_id);
    snprintf(w.boundary, sizeof w.boundary, "datil%016llx%016llx", (unsigned long long)random_u64(),
             (unsigned long long)random_u64());
    snprintf(b.content_type, sizeof b.content_type,
             "Content-Type: multipart/form-data; boundary=%s", w.boundary);
    sb_init(&w.out, BODY_BYTES_MAX);
    put_annotations(&w, raw, payload && strcmp(payload, "json") == 0);
    bool ok = put_dumps(&w, store, crash_id, err);
    sb_printf(&w.out, "--%s--\r\n", w.boundary);
    ok = ok && finish(&b, &w.out, err);
    sb_release(&w.out);
    *ret = b;
    return ok;
}

void resubmit_body_release(struct resubmit_body *b)
{
    free(b->bytes);
    *b = (struct resubmit_body){0};
}
