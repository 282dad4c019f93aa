#ifndef UNWIND_WALK_H
#define UNWIND_WALK_H

#include "lib/unwind/walk_frames.h"
#include "lib/unwind/walk_symbols.h"

/*
 * walk - from the registers and the stack memory of every thread to frames with
 * modules, functions, lines and inlines.
 *
 * Each frame is found from the younger one by the first method that works: call frame
 * information, frame pointer, stack scan; `trust` tells which.  A method may also know
 * that there is no caller, which ends the stack: no frame is better than an invented one.
 * Every step moves the stack pointer up, so a walk ends; frames per thread and per dump
 * are limited besides.
 *
 * Ownership  Stacks and frames live in the arena; texts point into the dump and into
 *            the symbol files, which stay open as long as the struct walk_symbols.
 */
enum {
    WALK_FRAMES_DEFAULT = 1024,    /* per thread */
    WALK_FRAMES_MAX = 1 << 20,     /* the most that may be configured */
    WALK_FRAMES_TOTAL = 128 << 10, /* per dump: 128 threads that are all as deep as they may be */
    WALK_INLINES_TOTAL = 1 << 20,  /* per dump */
};

/* Walks every thread.  frames_max 0 means the default. */
void walk_run(const struct facts *facts, struct walk_symbols *symbols, struct arena *arena,
              size_t frames_max, struct walk *ret);

const char *walk_trust_name(enum walk_trust trust); /* as in JSON */
const char *walk_trust_text(enum walk_trust trust); /* for people */

#endif
