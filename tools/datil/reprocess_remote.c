/*
 * One POST to /api/Reprocessing/ for each group.  The server checks all ids before it queues any,
 * so a group that was refused may be mended and sent again whole; one whose answer was lost is
 * queued twice, which makes no second message.
 */
#include "tools/datil/reprocess_remote.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/http/http.h"
#include "lib/json/json.h"

/* The answer is a word or a line.  A server that is busy takes seconds for a thousand ids. */
enum { ANSWER_BYTES_MAX = 1 << 20, TIMEOUT_MS = 60000, BODY_BYTES_MAX = 1 << 20 };

bool reprocess_remote_init(struct reprocess_remote *r, const char *host, struct err *err)
{
    static const char *const names[] = {"AUTH_TOKEN", "SOCORRO_REPROCESS_API_TOKEN"};
    struct http_url url;
    *r = (struct reprocess_remote){.host = host};
    for (size_t i = 0; i < ARRAY_LEN(names) && !r->token; i++)
        r->token = getenv(names[i]);
    if (!http_url_split(host, &url, err))
        return err_wrap(err, "--host");
    return r->token || err_set(err, ERR_INVALID,
                               "--host needs an API token with reprocess_crashes in AUTH_TOKEN");
}

static bool judge(const struct http_response *answer, struct err *err)
{
    if (answer->status == 200)
        return true;
    json_auto_t *doc = jparse_given(str_n(answer->body, answer->n), ANSWER_BYTES_MAX, ERR_IGNORED);
    const char *words = jget_str(doc, "error");
    enum err_code code = answer->status == 401 || answer->status == 403   ? ERR_FORBIDDEN
                         : answer->status >= 500 || answer->status == 429 ? ERR_UNAVAILABLE
                                                                          : ERR_INVALID;
    return err_set(err, code, "the server answers %d%s%.300s", answer->status, words ? ": " : "",
                   words ? words : "");
}

bool reprocess_remote_publish(const struct reprocess_remote *r, const struct ledger_entry *entries,
                              size_t n, struct err *err)
{
    STRBUF_AUTO url, head, body;
    sb_init(&url, 4096);
    sb_init(&head, 4096);
    sb_init(&body, BODY_BYTES_MAX);
    bool has_slash = str_ends(str_of(r->host), STR("/"));
    sb_printf(&url, "%s%sapi/Reprocessing/", r->host, has_slash ? "" : "/");
    sb_printf(&head, "Auth-Token: %s", r->token);
    for (size_t i = 0; i < n; i++)
        sb_printf(&body, "%scrash_ids=%s%%3A%s", i ? "&" : "", entries[i].crash_id,
                  entries[i].ruleset);
    const char *const headers[] = {sb_cstr(&head),
                                   "Content-Type: application/x-www-form-urlencoded", NULL};
    const struct http_request q = {
        .url = sb_cstr(&url),
        .headers = headers,
        .body = sb_view(&body),
        .may_reach_reserved = true, /* whoever types a host may name any */
        .is_redirect_answer = true, /* the token is for this host alone */
        .timeout_ms = TIMEOUT_MS,
        .max_bytes = ANSWER_BYTES_MAX};
    struct http_response answer;
    if (!http_do(&q, &answer, err))
        return err_wrap(err, "%s", r->host);
    bool ok = judge(&answer, err);
    http_response_release(&answer);
    return ok || err_wrap(err, "%s", r->host);
}
