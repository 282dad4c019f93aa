/*
 * A document of somebody else becomes one of ours: it gets the one name for its id that the store
 * and the index go by, and a date, without which it would be in no week of the index.  Everything
 * else stays as it came; what the fields of the index are is decided there.
 */
#include "lib/ledger/document.h"

#include <stdio.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"

/* The length counts: an id with a NUL and more behind it is none. */
static struct str id_of(const json_t *doc)
{
    struct str id = jget_strn(doc, "uuid");
    return id.p ? id : jget_strn(doc, "crash_id");
}

/* The index needs a date; the id has at least the day. */
static void complete(json_t *doc, const char *id)
{
    char day[CRASH_DATE_SIZE], date[TIME_TEXT_MAX];
    jset_cstr(doc, "uuid", id);
    if (jget_str(doc, "date_processed"))
        return;
    crash_id_date(id, day);
    snprintf(date, sizeof date, "%.4s-%.2s-%.2sT00:00:00+00:00", day, day + 4, day + 6);
    jset_cstr(doc, "date_processed", date);
}

json_t *ledger_read_document(struct str line, struct err *err)
{
    char id[CRASH_ID_SIZE] = "";
    json_auto_t *doc = jparse(line, JSON_BYTES_MAX, err);
    if (!doc)
        return NULL;
    struct str text = id_of(doc);
    if (!text.p || !crash_id_valid(text, false)) {
        err_set(err, ERR_INVALID, text.p ? "uuid is not a crash id" : "no uuid");
        return NULL;
    }
    memcpy(id, text.p, CRASH_ID_LEN);
    complete(doc, id);
    return json_incref(doc);
}
