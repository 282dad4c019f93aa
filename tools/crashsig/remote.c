/*
 * Processed crashes from a server, by id: what they are called there, and what these lists would
 * call them.  The server's answer is public data unless AUTH_TOKEN says who asks; annotations that
 * signatures need (abort messages, say) may be protected, and then the new signature lacks what the
 * old one was made of.
 */
#include "tools/crashsig/crashsig.h"

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/http/http.h"
#include "lib/json/json.h"
#include "lib/signature/signature.h"

struct outcome {
    const char *id;
    const char *before, *after;
    const json_t *notes;
    bool is_same;
};

static void print_text(const struct outcome *r)
{
    printf("Crash id: %s\nOriginal: %s\nNew:      %s\nSame?:    %s\n", r->id, r->before, r->after,
           r->is_same ? "True" : "False");
    for (size_t i = 0; i < json_array_size(r->notes); i++)
        printf("Note:     %s\n", json_string_value(json_array_get(r->notes, i)));
    putchar('\n');
}

static void print_markdown(const struct outcome *r)
{
    printf("### %s\n\n* original: `%s`\n* new: `%s`\n* same?: %s\n", r->id, r->before, r->after,
           r->is_same ? "True" : "False");
    for (size_t i = 0; i < json_array_size(r->notes); i++)
        printf("* note: %s\n", json_string_value(json_array_get(r->notes, i)));
    putchar('\n');
}

/*
 * RFC 4180: fields with a comma, a quote or a line break stand in quotes, in which a quote is
 * written twice; lines end in CR LF.
 */
static void put_csv(const char *text)
{
    bool needs_quotes = strpbrk(text, "\",\r\n") != NULL;
    if (needs_quotes)
        putchar('"');
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    if (needs_quotes)
        putchar('"');
}

static void print_csv(const struct outcome *r)
{
    STRBUF_AUTO notes = {0};
    sb_init(&notes, 1 << 20);
    for (size_t i = 0; i < json_array_size(r->notes); i++)
        sb_printf(&notes, "%s%s", i ? "\n" : "", json_string_value(json_array_get(r->notes, i)));
    const char *const columns[] = {r->id, r->before, r->after, r->is_same ? "True" : "False",
                                   sb_cstr(&notes)};
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        if (i > 0)
            putchar(',');
        put_csv(columns[i]);
    }
    fputs("\r\n", stdout);
}

/* A bare id, "bp-" and id, or anything that ends in one, such as the address of a report. */
static bool read_id(const char *text, char ret_id[CRASH_ID_SIZE])
{
    struct str s = str_trim(str_of(text));
    while (s.n > 0 && s.p[s.n - 1] == '/')
        s.n--;
    return s.n >= CRASH_ID_LEN && crash_id_parse(str_sub(s, s.n - CRASH_ID_LEN, SIZE_MAX), ret_id);
}

/* The token stands in a header and not in the address, which would end in logs. */
static json_t *fetch_crash(const char *host, const char *id, struct err *err)
{
    char url[2048], token[512];
    const char *secret = getenv("AUTH_TOKEN");
    snprintf(url, sizeof url, "%s/api/ProcessedCrash/?crash_id=%s", host, id);
    snprintf(token, sizeof token, "Auth-Token: %s", secret ? secret : "");
    const char *const headers[] = {secret ? token : NULL, NULL};
    struct http_request q = {.url = url, .headers = headers, .may_reach_reserved = true};
    struct http_response r = {0};
    if (!http_do(&q, &r, err))
        return NULL;
    json_t *doc = NULL;
    if (r.status != 200)
        err_set(err, ERR_NOT_FOUND, "the server answers %d", r.status);
    else if (!(doc = jparse(str_n(r.body, r.n), JSON_BYTES_MAX, ERR_IGNORED)))
        err_set(err, ERR_UNAVAILABLE, "the server answers with no JSON");
    http_response_release(&r);
    return doc;
}

/*
 * One crash that cannot be fetched is said on standard error and the others go on: ids come from
 * lists in which some have expired.
 */
static void run_one(const struct crashsig_options *o, const struct siglists *l, const char *text)
{
    char id[CRASH_ID_SIZE];
    struct err err = {0};
    if (!read_id(text, id)) {
        fprintf(stderr, "crashsig: %s: not a crash id\n", text);
        return;
    }
    json_auto_t *doc = fetch_crash(o->host, id, &err);
    if (!doc) {
        fprintf(stderr, "crashsig: %s: %s\n", id, err.msg);
        return;
    }
    static void (*const printers[])(const struct outcome *) = {
        [FORMAT_TEXT] = print_text, [FORMAT_CSV] = print_csv, [FORMAT_MARKDOWN] = print_markdown};
    json_auto_t *data = signature_crash_data(doc);
    const char *before = jget_str(data, "original_signature");
    struct signature_result r;
    signature_generate(l, data, &r);
    struct outcome out = {id, before ? before : "", json_string_value(r.signature), r.notes, false};
    out.is_same = strcmp(out.before, out.after) == 0;
    if (!out.is_same || !o->is_different_only)
        printers[o->format](&out);
    signature_result_release(&r);
}

/* Ids of the command line, else those of standard input, one a line. */
bool run_ids(const struct crashsig_options *o, const struct siglists *l, struct err *err)
{
    (void)err;
    if (o->format == FORMAT_CSV)
        fputs("crashid,old,new,same?,notes\r\n", stdout);
    for (size_t i = 0; i < o->id_count; i++)
        run_one(o, l, o->ids[i]);
    if (o->id_count > 0)
        return true;
    FREE_LATER char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) >= 0)
        if (str_trim(str_of(line)).n > 0)
            run_one(o, l, line);
    return true;
}
