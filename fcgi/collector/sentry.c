/*
 * Reports of programs that were built for Sentry.  The form is the one that Sentry's documentation
 * gives for minidumps: everything but the dump is one event, either JSON in a form field `sentry`
 * (in pieces `sentry`, `sentry__1`, … where values are short), or one field for each member, named
 * by its path (`sentry[release]`).  Both become one object here; what the event says about the
 * build becomes the annotations that the rest of the system knows, its tags and extra members
 * become annotations of their own, and what is left stays as `sentry`.
 *
 * A name that the report brought itself is never replaced, except that the key of the address
 * decides the product.  The members of the event that name a person (user, request) are dropped.
 */
#include "fcgi/collector/sentry.h"

#include <stdio.h>

#include "fcgi/collector/report_form.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/repair.h"

enum {
    PARTS_MAX = 100,    /* a value of Crashpad has up to 5 * 4096 bytes: an event of 2 MB */
    PATH_DEPTH_MAX = 8, /* "[contexts][app][name]" is three */
};

struct str sentry_key(struct str query_key, struct str auth_header)
{
    static const char word[] = "sentry_key=";
    if (query_key.p)
        return query_key;
    size_t at = str_find(auth_header, STR("sentry_key="), 0);
    if (!auth_header.p || at == SIZE_MAX)
        return STR_NONE;
    struct str rest = str_sub(auth_header, at + sizeof word - 1, SIZE_MAX);
    return str_trim(str_sub(rest, 0, str_find_char(rest, ',', 0)));
}

/* The JSON text, which long ones are cut for, or an empty object. */
static json_t *join_event(json_t *annotations)
{
    STRBUF_AUTO text;
    char name[30] = "sentry";
    sb_init(&text, REPORT_ANNOTATIONS_MAX);
    for (int i = 1; i <= PARTS_MAX && json_object_get(annotations, name); i++) {
        sb_str(&text, jget_strn(annotations, name));
        json_object_del(annotations, name);
        snprintf(name, sizeof name, "sentry__%d", i);
    }
    json_t *parsed = report_json(sb_view(&text), &(struct jrepairs){0});
    if (json_is_object(parsed))
        return parsed;
    json_decref(parsed);
    return json_object();
}

/* Puts value at "[a][b]" of the object; a name of another form is left out. */
static void put_at(json_t *object, struct str path, json_t *value)
{
    for (int depth = 0; depth < PATH_DEPTH_MAX; depth++) {
        size_t close = str_find_char(path, ']', 0);
        if (!str_starts(path, STR("[")) || close == SIZE_MAX)
            return;
        struct str name = str_sub(path, 1, close - 1);
        path = str_sub(path, close + 1, SIZE_MAX);
        if (path.n == 0) {
            json_object_setn(object, name.p, name.n, value);
            return;
        }
        json_t *below = json_object_getn(object, name.p, name.n);
        if (!json_is_object(below)) {
            below = json_object();
            json_object_setn_new(object, name.p, name.n, below);
        }
        object = below;
    }
}

static void take_fields(json_t *annotations, json_t *event)
{
    void *tmp;
    const char *name;
    json_t *value;
    json_object_foreach_safe (annotations, tmp, name, value)
        if (str_starts(str_of(name), STR("sentry["))) {
            put_at(event, str_sub(str_of(name), sizeof "sentry" - 1, SIZE_MAX), value);
            json_object_del(annotations, name);
        }
}

static void set_if_absent(json_t *annotations, const char *name, json_t *value)
{
    if (value && !json_is_null(value) && !json_object_get(annotations, name))
        json_object_set(annotations, name, value);
}

/* "name@version+build" */
static void take_release(json_t *annotations, const json_t *event)
{
    struct str release = jget_strn(event, "release");
    size_t at = str_rfind_char(release, '@');
    struct str version = at == SIZE_MAX ? release : str_sub(release, at + 1, SIZE_MAX);
    version = str_sub(version, 0, str_find_char(version, '+', 0));
    if (!release.p || version.n == 0)
        return;
    json_auto_t *text = jtext(version);
    set_if_absent(annotations, "Version", text);
}

/* An id or a number of the product is not the sender's to choose here. */
static void take_members(json_t *annotations, json_t *members)
{
    const char *name;
    json_t *value;
    json_object_foreach (members, name, value)
        if (*name && strlen(name) <= REPORT_NAME_MAX && strcmp(name, "uuid") != 0)
            set_if_absent(annotations, name, value);
}

void sentry_map(json_t *annotations, const char *product)
{
    json_auto_t *event = join_event(annotations);
    take_fields(annotations, event);
    jset_cstr(annotations, "ProductName", product);
    take_release(annotations, event);
    set_if_absent(annotations, "ReleaseChannel", json_object_get(event, "environment"));
    set_if_absent(annotations, "BuildID", json_object_get(event, "dist"));
    take_members(annotations, jget_obj(event, "tags"));
    take_members(annotations, jget_obj(event, "extra"));
    json_object_del(event, "user");
    json_object_del(event, "request");
    if (json_object_size(event) > 0)
        json_object_set(annotations, "sentry", event);
}
