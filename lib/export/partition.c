/*
 * Draft and day of the export.  Everything is written into a folder whose name no reader can ask
 * for; when its files and its manifest are on disk it is renamed, or, where the day has files
 * already, exchanged with them.  So a day is complete or it is not there, whatever is killed, and a
 * draft that was left behind is removed by the next one.
 *
 * A file for each product, so that who wants one product need not fetch the others.  Products are
 * strangers' words, as many as somebody likes to send; beyond PRODUCTS_MAX records go into the file
 * that was made last.  Importers go by the field and not by the name of the file.
 *
 * The manifest has size, rows and SHA-256 of each file and is written last, so a reader that has it
 * can tell whether what it then fetches is what was meant: a day may be written anew when crashes
 * are taken out of it.
 *
 * Compression is zlib's fastest, chosen because a day is written once and read by scripts that
 * unpack it anyway: a record costs the job some 40 us, of which compressing is a third (20,000
 * records of 1.4 KB, beside `gzip -1` of the same bytes).  zlib's gzip header has no time and no
 * name, so the same records always are the same bytes.
 *
 * Beside the files lie the ids of their crashes, in order and all of one length, so that whether a
 * crash is among them takes a few reads and not the unpacking of a day.
 */
#include "lib/export/partition.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/base/fs.h"
#include "lib/base/hash.h"
#include "lib/base/util.h"
#include "lib/base/vec.h"
#include "lib/crash/crash_id.h"
#include "lib/crash/telemetry.h"

#define IDS_NAME "crash_ids"

enum {
    /* Installations have a dozen products; records of what is beyond share one file. */
    PRODUCTS_MAX = 100,
    PRODUCT_NAME_MAX = 100,
    NAME_SIZE = PRODUCT_NAME_MAX + sizeof ".jsonl.gz",
    OUT_BYTES = 1 << 16,
    GZIP_WINDOW = MAX_WBITS + 16, /* zlib's way to ask for gzip */
    GZIP_MEMORY = 8,              /* its default */
    MANIFEST_BYTES_MAX = 1 << 20,
};

struct partition_file {
    char name[NAME_SIZE];
    int fd;
    z_stream z;
    struct sha256 sum;
    size_t rows;
    uint64_t bytes;
    uint8_t out[OUT_BYTES];
};

/* A line of the list of ids. */
struct id_line {
    char text[CRASH_ID_SIZE]; /* with a line end where the zero of a text would be */
};

struct partition {
    char *draft, *final;
    char day[16];
    struct partition_file *files[PRODUCTS_MAX];
    size_t n;
    size_t rows;
    VEC(struct id_line) ids;
};

char *partition_folder(const char *var_dir, const char *day, const char *suffix)
{
    char *out;
    if (asprintf(&out, "%s/telemetry/v2/socorro_crash/%scrash_date=%.4s-%.2s-%.2s", var_dir, suffix,
                 day, day + 4, day + 6) < 0)
        abort();
    return out;
}

bool partition_new(const char *var_dir, const char *day, struct partition **ret, struct err *err)
{
    struct partition *p = xcalloc(1, sizeof *p);
    snprintf(p->day, sizeof p->day, "%s", day);
    p->draft = partition_folder(var_dir, day, ".");
    p->final = partition_folder(var_dir, day, "");
    if (fs_remove_tree(p->draft, err) && fs_mkdirs(p->draft, FS_DIR_MODE, err)) {
        *ret = p;
        return true;
    }
    partition_free(p);
    return false;
}

static void file_free(struct partition_file *f)
{
    deflateEnd(&f->z);
    if (f->sum.ctx)
        sha256_release(&f->sum);
    if (f->fd >= 0)
        close(f->fd);
    free(f);
}

void partition_free(struct partition *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        file_free(p->files[i]);
    fs_remove_tree(p->draft, ERR_IGNORED);
    VEC_RELEASE(&p->ids);
    free(p->draft);
    free(p->final);
    free(p);
}

/*
 * Finds `"key":"` by its bytes, without a parser: a day has millions of records, all written by us
 * without blanks, and inside of a string the quotes around such a text would have backslashes.
 */
struct str partition_text_of(struct str record, const char *key_with_quotes)
{
    struct str key = str_of(key_with_quotes);
    size_t at = str_find(record, key, 0);
    if (at == SIZE_MAX || at + key.n + 2 > record.n || record.p[at + key.n] != ':' ||
        record.p[at + key.n + 1] != '"')
        return (struct str){0};
    size_t from = at + key.n + 2, to = from;
    while (to < record.n && record.p[to] != '"')
        to += record.p[to] == '\\' ? 2 : 1;
    return to < record.n ? str_sub(record, from, to - from) : (struct str){0};
}

