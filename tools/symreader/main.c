/*
 * datil-symreader: reads symbol files and archives of strangers for the programs that store and
 * use them (symfile/symreader.h), and does nothing else.
 *
 * It is started with an archive or a text, and a socket.  Before it looks at the first byte it
 * gives up everything but memory, the descriptors it has and those it is sent.  The directory of an
 * archive has to be checked before its members can be loaded.
 *
 * Requests are read one after the other until the socket closes; symwire.h has them.  One text is
 * current at a time, and what is asked about it is answered from memory: writing and compiling
 * read the mapping of the input, a scratch file, or a block of a small member.  After LOAD has
 * failed there is none, and what was asked ahead about it is refused until the next LOAD.
 *
 * A failure of the process is an answer, too: the parent learns from the signal that a limit of
 * the sandbox was reached (symreader.c).  So nothing is cleaned up here, and memory that
 * cannot be had aborts.
 */
#include <errno.h>
#include <malloc.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "lib/base/err.h"
#include "lib/base/fs.h"
#include "lib/base/rd.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/sandbox/sandbox.h"
#include "lib/symfile/csym.h"
#include "lib/symfile/symbytes.h"
#include "lib/symfile/symforbid.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symwire.h"
#include "lib/symfile/symzip.h"

/*
 * FILES: input, socket, scratch file and the few that a request brings along; the rest is room.
 * CPU_S is chosen: whoever asks gives up earlier (symreader.c, 35 minutes for the largest text), so
 * it ends only a reader that nobody waits for.  KEPT_BLOCK is above the buffers of zlib and zstd
 * for a small member, KEPT a few of them; keep_small_memory() has what they are for.
 */
enum { FILES = 16, CPU_S = 3600, KEPT_BLOCK = 1 << 20, KEPT = 16 << 20 };
/* A text of 8 GiB compiles in less than 3 GiB; measured: 0.3 of the text (tests/bench/csym). */
static const int64_t MEMORY_MAX = INT64_C(4) << 30;
/* Beside the input: the scratch file of a text, and a stored file to compare with. */
static const int64_t MAPPED_MAX = INT64_C(32) << 30;

struct text_reader {
    struct symbytes input;
    struct symzip zip;
    struct symbytes text;         /* the current one */
    struct symzip_member *member; /* that it is, or NULL */
    bool is_input;                /* the current text is the input itself */
    bool is_input_unpacked;       /* it is that of the input, which is one gzip file */
    bool has_text;                /* a text is loaded: requests come without waiting for answers */
};

static void refuse(const struct err *why)
{
    struct symwire_out out = {0};
    symwire_u8(&out, SYMWIRE_ERROR);
    /* A full disk is no fault of the file, but nobody waits here until it is not. */
    symwire_u8(&out, why->code == ERR_UNAVAILABLE ? ERR_IO : (uint8_t)why->code);
    symwire_text(&out, str_of(why->msg));
    symwire_send(SYMWIRE_FD_SOCKET, &out, -1, ERR_IGNORED);
}

static void forget_text(struct text_reader *r)
{
    if (!r->is_input)
        symbytes_close(&r->text);
    r->text = (struct symbytes){0};
    r->member = NULL;
    r->is_input = r->is_input_unpacked = r->has_text = false;
}

/* ZIP: checks the archive and lists it; the last packet is the caller's. */
static bool list_archive(struct text_reader *r, struct rd *in, struct err *err)
{
    struct symzip_limits limits = {.max_members = rd_u64(in), .max_uncompressed = rd_u64(in)};
    limits.snippets = symwire_take_text(in);
    limits.checks_content = rd_u8(in) != 0;
    forget_text(r); /* it may be a member of another archive */
    symzip_close(&r->zip);
    if (!symzip_open(r->input.text, &limits, &r->zip, err))
        return false;
    for (size_t i = 0; i < r->zip.members.n; i++) {
        const struct symzip_member *m = &r->zip.members.v[i];
        struct symwire_out out = {0};
        symwire_u8(&out, SYMWIRE_MEMBER);
        symwire_u8(&out, m->is_ignored);
        symwire_u64(&out, m->size);
        symwire_text(&out, m->name);
        if (!symwire_send(SYMWIRE_FD_SOCKET, &out, -1, err))
            return false;
    }
    return true;
}

static bool file_piece(void *arg, const void *p, size_t n, struct err *err)
{
    return fs_write_all(*(int *)arg, p, n, "symbol text", err);
}

/* A small member as it comes out of the inflater; p has room for its size in the directory. */
struct inflated {
    char *p;
    size_t n;
};

