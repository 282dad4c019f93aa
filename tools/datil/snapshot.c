/*
 * The pieces of a snapshot: its manifest, copies with checksums, and PostgreSQL's own programs.
 *
 * The manifest is text, so that a person can check a snapshot without us: each line of a file is
 * "file SHA256 SIZE MTIME_NS PATH".  Its last line holds the number of files and the checksum of
 * all lines before it, so a manifest that was cut or changed is noticed.
 */
#include "tools/datil/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/conf.h"
#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

enum {
    COPY_BYTES = 256 << 10, /* chosen: one read and write for most dumps, and no gain beyond */
    MANIFEST_MAX = 1 << 30, /* some four million files */
};

/*
 * The spool before the store: a report that leaves it meanwhile is in the store by the time that
 * is copied.  The database comes before both (cmd_backup.c), so that what it knows of is there.
 * Public records go from the store into files of days, which therefore come last.
 */
const struct snapshot_part snapshot_parts[] = {
    {"config", CONF_DATIL_VAR, "/config"},
    {"spool", CONF_SPOOL_DIR, ""},
    {"symbols", CONF_SYMBOLS_DIR, ""},
    {"store", CONF_CRASHMOVER_CRASHSTORAGE_FS_ROOT, ""},
    {"telemetry", CONF_DATIL_VAR, "/telemetry"},
};
const size_t snapshot_part_count = ARRAY_LEN(snapshot_parts);

void snapshot_part_dir(const struct app *app, const struct snapshot_part *p, char out[4096])
{
    snprintf(out, 4096, "%s%s", conf_text(&app->conf, p->key), p->suffix);
}

void manifest_add(struct manifest *m, const char *path, const struct snapshot_entry *facts)
{
    struct snapshot_entry e = *facts;
    e.path = xstrdup(path);
    VEC_PUSH(&m->entries, e);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct snapshot_entry *)a)->path,
                  ((const struct snapshot_entry *)b)->path);
}

void manifest_sort(struct manifest *m)
{
    if (m->entries.n)
        qsort(m->entries.v, m->entries.n, sizeof *m->entries.v, by_path);
}

const struct snapshot_entry *manifest_find(const struct manifest *m, const char *path)
{
    struct snapshot_entry key = {.path = (char *)path}; /* only compared */
    return m->entries.n ? bsearch(&key, m->entries.v, m->entries.n, sizeof *m->entries.v, by_path)
                        : NULL;
}

void manifest_release(struct manifest *m)
{
    for (size_t i = 0; i < m->entries.n; i++)
        free(m->entries.v[i].path);
    VEC_RELEASE(&m->entries);
}

/*
 * The last line has the number of files and the checksum of all before it, so a manifest that was
 * cut off, at the end of a line even, is known as one.
 */
bool manifest_write(const struct manifest *m, const char *dir, struct err *err)
{
    char path[PATH_MAX], sum[SHA256_HEX + 1];
    STRBUF_AUTO b;
    sb_init(&b, MANIFEST_MAX);
    sb_printf(&b, "datil-backup %lld\nversion %s\ninstallation %s\nschema %s\ncreated %s\n",
              (long long)m->format, m->version, m->installation, m->schema, m->created);
    for (size_t i = 0; i < m->entries.n; i++) {
        const struct snapshot_entry *e = &m->entries.v[i];
        sb_printf(&b, "file %s %lld %lld %s\n", e->sha256, (long long)e->size,
                  (long long)e->mtime_ns, e->path);
    }
    sha256_hex(b.p, b.n, sum);
    sb_printf(&b, "end %zu %s\n", m->entries.n, sum);
    snprintf(path, sizeof path, "%s/manifest", dir);
    return fs_write_atomic(path, b.p, b.n, 0600, err);
}

/* A manifest may come from elsewhere: what it names must stay below the folder it is
 * restored to. */
static bool path_is_safe(struct str path)
{
    struct str rest = path, piece;
    if (path.n == 0 || path.n >= PATH_MAX / 2 || path.p[0] == '/')
        return false;
    while (str_split(&rest, '/', &piece))
        if (piece.n == 0 || str_eq(piece, STR("..")) || str_eq(piece, STR(".")))
            return false;
    return true;
}

