/*
 * What one processed crash adds to the statistics, from its document alone, so that processing it
 * again gives the same.  A document may come from a file that somebody loads: a value that does not
 * fit into its column counts as absent, and never stops the crash from being finished.
 *
 * Values are read as the index reads them (lib/search/doc.c), so that what is counted can be
 * counted again from the index (recount.c).
 */
#include "lib/ledger/counted.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/crash/version_key.h"
#include "lib/search/doc.h"

/* As in the ledger: ours are shorter, and a key of a PostgreSQL index ends at 2704 bytes. */
enum { COUNTED_TEXT_MAX = 100, COUNTED_SIGNATURE_MAX = 1000, INSTALLATION_HEX = 16 };

/* As the index has it, where a value of another type is a text that says so. */
static struct str indexed_text(const json_t *doc, const char *key)
{
    const json_t *v = json_object_get(doc, key);
    return json_is_string(v) || !v || json_is_null(v) ? jget_strn(doc, key) : STR(DOC_BAD_TEXT);
}

static json_t *text_of(const json_t *doc, const char *key, size_t max)
{
    struct str s = indexed_text(doc, key);
    if (s.n == 0 || s.n > max || memchr(s.p, '\0', s.n))
        return json_string("");
    return json_stringn(s.p, s.n);
}

static json_int_t build_of(const json_t *doc)
{
    int64_t number;
    return doc_to_int(json_object_get(doc, "build"), &number) && number > 0 ? number : 0;
}

/*
 * How many crashes this one stands for: the collector kept throttle_rate of 1.  Above 1 it is a
 * percentage, as old collectors wrote it.  One that takes less than one in a million is a typing
 * error.
 */
static double estimate_of(const json_t *doc)
{
    double rate;
    if (!doc_to_double(jpath(doc, "collector_metadata.throttle_rate"), &rate))
        return 1;
    if (rate > 1)
        rate /= 100;
    return rate >= 1e-6 && rate <= 1 ? 1 / rate : 1;
}

/* An installation is when it was made and, where products say it, who it is.  The hash tells one
 * from another; the database hashes it again with a secret (migrations/0013_statistics_by_key.sql),
 * because times can be guessed. */
static json_t *installation_of(const json_t *doc)
{
    int64_t at;
    if (!doc_to_int(json_object_get(doc, "install_time"), &at))
        return json_null();
    struct str client = indexed_text(doc, "glean_client_id");
    client.n = utf8_prefix_chars(client, DOC_KEYWORD_CHARS_MAX);
    char time[32], hex[INSTALLATION_HEX + 1];
    struct sha256 h;
    uint8_t digest[SHA256_BYTES];
    snprintf(time, sizeof time, "%" PRId64 " ", at);
    sha256_init(&h);
    sha256_add(&h, time, strlen(time));
    sha256_add(&h, client.n ? client.p : "", client.n);
    sha256_finish(&h, digest);
    hex_encode(digest, INSTALLATION_HEX / 2, hex);
    return json_stringn(hex, INSTALLATION_HEX);
}

static json_t *processed_of(const json_t *doc)
{
    int64_t us;
    const char *date = jget_str(doc, "date_processed");
    bool is_date =
        date && strlen(date) < TIME_TEXT_MAX && time_parse(str_of(date), &us, ERR_IGNORED);
    return is_date ? json_string(date) : json_null();
}

/* The form of a version in which bytes sort as versions do; null: it is none. */
static json_t *version_key_of(const json_t *doc)
{
    char key[VERSION_SORT_MAX];
    struct str s = jget_strn(doc, "version");
    return s.n && s.n <= COUNTED_TEXT_MAX && version_sort_key(s, key) ? json_string(key)
                                                                      : json_null();
}

char *counted_json(const json_t *const *docs, const char *const *crash_ids, size_t n)
{
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++) {
        const json_t *doc = docs[i];
        int64_t bytes;
        json_t *row = json_object();
        json_object_set_new(row, "crash_id", json_string(crash_ids[i]));
        json_object_set_new(row, "processed", processed_of(doc));
        json_object_set_new(row, "product", text_of(doc, "product", COUNTED_TEXT_MAX));
        json_object_set_new(row, "channel", text_of(doc, "release_channel", COUNTED_TEXT_MAX));
        json_object_set_new(row, "version", text_of(doc, "version", COUNTED_TEXT_MAX));
        json_object_set_new(row, "version_key", version_key_of(doc));
        json_object_set_new(row, "build", json_integer(build_of(doc)));
        json_object_set_new(row, "platform", text_of(doc, "os_name", COUNTED_TEXT_MAX));
        json_object_set_new(row, "process_type", text_of(doc, "process_type", COUNTED_TEXT_MAX));
        json_object_set_new(row, "signature", text_of(doc, "signature", COUNTED_SIGNATURE_MAX));
        json_object_set_new(row, "estimate", json_real(estimate_of(doc)));
        json_object_set_new(row, "is_startup",
                            json_boolean(doc_to_bool(json_object_get(doc, "startup_crash"))));
        json_object_set_new(
            row, "is_oom",
            json_boolean(doc_to_int(json_object_get(doc, "oom_allocation_size"), &bytes)));
        json_object_set_new(row, "is_duplicate",
                            json_boolean(doc_to_bool(json_object_get(doc, "is_duplicate"))));
        json_object_set_new(row, "installation", installation_of(doc));
        json_array_append_new(all, row);
    }
    size_t length;
    char *text = jdump(all, &length);
    json_decref(all);
    return text;
}
