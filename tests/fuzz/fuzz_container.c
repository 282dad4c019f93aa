/*
 * What binaries are sent in: cabinets, ZIP, bzip2 and tar archives.  Whatever comes: an end, within
 * the limit; and what is found in an archive lies in it.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/util.h"
#include "tools/dump-syms/cab.h"
#include "tools/dump-syms/decompress.h"
#include "tools/dump-syms/tar.h"
#include "tools/dump-syms/zip_debug.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_OUT = 4 << 20 };

static void look_into(struct str bytes)
{
    struct str name, member;
    if (!tar_is(bytes) || !tar_find_debug(bytes, &name, &member))
        return;
    assert(member.p >= bytes.p && member.n <= bytes.n &&
           (size_t)(member.p - bytes.p) <= bytes.n - member.n);
    assert(name.p >= bytes.p && (size_t)(name.p - bytes.p) + name.n <= bytes.n);
}

/* On a copy of exact size, so that AddressSanitizer sees a byte too much. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FREE_LATER char *copy = xmalloc(size + !size);
    FREE_LATER char *name = NULL;
    STRBUF_AUTO out;
    memcpy(copy, data, size);
    sb_init(&out, MAX_OUT);
    struct str bytes = str_n(copy, size);
    look_into(bytes);
    if (cab_is(bytes)) {
        bool ok = cab_unpack(bytes, MAX_OUT / 2, &out, &name, ERR_IGNORED);
        assert(ok == (name != NULL));
    } else if (zip_debug_is(bytes)) {
        bool ok = zip_debug_unpack(bytes, MAX_OUT / 2, &out, &name, ERR_IGNORED);
        assert(ok == (name != NULL));
    } else if (packing_of_file(copy, size) == PACKED_BZIP2) {
        unpack_bytes(PACKED_BZIP2, copy, size, MAX_OUT / 2, &out, ERR_IGNORED);
    }
    assert(out.n <= MAX_OUT / 2);
    look_into(str_n(sb_cstr(&out), out.n));
    return 0;
}
