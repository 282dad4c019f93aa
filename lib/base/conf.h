#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/err.h"
#include "lib/base/str.h"

/*
 * conf - configuration from the environment and a file of KEY=value lines.
 *
 * One table (conf_keys in conf.c) declares every key of every program: type,
 * default, range, help, secret or not.  --help-config, the documentation page
 * and the checks all come from it.  The environment wins over the file named by
 * DATIL_CONFIG.  An unknown key in the file, an unknown DATIL_… variable or a bad
 * value stops the start with the key's name.
 *
 * Ownership  struct conf owns its values until conf_release.
 * Threads    Read-only after conf_load.
 */
enum conf_type { CONF_TEXT, CONF_INT, CONF_BOOL, CONF_PATH };

struct conf_key {
    const char *name;
    enum conf_type type;
    const char *fallback; /* text; "$DATIL_VAR/…" and "$DATIL_RUN/…" are expanded */
    int64_t min, max;     /* CONF_INT only */
    bool is_secret;
    const char *help; /* one line */
};

extern const struct conf_key conf_keys[];
extern const size_t conf_key_count;

struct conf {
    char **values; /* parallel to conf_keys, owned, never NULL after conf_load */
};

bool conf_load(struct conf *c, struct err *err);
void conf_release(struct conf *c);

/* The key must be in the table with that type (asserted). Borrowed from c. */
const char *conf_text(const struct conf *c, const char *name);
int64_t conf_int(const struct conf *c, const char *name);
bool conf_bool(const struct conf *c, const char *name);

/* --help-config (secrets hidden, present values shown) and the page of docs/. */
void conf_print_help(const struct conf *c, FILE *out);
void conf_print_markdown(FILE *out);

#endif
