/*
 * What `regenerate_signature` would make of one stored crash: the code and the lists of the
 * processor on the processed crash as it is.  What a new walk would change is not in it.
 */
#include "lib/signature/signature_preview.h"

#include <string.h>

#include "lib/base/err.h"
#include "lib/json/json.h"
#include "lib/signature/signature.h"
#include "lib/store/store.h"

/* Signatures are public; of each change "old -> new" the number of crashes. */
bool signature_preview(struct store *store, const struct siglists *lists, const char *id,
                       json_t *changes, size_t *seen, struct err *err)
{
    struct err why = {0};
    json_auto_t *doc = store_get_json(store, id, "processed_crash", JSON_BYTES_MAX, &why);
    if (!doc)
        return why.code == ERR_NOT_FOUND || err_set(err, why.code, "%s: %s", id, why.msg);
    json_auto_t *data = signature_crash_data(doc);
    struct signature_result r;
    signature_generate(lists, data, &r);
    const char *before = jget_str(doc, "signature"), *after = json_string_value(r.signature);
    ++*seen;
    if (!before || strcmp(before, after) != 0) {
        json_auto_t *key = json_sprintf("%s -> %s", before ? before : "(none)", after);
        const char *text = json_string_value(key);
        json_object_set_new(changes, text,
                            json_integer(json_integer_value(json_object_get(changes, text)) + 1));
    }
    signature_result_release(&r);
    return true;
}
