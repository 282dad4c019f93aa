/*
 * The files are a promise to scripts: names and shapes are those that the analysis of Firefox
 * crashes has published for years, compressed, one folder per product.
 *
 * A product's files are written into a folder beside it that is then exchanged with the old one,
 * in one step of the file system; a job that is killed leaves a folder that the next run removes.
 * So readers find the files of one night together: all.json names the totals that the shares in the
 * others were made of, and a mixture of two nights would be wrong without looking so.
 *
 * Names of products and channels are strangers' texts (they come with reports) and become names of
 * folders here.  Both directions pass correlation_name_is_safe: a writer refuses a name that could
 * leave the folder, a reader says that there is no such file.  Signatures, which may hold anything,
 * are file names by their SHA-1, as in the analysis whose place these files take.
 */
#include "lib/correlations/correlation_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/gzip.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"

enum {
    SHA1_BYTES = 20, /* a name and no protection: who finds two texts with one sum gains nothing */
    NAME_BYTES_MAX = 100, /* products and channels have a word or two */
    /* A result has some 300 bytes; thousands of them are more than anybody reads. */
    FILE_BYTES_MAX = 16 << 20,
    GZIP_WINDOW = MAX_WBITS + 16, /* zlib's way to ask for gzip */
};
static const char suffix_new[] = ".new"; /* no product is called so: a name has no such end */

/* Letters, digits and what stands in names of products; nothing that a path could be made of. */
bool correlation_name_is_safe(struct str name)
{
    if (name.n == 0 || name.n > NAME_BYTES_MAX || name.p[0] == '.' || name.p[0] == ' ' ||
        str_ends(name, str_of(suffix_new)))
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  strchr(" ._-+()", c);
        if (!ok || c == '\0')
            return false;
    }
    return true;
}

void correlation_file_name(struct str signature, char out[CORRELATION_FILE_SIZE])
{
    uint8_t digest[SHA1_BYTES];
    if (EVP_Digest(signature.p ? signature.p : "", signature.n, digest, NULL, EVP_sha1(), NULL) !=
        1)
        abort(); /* only without memory */
    for (size_t i = 0; i < SHA1_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    snprintf(out + 2 * SHA1_BYTES, sizeof ".json.gz", ".json.gz");
}

struct correlation_writer {
    char *final, *draft; /* folders */
};

static char *folder(const char *var_dir, struct str name, const char *suffix)
{
    char *out;
    if (asprintf(&out, "%s/correlations/" STR_FMT "%s", var_dir, STR_ARG(name), suffix) < 0)
        abort();
    return out;
}

/* Nothing of the old files is touched before correlation_writer_commit. */
bool correlation_writer_new(const char *var_dir, struct str product,
                            struct correlation_writer **ret, struct err *err)
{
    if (!correlation_name_is_safe(product))
        return err_set(err, ERR_INVALID, "no folder can have the name of this product");
    struct correlation_writer *w = xcalloc(1, sizeof *w);
    w->final = folder(var_dir, product, "");
    w->draft = folder(var_dir, product, suffix_new);
    *ret = w;
    if (fs_remove_tree(w->draft, err) && fs_mkdirs(w->draft, FS_DIR_MODE, err))
        return true;
    correlation_writer_free(w);
    return false;
}

void correlation_writer_free(struct correlation_writer *w)
{
    if (!w)
        return;
    fs_remove_tree(w->draft, ERR_IGNORED);
    free(w->final);
    free(w->draft);
    free(w);
}

static bool write_json(const char *path, const json_t *document, struct err *err)
{
    size_t n, packed_n = 0;
    FREE_LATER char *text = jdump(document, &n);
    FREE_LATER char *packed = NULL;
    if (n > FILE_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s: %zu bytes of correlations", path, n);
    return gzip_pack(str_n(text, n), GZIP_SMALL, &packed, &packed_n, err) &&
           fs_write_atomic(path, packed, packed_n, FS_FILE_MODE, err);
}

bool correlation_write(struct correlation_writer *w, struct str channel, struct str signature,
                       const json_t *document, struct err *err)
{
    char name[CORRELATION_FILE_SIZE];
    FREE_LATER char *path = NULL;
    if (!correlation_name_is_safe(channel))
        return err_set(err, ERR_INVALID, "no folder can have the name of this channel");
    correlation_file_name(signature, name);
    if (asprintf(&path, "%s/" STR_FMT "/%s", w->draft, STR_ARG(channel), name) < 0)
        abort();
    return write_json(path, document, err);
}

/* Behind the exchange the draft is the folder of the last night, and goes. */
bool correlation_writer_commit(struct correlation_writer *w, const json_t *all, struct err *err)
{
    FREE_LATER char *path = NULL;
    if (asprintf(&path, "%s/all.json.gz", w->draft) < 0)
        abort();
    return write_json(path, all, err) && fs_take_place(w->draft, w->final, err) &&
           fs_remove_tree(w->draft, err);
}

/* What a product has left that has no crashes any more; names that begin with '.' are not ours. */
bool correlation_files_keep(const char *var_dir, struct strs products, struct err *err)
{
    FREE_LATER char *dir = folder(var_dir, STR(""), "");
    DIR *d = opendir(dir);
    bool ok = true;
    for (struct dirent *e; d && ok && (e = readdir(d));) {
        bool is_kept = e->d_name[0] == '.' || strs_have(products, str_of(e->d_name));
        FREE_LATER char *path = is_kept ? NULL : folder(var_dir, str_of(e->d_name), "");
        ok = is_kept || fs_remove_tree(path, err);
    }
    if (d)
        closedir(d);
    return ok;
}

/* What a reader may ask for, every part checked as a name: "PRODUCT/all.json.gz" or
 * "PRODUCT/CHANNEL/SHA1.json.gz". */
static bool is_file_path(struct str rest)
{
    struct str part;
    size_t parts = 0;
    while (str_split(&rest, '/', &part)) {
        if (++parts > 3 || !correlation_name_is_safe(part))
            return false;
    }
    return parts >= 2 && str_ends(part, STR(".json.gz"));
}

static bool file_path(const char *var_dir, struct str rest, char **ret, struct err *err)
{
    if (!is_file_path(rest))
        return err_set(err, ERR_NOT_FOUND, "there is no such file of correlations");
    *ret = folder(var_dir, rest, "");
    return true;
}

bool correlation_file_open(const char *var_dir, struct str rest, int *ret_fd, struct err *err)
{
    FREE_LATER char *path = NULL;
    if (!file_path(var_dir, rest, &path, err))
        return false;
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*ret_fd >= 0)
        return true;
    if (errno == ENOENT || errno == ENOTDIR)
        return err_set(err, ERR_NOT_FOUND, "there is no such file of correlations");
    return err_errno(err, errno, "%s", path);
}

/* We have packed it, so what does not unpack, or to more than was ever written, is damage. */
static bool unpack(const char *path, struct str packed, char **ret, size_t *ret_n, struct err *err)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)packed.p, .avail_in = (unsigned)packed.n};
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
        return err_set(err, ERR_INTERNAL, "zlib cannot start");
    char *text = xmalloc(FILE_BYTES_MAX + 1);
    z.next_out = (uint8_t *)text;
    z.avail_out = FILE_BYTES_MAX;
    int status = inflate(&z, Z_FINISH);
    *ret_n = z.total_out;
    inflateEnd(&z);
    if (status != Z_STREAM_END) {
        free(text);
        return err_set(err, ERR_DAMAGED, "%s: not a whole gzip file", path);
    }
    text[*ret_n] = '\0';
    *ret = text;
    return true;
}

