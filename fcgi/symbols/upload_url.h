#ifndef SYMBOLS_UPLOAD_URL_H
#define SYMBOLS_UPLOAD_URL_H

#include "fcgi/symbols/upload_body.h"

/*
 * upload_url - an archive that a client names by its address: whether it may, and fetching it.
 *
 * Trust      The address is a client's and leads where the client wants, the answers are a
 *            stranger's: domains are allowed by the configuration, of each redirect again, and no
 *            reserved address is reached (http/reserved.h).
 */

/* Syntax, scheme and domain of b->url, before anything is asked; names the archive. */
bool upload_url_check(struct req *req, struct upload_body *b, struct err *err);

/*
 * Fetches b->url into a nameless file of temp_dir; sets fd, size and redirects.  ERR_UNAVAILABLE:
 * the other server failed, in words for the client, which may try again.
 */
bool upload_url_fetch(struct req *req, const char *temp_dir, struct upload_body *b,
                      struct err *err);

#endif
