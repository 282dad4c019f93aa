#include "symfile/symzip.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "base/fs.h"
#include "base/rd.h"
#include "base/util.h"

enum {
    MEMBERS_MAX = 10000,
    UNCOMPRESSED_MAX_GIB = 20,
    END_SIGNATURE = 0x06054b50,
    END_SIZE = 22, /* end of central directory record without comment */
    LOCATOR_SIGNATURE = 0x07064b50,
    LOCATOR_SIZE = 20,
    END64_SIGNATURE = 0x06064b50,
    END64_SIZE = 56,
    ENTRY_SIZE = 46, /* least size of a directory entry */
    TAIL_MAX = LOCATOR_SIZE + END_SIZE + 0xffff,
    DIRECTORY_MAX = 16 << 20, /* bytes of the central directory: libzip reads all of it */
    BUFFER = 1 << 16,
};

static bool not_zip(struct err *err)
{
    return err_set(err, ERR_INVALID, "File is not a zip file");
}

/* What an end record announces: libzip allocates for it before it reads. */
static bool check_directory(uint64_t entries, uint64_t bytes, struct err *err)
{
    if (bytes <= DIRECTORY_MAX && entries <= DIRECTORY_MAX / ENTRY_SIZE)
        return true;
    return err_set(err, ERR_INVALID, "archive with a directory of %llu entries in %llu bytes",
                   (unsigned long long)entries, (unsigned long long)bytes);
}

/* The ZIP64 end record, found by the locator that stands before the plain one. */
static bool check_end64(int fd, const uint8_t *locator, struct err *err)
{
    uint8_t end[END64_SIZE];
    if (rd_le32(locator) != LOCATOR_SIGNATURE)
        return true;
    if (pread(fd, end, sizeof end, (off_t)(rd_le64(locator + 8) & INT64_MAX)) != sizeof end ||
        rd_le32(end) != END64_SIGNATURE)
        return not_zip(err);
    return check_directory(rd_le64(end + 32), rd_le64(end + 40), err);
}

/* Whatever could be an end record is looked at: libzip may take any of them. */
static bool check_ends(int fd, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_errno(err, errno, "archive");
    size_t n = (size_t)MIN(st.st_size, (off_t)TAIL_MAX);
    FREE_LATER uint8_t *tail = xmalloc(n);
    if (n < END_SIZE || pread(fd, tail, n, st.st_size - (off_t)n) != (ssize_t)n)
        return not_zip(err);
    size_t ends = 0;
    for (size_t i = 0; i + END_SIZE <= n; i++) {
        const uint8_t *end = tail + i;
        if (rd_le32(end) != END_SIGNATURE)
            continue;
        ends++;
        uint32_t bytes = rd_le32(end + 12);
        if (bytes != UINT32_MAX && !check_directory(rd_le16(end + 10), bytes, err))
            return false;
        if (i >= LOCATOR_SIZE && !check_end64(fd, end - LOCATOR_SIZE, err))
            return false;
    }
    return ends > 0 || not_zip(err);
}

static bool open_zip(const char *path, zip_t **ret, struct err *err)
{
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "opening %s", path);
    if (!check_ends(fd, err))
        return false;
    int code = 0;
    zip_t *z = zip_fdopen(fd, 0, &code);
    if (!z)
        return not_zip(err);
    (void)TAKE_FD(fd); /* libzip closes it */
    *ret = z;
    return true;
}

/* ---- members ------------------------------------------------------------------------------- */
typedef bool piece_fn(void *arg, const void *p, size_t n, struct err *err);

/* Inflates one member; the checksum is compared at its end. */
static bool read_member(zip_t *z, const struct symzip_member *m, piece_fn *piece, void *arg,
                        struct err *err)
{
    zip_file_t *f = zip_fopen_index(z, m->index, 0);
    if (!f)
        return err_set(err, ERR_INVALID, "cannot read '%s': %s", m->name, zip_strerror(z));
    FREE_LATER char *buf = xmalloc(BUFFER);
    uint64_t total = 0;
    bool ok = true;
    for (zip_int64_t got; ok && (got = zip_fread(f, buf, BUFFER)) != 0;) {
        total += got > 0 ? (uint64_t)got : 0;
        if (got < 0 && zip_error_code_zip(zip_file_get_error(f)) == ZIP_ER_CRC)
            ok = err_set(err, ERR_INVALID, "Bad CRC-32 for file '%s'", m->name);
        else if (got < 0)
            ok = err_set(err, ERR_INVALID, "cannot read '%s': %s", m->name, zip_file_strerror(f));
        else if (total > m->size)
            ok = err_set(err, ERR_INVALID, "'%s' is larger than the archive says", m->name);
        else
            ok = piece(arg, buf, (size_t)got, err);
    }
    zip_fclose(f);
    if (ok && total != m->size)
        ok = err_set(err, ERR_INVALID, "'%s' is smaller than the archive says", m->name);
    return ok;
}

static bool drop_piece(void *arg, const void *p, size_t n, struct err *err)
{
    (void)arg;
    (void)p;
    (void)n;
    (void)err;
    return true;
}

