/*
 * A file may have gigabytes and a connection may break, so what has come must never have to come
 * again, and what is said to have come must be there after a loss of power.  Three things are kept
 * in this order: bytes in the file, the file on disk, the number in the row.  So the file may have
 * more than the row says, which is cut off when somebody goes on, and never less; should it be gone
 * all the same, the session starts again from what is there.
 *
 * One process at a time works on a session, by a lock on its file.  The row is looked at again
 * under the lock: who waited for it may find that the file was stored meanwhile.
 *
 * A whole file stays until it is stored and its rows are written.  Whoever asks for the session
 * after a failure, or after the process was killed, makes the next attempt.
 */
#include "lib/symfile/symsession.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/db/db.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symreader.h"
#include "lib/symfile/symstore.h"
#include "queries.h"

enum {
    LOCK_WAIT_MS = 2000, /* a client that lost its connection may be here before that is noticed */
    LOCK_NAP_MS = 20,
    /* gzip makes a file that does not pack larger by 5 bytes in 16 KiB, and has names in front */
    GZIP_GROWTH_DIVISOR = 1024,
    GZIP_EXTRA = 64 << 10, /* head, names and trailer, with room */
    MD5_PIECE = 1 << 20,   /* chosen: read at a time; the hash, not the reading, takes the time */
    ROW_ARENA = 8 << 20,   /* a thousand files with five texts */
};

static const char *const area_names[] = {[SYMSTORE_REGULAR] = "regular", [SYMSTORE_TRY] = "try"};

bool symsession_wants_gzip(const struct symkey *key)
{
    return symkey_is_text(key);
}

/*
 * 256 random bits: the id is all that a client needs to send to the session, so nobody may guess
 * it.
 */
static void new_id(char out[SYMSESSION_ID_HEX + 1])
{
    uint8_t bytes[SYMSESSION_ID_BYTES];
    random_bytes(bytes, sizeof bytes);
    hex_encode(bytes, sizeof bytes, out);
}

/*
 * All sessions of an upload in one statement, as one array for each column.  The database has the
 * hash of an id alone: who reads the table cannot send to its sessions.
 */
bool symsession_add(struct db *db, const char *upload_id, enum symstore_area area,
                    struct symsession_file *files, size_t n, struct err *err)
{
    enum { ID_HASH, KEY, SIZE, MD5, ENCODING, COLUMNS };
    struct strs columns[COLUMNS];
    struct arena a;
    const char *p[COLUMNS];
    arena_init(&a, ROW_ARENA);
    for (size_t c = 0; c < COLUMNS; c++)
        columns[c] = (struct strs){.v = arena_array(&a, n + 1, sizeof(struct str)), .n = n};
    for (size_t i = 0; i < n; i++) {
        char key[SYMKEY_MAX + 1], hash[SHA256_HEX + 1];
        new_id(files[i].id);
        sha256_hex(files[i].id, SYMSESSION_ID_HEX, hash);
        symkey_text(&files[i].key, key);
        columns[ID_HASH].v[i] = str_of(arena_strdup(&a, hash));
        columns[KEY].v[i] = str_of(arena_strdup(&a, key));
        columns[SIZE].v[i] = str_of(db_int(&a, (int64_t)files[i].size));
        columns[MD5].v[i] = str_of(files[i].md5);
        columns[ENCODING].v[i] = symsession_wants_gzip(&files[i].key) ? STR("gzip") : STR("");
    }
    for (size_t c = 0; c < COLUMNS; c++)
        p[c] = db_text_array(&a, columns[c]);
    bool ok =
        DB_EXEC(db, &q_symbol_session_add, err, upload_id, area_names[area],
                db_int(&a, SYMSESSION_DAYS), p[ID_HASH], p[KEY], p[SIZE], p[MD5], p[ENCODING]);
    arena_release(&a);
    return ok || err_wrap(err, "making upload sessions");
}

/* Files are named by the hash of the id, for the same reason as rows. */
static bool session_path(const char *store_dir, const char *id_hash, char *out, size_t size,
                         struct err *err)
{
    int n = snprintf(out, size, "%s/sessions/%s", store_dir, id_hash);
    return (n > 0 && (size_t)n < size) || err_set(err, ERR_IO, "path of the symbol store too long");
}

