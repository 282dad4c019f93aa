/* The JSON of an upload's files: what is accepted has a reason against it or a key and a digest. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "fcgi/symbols/announcement.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES_MAX = 8, ARENA_MAX = 1 << 20 };

static void check_file(const struct announced_file *f)
{
    char text[SYMKEY_MAX + 1];
    if (f->problem)
        return;
    assert(announcement_is_md5(f->md5));
    symkey_text(&f->key, text);
    assert(str_eq_nocase(str_of(text), f->key_text)); /* the id may be in lower case */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct announcement list = {0};
    struct err err = {0};
    json_auto_t *tree = NULL;
    arena_init(&a, ARENA_MAX);
    if (announcement_parse(&a, str_n((const char *)data, size), FILES_MAX, &list, &tree, &err)) {
        assert(list.n <= FILES_MAX);
        for (size_t i = 0; i < list.n; i++)
            check_file(&list.files[i]);
    } else {
        assert(err.code == ERR_INVALID && err.msg[0]);
    }
    arena_release(&a);
    return 0;
}