bool correlation_file_text(const char *var_dir, struct str rest, char **ret, size_t *ret_n,
                           struct err *err)
{
    FREE_LATER char *path = NULL;
    FREE_LATER char *packed = NULL;
    size_t n;
    return file_path(var_dir, rest, &path, err) &&
           fs_read(path, FILE_BYTES_MAX, &packed, &n, err) &&
           unpack(path, str_n(packed, n), ret, ret_n, err);
}

static bool load_json(const char *var_dir, const char *rest, json_t **ret, struct err *err)
{
    FREE_LATER char *text = NULL;
    size_t n;
    if (!correlation_file_text(var_dir, str_of(rest), &text, &n, err))
        return false;
    *ret = jparse(str_n(text, n), FILE_BYTES_MAX, err);
    if (!*ret)
        return err_set(err, ERR_DAMAGED, "%s: not JSON", rest);
    return true;
}

bool correlation_totals(const char *var_dir, struct str product, json_t **ret, struct err *err)
{
    FREE_LATER char *rest = NULL;
    if (asprintf(&rest, STR_FMT "/all.json.gz", STR_ARG(product)) < 0)
        abort();
    return load_json(var_dir, rest, ret, err);
}

/* The date stands in all.json alone; whoever shows one document wants to say how old it is. */
bool correlation_load(const char *var_dir, struct str product, struct str channel,
                      struct str signature, json_t **ret, struct err *err)
{
    json_auto_t *all = NULL;
    char name[CORRELATION_FILE_SIZE];
    FREE_LATER char *rest = NULL;
    correlation_file_name(signature, name);
    if (asprintf(&rest, STR_FMT "/" STR_FMT "/%s", STR_ARG(product), STR_ARG(channel), name) < 0)
        abort();
    if (!correlation_totals(var_dir, product, &all, err) || !load_json(var_dir, rest, ret, err))
        return false;
    json_object_set(*ret, "date", json_object_get(all, "date"));
    return true;
}
