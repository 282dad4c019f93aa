#ifndef PING_PING_SIGNATURE_H
#define PING_PING_SIGNATURE_H

#include "lib/json/json.h"
#include "lib/signature/signature.h"

/*
 * ping_signature - the signature of a ping, by the code that makes those of reports: the same stack
 * gives the same signature.
 */
/* Crash data (lib/signature) out of a ping's document and the entries of its stack; new. */
json_t *ping_crash_data(const json_t *doc, const json_t *entries);

enum { PING_SIGNATURE_MAX = 255, PING_PROTO_MAX = 2048 };
/* Sets signature and proto_signature (null: none) of a result. */
void ping_sign(const struct siglists *lists, const json_t *doc, const json_t *entries,
               json_t *result);

#endif
