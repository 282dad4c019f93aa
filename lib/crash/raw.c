/*
 * Raw crashes of older collectors.  Version 1 had the collector's own words (checksums, notes,
 * throttling) among the annotations and the receipt as seconds; here they get the place and the
 * form of version 2, in memory and each time they are read.  The stored document stays as it came:
 * it is the evidence, and rewriting millions of files to save a look at eight keys would be risk
 * without gain.
 */
#include "lib/crash/raw.h"

#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

/* Keys of older collectors and processors among the annotations of version 1. */
static const char *const collector_keys[] = {
    "collector_notes", "dump_checksums", "legacy_processing", "processor_notes",
    "signature",       "throttle_rate",  "timestamp",         "type_tag",
};

static bool is_version_1(const json_t *raw)
{
    const json_t *version = json_object_get(raw, "version");
    int64_t number;
    return !version || (jget_int(raw, "version", &number) && number < 2);
}

/* `timestamp` is the receipt in seconds, with a fraction. */
static void date_from_timestamp(json_t *raw)
{
    const json_t *seconds = json_object_get(raw, "timestamp");
    double s = json_number_value(seconds);
    char text[TIME_TEXT_MAX];
    if (jget_str(raw, "submitted_timestamp") || !json_is_number(seconds) || !(s > 0 && s < 1e11))
        return;
    time_iso((int64_t)(s * 1e6), true, text);
    jset_cstr(raw, "submitted_timestamp", text);
}

/*
 * Version 1 had the collector's own notes among the annotations; version 2 keeps them in
 * `metadata`. What stands there already is newer and wins.
 */
bool raw_crash_upgrade(json_t *raw)
{
    if (!json_is_object(raw) || !is_version_1(raw))
        return false;
    bool any = false;
    json_t *metadata = jget_obj(raw, "metadata");
    date_from_timestamp(raw);
    for (size_t i = 0; i < ARRAY_LEN(collector_keys); i++) {
        json_t *value = json_object_get(raw, collector_keys[i]);
        if (!value)
            continue;
        if (!metadata) {
            metadata = json_object();
            json_object_set_new(raw, "metadata", metadata);
        }
        if (!json_object_get(metadata, collector_keys[i]))
            json_object_set(metadata, collector_keys[i], value);
        json_object_del(raw, collector_keys[i]);
        any = true;
    }
    return any;
}

bool raw_checksum_is_md5(struct str checksum)
{
    for (size_t i = 0; i < checksum.n; i++)
        if (hex_digit(checksum.p[i]) < 0)
            return false;
    return checksum.n == 32;
}