/*
 * The rows go first, in the statement that returns them.  A file that is left behind by a kill in
 * between has no session, and takes room until somebody removes it.
 */
bool symsession_forget(struct db *db, const char *store_dir, size_t *ret_count, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_symbol_session_forget, &rows, err))
        return err_wrap(err, "forgetting upload sessions");
    for (int i = 0; i < rows.count; i++) {
        char path[4096];
        const char *hash = db_col(&rows, i, Q_SYMBOL_SESSION_FORGET_COL_ID_HASH);
        if (session_path(store_dir, hash, path, sizeof path, ERR_IGNORED))
            unlink(path);
    }
    *ret_count = (size_t)rows.count;
    return true;
}

/*
 * What was announced and what has come.  total is NULL until a client has said how many bytes it
 * will send, which is the packed size for files that are sent with gzip.
 */
static bool read_row(struct db *db, struct symsession *s, struct err *err)
{
    DB_ROWS rows = {0};
    if (!DB_RUN(db, &q_symbol_session_find, &rows, err, s->id_hash))
        return err_wrap(err, "looking up an upload session");
    if (rows.count == 0)
        return err_set(err, ERR_NOT_FOUND, "no such upload session, or it has ended");
    const char *total = db_col(&rows, 0, Q_SYMBOL_SESSION_FIND_COL_TOTAL);
    const char *area = db_col(&rows, 0, Q_SYMBOL_SESSION_FIND_COL_AREA);
    snprintf(s->upload_id, sizeof s->upload_id, "%s",
             db_col(&rows, 0, Q_SYMBOL_SESSION_FIND_COL_UPLOAD_ID));
    snprintf(s->md5, sizeof s->md5, "%s", db_col(&rows, 0, Q_SYMBOL_SESSION_FIND_COL_MD5));
    s->area = strcmp(area, area_names[SYMSTORE_TRY]) == 0 ? SYMSTORE_TRY : SYMSTORE_REGULAR;
    s->size = (uint64_t)db_col_int(&rows, 0, Q_SYMBOL_SESSION_FIND_COL_SIZE, 0);
    s->wants_gzip = db_col(&rows, 0, Q_SYMBOL_SESSION_FIND_COL_CONTENT_ENCODING) != NULL;
    s->has_total = total != NULL;
    s->total = (uint64_t)db_col_int(&rows, 0, Q_SYMBOL_SESSION_FIND_COL_TOTAL, 0);
    s->received = (uint64_t)db_col_int(&rows, 0, Q_SYMBOL_SESSION_FIND_COL_RECEIVED, 0);
    return symkey_parse(str_of(db_col(&rows, 0, Q_SYMBOL_SESSION_FIND_COL_KEY)), &s->key, err);
}

