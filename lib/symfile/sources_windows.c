/*
 * Servers with the layout of Microsoft's symbol stores: the PDB lies under its own name, GUID and
 * age, the program under its own name, time stamp and size.  Each as it is, packed into a cabinet
 * (the last letter of its name is then "_"), or somewhere else, which file.ptr says: "PATH:" and
 * where, or "MSG:" and why not.  That is the order in which Microsoft's own client asks (symsrv).
 *
 * The PDB has names and lines, the program the unwind rules; both are read together by symnative,
 * whose sandboxed child opens cabinets, too.  Of a module whose debug id is not known the program
 * says it, and with that the PDB is asked for.
 *
 * Modules of other systems are no question for such a server: it is asked for names that end as a
 * PDB does, and for code ids of Windows.
 *
 * A store that has a file index2.txt is one of two levels: everything lies in a folder more, which
 * is called as the first two letters of the name.  Whoever configures such a server says so
 * (microsoft2+), as each question would otherwise begin with one for that file.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/symfile/sources.h"
#include "lib/symfile/sources_inside.h"
#include "lib/symfile/symbytes.h"
#include "lib/symfile/symkey.h"
#include "lib/symfile/symnative.h"

enum {
    CODE_ID_MIN = 9,    /* eight digits of a time, one at least of a size */
    CODE_ID_MAX = 16,   /* and eight at most */
    POINTER_MAX = 2048, /* of file.ptr, which is one line */
};

/* What is asked, and for whom. */
struct windows_question {
    const struct sources *s;
    const struct sources_entry *e;
    const struct sources_wish *w;
    int64_t deadline_ms;
    const char *temp_dir;
};

/* What came of it. */
struct windows_file {
    const char *name;
    char id[SYMKEY_ID_MAX + 1];
    enum symfind_answer answer;
    int fd; /* -1: none */
};

static bool may_pass(enum symfind_answer answer)
{
    return answer == SYMFIND_ANSWER_TIMED_OUT || answer == SYMFIND_ANSWER_UNREACHABLE;
}

static enum symfind_answer ask_at(const struct windows_question *q, const char *first, int *ret_fd)
{
    char url[SOURCES_URL_MAX + 1];
    struct sources_file ignored = {.fd = -1};
    struct sources_wish plain = *q->w;
    plain.is_by_code = false; /* where a redirect leads says nothing here */
    FD_AUTO fd = -1;
    if (strlen(first) > SOURCES_URL_MAX)
        return SYMFIND_ANSWER_NOT_FOUND;
    snprintf(url, sizeof url, "%s", first);
    if (!symbytes_temp(q->temp_dir, &fd, ERR_IGNORED))
        return SYMFIND_ANSWER_UNREACHABLE;
    const struct sources_attempt a = {.source = q->e->name,
                                      .save_fd = fd,
                                      .first_byte_ms = sources_first_byte_ms(q->s, q->e),
                                      .deadline_ms = q->deadline_ms};
    enum symfind_answer answer = sources_follow(q->s, &plain, a, url, &ignored);
    if (answer == SYMFIND_ANSWER_FOUND)
        *ret_fd = TAKE_FD(fd);
    return answer;
}

/* Below a base: the folder of the first letters if there is one, that of the name, that of the id.
 */
static void put_place(struct strbuf *url, const struct sources_entry *e, const char *base,
                      const struct windows_file *f, const char *file)
{
    enum { TIER_LETTERS = 2 };
    sb_printf(url, "%s/", base);
    if (e->kind == SOURCES_MICROSOFT_TIERS) {
        sources_put_encoded(url, str_sub(str_of(f->name), 0, TIER_LETTERS));
        sb_text(url, "/");
    }
    sources_put_encoded(url, str_of(f->name));
    sb_printf(url, "/%s/", f->id);
    sources_put_encoded(url, str_of(file));
}

static enum symfind_answer ask_for(const struct windows_question *q, const struct windows_file *f,
                                   const char *file, int *ret_fd)
{
    STRBUF_AUTO url;
    sb_init(&url, SOURCES_URL_MAX);
    put_place(&url, q->e, q->e->base, f, file);
    if (*q->e->query)
        sb_printf(&url, "?%s", q->e->query);
    return url.overflow ? SYMFIND_ANSWER_NOT_FOUND : ask_at(q, sb_cstr(&url), ret_fd);
}

