/*
 * JSON answers of the API.  Keys are sorted, so that two answers can be compared; a "</" never
 * stands in one, so that none can end a script element that it stands in.  Both promises are in
 * docs/api.md, and every endpoint keeps them because every endpoint answers through answer_json.
 *
 * Refusals come in two shapes, because clients read both: {"error": TEXT} where the request as a
 * whole is no good, {"errors": {NAME: [TEXT]}} where a form field is to be marked.
 */
#include "fcgi/webapp/answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/web/web.h"

enum { PRETTY_NOT, PRETTY_PRINT };
static const struct param_choice pretty_choices[] = {{"", NULL}, {"print", NULL}, {0}};
static const struct param_spec pretty = {"pretty", PARAM_CHOICE, PARAM_LENIENT,
                                         .choices = pretty_choices,
                                         .help = "print: JSON over several lines, indented"};
const struct param_spec *const answer_params[] = {&pretty, NULL};

/*
 * Copies JSON text with "</" as "<\/"; both mean the same to every reader of JSON.  Counted first
 * and then copied, since most answers hold none and the copy then has the exact size.
 */
static struct str escape_slashes(struct arena *a, const char *text, size_t n)
{
    size_t extra = 0;
    for (size_t i = 0; i + 1 < n; i++)
        extra += text[i] == '<' && text[i + 1] == '/';
    char *out = arena_alloc(a, n + extra + 1);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        out[at++] = text[i];
        if (text[i] == '<' && i + 1 < n && text[i + 1] == '/')
            out[at++] = '\\';
    }
    return str_n(out, at);
}

/*
 * The text is made before its size is known, so what it takes in the arena is asked for here: an
 * answer too large for a request is a refusal that the client can read.  A byte is added for two at
 * most, which twice the length always covers.
 */
bool answer_json(struct req *r, int status, const json_t *body, struct err *err)
{
    FREE_LATER char *text =
        json_dumps(body, (req_choice(r, &pretty) == PRETTY_PRINT ? JSON_INDENT(2) : JSON_COMPACT) |
                             JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (!text)
        return err_set(err, ERR_INTERNAL, "the answer is no JSON");
    size_t n = strlen(text);
    if (!arena_fits(req_arena(r), 2 * n + 1, "answer", err))
        return false;
    return resp_bytes(r, status, "application/json; charset=UTF-8",
                      escape_slashes(req_arena(r), text, n));
}

/*
 * Five minutes, for what counts and lists.  Documents of single crashes never come through here:
 * they are not to be kept by anybody.
 */
bool answer_json_cached(struct req *r, const json_t *body, struct err *err)
{
    resp_header(r, "Cache-Control", STR("private, max-age=300"));
    return answer_json(r, 200, body, err);
}

bool answer_error(struct req *r, int status, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_auto_t *body = json_object();
    json_object_set_new(body, "error", jtext(str_of(text)));
    return answer_json(r, status, body, ERR_IGNORED);
}

bool answer_param_error(struct req *r, const char *name, const char *text)
{
    json_auto_t *body = json_pack("{s:{s:[s]}}", "errors", name, text);
    return answer_json(r, 400, body, ERR_IGNORED);
}

/*
 * A missing parameter is said by name, as form libraries of clients expect it; one that does not
 * fit has a text of its own, which API_BAD_VALUE gives the form that old clients look for.
 */
bool answer_param_problem(struct req *r, const struct param_problem *problem)
{
    if (problem->is_missing)
        return answer_param_error(r, problem->param->name, problem->err.msg);
    return answer_error(r, 400, "%s", problem->err.msg);
}
