/*
 * The version people mean.  What a program calls itself is not always what its release is called:
 * nightly builds of Fenix have dates, builds of the extended support release do not say that they
 * are, and all betas of a version have the same number.
 */
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "processor/job.h"
#include "processor/rules.h"

static void append_to_version(struct job *job, const char *suffix)
{
    STRBUF_AUTO text = {0};
    struct str version = processed_text(job, "version");
    sb_init(&text, version.n + 16);
    sb_str(&text, version);
    sb_text(&text, suffix);
    set_text(job, "version", sb_view(&text));
}

/* FenixVersionRewrite: "Nightly 240101 …" becomes 0.0a1, which sorts as a version should. */
bool fenix_version_rewrite_applies(const struct job *job)
{
    return str_eq(processed_text(job, "product"), STR("Fenix")) &&
           str_starts(processed_text(job, "version"), STR("Nightly "));
}

bool fenix_version_rewrite_act(struct job *job, struct err *err)
{
    (void)err;
    job_note(job, "Changed version from '" STR_FMT "' to 0.0a1",
             STR_ARG(processed_text(job, "version")));
    set_text(job, "version", STR("0.0a1"));
    return true;
}

/* ESRVersionRewrite: 60.0 of the channel esr is 60.0esr; it has other patches than 60.0. */
bool esr_version_rewrite_applies(const struct job *job)
{
    return str_eq(processed_text(job, "release_channel"), STR("esr"));
}

bool esr_version_rewrite_act(struct job *job, struct err *err)
{
    (void)err;
    if (jget_str(job->processed, "version"))
        append_to_version(job, "esr");
    else
        job_note(job, "'version' missing from esr release processed_crash");
    return true;
}

/*
 * MajorVersion, of the annotation and not of the version as the rules have changed it: always a
 * number, 0 where there is none.
 */
bool major_version_act(struct job *job, struct err *err)
{
    (void)err;
    struct str version = annotation_text(job, "Version");
    int64_t major = 0;
    str_to_i64(str_trim(str_sub(version, 0, str_find_char(version, '.', 0))), 0, INT32_MAX,
               "Version", &major, ERR_IGNORED);
    return jset_int(job->processed, "major_version", major);
}

static bool is_one_of(struct str s, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(s, str_of(list[i])))
            return true;
    return false;
}

/*
 * BetaVersion. Betas call themselves "63.0"; which one it was ("63.0b4") is known by product,
 * channel and build id. The table of versions in the database has it (product_version), behind a
 * cache of the worker.
 */
bool beta_version_applies(const struct job *job)
{
    static const char *const channels[] = {"beta", "aurora"};
    return is_one_of(processed_text(job, "release_channel"), channels, ARRAY_LEN(channels));
}

/* Every beta of these is in the table.  Of other products only those that somebody has entered. */
static bool has_all_betas(struct str product)
{
    return str_eq(product, STR("Firefox")) || str_eq(product, STR("Thunderbird"));
}

static bool has_text(const json_t *v, const char *what)
{
    return json_is_string(v) && strstr(json_string_value(v), what);
}

/*
 * The first one; but a beta is not called by its release candidate, and where the first
 * is no beta only release candidates count.  NULL if none is left.
 */
static const char *choose(const json_t *versions)
{
    bool wants_beta = has_text(json_array_get(versions, 0), "b");
    size_t i;
    const json_t *v;
    json_array_foreach (versions, i, v)
        if (json_is_string(v) && has_text(v, "rc") != wants_beta)
            return json_string_value(v);
    return NULL;
}

static json_t *find_versions(const struct job *job, struct str build)
{
    STRBUF_AUTO channel = {0};
    struct str given = processed_text(job, "release_channel");
    struct str product = processed_text(job, "product");
    sb_init(&channel, given.n);
    for (size_t i = 0; i < given.n; i++)
        sb_char(&channel, given.p[i] >= 'A' && given.p[i] <= 'Z' ? (char)(given.p[i] - 'A' + 'a')
                                                                 : given.p[i]);
    /* Since then aurora builds are those of the developer edition. */
    if (str_eq(product, STR("Firefox")) && str_eq(sb_view(&channel), STR("aurora")) &&
        str_cmp(build, STR("20170601")) > 0)
        product = STR("DevEdition");
    return job->versions->find(job->versions->ctx, product, sb_view(&channel), build);
}

/* Not known, and should be: "63.0b0" sorts before all betas of 63 and shows that somebody should
 * look. */
bool beta_version_act(struct job *job, struct err *err)
{
    (void)err;
    struct str build = processed_text(job, "build"), version = processed_text(job, "version");
    json_auto_t *versions = NULL;
    if (job->versions && build.n > 0 && version.n > 0)
        versions = find_versions(job, build);
    const char *real = choose(versions);
    if (real) {
        set_text(job, "version", str_of(real));
        return true;
    }
    if (!has_all_betas(processed_text(job, "product")))
        return true;
    append_to_version(job, "b0");
    job_note(job,
             "release channel is " STR_FMT
             " but no version data was found - added \"b0\" suffix to version number",
             STR_ARG(processed_text(job, "release_channel")));
    return true;
}