/* Shares of a company's network, and messages, are not found; an address is one more redirect. */
static enum symfind_answer follow_pointer(const struct windows_question *q, int pointer,
                                          int *ret_fd)
{
    char text[POINTER_MAX + 1];
    ssize_t n = pread(pointer, text, POINTER_MAX, 0);
    struct str line = str_trim(str_n(text, n > 0 ? (size_t)n : 0));
    if (!str_starts(line, STR("PATH:")))
        return SYMFIND_ANSWER_NOT_FOUND;
    line = str_trim(str_sub(line, strlen("PATH:"), SIZE_MAX));
    if (!str_starts_nocase(line, STR("https://")) && !str_starts_nocase(line, STR("http://")))
        return SYMFIND_ANSWER_NOT_FOUND;
    text[(size_t)(line.p - text) + line.n] = '\0';
    return ask_at(q, line.p, ret_fd);
}

static void fetch_stored(const struct windows_question *q, struct windows_file *f)
{
    char packed[SYMKEY_PART_MAX + 1];
    FD_AUTO pointer = -1;
    snprintf(packed, sizeof packed, "%s", f->name);
    packed[strlen(packed) - 1] = '_';
    const char *const names[] = {f->name, packed};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        f->answer = ask_for(q, f, names[i], &f->fd);
        if (f->answer != SYMFIND_ANSWER_NOT_FOUND)
            return;
    }
    f->answer = ask_for(q, f, "file.ptr", &pointer);
    if (f->answer == SYMFIND_ANSWER_FOUND)
        f->answer = follow_pointer(q, pointer, &f->fd);
}

/* The time in capital letters, the size in small ones, as the stores are written. */
static void set_code_id(struct windows_file *f, const char *id)
{
    snprintf(f->id, sizeof f->id, "%s", id);
    for (size_t i = 0; f->id[i]; i++)
        f->id[i] = (char)(i < 8 ? toupper(f->id[i]) : tolower(f->id[i]));
}

static bool is_code_id(const char *id)
{
    size_t n = strlen(id);
    return n >= CODE_ID_MIN && n <= CODE_ID_MAX;
}

static void set_debug_id(struct windows_file *f, const struct symkey *k)
{
    snprintf(f->id, sizeof f->id, "%s", k->debug_id);
    for (size_t i = 32; i < strlen(f->id); i++)
        f->id[i] = (char)tolower(f->id[i]);
}

/* What symnative says of the two. */
struct windows_text {
    const struct sources_entry *e;
    const char *debug_id; /* NULL: the first module will do */
    struct symkey key;
    bool is_other; /* a module of another id is in the files */
    int fd;        /* -1: nothing came of them */
};

static bool wants_text(void *arg, const struct symkey *key, bool has_debug_info)
{
    struct windows_text *t = arg;
    (void)has_debug_info;
    if (t->fd >= 0 || (t->debug_id && strcasecmp(key->debug_id, t->debug_id) != 0)) {
        t->is_other |= t->fd < 0;
        return false;
    }
    t->key = *key;
    return true;
}

static bool take_text(void *arg, int fd, const char *from, struct err *err)
{
    struct windows_text *t = arg;
    (void)from;
    t->fd = dup(fd);
    return t->fd >= 0 || err_set(err, ERR_IO, "no descriptor for a text");
}

static void on_problem(void *arg, const char *name, const char *what, bool is_lost)
{
    const struct windows_text *t = arg;
    if (is_lost)
        log_event(LOG_WARN, "symbols_unusable", "a file of another server cannot be read",
                  LOG_S("source", t->e->name), LOG_S("file", name), LOG_S("why", what));
}

/* The program stands first: it is the module, and the PDB what belongs to it. */
static enum symfind_answer convert(const struct windows_question *q,
                                   const struct windows_file *program,
                                   const struct windows_file *pdb, struct windows_text *t)
{
    const struct windows_file *const files[] = {program, pdb};
    struct symnative_input inputs[ARRAY_LEN(files)];
    char paths[ARRAY_LEN(files)][64];
    size_t n = 0;
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (files[i]->fd < 0)
            continue;
        snprintf(paths[n], sizeof paths[n], "/proc/self/fd/%d", files[i]->fd);
        inputs[n] = (struct symnative_input){
            .path = paths[n], .name = files[i]->name, .file_name = files[i]->name};
        n++;
    }
    const struct symnative_visitor v = {.wants = wants_text,
                                        .take = take_text,
                                        .problem = on_problem,
                                        .arg = t,
                                        .deadline_ms = q->deadline_ms};
    bool ok = symnative_convert(inputs, n, q->temp_dir, &v, &err);
    if (!ok)
        log_event(LOG_WARN, "symbols_unusable", "files of another server cannot be read",
                  LOG_S("source", q->e->name), LOG_E(&err));
    return t->fd >= 0    ? SYMFIND_ANSWER_FOUND
           : !ok         ? SYMFIND_ANSWER_UNREACHABLE
           : t->is_other ? SYMFIND_ANSWER_WRONG_ID
                         : SYMFIND_ANSWER_MALFORMED;
}

