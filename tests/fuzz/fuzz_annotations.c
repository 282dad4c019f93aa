/* The shared table as a crashed program left it, as JSON. */
#include <assert.h>
#include <stdint.h>

#include "client/handler/notes.h"
#include "lib/base/util.h"
#include "lib/json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input is spread over a valid table: 4-byte words at places that the words before choose. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FREE_LATER struct annotations *t = xcalloc(1, sizeof *t);
    datil_annotations_init(t);
    datil_annotations_set(t, "ProductName", "P", 1);
    datil_annotations_set(t, "StartupTime", "1", 1);
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint32_t at, word;
        memcpy(&at, data + i, 4);
        memcpy(&word, data + i + 4, 4);
        /* Mostly the heads of the first slots, where the lengths are. */
        at = at & 1 ? at % (uint32_t)(sizeof *t - 4)
                    : at / 2 % 4 * (uint32_t)sizeof(struct annotation_slot) + at / 8 % 96;
        memcpy((char *)t + at, &word, 4);
    }
    struct notes_facts facts = {.now_us = 1800000000000000};
    STRBUF_AUTO out;
    sb_init(&out, NOTES_JSON_MAX);
    notes_json(t, &facts, &out);
    assert(!out.overflow);
    json_auto_t *v = jparse(sb_view(&out), NOTES_JSON_MAX, ERR_IGNORED);
    assert(json_is_object(v));
    return 0;
}