static bool read_file_line(struct manifest *m, struct str line)
{
    struct str sum, size, mtime;
    struct snapshot_entry e = {0};
    if (!str_split(&line, ' ', &sum) || sum.n != SHA256_HEX || !str_split(&line, ' ', &size) ||
        !str_split(&line, ' ', &mtime) || !path_is_safe(line) ||
        !str_to_i64(size, 0, INT64_MAX, "size", &e.size, ERR_IGNORED) ||
        !str_to_i64(mtime, INT64_MIN, INT64_MAX, "time", &e.mtime_ns, ERR_IGNORED))
        return false;
    memcpy(e.sha256, sum.p, SHA256_HEX);
    FREE_LATER char *path = str_dup(line);
    manifest_add(m, path, &e);
    return true;
}

/* A word that is not known is an error, unless the head names a later format (manifest_read). */
static bool read_line(struct manifest *m, struct str line)
{
    const struct {
        const char *word;
        char *into;
        size_t size;
    } texts[] = {{"version", m->version, sizeof m->version},
                 {"installation", m->installation, sizeof m->installation},
                 {"schema", m->schema, sizeof m->schema},
                 {"created", m->created, sizeof m->created}};
    struct str word;
    if (!str_split(&line, ' ', &word))
        return false;
    if (str_eq(word, STR("file")))
        return read_file_line(m, line);
    if (str_eq(word, STR("datil-backup")))
        return str_to_i64(line, 1, INT32_MAX, "format", &m->format, ERR_IGNORED);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (str_eq(word, str_of(texts[i].word)) && line.n < texts[i].size) {
            snprintf(texts[i].into, texts[i].size, STR_FMT, STR_ARG(line));
            return true;
        }
    return false;
}

/* The text without its last line, if that line fits to it. */
static bool check_last_line(struct str text, struct str *ret_body, size_t *ret_count)
{
    char sum[SHA256_HEX + 1];
    if (text.n == 0 || text.p[text.n - 1] != '\n')
        return false;
    size_t before = str_rfind_char(str_sub(text, 0, text.n - 1), '\n');
    if (before == SIZE_MAX)
        return false;
    struct str body = str_sub(text, 0, before + 1),
               last = str_trim(str_sub(text, before + 1, SIZE_MAX));
    struct str word, count;
    uint64_t n;
    sha256_hex(body.p, body.n, sum);
    if (!str_split(&last, ' ', &word) || !str_eq(word, STR("end")) ||
        !str_split(&last, ' ', &count) ||
        !str_to_u64(count, 10, SIZE_MAX, "files", &n, ERR_IGNORED) || !str_eq(last, str_of(sum)))
        return false;
    *ret_body = body;
    *ret_count = n;
    return true;
}

/* Of a later format only the checksum and the head are looked at; the caller refuses it by its
 * number. */
bool manifest_read(const char *dir, struct manifest *ret, struct err *err)
{
    char path[PATH_MAX];
    FREE_LATER char *text = NULL;
    size_t n, count = 0;
    struct manifest m = {0};
    struct str body, line;
    snprintf(path, sizeof path, "%s/manifest", dir);
    if (!fs_read(path, MANIFEST_MAX, &text, &n, err))
        return false;
    bool ok = check_last_line(str_n(text, n), &body, &count);
    while (ok && str_split(&body, '\n', &line))
        ok = line.n == 0 || read_line(&m, line) || m.format > SNAPSHOT_FORMAT;
    if (!ok || (m.format <= SNAPSHOT_FORMAT && m.entries.n != count)) {
        manifest_release(&m);
        return err_set(err, ERR_DAMAGED, "%s is damaged", path);
    }
    manifest_sort(&m);
    *ret = m;
    return true;
}

/* The newest migration of this release: an older one cannot restore what a newer one has saved. */
bool snapshot_schema(char out[128], struct err *err)
{
    char dir[PATH_MAX];
    struct dirent **list = NULL;
    snprintf(dir, sizeof dir, "%s/migrations", fs_share_dir());
    int n = scandir(dir, &list, NULL, alphasort);
    if (n <= 0)
        return err_errno(err, errno, "migrations in %s", dir);
    snprintf(out, 128, "%s", list[n - 1]->d_name);
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
    return true;
}

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/*
 * Reads fd to its end into the checksum and, if out >= 0, into out.  Copy and checksum in one go:
 * what the manifest says is what was read, even if the file changes a moment later.
 */
