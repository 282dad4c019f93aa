#include <assert.h>
#include <stdint.h>

#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/crash/raw.h"
#include "lib/crash/reduce.h"
#include "lib/ledger/document.h"
#include "lib/search/doc.h"

/* One line of `datil crash load`, up to what the index would be given and readers would see. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_MAX = 256 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    json_auto_t *doc = ledger_read_document(str_n((const char *)data, size), &err);
    if (!doc) {
        assert(err.code != ERR_NONE && err.msg[0]);
        return 0;
    }
    assert(crash_id_valid(jget_strn(doc, "uuid"), false) && jget_str(doc, "date_processed"));
    struct arena a;
    struct doc row;
    arena_init(&a, ARENA_MAX);
    if (doc_from_json(&a, &fields_builtin, doc, &row, ERR_IGNORED))
        assert(str_eq(row.uuid, jget_strn(doc, "uuid")));
    json_auto_t *seen = reduce_processed(&fields_builtin, doc, PERM_PUBLIC, NULL);
    assert(json_is_object(seen));
    raw_crash_upgrade(doc);
    arena_release(&a);
    return 0;
}
