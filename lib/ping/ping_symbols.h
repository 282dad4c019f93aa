#ifndef PING_PING_SYMBOLS_H
#define PING_PING_SYMBOLS_H

#include "lib/base/arena.h"
#include "lib/base/map.h"
#include "lib/base/vec.h"
#include "lib/json/json.h"
#include "lib/symfile/missing.h"
#include "lib/symfile/symbolize.h"

/*
 * ping_symbols - names for the addresses of a ping's stack.
 *
 * Modules stay open for a whole batch, so pings that come sorted by build open each of them once.
 *
 * Ownership  Borrows symbolizer and missing; ping_symbols_release closes what a batch has opened.
 * Errors     None: what has no symbols stays an address, and is noted as missing.
 */
struct ping_module {
    struct symbolize_module *module; /* NULL: its name or id can be none */
    bool is_noted;                   /* as missing */
};

struct ping_symbols {
    struct symbolizer *symbolizer;
    struct missing *missing;
    VEC(struct ping_module) open; /* of this batch */
    struct textmap keys;          /* their names and ids, by number */
    struct arena arena;
};

void ping_symbols_init(struct ping_symbols *s, struct symbolizer *symbolizer,
                       struct missing *missing);
/* The batch is over. */
void ping_symbols_close(struct ping_symbols *s);
void ping_symbols_release(struct ping_symbols *s);

enum { PING_STACK_MAX = 100 };

/*
 * The entries of the stack of a ping's document, innermost first; new.  *ret_is_pending: symbols of
 * a module are being made, and whoever asks again later may find them.
 */
json_t *ping_symbolicate(struct ping_symbols *s, const json_t *doc, bool *ret_is_pending);

#endif
