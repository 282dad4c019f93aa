#ifndef CORRELATIONS_PRIORS_H
#define CORRELATIONS_PRIORS_H

#include <stdbool.h>

/*
 * priors - which property of a crash may explain which other.
 *
 * A driver version that is frequent in a signature may just be the driver of the one graphics card
 * that crashes; the card cannot come from the driver.  Every attribute has a kind, and a kind may
 * explain those that can be reached from it.
 */
enum cause {
    CAUSE_OTHER, /* explains nothing, is explained by nothing */
    CAUSE_PLATFORM,
    CAUSE_PRETTY_VERSION,
    CAUSE_PLATFORM_VERSION,
    CAUSE_VENDOR,
    CAUSE_DEVICE,
    CAUSE_SUBSYSTEM,
    CAUSE_DRIVER,
    CAUSE_CPU_INFO,
    CAUSE_CPU_ARCH,
    CAUSE_MICROCODE,
    CAUSE_OS_ARCH,
    CAUSE_STARTUP,
    CAUSE_ADDON,
    CAUSE_MODULE,
    CAUSE_SHUTDOWN,
    CAUSE_SAFE_MODE,
    CAUSE_IPC_ERROR,
    CAUSE_LOCALE,
    CAUSE_E10S,
    CAUSE_NOTE,         /* a phrase in app_notes */
    CAUSE_GRAPHICS_LOG, /* a phrase in graphics_critical_error */
    CAUSE_COUNT,
};

bool prior_may_explain(enum cause prior, enum cause of);

#endif
