#ifndef UNWIND_X86_WIN_H
#define UNWIND_X86_WIN_H

#include "lib/unwind/cpu.h"

/* STACK WIN records. */
bool x86_windows_cfi(const struct step *s, struct mdmp_context *ret);

#endif
