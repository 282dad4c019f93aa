#ifndef SYMFILE_SYMSESSION_H
#define SYMFILE_SYMSESSION_H

#include "lib/symfile/symadd.h"

/*
 * symsession - one symbols file that comes in pieces: what was announced, how much of it is here,
 * and its way into the store when it is whole.
 *
 * A session is a row (symbol_session) and a file, SYMBOLS_DIR/sessions/<hash of its id>.  What
 * counts as received is durable; a process that is killed in between loses what came after that
 * and nothing else, and any other process can go on.  The id is a secret: who knows it may send the
 * file, and nothing else.
 *
 * Ownership  symsession_close releases the file and with it the session for others.
 * Errors     ERR_NOT_FOUND: no such session, or it has ended.  ERR_BUSY: somebody else sends to it
 *            at this moment.  ERR_INVALID: the bytes are not those that were announced, in words
 *            for who sent them.  Others as db and symstore: later it may go well.
 * Trust      Nothing of the bytes is read here; symreader does.
 */
enum {
    SYMSESSION_DAYS = 7, /* that an announced file is waited for */
    SYMSESSION_ID_BYTES = 32,
    SYMSESSION_ID_HEX = 2 * SYMSESSION_ID_BYTES,
    SYMSESSION_MD5_BASE64 = 24,
};

/* A file that a client announced. */
struct symsession_file {
    struct symkey key;
    uint64_t size;                  /* uncompressed */
    char md5[32 + 1];               /* of the same, lower-case hexadecimal */
    char id[SYMSESSION_ID_HEX + 1]; /* set by symsession_add; not kept anywhere */
};

/* Whether the client is told to send the file gzip-compressed. */
bool symsession_wants_gzip(const struct symkey *key);

/* Sessions for all files; call it inside of the transaction that makes the upload. */
bool symsession_add(struct db *db, const char *upload_id, enum symstore_area area,
                    struct symsession_file *files, size_t n, struct err *err);

/* Sessions whose time is over, with their files; how many. */
bool symsession_forget(struct db *db, const char *store_dir, size_t *ret_count, struct err *err);

struct symsession {
    char id_hash[64 + 1], upload_id[24];
    enum symstore_area area;
    struct symkey key;
    uint64_t size;
    char md5[32 + 1];
    bool wants_gzip;
    bool has_total;
    uint64_t total, received; /* bytes as they are sent; received ones are durable */
    uint64_t unsynced;        /* bytes in the file behind those */
    int fd;                   /* locked */
    char path[4096];
};

/* `id` as in the address.  Waits a moment for somebody else who sends. */
bool symsession_open(struct db *db, const struct symstore *store, struct str id,
                     struct symsession *ret, struct err *err);
void symsession_close(struct symsession *s);

/* How many bytes the file has as it is sent.  ERR_INVALID: not what was said before, or more than
 * the announced file can have. */
bool symsession_set_total(struct symsession *s, uint64_t total, struct err *err);

/* The next bytes; they are received when symsession_sync has returned. */
bool symsession_append(struct symsession *s, const void *p, size_t n, struct err *err);
bool symsession_sync(struct symsession *s, struct db *db, struct err *err);

bool symsession_is_whole(const struct symsession *s);

/*
 * Checks a whole file against what was announced, and a .sym file for snippets in its FILE records
 * (symforbid.h; empty: not), stores it with a (whose area and upload_id are
 * set from the session), and ends the session, and with the last one the upload.  After
 * ERR_INVALID and ERR_TOO_LARGE nothing is received any more: the file may be sent again.
 */
bool symsession_finish(struct symsession *s, struct symadd *a,
                       char ret_md5_base64[SYMSESSION_MD5_BASE64 + 1], struct err *err);

#endif