static bool add_member(struct symzip *z, uint64_t index, uint64_t *total,
                       const struct symzip_limits *limits, struct err *err)
{
    zip_stat_t st;
    if (zip_stat_index(z->zip, index, 0, &st) != 0 || !(st.valid & ZIP_STAT_NAME) ||
        !(st.valid & ZIP_STAT_SIZE))
        return not_zip(err);
    if (str_ends(str_of(st.name), STR("/")))
        return true; /* a directory */
    if ((st.valid & ZIP_STAT_ENCRYPTION_METHOD) && st.encryption_method != ZIP_EM_NONE)
        return err_set(err, ERR_INVALID, "'%s' is encrypted", st.name);
    if ((st.valid & ZIP_STAT_COMP_METHOD) && st.comp_method != ZIP_CM_STORE &&
        st.comp_method != ZIP_CM_DEFLATE)
        return err_set(err, ERR_INVALID,
                       "'%s' uses compression method %u, known are stored and deflate", st.name,
                       st.comp_method);
    uint64_t max =
        limits->max_uncompressed ? limits->max_uncompressed : (uint64_t)UNCOMPRESSED_MAX_GIB << 30;
    if (st.size > max - MIN(*total, max))
        return err_set(err, ERR_INVALID, "the archive holds more than %llu bytes",
                       (unsigned long long)max);
    *total += st.size;
    VEC_PUSH(&z->members,
             ((struct symzip_member){.name = st.name, .index = index, .size = st.size}));
    return true;
}

static bool list_members(struct symzip *z, const struct symzip_limits *limits, struct err *err)
{
    uint64_t max = limits->max_members ? limits->max_members : MEMBERS_MAX;
    zip_int64_t n = zip_get_num_entries(z->zip, 0);
    if (n < 0 || (uint64_t)n > max)
        return err_set(err, ERR_INVALID, "the archive has %lld members, allowed are %llu",
                       (long long)n, (unsigned long long)max);
    uint64_t total = 0;
    for (uint64_t i = 0; i < (uint64_t)n; i++)
        if (!add_member(z, i, &total, limits, err))
            return false;
    for (size_t i = 0; i < z->members.n; i++)
        if (!read_member(z->zip, &z->members.v[i], drop_piece, NULL, err))
            return false;
    return true;
}

/* ---- names --------------------------------------------------------------------------------------
 */
static int by_name(const void *a, const void *b)
{
    const struct symzip_member *x = *(struct symzip_member *const *)a;
    const struct symzip_member *y = *(struct symzip_member *const *)b;
    int c = strcmp(x->name, y->name);
    return c ? c : (x->index > y->index) - (x->index < y->index);
}

/* Of two members of one name and size the last counts. */
static bool drop_duplicates(struct symzip *z, struct err *err)
{
    size_t n = z->members.n;
    FREE_LATER struct symzip_member **sorted = xcalloc(n, sizeof *sorted);
    FREE_LATER bool *drop = xcalloc(n, sizeof *drop);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &z->members.v[i];
    qsort(sorted, n, sizeof *sorted, by_name);
    for (size_t i = 1; i < n; i++) {
        const struct symzip_member *a = sorted[i - 1], *b = sorted[i];
        if (strcmp(a->name, b->name) != 0)
            continue;
        if (a->size != b->size)
            return err_set(err, ERR_INVALID,
                           "The zipfile buffer contains two files both called %s and they have "
                           "difference sizes (%llu != %llu)",
                           b->name, (unsigned long long)b->size, (unsigned long long)a->size);
        drop[a - z->members.v] = true;
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!drop[i])
            z->members.v[kept++] = z->members.v[i];
    z->members.n = kept;
    return true;
}

static bool has_snippet(struct str name, struct str snippets, struct str *ret)
{
    struct str one;
    while (str_split(&snippets, ',', &one)) {
        one = str_trim(one);
        if (one.n && str_find(name, one, 0) != SIZE_MAX) {
            *ret = one;
            return true;
        }
    }
    return false;
}

static bool is_ignored(struct str name)
{
    size_t slash = str_rfind_char(name, '/');
    if (slash != SIZE_MAX)
        return str_eq(str_sub(name, slash + 1, SIZE_MAX), STR(".DS_Store"));
    struct str tail = STR("-symbols.txt");
    return str_eq(name, STR(".DS_Store")) ||
           (name.n >= tail.n && str_eq_nocase(str_sub(name, name.n - tail.n, tail.n), tail));
}

static bool check_name(struct symzip_member *m, struct str snippets, struct err *err)
{
    struct str name = str_of(m->name), snippet;
    if (has_snippet(name, snippets, &snippet))
        return err_set(err, ERR_INVALID,
                       "Content of archive file contains the snippet '" STR_FMT
                       "' which is not allowed",
                       STR_ARG(snippet));
    m->is_ignored = is_ignored(name);
    if (!m->is_ignored && !symkey_parse(name, &m->key, NULL))
        return err_set(err, ERR_INVALID,
                       "Unrecognized file pattern. Should only be <module>/<hex>/<file> or "
                       "<name>-symbols.txt and nothing else. (First unrecognized pattern was "
                       "'%.80s')",
                       m->name);
    return true;
}

bool symzip_open(const char *path, const struct symzip_limits *limits, struct symzip *ret,
                 struct err *err)
{
    struct symzip z = {0};
    zip_t *zip = NULL;
    if (!open_zip(path, &zip, err))
        return false;
    z.zip = zip;
    bool ok = list_members(&z, limits, err) && drop_duplicates(&z, err);
    for (size_t i = 0; ok && i < z.members.n; i++)
        ok = check_name(&z.members.v[i], limits->snippets, err);
    if (!ok) {
        symzip_close(&z);
        return false;
    }
    *ret = z;
    return true;
}

void symzip_close(struct symzip *z)
{
    if (z->zip)
        zip_discard(z->zip);
    VEC_RELEASE(&z->members);
    z->zip = NULL;
}

static bool write_piece(void *arg, const void *p, size_t n, struct err *err)
{
    return fs_write_all(*(int *)arg, p, n, "symbols file", err);
}

bool symzip_read(struct symzip *z, const struct symzip_member *m, const char *temp_dir,
                 struct symtext *ret, struct err *err)
{
    FD_AUTO fd = -1;
    return symtext_temp(temp_dir, &fd, err) && read_member(z->zip, m, write_piece, &fd, err) &&
           symtext_map(fd, ret, err);
}
