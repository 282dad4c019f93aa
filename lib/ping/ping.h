#ifndef PING_PING_H
#define PING_PING_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/json/json.h"

/*
 * ping - a stranger's crash ping becomes a document of ours (docs/crash-pings.md).
 *
 * Programs send one of three forms.  Whatever comes, the result is a new document of the native
 * form, made of members that a table names; nothing of the body is in it that no row asked for, so
 * what identifies a client, a session or a machine cannot slip through.
 *
 * Ownership  ping_read makes a new reference; the body can go.
 * Errors     ERR_INVALID: no object.  Any member may be missing or of a wrong type, which counts as
 *            missing.
 * Trust      The body is hostile: every text is cut, every list bounded.
 */
enum ping_form { PING_NATIVE, PING_GLEAN, PING_LEGACY, PING_FORMS };

/* By its members: metrics, payload, or neither. */
enum ping_form ping_form_of(const json_t *body);
const char *ping_form_name(enum ping_form form); /* "glean" */

/* What the address of the request said, which stands in for what the body lacks (p NULL: nothing).
 * The id always wins. */
struct ping_given {
    struct str document_id, product, version, channel, build_id;
    bool product_wins;
};

enum { PING_ID_SIZE = 37, PING_FRAMES_MAX = 1000, PING_MODULES_MAX = 2000 };

/*
 * The product is as it came, for the caller to look up.  *ret_has_content: there is a stack, a Java
 * exception or a reason, so that there can be a signature; else the ping is counted and no more.
 */
bool ping_read(struct arena *a, const json_t *body, const struct ping_given *given,
               json_t **ret_doc, bool *ret_has_content, struct err *err);

/* A document id in lower case; false: not 32 hex digits in groups of 8-4-4-4-12. */
bool ping_id_read(struct str text, char out[PING_ID_SIZE]);
/* A random one (version 4). */
void ping_id_new(char out[PING_ID_SIZE]);

/* The rules that make names of one thing one name. */
const char *ping_channel(struct str channel, struct str version);
const char *ping_os(struct str os);
/* Leading digits of a version. */
struct str ping_major(struct str version);

/*
 * Parts of the above with a file of their own.
 */
/* A clean text of at most max bytes, or NULL. */
json_t *ping_text(struct arena *a, const json_t *v, size_t max);
/* "0x1f", at most 16 digits. */
bool ping_hex(const json_t *v, uint64_t *ret);
/* What stands behind the last slash or backslash. */
struct str ping_base_name(struct str path);
/* The first of these members that is there and not null. */
json_t *ping_member(const json_t *obj, const char *const *names);

/* Sets crash_type, crash_address and stack_traces. */
void ping_read_stack(struct arena *a, const json_t *traces, json_t *doc);
json_t *ping_read_java(struct arena *a, const json_t *v);
/* The allowed annotations; NULL: none came. */
json_t *ping_read_metadata(struct arena *a, const json_t *body, enum ping_form form);
/* Members by names with '/' between; dots of the last may be underscores. */
json_t *ping_path(const json_t *root, const char *path);

#endif
