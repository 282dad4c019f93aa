/*
 * Which kind of value may explain another: all crashes of one graphics vendor have one of its
 * devices, so a device that is frequent among crashes of a vendor says nothing new.  The graph came
 * from years of looking at wrong explanations of Firefox crashes; each row is what a kind leads to
 * in one step.  It has no circle, so going through it ends.
 */
#include "lib/correlations/priors.h"

#include <stdint.h>

#define TO(kind) ((uint32_t)1 << CAUSE_##kind)

static const uint32_t leads_to[CAUSE_COUNT] = {
    [CAUSE_PLATFORM] = TO(PRETTY_VERSION) | TO(VENDOR) | TO(CPU_INFO) | TO(CPU_ARCH) | TO(OS_ARCH),
    [CAUSE_PRETTY_VERSION] = TO(PLATFORM_VERSION) | TO(NOTE),
    [CAUSE_PLATFORM_VERSION] = TO(MODULE),
    [CAUSE_VENDOR] = TO(DEVICE),
    [CAUSE_DEVICE] = TO(DRIVER) | TO(SUBSYSTEM),
    [CAUSE_DRIVER] = TO(NOTE) | TO(GRAPHICS_LOG),
    [CAUSE_CPU_INFO] = TO(MICROCODE),
    [CAUSE_STARTUP] = TO(ADDON) | TO(MODULE) | TO(OS_ARCH) | TO(SHUTDOWN) | TO(SAFE_MODE) |
                      TO(IPC_ERROR) | TO(LOCALE) | TO(VENDOR) | TO(DEVICE) | TO(SUBSYSTEM) |
                      TO(E10S) | TO(NOTE),
};

bool prior_may_explain(enum cause prior, enum cause of)
{
    uint32_t reached = leads_to[prior];
    for (uint32_t before = 0; before != reached;) {
        before = reached;
        for (int kind = 0; kind < CAUSE_COUNT; kind++)
            if (reached >> kind & 1)
                reached |= leads_to[kind];
    }
    return of != CAUSE_OTHER && reached >> of & 1;
}
