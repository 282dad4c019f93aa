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
 * One table (conf_keys.def) declares every key of every program: type, default,
 * range, help, secret or not.  --help-config, the documentation page and the
 * checks all come from it, and so does the enum by which a program asks:
 * CONF_INDEX_DIR for INDEX_DIR, so that a key nobody declared does not compile.
 * The environment wins over the file named by DATIL_CONFIG.  An unknown key in
 * the file, an unknown DATIL_… variable or a bad value stops the start with the
 * key's name.
 *
 * Ownership  struct conf owns its values until conf_release.
 * Threads    Read-only after conf_load.
 */
enum conf_type { CONF_TEXT, CONF_INT, CONF_BOOL, CONF_PATH };

enum conf_name {
#define CONF_KEY(name, ...) CONF_##name,
#include "lib/base/conf_keys.def"
#undef CONF_KEY
    CONF_KEY_COUNT
};

struct conf_key {
    const char *name;
    enum conf_type type;
    const char *fallback; /* text; "$DATIL_VAR/…" and "$DATIL_RUN/…" are expanded */
    int64_t min, max;     /* CONF_INT only */
    bool is_secret;
    const char *help; /* one line */
};

extern const struct conf_key conf_keys[CONF_KEY_COUNT]; /* by enum conf_name */

struct conf {
    char **values; /* parallel to conf_keys, owned, never NULL after conf_load */
};

bool conf_load(struct conf *c, struct err *err);
void conf_release(struct conf *c);

/* Any key as text, borrowed from c; as a number or a flag only a key of that type (asserted). */
const char *conf_text(const struct conf *c, enum conf_name name);
int64_t conf_int(const struct conf *c, enum conf_name name);
bool conf_bool(const struct conf *c, enum conf_name name);

/* --help-config (secrets hidden, present values shown) and the page of docs/. */
void conf_print_help(const struct conf *c, FILE *out);
void conf_print_markdown(FILE *out);

#endif
