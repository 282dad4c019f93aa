#ifndef CRASH_PRODUCT_H
#define CRASH_PRODUCT_H

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/json/json.h"

/*
 * product - the product files of $DATIL_VAR/config/products/, one JSON object each.
 *
 * Ownership  products_load fills a set that owns its texts; products_release frees it.
 * Errors     ERR_INVALID names the file and the key.  A missing directory is made and
 *            filled with the shipped products (product_files in product.c).
 */
struct product_share {
    char *channel; /* ReleaseChannel; "*": any that is not named */
    double percent;
};

struct product {
    char *name, *description;
    int64_t home_page_sort;
    char **featured_versions;       /* NULL-ended */
    char **package_names;           /* NULL-ended; empty: unrestricted */
    char **app_ids;                 /* as its pings name it in their address; NULL-ended */
    char **submit_tokens;           /* of /submit/TOKEN, and keys of Sentry's address; NULL-ended */
    bool requires_token;            /* reports without one of these are refused */
    bool is_enabled;                /* false: reports are refused; what is here stays */
    char **aliases;                 /* other names in reports that mean this product; NULL-ended */
    struct product_share *sampling; /* in place of the sampling of the rules; ended by NULL */
    int64_t quota_per_minute, quota_per_day; /* accepted reports; 0: no limit */
    int64_t max_body_bytes;                  /* of a report on the wire; 0: that of nginx */
    char *quota_rule, *sampling_rule;        /* "quota_NAME": names of rules for what is above */
    char **bug_links;                        /* text, URL template, text, … NULL-ended */
    char **home_links;                       /* text, URL, … NULL-ended */
    char **version_urls; /* key, URL of a JSON document with current versions, … NULL-ended */
    bool in_buildhub;
    int64_t retention_days; /* 0: RETENTION_DAYS */
    char *path;             /* of its file */
};

struct products {
    struct product *v; /* ordered by home_page_sort, then name */
    size_t n;
    int64_t stamp; /* changes when the directory changes; see products_refresh */
    char *dir;
};

bool products_load(const char *var_dir, struct products *ret, struct err *err);

/* Reloads if a file changed since; keeps the old set and reports the error if a file is bad. */
bool products_refresh(struct products *p, struct err *err);
void products_release(struct products *p);
/* The product that has this submit token, or NULL; in constant time for tokens of one length. */
const struct product *products_find_token(const struct products *p, struct str token);
const struct product *products_find(const struct products *p, struct str name);
const struct product *products_find_alias(const struct products *p, struct str name);
const struct product *products_find_app(const struct products *p, struct str app_id);
/* False: the product has no sampling of its own for this channel. */
bool product_share(const struct product *p, struct str channel, double *ret);

enum { PRODUCT_FILE_BYTES_MAX = 256 << 10 }; /* against accidents: one has some kB */
/* What reading its file would say of a document. */
bool product_check(const json_t *doc, struct err *err);
/* The file of a new product, in a directory; new. */
char *product_file_path(const char *dir, const char *name);
/* Sets the members of `changes` in the file of a product, and takes away those that are null. */
bool product_change(const char *var_dir, const char *name, json_t *changes, struct err *err);

/* Whether this is a product file as it should be. */
bool product_file_check(const char *path, struct err *err);

/* ERR_INVALID: not a name.  ERR_CONFLICT: there is one of that name. */
bool product_add(const char *var_dir, const char *name, const char *description, struct err *err);
/* The command line that would add it, safe to paste into a shell whatever a stranger has called
 * his product; new.  NULL: no product can have that name. */
char *product_add_command(const char *name);
/* ERR_NOT_FOUND: there is none of that name. */
bool product_remove(const char *var_dir, const char *name, struct err *err);

#endif