static bool block_piece(void *arg, const void *p, size_t n, struct err *err)
{
    struct inflated *b = arg;
    (void)err; /* symzip_read hands out no more than the size of the member */
    memcpy(b->p + b->n, p, n);
    b->n += n;
    return true;
}

/* A large member goes to a scratch file, which counts as page cache; a small one is worth no
 * file. */
static bool load_member(struct text_reader *r, uint64_t index, int scratch, struct err *err)
{
    if (index >= r->zip.members.n)
        return err_set(err, ERR_INVALID, "no such member");
    struct symzip_member *m = &r->zip.members.v[index];
    if (m->size > SYMBYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "'" STR_FMT "' has more than %d GiB",
                       STR_ARG(str_sub(m->name, 0, 150)), SYMBYTES_MAX_GIB);
    if (scratch >= 0)
        return symzip_read(&r->zip, m, file_piece, &scratch, err) &&
               symbytes_map(scratch, &r->text, err);
    struct inflated b = {.p = xmalloc(m->size + 1)};
    if (!symzip_read(&r->zip, m, block_piece, &b, err)) {
        free(b.p);
        return false;
    }
    r->text = (struct symbytes){.text = str_n(b.p, b.n), .block = b.p};
    return true;
}

/* The MODULE and INFO lines as they stand; without them five empty texts. */
static void put_header(struct symwire_out *out, struct str text)
{
    struct symheader h = {0};
    symwire_u8(out, symheader_read(text, &h, ERR_IGNORED));
    const struct str texts[SYMWIRE_HEADER_TEXTS] = {h.debug_file, h.debug_id, h.code_file,
                                                    h.code_id, h.generator};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        symwire_text(out, texts[i]);
}

/* A plain text is used where it is mapped; packed ones and members come into being here. */
static bool load_text(struct text_reader *r, struct rd *in, int fd, struct symwire_out *out,
                      struct err *err)
{
    uint64_t index = rd_u64(in);
    bool wants_facts = rd_u8(in);
    uint8_t md5[EVP_MAX_MD_SIZE];
    forget_text(r);
    if (index != SYMWIRE_INPUT && index != SYMWIRE_INPUT_AS_IS) {
        if (!load_member(r, index, fd, err))
            return false;
        r->member = &r->zip.members.v[index];
    } else if (index == SYMWIRE_INPUT && symbytes_is_packed(r->input.text)) {
        if (!symbytes_unpack(r->input.text, fd, SYMBYTES_MAX, &r->text, &r->is_input_unpacked, err))
            return false;
    } else {
        r->text = r->input;
        r->is_input = true;
    }
    if (r->text.text.n > SYMBYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "symbol text of more than %d GiB", SYMBYTES_MAX_GIB);
    r->has_text = true;
    symwire_u64(out, r->text.text.n);
    if (!wants_facts)
        return true;
    EVP_Digest(r->text.text.p, r->text.text.n, md5, NULL, EVP_md5(), NULL);
    symwire_bytes(out, md5, SYMWIRE_MD5);
    put_header(out, r->text.text);
    return true;
}

static bool compare_text(struct text_reader *r, struct rd *in, int fd, struct symwire_out *out,
                         struct err *err)
{
    bool is_gzip = rd_u8(in);
    struct symbytes stored;
    if (!symbytes_map(fd, &stored, err))
        return false;
    bool same = is_gzip ? symbytes_gzip_equals(stored.text, r->text.text)
                        : str_eq(stored.text, r->text.text);
    symbytes_close(&stored);
    symwire_u8(out, same);
    return true;
}

/* What was deflated by the sender stays so. */
static bool write_gzip(struct text_reader *r, int fd, struct err *err)
{
    struct str input = r->input.text;
    if (r->member && r->member->is_gzip_body)
        return symzip_gzip(&r->zip, r->member, fd, err);
    if (r->is_input_unpacked && symbytes_is_packed_well(input.n, r->text.text.n))
        return fs_write_all(fd, input.p, input.n, "symbols file", err);
    return symbytes_gzip(r->text.text, fd, "symbols file", err);
}

/* The size is asked of the file: what the parent gives a name to is what it has. */
static bool write_text(struct text_reader *r, struct rd *in, int fd, struct symwire_out *out,
                       struct err *err)
{
    struct stat st;
    bool as_gzip = rd_u8(in);
    bool ok = as_gzip ? write_gzip(r, fd, err)
                      : fs_write_all(fd, r->text.text.p, r->text.text.n, "symbols file", err);
    if (!ok)
        return false;
    if (fstat(fd, &st) != 0)
        return err_errno(err, errno, "symbols file");
    symwire_u64(out, (uint64_t)st.st_size);
    return true;
}

