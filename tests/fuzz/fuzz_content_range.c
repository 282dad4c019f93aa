/* Content-Range of a piece: an accepted one is a piece of its file and of exactly the body's
 * length. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/web/content_range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first two bytes are the Content-Length. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct content_range r;
    struct err err = {0};
    uint16_t body = 0;
    if (size < sizeof body)
        return 0;
    memcpy(&body, data, sizeof body);
    struct str header = str_n((const char *)data + sizeof body, size - sizeof body);
    if (!content_range_parse(header, body, &r, &err)) {
        assert(err.code == ERR_INVALID && err.msg[0]);
        return 0;
    }
    assert(r.is_question ? body == 0 && r.n == 0 : r.n == body);
    assert(r.first + r.n >= r.first);
    assert(!r.has_total || r.is_question || r.first + r.n <= r.total);
    return 0;
}
