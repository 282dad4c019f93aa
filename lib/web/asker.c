/*
 * Whether an asker may have something dear done now (a search, a symbolication: web_turns), and
 * whether it still waits for it.
 *
 * One worker at least is kept free of it, so that health checks and plain pages never
 * stand behind them.  That worker cannot know what it accepts: it may be a search that finds no
 * turn.  Most searches take milliseconds, so it waits a little for one to end; but it waits only
 * for young ones.  A search older than TURN_WAIT_MS is no short one, nobody waits for it,
 * and so a row of dear requests is refused at once each, and what stands behind them waits no
 * longer than TURN_WAIT_MS.
 */
#include <poll.h>
#include <sys/socket.h>

#include "lib/base/arena.h"
#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/proc.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/web/internal.h"
#include "lib/web/turns.h"
#include "lib/web/web.h"

enum {
    TURN_WAIT_MS = 300,    /* ten times what pages ask of a million reports: tests/bench/search */
    TURN_NAP_MS = 2,       /* as long as a short search takes */
    RETRY_AFTER_S = 5,     /* most searches take milliseconds, so there is a turn by then */
    FCGI_HEADER_BYTES = 8, /* version, type, request (2), content length (2), padding, reserved */
    FCGI_TYPE_ABORT = 2,
    PEEK_BYTES = 1024, /* an abort has eight bytes, and mostly nothing else waits */
};

/* FCGI_ABORT_REQUEST among the records that have come and were not read. */
static bool has_abort_record(int fd)
{
    uint8_t bytes[PEEK_BYTES];
    ssize_t got = recv(fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    size_t n = got > 0 ? (size_t)got : 0;
    for (size_t at = 0; at + FCGI_HEADER_BYTES <= n;) {
        if (bytes[at + 1] == FCGI_TYPE_ABORT)
            return true;
        size_t content = (size_t)bytes[at + 4] << 8 | bytes[at + 5];
        at += FCGI_HEADER_BYTES + content + bytes[at + 6];
    }
    return false;
}

static bool has_hung_up(int fd)
{
    struct pollfd p = {.fd = fd};
    return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

bool req_is_abandoned(struct req *r)
{
    int fd = r->fcgi.ipcFd;
    if (!r->is_abandoned && fd >= 0)
        r->is_abandoned = has_hung_up(fd) || has_abort_record(fd);
    return r->is_abandoned;
}

int64_t req_started_ms(const struct req *r)
{
    return r->start_us / 1000;
}

/* Turns at once: one worker less than there are. */
static size_t most_turns(const struct web_app *web)
{
    int64_t most = conf_int(&web->conf, web->program->turns->most_key);
    int64_t workers = conf_int(&web->conf, web->program->workers_key);
    int64_t possible = MAX(workers - 1, (int64_t)1);
    return (size_t)(most > 0 ? MIN(most, possible) : possible);
}

/* What is counted apart: turns by the limits of the program, places by those of their handler. */
enum { KIND_TURN, KIND_PLACE };

/* Users by their number, others by their address or network. */
static uint64_t asker_hash(struct req *r)
{
    const struct web_user *user = req_user(r);
    const char *key = user->is_logged_in
                          ? arena_printf(&r->arena, "u%lld", (long long)user->id)
                          : arena_printf(&r->arena, "a" STR_FMT, STR_ARG(req_client(r)));
    return turns_asker(KIND_TURN, hash64(key, strlen(key)));
}

static bool refuse(struct req *r, enum turn why, size_t most_of_asker, struct err *err)
{
    const struct web_turns *turns = r->web->program->turns;
    r->busy_status = why == TURN_ASKER_IS_BUSY ? 429 : 503;
    r->retry_after_s = RETRY_AFTER_S;
    if (why == TURN_ASKER_IS_BUSY)
        return err_set(err, ERR_BUSY,
                       "Too many %s at once: %zu of yours are running "
                       "(%s). Try again when one has ended.",
                       turns->what, most_of_asker, conf_keys[turns->most_of_asker_key].name);
    return err_set(err, ERR_BUSY,
                   "Too many %s at once: this installation has no room for another "
                   "(%s). Try again in a few seconds.",
                   turns->what, conf_keys[turns->most_key].name);
}

bool req_take_turn(struct req *r, bool waits, struct err *err)
{
    struct web_app *web = r->web;
    if (r->has_turn)
        return true;
    uint64_t asker = asker_hash(r);
    size_t most = most_turns(web);
    size_t of_asker = (size_t)conf_int(&web->conf, web->program->turns->most_of_asker_key);
    for (;;) {
        int64_t youngest_ms = 0;
        enum turn got =
            turns_take(web->turns, web->worker, asker, most, of_asker, mono_ms(), &youngest_ms);
        r->has_turn = got == TURN_TAKEN;
        if (r->has_turn)
            return true;
        if (!waits || youngest_ms >= TURN_WAIT_MS || proc_stopping() || req_is_abandoned(r) ||
            mono_ms() - req_started_ms(r) >= TURN_WAIT_MS)
            return refuse(r, got, of_asker, err);
        proc_wait(NULL, 0, TURN_NAP_MS);
    }
}

/* Rounded down, for the others' sake. */
size_t req_share(const struct req *r, size_t all)
{
    uint64_t any = turns_asker(KIND_TURN, 0);
    size_t busy = 1 + turns_others(r->web->turns, r->web->worker, any);
    return MAX(all / busy, (size_t)1);
}

/*
 * Who waits holds a place as well, so that those who wait never have the workers that are kept
 * free.  Waiting and working are two askers in the table: the entry of a worker is rewritten when
 * its turn has come.
 */
bool req_take_place(struct req *r, const struct place_terms *t, struct err *err)
{
    enum { PLACE_NAP_MS = 50 }; /* short beside the seconds that an upload holds a place */
    struct web_app *web = r->web;
    const char *waiting = arena_printf(&r->arena, "waiting: %s", t->asker);
    uint64_t working = turns_asker(KIND_PLACE, hash64(t->asker, strlen(t->asker)));
    uint64_t queued = turns_asker(KIND_PLACE, hash64(waiting, strlen(waiting)));
    int64_t youngest_ms, end_ms = mono_ms() + t->wait_ms;
    r->busy_status = 429;
    r->retry_after_s = t->retry_after_s;
    enum turn got =
        turns_take(web->turns, web->worker, queued, t->most, 0, mono_ms(), &youngest_ms);
    r->has_turn = got == TURN_TAKEN;
    while (r->has_turn && turns_take(web->turns, web->worker, working, t->most, t->most_of_asker,
                                     mono_ms(), &youngest_ms) != TURN_TAKEN) {
        /* No look for an abort among records: a body that is not read yet begins anywhere. */
        if (proc_stopping() || has_hung_up(r->fcgi.ipcFd) || mono_ms() >= end_ms)
            return err_set(err, ERR_BUSY, "%s", t->busy_text);
        proc_wait(NULL, 0, PLACE_NAP_MS);
    }
    return r->has_turn || err_set(err, ERR_BUSY, "%s", t->busy_text);
}
