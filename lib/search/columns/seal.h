#ifndef SEARCH_COLUMNS_SEAL_H
#define SEARCH_COLUMNS_SEAL_H

#include <stddef.h>

#include "lib/search/columns/format.h"

/*
 * seal - the checksum of a head that is mapped and changed in place.
 *
 * A writer opens the seal before its first store into a head (the turn becomes odd) and closes it
 * after the last one: sum first, then the next even turn.  So an even turn with a sum that does
 * not fit is damage, and an odd one says that a writer is at work or was killed at it.
 *
 * Threads  Opening and closing below the index's lock.  seal_look needs no lock.
 */
enum head_type { HEAD_ROOT, HEAD_PART };
enum seal_state { SEAL_GOOD, SEAL_OPEN, SEAL_BROKEN };

enum seal_state seal_look(enum head_type type, const void *head);
void seal_open(enum head_type type, void *head);
void seal_close(enum head_type type, void *head);
uint64_t seal_turn(enum head_type type, const void *head);

#endif
