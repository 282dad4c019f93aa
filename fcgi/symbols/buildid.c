/*
 * What a debugger asks a debuginfod for: the debug information or the program of a build id, as far
 * as a build machine has uploaded it beside the symbols: <name>.dbg.gz or <name>.debug, and <name>
 * itself, under the key of the symbols text.  Such a file is found by the debug id, which is made
 * of the build id's first 16 bytes.  Read only, regular symbols only, and no other server is asked.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "fcgi/symbols/symbol_server.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/symindex.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symreader.h"
#include "lib/symfile/symstore.h"
#include "lib/web/web.h"

/* A linker makes build ids of 8 to 20 bytes; 64 is what elfutils reads at most. */
enum { BUILD_ID_MIN = 8, BUILD_ID_MAX = 64, GUID_BYTES = 16 };

static const struct {
    const char *what;
    const char *endings[3]; /* of the name of the module, NULL-ended */
} artifacts[] = {
    {"debuginfo", {".dbg.gz", ".debug", NULL}},
    {"executable", {"", NULL}},
};

/* The first three fields of a GUID are numbers, and the bytes of the build id are theirs as they
 * lie in the memory of a PC.  Missing bytes are zero, and the age is, too. */
static bool debug_id_of(struct str build_id, char out[2 * GUID_BYTES + 2])
{
    static const uint8_t order[GUID_BYTES] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    if (build_id.n % 2 || build_id.n < 2 * BUILD_ID_MIN || build_id.n > 2 * BUILD_ID_MAX)
        return false;
    for (size_t i = 0; i < build_id.n; i++)
        if (hex_digit(build_id.p[i]) < 0)
            return false;
    for (size_t i = 0; i < GUID_BYTES; i++) {
        size_t at = 2 * (size_t)order[i];
        bool is_there = at + 1 < build_id.n;
        snprintf(out + 2 * i, 3, "%X%X", is_there ? (unsigned)hex_digit(build_id.p[at]) : 0,
                 is_there ? (unsigned)hex_digit(build_id.p[at + 1]) : 0);
    }
    memcpy(out + 2 * GUID_BYTES, "0", 2);
    return true;
}

/* *ret_key is that of the file. */
static bool find_artifact(const struct symstore *store, const char *const *endings,
                          const char *debug_id, struct symkey *ret_key, struct symstore_found *ret)
{
    struct symkey probe = {0}, module;
    snprintf(probe.debug_id, sizeof probe.debug_id, "%s", debug_id);
    if (!symindex_find(store->dir, false, &probe, &module))
        return false;
    for (; *endings; endings++) {
        char name[SYMKEY_PART_MAX + 16];
        snprintf(name, sizeof name, "%s%s", module.debug_file, *endings);
        if (symkey_make(str_of(module.debug_file), str_of(module.debug_id), str_of(name), ret_key,
                        ERR_IGNORED) &&
            symstore_find(store, SYMSTORE_REGULAR, ret_key, ret, ERR_IGNORED))
            return true;
    }
    return false;
}

/* <build id>/debuginfo or <build id>/executable. */
bool buildid_get(struct req *req, struct err *err)
{
    const struct symbol_server *s = req_app(req);
    struct str rest = req_path_rest(req), build_id = STR_NONE;
    char debug_id[2 * GUID_BYTES + 2];
    struct symkey key;
    struct symstore_found found;
    bool is_found = false;
    if (str_split(&rest, '/', &build_id) && debug_id_of(build_id, debug_id))
        for (size_t i = 0; i < ARRAY_LEN(artifacts) && !is_found; i++)
            is_found = str_eq(rest, str_of(artifacts[i].what)) &&
                       find_artifact(&s->store, artifacts[i].endings, debug_id, &key, &found);
    if (!is_found)
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    FD_AUTO fd = -1;
    if (str_ends(str_of(key.file), STR(".gz"))) {
        if (!symreader_inflate(found.path, s->temp_dir, &fd, err))
            return false;
    } else {
        fd = open(found.path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        return err_set(err, ERR_NOT_FOUND, "Not Found");
    return resp_file(req, 200, "application/octet-stream", TAKE_FD(fd), err);
}