/* Products are strangers' words: what could be more than the name of a file becomes "_". */
static void name_of_product(struct str product, char out[NAME_SIZE])
{
    size_t n = MIN(product.n, (size_t)PRODUCT_NAME_MAX);
    for (size_t i = 0; i < n; i++) {
        char c = product.p[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '-' || c == '_' || c == ' ' ||
                        (c == '.' && i > 0);
        out[i] = is_plain ? c : '_';
    }
    snprintf(out + n, NAME_SIZE - n, "%s.jsonl.gz", n ? "" : "unknown");
}

static struct partition_file *file_new(struct partition *p, const char *name, struct err *err)
{
    FREE_LATER char *path = NULL;
    struct partition_file *f = xcalloc(1, sizeof *f);
    snprintf(f->name, sizeof f->name, "%s", name);
    sha256_init(&f->sum);
    if (asprintf(&path, "%s/%s", p->draft, name) < 0)
        abort();
    f->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FS_FILE_MODE);
    if (f->fd < 0)
        err_errno(err, errno, "%s", path);
    else if (deflateInit2(&f->z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                          Z_DEFAULT_STRATEGY) != Z_OK)
        err_set(err, ERR_INTERNAL, "zlib cannot start");
    else
        return p->files[p->n++] = f;
    file_free(f);
    return NULL;
}

/* A search from the front: there are a dozen. */
static struct partition_file *file_of(struct partition *p, struct str record, struct err *err)
{
    char name[NAME_SIZE];
    name_of_product(partition_text_of(record, "\"product\""), name);
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->files[i]->name, name) == 0)
            return p->files[i];
    return p->n + 1 < PRODUCTS_MAX ? file_new(p, name, err) : p->files[p->n - 1];
}

/*
 * All of the input; with Z_FINISH until zlib has given everything back.  zlib collects some ten
 * thousand bytes before it gives any, so most calls write nothing.
 */
static bool squeeze(struct partition_file *f, struct str text, int flush, struct err *err)
{
    int status;
    f->z.next_in = (uint8_t *)(uintptr_t)text.p;
    f->z.avail_in = (unsigned)text.n;
    do {
        f->z.next_out = f->out;
        f->z.avail_out = sizeof f->out;
        status = deflate(&f->z, flush);
        size_t n = sizeof f->out - f->z.avail_out;
        if (status == Z_STREAM_ERROR)
            return err_set(err, ERR_INTERNAL, "%s: zlib cannot compress", f->name);
        sha256_add(&f->sum, f->out, n);
        f->bytes += n;
        if (n > 0 && !fs_write_all(f->fd, f->out, n, f->name, err))
            return false;
    } while (f->z.avail_in > 0 || (flush == Z_FINISH && status != Z_STREAM_END));
    return true;
}

struct str partition_id_of(struct str record)
{
    struct str id = partition_text_of(record, "\"crash_id\"");
    return id.n ? id : partition_text_of(record, "\"uuid\"");
}

static void note_id(struct partition *p, struct str id)
{
    struct id_line line;
    if (id.n != CRASH_ID_SIZE - 1)
        return;
    memcpy(line.text, id.p, id.n);
    line.text[id.n] = '\n';
    VEC_PUSH(&p->ids, line);
}

bool partition_add(struct partition *p, struct str record, struct err *err)
{
    struct partition_file *f = file_of(p, record, err);
    if (!f || !squeeze(f, record, Z_NO_FLUSH, err) || !squeeze(f, STR("\n"), Z_NO_FLUSH, err))
        return false;
    f->rows++;
    p->rows++;
    note_id(p, partition_id_of(record));
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct partition_file *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* On disk before the manifest that vouches for it. */
static bool file_end(struct partition_file *f, json_t *list, struct err *err)
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX + 1];
    if (!squeeze(f, STR(""), Z_FINISH, err))
        return false;
    if (fsync(f->fd) != 0)
        return err_errno(err, errno, "%s", f->name);
    sha256_finish(&f->sum, digest);
    f->sum.ctx = NULL;
    for (size_t i = 0; i < SHA256_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:s}", "name", f->name, "rows",
                                          (json_int_t)f->rows, "bytes", (json_int_t)f->bytes,
                                          "sha256", hex));
    return true;
}

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct id_line));
}

/* Before the manifest, as everything of the day. */
static bool write_ids(struct partition *p, struct err *err)
{
    FREE_LATER char *path = NULL;
    if (asprintf(&path, "%s/" IDS_NAME, p->draft) < 0)
        abort();
    if (p->ids.n > 0)
        qsort(p->ids.v, p->ids.n, sizeof *p->ids.v, by_id);
    return fs_write_atomic(path, p->ids.n ? p->ids.v[0].text : "", p->ids.n * sizeof *p->ids.v,
                           FS_FILE_MODE, err);
}

