/*
 * CopyFromRawCrash: the field table says which annotation becomes which key, and of what type.
 *
 * Annotations are texts that a program sent, so a value may be anything.  What does not fit its
 * type is left out with a note: an absent key is something that searches and pages know, a number
 * that was made up from a text is not.
 */
#include <math.h>

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/field.h"
#include "lib/crash/schema.h"
#include "lib/json/json.h"
#include "processor/job.h"
#include "processor/rules.h"

/*
 * What notes may show of a value: a few printable characters in lower case.  Twenty are enough to
 * tell "yes" or "maybe" from a number or a sentence, and too few to carry a person's data out.
 */
enum { SHOWN_CHARS_MAX = 20 };

static const char *shown(struct str s, char out[SHOWN_CHARS_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < SHOWN_CHARS_MAX; i++) {
        char c = s.p[i];
        if (c >= ' ' && c <= '~')
            out[n++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    out[n] = 0;
    return out;
}

/* A boolean that is none is the one case whose note shows the value: it says what the reporter got
 * wrong. */
static json_t *copy_bool(struct job *job, const struct annotation *a, struct str text)
{
    char value[SHOWN_CHARS_MAX + 1];
    if (str_eq(text, STR("1")) || str_eq_nocase(text, STR("true")))
        return json_true();
    if (str_eq(text, STR("0")) || str_eq_nocase(text, STR("false")))
        return json_false();
    job_note(job, "%s has non-boolean value %s", a->name, shown(text, value));
    return NULL;
}

/* 64 bits: what does not fit is counted as no number, rather than stored as another one. */
static json_t *copy_int(struct job *job, const struct annotation *a, struct str text)
{
    int64_t v;
    if (str_to_i64(str_trim(text), INT64_MIN, INT64_MAX, a->name, &v, ERR_IGNORED))
        return json_integer(v);
    job_note(job, "%s has a non-int value", a->name);
    return NULL;
}

/* JSON has neither infinity nor NaN. */
static json_t *copy_num(struct job *job, const struct annotation *a, struct str text)
{
    double v;
    if (str_to_double(str_trim(text), a->name, &v, ERR_IGNORED) && isfinite(v))
        return json_real(v);
    job_note(job, "%s has a non-float value", a->name);
    return NULL;
}

/*
 * An object is stored whole if the keys that the table knows have their types: the others are kept
 * for people who may see everything, and reduce.c hides them from all others.
 */
static json_t *copy_obj(struct job *job, const struct annotation *a, struct str text)
{
    const json_t *given = json_object_get(job->raw, a->name);
    json_auto_t *v = json_is_object(given) ? json_deep_copy(given)
                                           : jparse_given(text, JSON_BYTES_MAX, ERR_IGNORED);
    if (!v) {
        job_note(job, "%s value is malformed json", a->name);
        return NULL;
    }
    const struct schema_key *key = schema_find(&job->fields->processed, str_of(a->processed_key));
    const char *misfit = schema_misfit(key, v);
    if (misfit) {
        job_note(job, "%s value is malformed %s", a->name, misfit);
        return NULL;
    }
    return TAKE(v);
}

static json_t *convert_annotation(struct job *job, const struct annotation *a, struct str text)
{
    switch (a->copy) {
    case COPY_BOOL:
        return copy_bool(job, a, text);
    case COPY_INT:
        return copy_int(job, a, text);
    case COPY_NUM:
        return copy_num(job, a, text);
    case COPY_OBJ:
        return copy_obj(job, a, text);
    case COPY_STR:
        return jtext(str_rtrim(text));
    case COPY_NONE:
        break;
    }
    return NULL;
}

/*
 * An annotation that is absent or null gives the default of the table, if there is one; a value
 * that cannot be converted gives nothing, also no default: a wrong "false" is worse than none.
 */
bool copy_from_raw_crash_act(struct job *job, struct err *err)
{
    (void)err;
    for (size_t i = 0; i < job->fields->annotation_count; i++) {
        const struct annotation *a = &job->fields->annotations[i];
        if (a->copy == COPY_NONE)
            continue;
        struct str text = annotation_text(job, a->name);
        json_t *v = NULL;
        if (text.p)
            v = convert_annotation(job, a, text);
        else if (a->fallback)
            v = json_loads(a->fallback, JSON_DECODE_ANY, NULL);
        if (v)
            set_value(job, a->processed_key, v);
    }
    return true;
}