/* Waits by asking again: flock has no time limit, and a signal for it would need a handler. */
static bool lock_file(struct symsession *s, struct err *err)
{
    const struct timespec nap = {.tv_nsec = LOCK_NAP_MS * 1000 * 1000};
    int64_t end = mono_ms() + LOCK_WAIT_MS;
    while (flock(s->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_errno(err, errno, "locking an upload session");
        if (mono_ms() >= end)
            return err_set(err, ERR_BUSY,
                           "another request is sending to this upload session; try again");
        nanosleep(&nap, NULL);
    }
    return true;
}

/* Only in the right store: without the check a store that is not mounted would get a new folder. */
static bool open_file(struct symsession *s, const struct symstore *store, struct err *err)
{
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/sessions", store->dir);
    if (!symstore_check(store, err) || !fs_mkdirs(dir, FS_DIR_MODE, err))
        return false;
    s->fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
    return s->fd >= 0 || err_errno(err, errno, "%s", s->path);
}

/* Behind what is durable nothing counts; and a file that was lost holds nothing. */
static bool cut_file(struct symsession *s, struct err *err)
{
    struct stat st;
    if (fstat(s->fd, &st) != 0)
        return err_errno(err, errno, "%s", s->path);
    s->received = MIN(s->received, (uint64_t)st.st_size);
    return ftruncate(s->fd, (off_t)s->received) == 0 || err_errno(err, errno, "%s", s->path);
}

/* Under the lock: the file may be one that its last holder unlinked, and the row is gone then. */
static bool take_file(struct symsession *s, struct db *db, const struct symstore *store,
                      struct err *err)
{
    if (!open_file(s, store, err) || !lock_file(s, err))
        return false;
    if (!read_row(db, s, err)) {
        if (err->code == ERR_NOT_FOUND)
            unlink(s->path);
        return false;
    }
    return cut_file(s, err);
}

/* Checked before anything is looked up: what is no id is answered like one that does not exist. */
static bool is_id(struct str id)
{
    for (size_t i = 0; i < id.n; i++)
        if (hex_digit(id.p[i]) < 0)
            return false;
    return id.n == SYMSESSION_ID_HEX;
}

bool symsession_open(struct db *db, const struct symstore *store, struct str id,
                     struct symsession *ret, struct err *err)
{
    struct symsession s = {.fd = -1};
    if (!is_id(id))
        return err_set(err, ERR_NOT_FOUND, "no such upload session, or it has ended");
    sha256_hex(id.p, id.n, s.id_hash);
    if (!session_path(store->dir, s.id_hash, s.path, sizeof s.path, err) || !read_row(db, &s, err))
        return false;
    if (!take_file(&s, db, store, err)) {
        symsession_close(&s);
        return false;
    }
    *ret = s;
    return true;
}

void symsession_close(struct symsession *s)
{
    util_close_fd(&s->fd);
    s->fd = -1;
}

/* Packed bytes are limited as well, or a client could fill the disk before anybody unpacks them. */
static uint64_t most_bytes(const struct symsession *s)
{
    return s->wants_gzip ? s->size + s->size / GZIP_GROWTH_DIVISOR + GZIP_EXTRA : s->size;
}

/* The number of bytes to come, from a Content-Range.  It may be said again and not changed. */
bool symsession_set_total(struct symsession *s, uint64_t total, struct err *err)
{
    if (s->has_total && total != s->total)
        return err_set(err, ERR_INVALID, "the file was said to have %llu bytes, and now %llu",
                       (unsigned long long)s->total, (unsigned long long)total);
    if (total > most_bytes(s) || (!s->wants_gzip && total != s->size) || total < s->received)
        return err_set(err, ERR_INVALID,
                       "%llu bytes do not fit the file that was announced with %llu bytes%s",
                       (unsigned long long)total, (unsigned long long)s->size,
                       s->wants_gzip ? "" : "; it is to be sent as it is, without an encoding");
    s->has_total = true;
    s->total = total;
    return true;
}

/* Written at its place and not at the end of the file, so a failed write is simply done again. */
bool symsession_append(struct symsession *s, const void *p, size_t n, struct err *err)
{
    uint64_t at = s->received + s->unsynced;
    if (n > (s->has_total ? s->total : most_bytes(s)) - at)
        return err_set(err, ERR_INVALID, "more bytes than the file was said to have");
    for (size_t done = 0; done < n;) {
        ssize_t put = pwrite(s->fd, (const char *)p + done, n - done, (off_t)(at + done));
        if (put < 0 && errno != EINTR)
            return err_errno(err, errno, "%s", s->path);
        done += put > 0 ? (size_t)put : 0;
    }
    s->unsynced += n;
    return true;
}

/* The file first: the row never says more than the disk has. */
bool symsession_sync(struct symsession *s, struct db *db, struct err *err)
{
    struct arena a;
    if (s->unsynced && fdatasync(s->fd) != 0)
        return err_errno(err, errno, "flushing %s", s->path);
    s->received += s->unsynced;
    s->unsynced = 0;
    arena_init(&a, 1 << 12);
    bool ok =
        DB_EXEC(db, &q_symbol_session_received, err, s->id_hash, db_int(&a, (int64_t)s->received),
                s->has_total ? db_int(&a, (int64_t)s->total) : NULL);
    arena_release(&a);
    return ok || err_wrap(err, "recording bytes of an upload session");
}

bool symsession_is_whole(const struct symsession *s)
{
    return s->has_total && s->received == s->total;
}

/* Of the bytes as they came: what the client can compare with what it sent. */
static bool md5_of_file(const struct symsession *s, char out[SYMSESSION_MD5_BASE64 + 1],
                        struct err *err)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    FREE_LATER char *piece = xmalloc(MD5_PIECE);
    EVP_MD_CTX *md5 = EVP_MD_CTX_new();
    EVP_DigestInit_ex(md5, EVP_md5(), NULL);
    ssize_t got = 1;
    for (off_t at = 0; got > 0; at += got) {
        got = pread(s->fd, piece, MD5_PIECE, at);
        if (got > 0)
            EVP_DigestUpdate(md5, piece, (size_t)got);
    }
    EVP_DigestFinal_ex(md5, digest, NULL);
    EVP_MD_CTX_free(md5);
    if (got < 0)
        return err_errno(err, errno, "reading %s", s->path);
    EVP_EncodeBlock((unsigned char *)out, digest, 16);
    return true;
}