bool partition_has(const char *var_dir, const char *day, const char *crash_id, bool *ret,
                   struct err *err)
{
    FREE_LATER char *folder = partition_folder(var_dir, day, "");
    FREE_LATER char *path = NULL;
    struct id_line wanted, line;
    struct stat st;
    *ret = false;
    if (strlen(crash_id) != CRASH_ID_SIZE - 1)
        return true;
    memcpy(wanted.text, crash_id, sizeof wanted);
    wanted.text[CRASH_ID_SIZE - 1] = '\n';
    if (asprintf(&path, "%s/" IDS_NAME, folder) < 0)
        abort();
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return errno == ENOENT || errno == ENOTDIR || err_errno(err, errno, "%s", path);
    for (size_t from = 0, to = (size_t)st.st_size / sizeof line; from < to && !*ret;) {
        size_t middle = from + (to - from) / 2;
        if (pread(fd, &line, sizeof line, (off_t)(middle * sizeof line)) != (ssize_t)sizeof line)
            return err_set(err, ERR_DAMAGED, "%s ends too early", path);
        int c = by_id(&wanted, &line);
        *ret = c == 0;
        if (c > 0)
            from = middle + 1;
        else
            to = middle;
    }
    return true;
}

static bool write_manifest(struct partition *p, struct err *err)
{
    char date[16];
    FREE_LATER char *path = NULL;
    json_auto_t *list = json_array();
    qsort(p->files, p->n, sizeof *p->files, by_name);
    for (size_t i = 0; i < p->n; i++)
        if (!file_end(p->files[i], list, err))
            return false;
    snprintf(date, sizeof date, "%.4s-%.2s-%.2s", p->day, p->day + 4, p->day + 6);
    json_auto_t *manifest = json_pack("{s:s, s:O, s:i}", "date", date, "files", list,
                                      "schema_version", TELEMETRY_VERSION);
    size_t n;
    FREE_LATER char *text = jdump(manifest, &n);
    if (asprintf(&path, "%s/manifest.json", p->draft) < 0)
        abort();
    return fs_write_atomic(path, text, n, FS_FILE_MODE, err);
}

static bool sync_parent(const char *path, struct err *err)
{
    FREE_LATER char *parent = xstrdup(path);
    *strrchr(parent, '/') = '\0';
    return fs_sync_dir(parent, err);
}

/* The rename counts only when the folder above has it on disk, too. */
bool partition_publish(struct partition *p, size_t *ret_rows, size_t *ret_files, struct err *err)
{
    if (!write_ids(p, err) || !write_manifest(p, err) || !fs_take_place(p->draft, p->final, err) ||
        !sync_parent(p->final, err))
        return false;
    *ret_rows = p->rows;
    *ret_files = p->n;
    return true;
}

bool partition_manifest(const char *var_dir, const char *day, json_t **ret, struct err *err)
{
    FREE_LATER char *folder = partition_folder(var_dir, day, "");
    FREE_LATER char *path = NULL, *text = NULL;
    size_t n;
    if (asprintf(&path, "%s/manifest.json", folder) < 0)
        abort();
    if (!fs_read(path, MANIFEST_BYTES_MAX, &text, &n, err))
        return false;
    *ret = jparse(str_n(text, n), MANIFEST_BYTES_MAX, err);
    return *ret || err_set(err, ERR_DAMAGED, "%s: not JSON", path);
}

/* What is not whole lines in a whole gzip file is damage, since we have written it. */
bool partition_read(const char *var_dir, const char *day, const char *name,
                    bool (*each)(void *arg, struct str line, struct err *err), void *arg,
                    struct err *err)
{
    FREE_LATER char *folder = partition_folder(var_dir, day, "");
    FREE_LATER char *path = NULL;
    /* A line grows by doubling; a record is never longer than the document it was made from. */
    size_t size = OUT_BYTES, have = 0;
    FREE_LATER char *line = xmalloc(size);
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        abort();
    gzFile in = gzopen(path, "rbe");
    if (!in)
        return err_errno(err, errno ? errno : ENOMEM, "%s", path);
    bool ok = true;
    while (ok && gzgets(in, line + have, (int)(size - have))) {
        have += strlen(line + have);
        if (have > 0 && line[have - 1] == '\n') {
            ok = each(arg, str_n(line, have - 1), err);
            have = 0;
        } else if (have + 1 == size && size < JSON_BYTES_MAX) {
            size *= 2;
            line = xrealloc(line, size);
        } else {
            break;
        }
    }
    if (ok && (have > 0 || !gzeof(in)))
        ok = err_set(err, ERR_DAMAGED, "%s: not whole lines in a whole gzip file", path);
    gzclose(in);
    return ok;
}
