/*
 * Twin: is this the same crash as one that was sent before?
 *
 * Clients send again when an answer is lost, and some of them forget what they sent.  The collector
 * refuses what it has seen itself within a day; what comes to another collector, or to one that was
 * restarted, gets through.  Such a report is kept and shown, but statistics count it apart.
 *
 * The same crash is: product, version, build, time of installation, client id and main dump are the
 * same, byte by byte, and the clients' clocks at the crash (CrashTime) differ by SECONDS_APART at
 * most.  Without a dump, with an empty one, or without a CrashTime, two reports may be alike and
 * still be two crashes, so they are never twins.  Which one is the original is decided by who was
 * processed first, and does not change when either is processed again.
 */
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/hash.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/json/json.h"
#include "processor/job.h"
#include "processor/rules.h"

/* The time of a crash is taken twice by some clients, when it happens and when it is written
 * down. */
enum { SECONDS_APART = 10 };

static bool crash_time_of(const struct job *job, int64_t *ret)
{
    return str_to_i64(str_trim(annotation_text(job, "CrashTime")), 1, INT64_MAX, "CrashTime", ret,
                      ERR_IGNORED);
}

/* An empty dump is the same on every machine. */
static bool has_dump(const struct job *job)
{
    const struct str of_nothing =
        STR("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct str hash = processed_text(job, "minidump_sha256_hash");
    return hash.n > 0 && !str_eq_nocase(hash, of_nothing);
}

bool twin_applies(const struct job *job)
{
    int64_t at;
    return job->twins && has_dump(job) && crash_time_of(job, &at);
}

/* Each with its length in front, so that no two lists of facts have the same bytes. */
static void add_fact(struct sha256 *h, struct str fact)
{
    char length[24];
    int n = snprintf(length, sizeof length, "%zu:", fact.n);
    sha256_add(h, length, (size_t)n);
    sha256_add(h, fact.n ? fact.p : "", fact.n);
}

static struct str number_text(const struct job *job, const char *key)
{
    int64_t number;
    if (!jget_int(job->processed, key, &number))
        return processed_text(job, key);
    return str_of(arena_printf(job->arena, "%lld", (long long)number));
}

bool twin_act(struct job *job, struct err *err)
{
    struct sha256 h;
    uint8_t digest[SHA256_BYTES];
    struct twin_question q = {.crash_id = job->crash_id};
    (void)err;
    crash_time_of(job, &q.crash_time);
    sha256_init(&h);
    add_fact(&h, processed_text(job, "product"));
    add_fact(&h, annotation_text(job, "Version"));
    add_fact(&h, number_text(job, "build"));
    add_fact(&h, number_text(job, "install_time"));
    add_fact(&h, processed_text(job, "glean_client_id"));
    add_fact(&h, processed_text(job, "minidump_sha256_hash"));
    sha256_finish(&h, digest);
    hex_encode(digest, sizeof digest, q.fingerprint);
    struct twin_original original = {0};
    if (!job->twins->find(job->twins->ctx, &q, &original))
        return true;
    int64_t apart;
    bool is_twin = original.crash_id[0] && strcmp(original.crash_id, job->crash_id) != 0 &&
                   !__builtin_sub_overflow(original.crash_time, q.crash_time, &apart) &&
                   apart <= SECONDS_APART && apart >= -SECONDS_APART;
    jset_bool(job->processed, "is_duplicate", is_twin);
    if (is_twin)
        set_text(job, "duplicate_of", str_of(original.crash_id));
    return true;
}
