#ifndef SYMBOLS_UPLOAD_ARCHIVE_H
#define SYMBOLS_UPLOAD_ARCHIVE_H

#include "lib/json/json.h"
#include "lib/web/web.h"

/*
 * upload_archive - takes the archive in the body of a request, judges and stores it: the one way of
 * programs (POST /upload/) and of the form in the browser.  That the user may upload is checked by
 * the caller, before.
 *
 * Errors     ERR_INVALID, ERR_TOO_LARGE: what is wrong with the archive or the form, in words for
 *            who sent it.  ERR_FORBIDDEN: the area, or no proof of our page.  ERR_BUSY: no place.
 */
struct upload_sender {
    const char *asker; /* who waits for a place: "token 7", "user 3" */
    bool is_browser;   /* with a session: the form has to show its CSRF token */
};
struct upload_outcome {
    json_t *document;  /* {"upload": {"id", …}}, the caller's; NULL: refused */
    bool is_far_fault; /* the server of an upload by address failed: the error's text, which says
                          how and that it may be tried again, is for who sent it */
};
bool upload_archive(struct req *req, const struct upload_sender *sender, struct upload_outcome *ret,
                    struct err *err);

#endif
