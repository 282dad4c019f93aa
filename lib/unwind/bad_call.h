#ifndef UNWIND_BAD_CALL_H
#define UNWIND_BAD_CALL_H

#include "lib/unwind/cpu.h"

/* The caller of a first frame whose pc holds no code; false: not one of those. */
bool walk_bad_call(const struct step *s, struct mdmp_context *ret);

#endif
