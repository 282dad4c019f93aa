/*
 * Where a redirect of a symbol server leads, as text of a stranger; and the list of servers, which
 * is an administrator's, but is cut up by hand.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/sources.h"
#include "lib/symfile/symkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct symkey k;
    struct str text = str_n((const char *)data, n);
    if (sources_key_of_url(text, &k)) {
        char whole[SYMKEY_MAX + 1];
        struct symkey again;
        symkey_text(&k, whole);
        assert(symkey_is_of_module(&k) && symkey_parse(str_of(whole), &again, ERR_IGNORED));
        assert(!strchr(k.debug_file, '/') && strcmp(k.debug_file, "..") != 0);
    }
    FREE_LATER char *list = str_dup(str_sub(text, 0, strnlen(text.p ? text.p : "", text.n)));
    FREE_LATER const char **urls = sources_split(list);
    struct sources *s;
    const struct sources_options opt = {.urls = urls};
    if (sources_new(&opt, "/nonexistent", &s, ERR_IGNORED)) {
        for (size_t i = 0; i < sources_count(s); i++)
            assert(!strchr(sources_name(s, i), '?'));
        sources_free(s);
    }
    return 0;
}
