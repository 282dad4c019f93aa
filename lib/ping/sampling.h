#ifndef PING_SAMPLING_H
#define PING_SAMPLING_H

#include "lib/base/str.h"

/*
 * sampling - which pings are kept when there are more than a cell wants.
 *
 * The decision is made of the document id and the salt of the day, so it is the same in every
 * order, on every machine and each time; the salt is random, so nobody can choose ids that are
 * kept.
 */
bool sampling_keeps(struct str document_id, struct str salt, double probability);

#endif