static bool pump(int in, int out, const char *name, struct snapshot_entry *e, struct err *err)
{
    FREE_LATER char *buf = xmalloc(COPY_BYTES);
    struct sha256 sha;
    uint8_t digest[SHA256_BYTES];
    ssize_t got;
    bool ok = true;
    sha256_init(&sha);
    while (ok && (got = read(in, buf, COPY_BYTES)) != 0) {
        if (got < 0) {
            ok = errno == EINTR || err_errno(err, errno, "reading %s", name);
            continue;
        }
        sha256_add(&sha, buf, (size_t)got);
        e->size += got;
        ok = out < 0 || fs_write_all(out, buf, (size_t)got, name, err);
    }
    sha256_finish(&sha, digest);
    hex_encode(digest, sizeof digest, e->sha256);
    e->sha256[SHA256_HEX] = '\0';
    return ok;
}

/*
 * No links are followed: the copy would hold what the link points at, from anywhere.  The time is
 * taken before the first byte is read, so a file that is written meanwhile does not look like a
 * whole one of the later time.
 */
static int open_original(const char *path, struct snapshot_entry *e, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(err, ERR_NOT_FOUND, "%s is gone", path), -1;
    if (fd < 0 || fstat(fd, &st) != 0) {
        err_errno(err, errno, "opening %s", path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    e->mtime_ns = ns_of(st.st_mtim);
    return fd;
}

bool snapshot_hash(const char *path, struct snapshot_entry *ret, struct err *err)
{
    struct snapshot_entry e = {0};
    FD_AUTO fd = open_original(path, &e, err);
    if (fd < 0 || !pump(fd, -1, path, &e, err))
        return false;
    *ret = e;
    return true;
}

/*
 * The time of the original goes along; with size and checksum it tells the next backup that nothing
 * changed.
 */
bool snapshot_copy(const char *from, const char *to, mode_t mode, struct snapshot_entry *ret,
                   struct err *err)
{
    struct snapshot_entry e = {0};
    FD_AUTO in = open_original(from, &e, err);
    if (in < 0)
        return false;
    FD_AUTO out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (out < 0)
        return err_errno(err, errno, "creating %s", to);
    struct timespec t[2] = {{.tv_nsec = UTIME_OMIT},
                            {e.mtime_ns / 1000000000, e.mtime_ns % 1000000000}};
    if (!pump(in, out, from, &e, err))
        return false;
    if (futimens(out, t) != 0)
        return err_errno(err, errno, "time of %s", to);
    *ret = e;
    return true;
}

/*
 * The connection string as the variables that libpq reads: passwords are in no process list.
 * PQconninfoParse gives the variable of each key itself (o->envvar).
 */
static void export_connection(const char *conninfo)
{
    char *problem = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &problem);
    for (PQconninfoOption *o = options; o && o->keyword; o++)
        if (o->envvar && o->val)
            setenv(o->envvar, o->val, 1);
    PQconninfoFree(options);
    PQfreemem(problem);
}

/*
 * The variables are set in the child alone.  Status 127 is what a shell gives, too, when a program
 * is not there.
 */
bool snapshot_pg(struct app *app, char *const argv[], struct err *err)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(err, errno, "starting %s", argv[0]);
    if (pid == 0) {
        export_connection(conf_text(&app->conf, CONF_DATABASE_URL));
        execvp(argv[0], argv);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return err_set(err, ERR_NOT_FOUND, "%s is not installed (package postgresql-client)",
                       argv[0]);
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           err_set(err, ERR_UNAVAILABLE, "%s failed; what it said stands above", argv[0]);
}

bool snapshot_check_folder(const char *dir, struct err *err)
{
    struct stat st;
    if (stat(dir, &st) != 0)
        return err_errno(err, errno, "looking at %s", dir);
    if (st.st_mode & S_IWOTH)
        return err_set(err, ERR_INVALID,
                       "everybody may write into %s: whatever is restored from there could be "
                       "anybody's; `chmod o-w %s` first",
                       dir, dir);
    return true;
}