/* The file is the one that was announced if size and MD5 of the uncompressed bytes are the same. */
static bool check_facts(const struct symsession *s, const struct symreader_text *t, struct err *err)
{
    if (t->size != s->size)
        return err_set(err, ERR_INVALID,
                       "the file has %llu bytes uncompressed, and %llu were announced; send it "
                       "again, from the start",
                       (unsigned long long)t->size, (unsigned long long)s->size);
    return strcmp(t->md5, s->md5) == 0 ||
           err_set(err, ERR_INVALID,
                   "the MD5 of the uncompressed file is %s, and %s was announced; send it again, "
                   "from the start",
                   t->md5, s->md5);
}

/*
 * Symbol text is unpacked, checked and parsed by the sandboxed reader; other files are stored as
 * they came.  Both end in the same way into the store as archives (symadd.h).
 */
static bool store_file(struct symsession *s, const struct symadd *a, struct err *err)
{
    struct symreader *r = NULL;
    struct symreader_text text;
    if (!symreader_start(s->fd, a->temp_dir, &r, err))
        return false;
    bool ok = (s->wants_gzip ? symreader_load(r, NULL, &text, err)
                             : symreader_load_as_is(r, &text, err)) &&
              check_facts(s, &text, err) &&
              (!a->forbidden.n || !symkey_is_text(&s->key) ||
               symreader_check_content(r, a->forbidden, err)) &&
              symadd_text(a, r, &s->key, &text, err);
    symreader_stop(r);
    return ok;
}

/* Two that end the last two sessions of an upload must not each see the other's. */
static bool end_session(struct db *db, void *arg, struct err *err)
{
    const struct symsession *s = arg;
    return DB_EXEC(db, &q_symbol_upload_lock, err, s->upload_id) &&
           DB_EXEC(db, &q_symbol_session_remove, err, s->id_hash) &&
           DB_EXEC(db, &q_symbol_upload_complete_if_done, err, s->upload_id);
}

/* The wrong bytes are of no use to anybody. */
static void drop_received(struct symsession *s, struct db *db)
{
    s->has_total = false;
    s->total = s->received = s->unsynced = 0;
    if (symsession_sync(s, db, ERR_IGNORED))
        cut_file(s, ERR_IGNORED);
}

/*
 * Checks the whole file, stores it and ends the session.  When the file is not what was announced
 * the session starts again with nothing; after failures of ours it stays whole, and the next
 * request tries again.
 */
bool symsession_finish(struct symsession *s, struct symadd *a,
                       char ret_md5_base64[SYMSESSION_MD5_BASE64 + 1], struct err *err)
{
    char md5[SYMSESSION_MD5_BASE64 + 1];
    a->area = s->area;
    a->upload_id = s->upload_id;
    if (!md5_of_file(s, md5, err))
        return false;
    if (!store_file(s, a, err)) {
        if (err->code == ERR_INVALID || err->code == ERR_TOO_LARGE)
            drop_received(s, a->db);
        return false;
    }
    if (!db_tx(a->db, end_session, s, err))
        return err_wrap(err, "ending an upload session");
    unlink(s->path);
    memcpy(ret_md5_base64, md5, sizeof md5);
    return true;
}
