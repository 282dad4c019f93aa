#ifndef SYMFILE_SOURCES_INSIDE_H
#define SYMFILE_SOURCES_INSIDE_H

#include "lib/symfile/sources.h"

/*
 * sources_inside - what the files of sources share: the list, questions to one server over HTTP,
 * and what each kind of server is asked for.
 */
enum sources_kind {
    SOURCES_BREAKPAD,
    SOURCES_MICROSOFT,
    SOURCES_MICROSOFT_TIERS, /* two levels of folders */
    SOURCES_DEBUGINFOD,
};

struct sources_entry {
    char *base, *query; /* of the configured address, user included; query may be "" */
    char name[SYMFIND_SOURCE_MAX + 1];
    enum sources_kind kind;
};

struct sources {
    struct sources_entry v[SOURCES_MAX];
    size_t n;
    char *state_dir, *proxy;
    struct sources_options opt;
};

/* How a server is asked for one file.  The rest of the address is the caller's. */
struct sources_attempt {
    const char *source, *method, *url;
    int save_fd; /* 0: none */
    int first_byte_ms;
    int64_t deadline_ms;
};
enum { SOURCES_URL_MAX = 2047 };

/* GET or HEAD through the redirects; `url` is where it ended. */
enum symfind_answer sources_follow(const struct sources *s, const struct sources_wish *w,
                                   struct sources_attempt a, char url[SOURCES_URL_MAX + 1],
                                   struct sources_file *ret);
int sources_first_byte_ms(const struct sources *s, const struct sources_entry *e);

/* Parts of an address. */
void sources_put_encoded(struct strbuf *b, struct str text);
void sources_put_path(struct strbuf *b, const struct sources_wish *w);
void sources_put_query(struct strbuf *b, const struct sources_entry *e,
                       const struct sources_wish *w);
/* A line at the end of a text: where it is from, as everybody may see it. */
bool sources_append_url(int fd, const char *url);

/* What each kind of server has of a module, as symbol text in ret->fd. */
enum symfind_answer sources_fetch_text(const struct sources *s, const struct sources_entry *e,
                                       const struct sources_wish *w, int64_t deadline_ms,
                                       const char *temp_dir, struct sources_file *ret);
enum symfind_answer sources_fetch_elf(const struct sources *s, const struct sources_entry *e,
                                      const struct sources_wish *w, int64_t deadline_ms,
                                      const char *temp_dir, struct sources_file *ret);
enum symfind_answer sources_fetch_windows(const struct sources *s, const struct sources_entry *e,
                                          const struct sources_wish *w, int64_t deadline_ms,
                                          const char *temp_dir, struct sources_file *ret);

#endif
