/*
 * What the rules share.  Annotations come as texts from forms and as any JSON from reports that are
 * JSON documents; rules see texts in both cases.  Sets are JSON objects, because their keys are
 * unique and hashed, and lists made from them are sorted by bytes: the same crash gives the same
 * document, whoever processes it.
 *
 * Nothing here fails: a missing annotation is an absent text, a missing dump an absent list, a
 * wrong type counts as missing.  A rule can then say what it wants to know in one line, and what a
 * hostile report leaves out or twists costs that rule its result and no other.
 */
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "processor/rules.h"

struct str annotation_text(const struct job *job, const char *name)
{
    const json_t *v = json_object_get(job->raw, name);
    if (!v || json_is_null(v))
        return STR_NONE;
    if (json_is_string(v))
        return str_n(json_string_value(v), json_string_length(v));
    /* A list or object as annotation is text for the rules as well: some of them parse it again. */
    FREE_LATER char *text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    struct err err = {0};
    if (!text || !arena_fits(job->arena, strlen(text) + 1, name, &err))
        return STR("");
    return str_of(arena_strdup(job->arena, text));
}

bool has_annotation(const struct job *job, const char *name)
{
    return annotation_text(job, name).n > 0;
}

void set_value(struct job *job, const char *key, json_t *v)
{
    json_object_set_new(job->processed, key, v ? v : json_null());
}

void set_text(struct job *job, const char *key, struct str s)
{
    jset_text(job->processed, key, s);
}

const json_t *job_json_dump(const struct job *job)
{
    return jget_obj(job->processed, "json_dump");
}

struct str processed_text(const struct job *job, const char *key)
{
    struct str s = jget_strn(job->processed, key);
    return s.p ? s : STR("");
}

/* The walker names no thread when the dump has no exception and no request of its writer. */
int64_t crashing_thread_index(const struct job *job, int64_t fallback)
{
    const json_t *v = jpath(job_json_dump(job), "crash_info.crashing_thread");
    return json_is_integer(v) ? json_integer_value(v) : fallback;
}

/* NULL where there are none, also for an index that no thread has. */
const json_t *crashing_frames(const struct job *job, int64_t fallback_index)
{
    int64_t index = crashing_thread_index(job, fallback_index);
    const json_t *threads = jget_arr(job_json_dump(job), "threads");
    return index < 0 ? NULL : jget_arr(json_array_get(threads, (size_t)index), "frames");
}

bool always(const struct job *job)
{
    (void)job;
    return true;
}

bool has_json_dump(const struct job *job)
{
    return job_json_dump(job) != NULL;
}

bool has_modules(const struct job *job)
{
    return json_array_size(jget_arr(job_json_dump(job), "modules")) > 0;
}

const struct job_dump *find_dump(const struct job *job, const char *name)
{
    for (size_t i = 0; i < job->dump_count; i++)
        if (strcmp(job->dumps[i].name, name) == 0)
            return &job->dumps[i];
    return NULL;
}

/* For values with a grammar of their own: every byte that is not allowed goes. */
void put_only(struct strbuf *out, struct str s, const char *allowed)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] && strchr(allowed, s.p[i]))
            sb_char(out, s.p[i]);
}

void set_add(struct text_set *set, struct str s)
{
    if (!set->texts)
        set->texts = json_object();
    json_object_setn_new(set->texts, s.p, s.n, json_true());
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

json_t *set_to_list(const struct text_set *set)
{
    size_t n = json_object_size(set->texts), i = 0;
    FREE_LATER const char **names = xcalloc(n + 1, sizeof *names);
    const char *name;
    json_t *ignored, *list = json_array();
    json_object_foreach (set->texts, name, ignored)
        names[i++] = name;
    qsort(names, n, sizeof *names, by_text);
    for (i = 0; i < n; i++)
        json_array_append_new(list, jtext(str_of(names[i])));
    return list;
}

/*
 * The joined text of a dump with ten thousand modules is far below the limit; what is beyond it is
 * left out.
 */
json_t *set_join(const struct text_set *set, const char *separator)
{
    enum { JOINED_MAX = 4 << 20 };
    json_auto_t *list = set_to_list(set);
    if (json_array_size(list) == 0)
        return NULL;
    STRBUF_AUTO text = {0};
    sb_init(&text, JOINED_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        sb_text(&text, i ? separator : "");
        sb_text(&text, json_string_value(json_array_get(list, i)));
    }
    return jtext(sb_view(&text));
}

void set_release(struct text_set *set)
{
    json_decref(set->texts);
    set->texts = NULL;
}
