/* Mangled names of Rust: readable text inside the limits, or nothing. */
#include <assert.h>
#include <stdint.h>

#include "lib/base/util.h"
#include "tools/dump-syms/rust_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FREE_LATER char *name = str_dup(str_n((const char *)data, size));
    bool (*const readers[])(const char *, struct strbuf *) = {rust_name, rust_v0_name};
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        STRBUF_AUTO out;
        sb_init(&out, 1 << 20);
        bool ok = readers[i](name, &out);
        assert(ok || out.n == 0);
    }
    return 0;
}
