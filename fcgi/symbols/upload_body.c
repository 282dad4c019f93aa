/*
 * The body of an upload, part by part as it comes in: up to gigabytes, so the archive goes straight
 * into a file and only two short fields into memory.
 *
 * Clients name the field of the archive in all ways ("symbols.zip", "file", the path on their
 * disk), and so the first part with a filename is the archive, whatever its field is called; the
 * name people see is the one with a dot in it. Further files and unknown fields are read and thrown
 * away: a client that sends more is not wrong, and refusing it halfway through a gigabyte would
 * cost it all of that again. The file has no name, so a worker that is killed leaves nothing
 * behind.
 *
 * The proof that a form is one of our pages is among its fields, and templates put it first: it is
 * judged when the file begins, so a foreign page cannot make a browser fill our disk.
 */
#include "fcgi/symbols/upload_body.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/symbytes.h"
#include "lib/web/human.h"
#include "lib/web/multipart.h"
#include "lib/web/params.h"

enum {
    FIELD_MAX = 4096,     /* an address, or "1"; signed ones of storage services have 1 to 2 KB */
    FORM_MAX = 64 << 10,  /* of an upload by address, which has no file: a few such fields */
    PIECE = 1 << 16,      /* of the body, in memory at a time */
    NAME_MAX_BYTES = 255, /* of the archive, as the database and people see it */
};

struct reading {
    struct req *req;
    struct arena *arena;
    const struct upload_body_terms *terms;
    struct upload_body *body;
    enum { SKIPPED, IN_FILE, IN_FIELD } part;
    struct str *field; /* where the value of the present field goes */
    struct strbuf value;
};

/* Without a name: a worker that is killed leaves nothing behind. */
static bool open_temp(struct reading *r, struct err *err)
{
    struct upload_body *b = r->body;
    if (!symbytes_temp(r->terms->temp_dir, &b->fd, err))
        return false;
    snprintf(b->path, sizeof b->path, "/proc/self/fd/%d", b->fd);
    b->has_file = true;
    return true;
}

static bool check_csrf(struct reading *r, struct err *err)
{
    return !r->terms->wants_csrf || req_check_csrf(r->req, r->body->csrf_token, err);
}

/* A field name without a dot ("file") says nothing about the archive. */
static void name_archive(struct reading *r, const struct multipart_part *p)
{
    struct str name = str_find_char(p->name, '.', 0) == SIZE_MAX ? p->filename : p->name;
    name = utf8_clean(r->arena, str_copy(r->arena, name));
    r->body->archive_name = str_sub(name, 0, utf8_prefix_bytes(name, NAME_MAX_BYTES));
}

static bool on_begin(void *arg, const struct multipart_part *p, struct err *err)
{
    struct reading *r = arg;
    r->part = SKIPPED;
    if (p->filename.n && !r->body->has_file) {
        r->part = IN_FILE;
        name_archive(r, p);
        return check_csrf(r, err) && open_temp(r, err);
    }
    r->field = str_eq(p->name, STR("try"))          ? &r->body->try_field
               : str_eq(p->name, STR("url"))        ? &r->body->url
               : str_eq(p->name, STR("csrf_token")) ? &r->body->csrf_token
                                                    : NULL;
    if (p->filename.n == 0 && r->field) {
        r->part = IN_FIELD;
        sb_reset(&r->value);
    }
    return true;
}

static bool on_data(void *arg, const void *p, size_t n, struct err *err)
{
    struct reading *r = arg;
    if (r->part == IN_FIELD)
        sb_put(&r->value, p, n);
    if (r->part != IN_FILE)
        return true;
    r->body->size += n;
    return fs_write_all(r->body->fd, p, n, "uploaded archive", err);
}

static bool on_end(void *arg, struct err *err)
{
    struct reading *r = arg;
    if (r->part == IN_FIELD && r->value.overflow)
        return err_set(err, ERR_INVALID, "a form field of more than %d bytes", FIELD_MAX);
    if (r->part == IN_FIELD)
        *r->field = str_copy(r->arena, utf8_clean(r->arena, sb_view(&r->value)));
    r->part = SKIPPED;
    return true;
}

bool upload_too_large(struct arena *a, uint64_t max_bytes, struct err *err)
{
    return err_set(err, ERR_TOO_LARGE, "an upload may have %s; make several archives",
                   human_size(a, (int64_t)MIN(max_bytes, (uint64_t)INT64_MAX)));
}

/* Ends at the first fault or the byte that is too much; the runner deals with what is unread. */
static bool read_pieces(struct reading *r, struct multipart *m, struct err *err)
{
    char *piece = arena_alloc(r->arena, PIECE);
    uint64_t max_bytes = r->terms->max_bytes;
    uint64_t total = 0;
    for (;;) {
        size_t got;
        if (!req_read_body(r->req, piece, PIECE, &got, err))
            return false;
        if (got == 0)
            return multipart_finish(m, err);
        total += got;
        if (total > max_bytes)
            return upload_too_large(r->arena, max_bytes, err);
        if (!multipart_feed(m, piece, got, err))
            return false;
    }
}

static bool read_multipart(struct reading *r, struct str type, struct err *err)
{
    static const struct multipart_events events = {on_begin, on_data, on_end};
    STRBUF_AUTO boundary;
    struct multipart m;
    sb_init(&boundary, MULTIPART_BOUNDARY_MAX + 1);
    header_param(type, "boundary", &boundary);
    if (!multipart_init(&m, sb_view(&boundary), &events, r, err))
        return false;
    bool ok = read_pieces(r, &m, err);
    multipart_release(&m);
    return ok;
}

static bool read_urlencoded(struct req *req, struct upload_body *b, struct err *err)
{
    struct str text;
    struct param_list list = {0};
    if (!req_body(req, FORM_MAX, &text, err) || !params_parse(req_arena(req), text, &list, err))
        return false;
    b->url = params_find(&list, "url");
    b->try_field = params_find(&list, "try");
    b->csrf_token = params_find(&list, "csrf_token");
    return true;
}

/*
 * Any other type of body is one without parts: that nothing was sent is then told in the words for
 * a missing file, which clients know.
 */
bool upload_body_read(struct req *req, const struct upload_body_terms *terms,
                      struct upload_body *ret, struct err *err)
{
    struct upload_body b = {.try_field = STR_NONE, .fd = -1};
    struct reading r = {.req = req, .arena = req_arena(req), .terms = terms, .body = &b};
    struct str type = req_header(req, "Content-Type");
    struct str kind = header_value(type);
    bool ok = true;
    sb_init(&r.value, FIELD_MAX);
    if (str_eq_nocase(kind, STR("multipart/form-data")))
        ok = read_multipart(&r, type, err);
    else if (str_eq_nocase(kind, STR("application/x-www-form-urlencoded")))
        ok = read_urlencoded(req, &b, err);
    sb_release(&r.value);
    ok = ok && check_csrf(&r, err); /* a form without a file has not been judged yet */
    if (!ok) {
        upload_body_release(&b);
        return false;
    }
    *ret = b;
    return true;
}

void upload_body_release(struct upload_body *b)
{
    if (b->fd >= 0)
        close(b->fd);
    b->fd = -1;
    b->has_file = false;
}
