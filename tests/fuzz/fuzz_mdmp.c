/* The minidump reader and the walk without symbols: any bytes give a report or a named error. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "lib/unwind/walk_dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum walk_format formats[] = {WALK_JSON, WALK_TEXT, WALK_DIRECTORY};
    for (size_t i = 0; i < 3; i++) {
        struct walk_input in = {
            .bytes = data, .len = size, .source = no_symbols(), .format = formats[i]};
        STRBUF_AUTO out;
        sb_init(&out, REPORT_BYTES_MAX);
        struct err err = {0};
        if (!walk_dump(&in, &out, &err)) {
            assert(strstr(err.msg, " - "));
        } else if (formats[i] == WALK_JSON) {
            json_auto_t *v = jparse(sb_view(&out), REPORT_BYTES_MAX, ERR_IGNORED);
            assert(v); /* what we write can be read, by our own limits */
        }
    }
    return 0;
}
