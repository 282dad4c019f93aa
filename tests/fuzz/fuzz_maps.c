/* The text of /proc/PID/maps; paths in it are chosen by whoever named the files. */
#include <assert.h>
#include <stdint.h>

#include "client/handler/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct target t = {.mem_fd = -1};
    sb_init(&t.maps_text, 1 << 20);
    sb_put(&t.maps_text, data, size);
    target_parse_maps(&t);
    for (size_t i = 0; i < t.maps.n; i++) {
        assert(t.maps.v[i].start < t.maps.v[i].end);
        assert(strlen(t.maps.v[i].path) <= size);
    }
    target_mapping(&t, 0x1000);
    target_close(&t);
    return 0;
}
