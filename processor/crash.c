/*
 * One report while it is processed: its documents and dumps from the store, its temporary
 * directory, and everything it allocated, released together.  The directory carries the process in
 * its name, so that what a killed worker left is swept by the next one and what a living one uses
 * is not.
 */
#include "processor/crash.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/crash/crash_id.h"
#include "lib/crash/raw.h"

/*
 * The arena holds texts of rules and lists; documents are trees of their own. A gigabyte is never
 * reached, it ends a rule that runs wild.
 */
enum {
    RAW_BYTES_MAX = JSON_BYTES_MAX,
    PROCESSED_BYTES_MAX = JSON_BYTES_MAX,
    ARENA_BYTES_MAX = 1 << 30,
};

bool crash_make_tmp(struct crash *c, const char *base, struct err *err)
{
    char path[sizeof c->tmp_dir], process[PROC_NAME_MAX] = "0";
    proc_name(getpid(), process);
    int n = snprintf(path, sizeof path, "%s/%s.%s", base, process, c->job.crash_id);
    if (n < 0 || (size_t)n >= sizeof path)
        return err_errno(err, ENAMETOOLONG, "PROCESSOR_TMP_DIR");
    if (!fs_mkdirs(base, 0700, err) || !fs_remove_tree(path, err))
        return false;
    if (mkdir(path, 0700) != 0)
        return err_errno(err, errno, "making %s", path);
    memcpy(c->tmp_dir, path, (size_t)n + 1);
    c->job.tmp_dir = c->tmp_dir;
    return true;
}

void crash_sweep_tmp(const char *tmp_base)
{
    DIR *dir = opendir(tmp_base);
    if (!dir)
        return;
    struct dirent *e;
    while ((e = readdir(dir))) {
        struct str name = str_of(e->d_name);
        size_t dot = str_find_char(name, '.', 0);
        char path[PATH_MAX];
        if (dot == SIZE_MAX || !crash_id_valid(str_sub(name, dot + 1, SIZE_MAX), false) ||
            !proc_is_gone(str_sub(name, 0, dot)))
            continue;
        snprintf(path, sizeof path, "%s/%s", tmp_base, e->d_name);
        fs_remove_tree(path, ERR_IGNORED);
    }
    closedir(dir);
}

static bool get_json(struct store *store, const char *id, const char *kind, size_t max,
                     json_t **ret, struct err *err)
{
    json_t *doc = store_get_json(store, id, kind, max, err);
    if (doc && !json_is_object(doc)) {
        json_decref(doc);
        doc = NULL;
        err_set(err, ERR_DAMAGED, "%s is not an object", kind);
    }
    *ret = doc;
    return doc != NULL || err_wrap(err, "crash %s", id);
}

/*
 * Dumps stay where they are: rules and walker open them through our descriptors, which also work
 * when the object has no name of its own or is deleted meanwhile.
 */
bool crash_add_dump(struct crash *c, const char *name, int fd, struct err *err)
{
    struct stat st;
    size_t at = c->job.dump_count;
    if (at == CRASH_DUMPS_MAX || fstat(fd, &st) != 0) {
        close(fd);
        return err_set(err, ERR_TOO_LARGE, "more than %d dumps", CRASH_DUMPS_MAX);
    }
    c->fds[at] = fd;
    c->dumps[at] = (struct job_dump){
        .name = arena_strdup(&c->arena, name),
        .path = arena_printf(&c->arena, "/proc/self/fd/%d", fd),
        .size_bytes = (size_t)st.st_size,
    };
    c->job.dumps = c->dumps;
    c->job.dump_count++;
    return true;
}

/*
 * A dump that is listed and missing costs the crash its stack and not more; one that cannot be
 * read just now is tried again with the whole crash.
 */
static bool open_dumps(struct crash *c, struct store *store, struct err *err)
{
    struct strs names = {0};
    if (!store_dump_names(store, &c->arena, c->job.crash_id, &names, err))
        return false;
    for (size_t i = 0; i < MIN(names.n, (size_t)CRASH_DUMPS_MAX); i++) {
        struct err why = {0};
        int fd;
        if (store_open_fd(store, c->job.crash_id, names.v[i].p, &fd, &why)) {
            if (!crash_add_dump(c, names.v[i].p, fd, err))
                return false;
        } else if (why.code == ERR_NOT_FOUND) {
            log_event(LOG_WARN, "dump_missing", "listed but not there",
                      LOG_S("crash_id", c->job.crash_id), LOG_V("dump", names.v[i]));
        } else {
            *err = why;
            return false;
        }
    }
    return true;
}

static bool open_report(struct crash *c, const struct crash_setup *setup, struct store *store,
                        struct err *err)
{
    struct job *job = &c->job;
    struct err why = {0};
    if (!get_json(store, job->crash_id, "raw_crash", RAW_BYTES_MAX, &job->raw, err))
        return false;
    raw_crash_upgrade(job->raw);
    if (!open_dumps(c, store, err) || !crash_make_tmp(c, setup->tmp_base, err))
        return false;
    if (!get_json(store, job->crash_id, "processed_crash", PROCESSED_BYTES_MAX, &c->old_processed,
                  &why) &&
        err_is_retryable(why.code)) { /* a broken old one is as good as none */
        *err = why;
        return false;
    }
    return true;
}

void crash_begin(struct crash *c, const struct crash_setup *setup, const char *crash_id,
                 const char *ruleset)
{
    *c = (struct crash){0};
    arena_init(&c->arena, ARENA_BYTES_MAX);
    c->job = (struct job){
        .arena = &c->arena,
        .crash_id = arena_strdup(&c->arena, crash_id),
        .ruleset = arena_strdup(&c->arena, ruleset),
        .fields = setup->fields,
        .siglists = setup->siglists,
        .walker = setup->is_walk_skipped ? NULL : setup->walker,
        .versions = setup->versions,
        .twins = setup->twins,
        .symbol_hosts = setup->symbol_hosts,
        .metrics = setup->metrics,
        .hostname = setup->hostname,
        .now_us = now_us(),
        .processed = json_object(),
        .notes = json_array(),
    };
    if (setup->is_walk_skipped)
        job_note(&c->job, "processor: stackwalking skipped after repeated failures");
}

bool crash_load(struct crash *c, const struct crash_setup *setup, struct store *store,
                const char *crash_id, const char *ruleset, struct err *err)
{
    crash_begin(c, setup, crash_id, ruleset);
    if (open_report(c, setup, store, err))
        return true;
    crash_release(c);
    return false;
}

bool crash_process(struct crash *c, struct err *err)
{
    /* A signature cannot be made anew of a crash that was never processed. */
    if (strcmp(c->job.ruleset, "regenerate_signature") == 0 && !c->old_processed)
        c->job.ruleset = "default";
    return rules_run(&c->job, c->old_processed, err);
}

/* Also of a crash that was loaded in part: what is not there is 0 or NULL. */
void crash_release(struct crash *c)
{
    for (size_t i = 0; i < c->job.dump_count; i++)
        close(c->fds[i]);
    if (c->tmp_dir[0])
        fs_remove_tree(c->tmp_dir, ERR_IGNORED);
    json_decref(c->job.raw);
    json_decref(c->job.processed);
    json_decref(c->job.notes);
    json_decref(c->old_processed);
    arena_release(&c->arena);
    *c = (struct crash){0};
}
