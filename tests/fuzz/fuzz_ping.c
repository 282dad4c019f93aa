/*
 * Bodies of crash pings, of all three forms: whatever comes, the document has members of the native
 * form alone, its texts are clean and short, and its lists bounded.
 */
#include <assert.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/ping/ping.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_MAX = 256 << 20, LONGEST_TEXT = 2048 };

static void check_value(const json_t *v)
{
    const char *name;
    json_t *member;
    size_t i;
    if (json_is_string(v)) {
        struct str text = str_n(json_string_value(v), json_string_length(v));
        assert(text.n <= LONGEST_TEXT && utf8_valid(text));
        for (size_t c = 0; c < text.n; c++)
            assert((unsigned char)text.p[c] >= ' ');
    }
    assert(json_array_size(v) <= PING_MODULES_MAX);
    json_object_foreach ((json_t *)v, name, member)
        check_value(member);
    json_array_foreach ((json_t *)v, i, member)
        check_value(member);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    const struct ping_given given = {0};
    json_t *doc = NULL;
    bool has_content;
    char id[PING_ID_SIZE];
    json_auto_t *body = jparse_given(str_n((const char *)data, size), 1 << 20, ERR_IGNORED);
    arena_init(&a, ARENA_MAX);
    if (body && ping_read(&a, body, &given, &doc, &has_content, ERR_IGNORED)) {
        check_value(doc);
        assert(ping_id_read(jget_strn(doc, "document_id"), id));
        assert(jget_str(doc, "channel") && jget_str(doc, "os") && jget_str(doc, "process_type"));
        json_decref(doc);
    }
    arena_release(&a);
    return 0;
}