/* Stamp 0: the parent knows what the text will be called, and sets it. */
static bool compile(struct text_reader *r, int fd, struct symwire_out *out, struct err *err)
{
    FREE_LATER void *image = NULL;
    size_t n;
    struct csym_stats stats;
    if (!csym_compile_mem(r->text.text, 0, &image, &n, &stats, err) ||
        !fs_write_all(fd, image, n, "compiled symbols", err))
        return false;
    symwire_u64(out, stats.source_bytes);
    symwire_u64(out, stats.csym_bytes);
    symwire_u64(out, stats.bad_lines);
    return true;
}

static void find_forbidden(struct text_reader *r, struct rd *in, struct symwire_out *out)
{
    struct symforbid_scan scan = {.snippets = symwire_take_text(in)};
    symforbid_feed(&scan, r->text.text);
    symforbid_end(&scan);
    symwire_text(out, scan.found);
}

/* The status is written first and sent only if all went well; refuse has a packet of its own. */
static bool answer_packet(struct text_reader *r, struct rd *in, int fd, struct symwire_out *out,
                          struct err *err)
{
    enum symwire_kind kind = rd_u8(in);
    symwire_u8(out, SYMWIRE_OK);
    if (!r->has_text && (kind == SYMWIRE_SAME || kind == SYMWIRE_WRITE || kind == SYMWIRE_COMPILE ||
                         kind == SYMWIRE_FORBID))
        return err_set(err, ERR_INVALID, "no text is loaded");
    switch (kind) {
    case SYMWIRE_ZIP:
        return list_archive(r, in, err);
    case SYMWIRE_LOAD:
        return load_text(r, in, fd, out, err);
    case SYMWIRE_SAME:
        return compare_text(r, in, fd, out, err);
    case SYMWIRE_WRITE:
        return write_text(r, in, fd, out, err);
    case SYMWIRE_COMPILE:
        return compile(r, fd, out, err);
    case SYMWIRE_FORBID:
        find_forbidden(r, in, out);
        return true;
    }
    return err_set(err, ERR_INVALID, "unknown request");
}

/* The digest of nothing makes libcrypto load what it needs while files can still be opened. */
static bool enter(struct err *err)
{
    uint8_t md5[EVP_MAX_MD_SIZE];
    struct stat st;
    if (fstat(SYMWIRE_FD_INPUT, &st) != 0)
        return err_errno(err, errno, "the input");
    EVP_Digest("", 0, md5, NULL, EVP_md5(), NULL); /* libcrypto opens its files now */
    const struct sandbox_limits limits = {
        .memory_bytes = MEMORY_MAX,
        .mapped_bytes = MAPPED_MAX + st.st_size,
        .output_bytes = SYMBYTES_MAX + (1 << 20),
        .cpu_s = CPU_S,
        .files = FILES,
    };
    return sandbox_enter(&limits, err);
}

/* An error of one request is an answer; only a parent that is gone ends the loop. */
static void serve(void)
{
    struct text_reader r = {0};
    struct err err = {0};
    uint8_t buf[SYMWIRE_PACKET_MAX];
    struct rd in;
    int fd = -1;
    if (!enter(&err) || !symbytes_map(SYMWIRE_FD_INPUT, &r.input, &err)) {
        refuse(&err);
        return;
    }
    while (symwire_receive(SYMWIRE_FD_SOCKET, buf, &in, &fd, &err)) {
        struct symwire_out out = {0};
        if (!answer_packet(&r, &in, fd, &out, &err))
            refuse(&err);
        else if (!symwire_send(SYMWIRE_FD_SOCKET, &out, -1, &err))
            return;
        util_close_fd(&fd);
    }
}

/*
 * For each of ten thousand small members, the memory of a compression and of a compilation would
 * be given back and be asked for again, page by page: a third of the reader's time.  Small blocks
 * stay; the large ones of large texts are mapped and given back each.
 */
static void keep_small_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK);
    mallopt(M_TRIM_THRESHOLD, KEPT);
}

int main(int argc, char **argv)
{
    (void)argv;
    keep_small_memory();
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody would hear it */
    if (argc > 1) {
        puts("datil-symreader: started by other programs of Datil, to read symbol files");
        return 2;
    }
    serve();
    _exit(0); /* no exit handlers: the process may not do what they want */
}
