/*
 * The memory report as it is uploaded: gzip, or the JSON itself, which the target packs, so
 * that mutations of it get as far as the rule that adds the figures up.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/base/fs.h"
#include "tests/fuzz/rule_job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEASURES = 16 };

static bool is_packed(const uint8_t *data, size_t size)
{
    return size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
}

static bool put_packed(int fd, const uint8_t *data, size_t size)
{
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)data, .avail_in = (unsigned)size};
    if (deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t room = deflateBound(&z, size);
    FREE_LATER unsigned char *out = xmalloc(room);
    z.next_out = out;
    z.avail_out = (unsigned)room;
    bool ok = deflate(&z, Z_FINISH) == Z_STREAM_END;
    deflateEnd(&z);
    return ok && fs_write_all(fd, out, room - z.avail_out, "report", ERR_IGNORED);
}

static void extract(const char *path)
{
    struct rule_job j;
    rule_job_begin(&j);
    struct job_dump dump = {.name = "memory_report", .path = path};
    j.job.dumps = &dump;
    j.job.dump_count = 1;
    json_object_set_new(j.job.processed, "json_dump", json_pack("{s:i}", "pid", 7));
    rule_job_apply(&j, "OutOfMemoryBinary");
    rule_job_apply(&j, "MemoryReportExtraction");
    const json_t *measures = json_object_get(j.job.processed, "memory_measures");
    assert(!measures || json_object_size(measures) == MEASURES);
    assert(json_object_get(j.job.processed, "memory_report") ||
           json_object_get(j.job.processed, "memory_report_error"));
    rule_job_end(&j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("report", MFD_CLOEXEC);
    if (fd < 0)
        return 0;
    bool ok = is_packed(data, size) ? fs_write_all(fd, data, size, "report", ERR_IGNORED)
                                    : put_packed(fd, data, size);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (ok)
        extract(path);
    close(fd);
    return 0;
}
