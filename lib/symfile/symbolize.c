/*
 * A bounded set of mapped .csym files.
 *
 * Whether a mapping is still good is not decided here: symfind looks at the text's stamp and opens
 * the .csym that belongs to it (some 50 us), and device and inode tell whether that is the file
 * which is mapped already.  A mapping keeps its inode alive, so the number cannot be given to
 * another file meanwhile.  What is saved by keeping a mapping are the page faults of a new one.
 *
 * A file that was evicted from the cache takes room on the disk as long as it is mapped, hence the
 * limit in bytes beside that in files.
 */
#include "lib/symfile/symbolize.h"

#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/symfile/symkey.h"

/* A process of Firefox has 100 to 200 modules; one release is 300 MB compiled. */
enum { KEPT_MAX = 256 };
#define KEPT_BYTES_MAX ((size_t)2 << 30)

struct symbolizer {
    struct symfind *find;                   /* borrowed */
    VEC(struct symbolize_module *) modules; /* owned; the loaded ones, with users or kept */
    uint64_t uses;
    uint64_t seed;
};

struct symbolizer *symbolizer_new(struct symfind *find)
{
    struct symbolizer *s = xcalloc(1, sizeof *s);
    s->find = find;
    s->seed = random_u64();
    return s;
}

static void free_module(struct symbolize_module *m)
{
    if (m->state == SYMFIND_LOADED)
        csym_close(&m->csym);
    free(m);
}

void symbolizer_free(struct symbolizer *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->modules.n; i++)
        free_module(s->modules.v[i]);
    VEC_RELEASE(&s->modules);
    free(s);
}

static uint64_t hash_key(const struct symbolizer *s, const struct symfind_key *key)
{
    uint64_t hash = hash64_seed(key->debug_file.p, key->debug_file.n, s->seed);
    return hash64_seed(key->debug_id.p, key->debug_id.n, hash);
}

/* The mapping of exactly this file, made for this key. */
static struct symbolize_module *find_mapped(const struct symbolizer *s, uint64_t key_hash,
                                            const struct stat *st)
{
    for (size_t i = 0; i < s->modules.n; i++) {
        struct symbolize_module *m = s->modules.v[i];
        if (m->key_hash == key_hash && m->mapped_file == st->st_ino &&
            m->mapped_device == st->st_dev)
            return m;
    }
    return NULL;
}

/* A new module out of what was found; the descriptor stays the caller's. */
static struct symbolize_module *map_module(int fd, const struct stat *st,
                                           const struct symfind_key *key)
{
    struct symbolize_module *m = xcalloc(1, sizeof *m);
    struct err err = {0};
    m->mapped_file = st->st_ino;
    m->mapped_device = st->st_dev;
    m->state = SYMFIND_LOADED;
    if (!csym_open_fd(fd, &m->csym, &err)) {
        log_event(LOG_WARN, "symbols_unusable", "cannot map compiled symbols", LOG_E(&err));
        m->state = SYMFIND_MISSING;
    } else if (!str_eq_nocase(m->csym.debug_id, key->debug_id)) {
        csym_close(&m->csym);
        m->state = SYMFIND_CORRUPT;
    }
    return m;
}

static bool was_of_another_build(const struct symfind_result *found)
{
    for (size_t i = 0; i < found->asked_count; i++)
        if (found->asked[i].answer == SYMFIND_ANSWER_WRONG_ID)
            return true;
    return false;
}

/*
 * A module without symbols is answered like one with them, with its state; such an answer is not
 * kept, since symbols may be there the next time. The caller gives each back with symbolize_close.
 */
struct symbolize_module *symbolize_open(struct symbolizer *s, const struct symfind_key *key,
                                        int64_t deadline_ms, struct symbolize_cost *ret_cost)
{
    struct symfind_result found;
    struct stat st = {0};
    struct symbolize_module *m = NULL;
    int64_t start_us = mono_us();
    symfind_get_until(s->find, key, deadline_ms, &found);
    FD_AUTO fd = found.fd;
    uint64_t key_hash = hash_key(s, key);
    if (found.state == SYMFIND_LOADED && fstat(fd, &st) == 0)
        m = find_mapped(s, key_hash, &st);
    if (!m) {
        if (found.state == SYMFIND_LOADED) {
            m = map_module(fd, &st, key);
        } else {
            m = xcalloc(1, sizeof *m);
            m->state = found.state;
        }
        m->key_hash = key_hash;
        if (m->state == SYMFIND_LOADED)
            VEC_PUSH(&s->modules, m);
    }
    m->users++;
    m->last_use = ++s->uses;
    *ret_cost = (struct symbolize_cost){
        .us = mono_us() - start_us,
        .was_compiled = found.was_made,
        .is_bad_id = key->debug_id.n < SYMKEY_DEBUG_ID_MIN,
        .is_other_build = m->state == SYMFIND_CORRUPT &&
                          (found.state == SYMFIND_LOADED || was_of_another_build(&found)),
    };
    return m;
}

static void forget_at(struct symbolizer *s, size_t i)
{
    free_module(s->modules.v[i]);
    s->modules.v[i] = s->modules.v[--s->modules.n];
}

/* Of those without users the one that was not used for longest, while there are too many. */
static void keep_few(struct symbolizer *s)
{
    for (;;) {
        size_t kept = 0, bytes = 0, oldest = SIZE_MAX;
        for (size_t i = 0; i < s->modules.n; i++) {
            const struct symbolize_module *m = s->modules.v[i];
            if (m->users)
                continue;
            kept++;
            bytes += m->csym.n;
            if (oldest == SIZE_MAX || m->last_use < s->modules.v[oldest]->last_use)
                oldest = i;
        }
        if (kept <= KEPT_MAX && bytes <= KEPT_BYTES_MAX)
            return;
        forget_at(s, oldest);
    }
}

/* There is nothing to keep of a module without symbols. */
void symbolize_close(struct symbolizer *s, struct symbolize_module *m)
{
    m->users--;
    if (m->users)
        return;
    if (m->state == SYMFIND_LOADED)
        keep_few(s);
    else
        free_module(m);
}

struct str symbolize_name(const struct symbolize_module *m, struct str debug_file)
{
    return m->state == SYMFIND_LOADED && m->csym.code_file.n ? m->csym.code_file : debug_file;
}

bool symbolize_at(const struct symbolize_module *m, uint64_t offset, struct csym_hit *ret)
{
    return m->state == SYMFIND_LOADED && csym_lookup(&m->csym, offset, ret);
}