/* The debug id of a module that is known by its program alone. */
static enum symfind_answer identify(const struct windows_question *q,
                                    const struct windows_file *program, struct symkey *ret_key)
{
    const struct windows_file none = {.fd = -1};
    struct windows_text t = {.e = q->e, .fd = -1};
    enum symfind_answer answer = convert(q, program, &none, &t);
    util_close_fd(&t.fd);
    *ret_key = t.key;
    return answer;
}

/* True: at least one of the two is there, and the other is not away for a moment only. */
static bool are_there(const struct windows_file *program, const struct windows_file *pdb,
                      enum symfind_answer *ret)
{
    *ret = may_pass(pdb->answer)                     ? pdb->answer
           : may_pass(program->answer)               ? program->answer
           : pdb->fd >= 0                            ? SYMFIND_ANSWER_FOUND
           : program->fd >= 0                        ? SYMFIND_ANSWER_FOUND
           : pdb->answer == SYMFIND_ANSWER_NOT_FOUND ? program->answer
                                                     : pdb->answer;
    return *ret == SYMFIND_ANSWER_FOUND;
}

static enum symfind_answer make_text(const struct windows_question *q,
                                     const struct windows_file *program,
                                     const struct windows_file *pdb, const char *debug_id,
                                     struct sources_file *ret)
{
    struct windows_text t = {.e = q->e, .debug_id = debug_id, .fd = -1};
    enum symfind_answer answer;
    if (!are_there(program, pdb, &answer))
        return answer;
    answer = convert(q, program, pdb, &t);
    FD_AUTO fd = t.fd;
    if (answer != SYMFIND_ANSWER_FOUND)
        return answer;
    const struct windows_file *origin = pdb->fd >= 0 ? pdb : program;
    STRBUF_AUTO url;
    sb_init(&url, SOURCES_URL_MAX);
    put_place(&url, q->e, q->e->name, origin, origin->name);
    if (!sources_append_url(fd, sb_cstr(&url)))
        return SYMFIND_ANSWER_UNREACHABLE;
    ret->fd = TAKE_FD(fd);
    return answer;
}

static bool is_pdb(const char *name)
{
    return str_ends(str_of(name), STR(".pdb")) || str_ends(str_of(name), STR(".PDB"));
}

static enum symfind_answer fetch_by_code(const struct windows_question *q, struct sources_file *ret)
{
    struct windows_file program = {.name = q->w->key.debug_file, .fd = -1};
    struct windows_file pdb = {.answer = SYMFIND_ANSWER_NOT_FOUND, .fd = -1};
    struct symkey key;
    if (!is_code_id(q->w->key.debug_id))
        return SYMFIND_ANSWER_NOT_FOUND;
    set_code_id(&program, q->w->key.debug_id);
    fetch_stored(q, &program);
    if (program.fd < 0)
        return program.answer;
    enum symfind_answer answer = identify(q, &program, &key);
    bool is_known = answer == SYMFIND_ANSWER_FOUND;
    if (is_known && is_pdb(key.debug_file)) {
        pdb.name = key.debug_file;
        set_debug_id(&pdb, &key);
        fetch_stored(q, &pdb);
    }
    if (is_known) {
        ret->key = key;
        ret->is_resolved = true;
        answer = make_text(q, &program, &pdb, key.debug_id, ret);
    }
    util_close_fd(&program.fd);
    util_close_fd(&pdb.fd);
    return answer;
}

enum symfind_answer sources_fetch_windows(const struct sources *s, const struct sources_entry *e,
                                          const struct sources_wish *w, int64_t deadline_ms,
                                          const char *temp_dir, struct sources_file *ret)
{
    const struct windows_question q = {s, e, w, deadline_ms, temp_dir};
    struct windows_file pdb = {.name = w->key.debug_file, .fd = -1};
    struct windows_file program = {
        .name = w->code_file, .answer = SYMFIND_ANSWER_NOT_FOUND, .fd = -1};
    if (w->is_by_code)
        return fetch_by_code(&q, ret);
    if (!is_pdb(w->key.debug_file))
        return SYMFIND_ANSWER_NOT_FOUND;
    set_debug_id(&pdb, &w->key);
    fetch_stored(&q, &pdb);
    if (!may_pass(pdb.answer) && w->code_file[0] && is_code_id(w->code_id)) {
        set_code_id(&program, w->code_id);
        fetch_stored(&q, &program);
    }
    enum symfind_answer answer = make_text(&q, &program, &pdb, w->key.debug_id, ret);
    util_close_fd(&pdb.fd);
    util_close_fd(&program.fd);
    return answer;
}
