/*
 * What is wrong with a request, by the name of the field, as pages show it beside the field and the
 * API of symbols answers it: {"errors": {FIELD: [TEXT, …]}}.  Texts are cut at TEXT_MAX, since they
 * quote what was sent.
 */
#include "fcgi/symbols/form_errors.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "rows.h"

enum { TEXT_MAX = 400 }; /* one or two sentences, with up to 100 bytes of what was sent */

void form_errors_release(struct form_errors *e)
{
    json_decref(e->fields);
    e->fields = NULL;
}

/* Values are quoted in texts, and JSON has to be valid UTF-8. */
void form_errors_add(struct form_errors *e, const char *field, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!e->fields)
        e->fields = json_object();
    json_t *texts = json_object_get(e->fields, field); /* borrowed */
    if (!texts) {
        texts = json_array();
        json_object_set_new(e->fields, field, texts);
    }
    json_array_append_new(texts, jtext(str_of(text)));
}

bool form_errors_any(const struct form_errors *e)
{
    return e->fields != NULL;
}

bool form_errors_send(struct req *r, const struct form_errors *e, struct err *err)
{
    json_auto_t *body = json_pack("{s:O}", "errors", e->fields);
    return resp_json(r, 400, body, err);
}

void form_errors_show(struct req *r, const struct form_errors *e, struct tpl_values *v)
{
    struct tpl_rows *rows = tpl_list(v, LIST_ERRORS);
    tpl_bool(v, "has_errors", form_errors_any(e));
    const char *field;
    json_t *texts;
    json_object_foreach (e->fields, field, texts) {
        size_t i;
        json_t *text;
        json_array_foreach (texts, i, text)
            tpl_col_cstr(tpl_row_add(rows), NOTE_TEXT,
                         arena_printf(req_arena(r), "%s: %s", field, json_string_value(text)));
    }
}
