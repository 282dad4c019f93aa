#include <fcntl.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/search/search.h"

/*
 * A small good index in which the input changes bytes: records of file number, offset (two
 * bytes), length and the bytes; a length of 0 cuts the file there.  Searching, verifying and
 * writing on answer with a value or an error.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const files[] = {
    "head",
    "_zones",
    "_dead",
    "_dead-at",
    "_row-of",
    "signature.rows-1",
    "signature.offsets",
    "signature.bytes",
    "signature.hash-1",
    "addons.rows-1",
    "addons.offsets",
    "addons.bytes",
    "addons.element-offsets",
    "addons.element-bytes",
    "uptime.rows-1",
    "uptime.present",
    "uuid.rows-1",
    "uuid.offsets",
    "uuid.bytes",
    "uuid.hash-1",
    "date.rows-1",
    "date.present",
    "accessibility.rows-1",
    "../head",
};

static void put_docs(const char *dir, int from, int to)
{
    struct index_writer *w;
    if (!index_writer_open(dir, &fields_builtin, &w, ERR_IGNORED))
        return;
    for (int i = from; i < to; i++) {
        char uuid[40];
        snprintf(uuid, sizeof uuid, "00000000-0000-4000-8000-000000%06d", i);
        json_t *doc =
            json_pack("{s:s, s:s, s:s, s:i, s:b, s:[s,s]}", "uuid", uuid, "date_processed",
                      "2024-04-30T10:00:00Z", "signature", i % 2 ? "odd | x" : "even", "uptime", i,
                      "accessibility", i % 3, "addons", "a", uuid);
        index_put(w, doc, ERR_IGNORED);
        json_decref(doc);
    }
    index_writer_close(w);
}

static void change(const char *folder, const uint8_t *data, size_t size)
{
    while (size >= 4) {
        char path[256];
        size_t n = MIN((size_t)data[3], size - 4);
        off_t at = data[1] << 8 | data[2];
        snprintf(path, sizeof path, "%s/%s", folder, files[data[0] % ARRAY_LEN(files)]);
        FD_AUTO fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd >= 0 && data[3] == 0)
            (void)!ftruncate(fd, at);
        else if (fd >= 0)
            (void)!pwrite(fd, data + 4, n, at);
        data += 4 + n;
        size -= 4 + n;
    }
}

static void search(const char *dir)
{
    static struct search_param v[] = {
        {STR_INIT("date"), STR_INIT(">=2024-04-20")},
        {STR_INIT("signature"), STR_INIT("~e")},
        {STR_INIT("signature"), STR_INIT("=even")},
        {STR_INIT("_facets"), STR_INIT("addons")},
        {STR_INIT("_facets"), STR_INIT("_cardinality.uuid")},
        {STR_INIT("_aggs.addons"), STR_INIT("signature")},
        {STR_INIT("_histogram.uptime"), STR_INIT("accessibility")},
        {STR_INIT("_sort"), STR_INIT("-addons")},
        {STR_INIT("_columns"), STR_INIT("addons")},
        {STR_INIT("_columns"), STR_INIT("uptime")},
    };
    struct index_reader *r;
    struct arena a;
    json_t *answer = NULL;
    const char *form;
    bool there;
    if (!index_reader_open(dir, &fields_builtin, &r, ERR_IGNORED))
        return;
    arena_init(&a, 8 << 20);
    struct search_context ctx = {.now_us = 1714564800 * (int64_t)1000000,
                                 .deadline_ms = mono_ms() + 5000};
    for (size_t n = 1; n <= ARRAY_LEN(v); n += 3) {
        answer = NULL;
        search_answer(&a, r, &ctx, (struct search_params){v, n}, &answer, &form, ERR_IGNORED);
        json_decref(answer);
    }
    index_has(r, "00000000-0000-4000-8000-000000000003", &there, ERR_IGNORED);
    arena_release(&a);
    index_reader_close(r);
}

static void quiet(void *arg, const char *line)
{
    (void)arg;
    (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char dir[64], folder[128];
    snprintf(dir, sizeof dir, "%s/datil-fuzz-index-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(dir))
        return 0;
    log_init("fuzz", "error");
    put_docs(dir, 0, 40);
    snprintf(folder, sizeof folder, "%s/20240429-1", dir);
    change(folder, data, size);
    search(dir);
    index_verify(dir, &fields_builtin, quiet, NULL, ERR_IGNORED);
    put_docs(dir, 20, 60);
    search(dir);
    fs_remove_tree(dir, ERR_IGNORED);
    return 0;
}
