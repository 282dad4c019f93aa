/*
 * Rules that look at annotations alone.  What they make is what Socorro makes of the same report:
 * people compare reports of both, and their searches and scripts know the words.  Texts of notes
 * are fixed for the same reason, and because notes are public: no value of an annotation is in
 * them.
 */
#include "lib/base/err.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/util.h"
#include "lib/crash/moz_reason.h"
#include "lib/crash/raw.h"
#include "lib/json/json.h"
#include "processor/job.h"
#include "processor/rules.h"

static json_t *without_nul(const json_t *v)
{
    const char *p = json_string_value(v);
    size_t n = json_string_length(v);
    STRBUF_AUTO text = {0};
    sb_init(&text, n);
    for (size_t i = 0; i < n; i++)
        if (p[i])
            sb_char(&text, p[i]);
    return jtext(sb_view(&text));
}

/*
 * DeNull. A NUL in a text would end it for every C function and every text column behind us, and
 * PostgreSQL refuses it altogether. Names need no look: no JSON object of ours can have one in a
 * name.
 */
bool de_null_act(struct job *job, struct err *err)
{
    (void)err;
    void *tmp;
    const char *name;
    json_t *v;
    bool has_nulls = false;
    json_object_foreach_safe (job->raw, tmp, name, v)
        if (json_is_string(v) && memchr(json_string_value(v), 0, json_string_length(v))) {
            has_nulls = true;
            json_object_set_new(job->raw, name, without_nul(v));
        }
    metric_add(job->metrics, METRIC_HAS_NULLS, has_nulls);
    return true;
}

/*
 * DeNone. An annotation that is null says nothing; the other rules then only know "absent". Nulls
 * deeper inside stay: they belong to the value.
 */
bool de_none_act(struct job *job, struct err *err)
{
    (void)err;
    void *tmp;
    const char *name;
    json_t *v;
    size_t before = json_object_size(job->raw);
    json_object_foreach_safe (job->raw, tmp, name, v)
        if (json_is_null(v))
            json_object_del(job->raw, name);
    metric_add(job->metrics, METRIC_HAD_NONES, json_object_size(job->raw) < before);
    return true;
}

/*
 * ConvertModuleSignatureInfo. The walker takes the certificates of modules as text, {"signer":
 * ["module", ...]}; a collector that parsed all JSON annotations hands them over as an object.
 */
bool convert_module_signature_info_applies(const struct job *job)
{
    const json_t *v = json_object_get(job->raw, "ModuleSignatureInfo");
    return v && !json_is_null(v) && !json_is_string(v);
}

bool convert_module_signature_info_act(struct job *job, struct err *err)
{
    FREE_LATER char *text = json_dumps(json_object_get(job->raw, "ModuleSignatureInfo"),
                                       JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (!text)
        return err_set(err, ERR_INTERNAL, "cannot write JSON");
    return jset_text(job->raw, "ModuleSignatureInfo", str_of(text));
}

/*
 * CrashReportKeys: what a report consists of, by name, so that new annotations are noticed. The
 * names come from strangers and are public: letters, digits, underscore and hyphen only, 100
 * characters at most. The note says that something was left out or cut, but not what.
 */
enum { KEY_CHARS_MAX = 100 };

/* False if the name had to be left out or cut. */
static bool add_key(struct text_set *keys, struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!name.p[i] || !strchr(RULE_WORD_CHARS "-", name.p[i]))
            return false;
    if (name.n == 0)
        return false;
    set_add(keys, str_sub(name, 0, KEY_CHARS_MAX));
    return name.n <= KEY_CHARS_MAX;
}

bool crash_report_keys_act(struct job *job, struct err *err)
{
    (void)err;
    struct text_set keys = {0};
    bool all_good = true;
    const char *name;
    json_t *v;
    json_object_foreach (job->raw, name, v)
        all_good &= add_key(&keys, str_of(name));
    for (size_t i = 0; i < job->dump_count; i++)
        all_good &= add_key(&keys, str_of(job->dumps[i].name));
    set_value(job, "crash_report_keys", set_to_list(&keys));
    set_release(&keys);
    if (!all_good)
        job_note(job, "invalidkeys: Crash report contains invalid keys");
    return true;
}

/*
 * CollectorMetadata: what the collector wrote about the submission (user agent, throttling,
 * checksums of the dumps). Protected; an object in any case.
 */
bool collector_metadata_act(struct job *job, struct err *err)
{
    (void)err;
    json_t *metadata = jget_obj(job->raw, "metadata");
    set_value(job, "collector_metadata", metadata ? json_incref(metadata) : json_object());
    return true;
}

/*
 * Identifier. The id goes by two names: crash_id is ours, uuid what older reporters, scripts and
 * the search know.
 */
bool identifier_applies(const struct job *job)
{
    return has_annotation(job, "uuid");
}

bool identifier_act(struct job *job, struct err *err)
{
    (void)err;
    set_text(job, "crash_id", annotation_text(job, "uuid"));
    set_text(job, "uuid", annotation_text(job, "uuid"));
    return true;
}

/*
 * MinidumpSha256Hash, of the main dump alone. Collectors of old wrote MD5 sums to the same place;
 * these are no SHA-256 and count as none.
 */
bool minidump_sha256_hash_act(struct job *job, struct err *err)
{
    (void)err;
    struct str hash = jget_strn(jget_obj(jget_obj(job->raw, "metadata"), "dump_checksums"),
                                "upload_file_minidump");
    set_text(job, "minidump_sha256_hash", hash.p && !raw_checksum_is_md5(hash) ? hash : STR(""));
    return true;
}

/* The deprecated annotation only says yes or no; the newer one names the place. */
bool submitted_from_act(struct job *job, struct err *err)
{
    (void)err;
    struct str infobar = annotation_text(job, "SubmittedFromInfobar");
    struct str from = annotation_text(job, "SubmittedFrom");
    bool is_infobar;
    if (infobar.p) {
        is_infobar = str_eq(infobar, STR("1")) || str_eq(infobar, STR("true"));
        from = is_infobar ? STR("Infobar") : STR("Unknown");
    } else {
        from = from.n ? from : STR("Unknown");
        is_infobar = str_eq(from, STR("Infobar"));
    }
    set_text(job, "submitted_from", from);
    jset_bool(job->processed, "submitted_from_infobar", is_infobar);
    return true;
}

/*
 * ProcessType. Reports of the main process do not say so, or say "main"; searches know it as
 * "parent".
 */
bool process_type_act(struct job *job, struct err *err)
{
    (void)err;
    struct str type = annotation_text(job, "ProcessType");
    bool is_parent = type.n == 0 || str_eq(type, STR("main"));
    set_text(job, "process_type", is_parent ? STR("parent") : type);
    return true;
}

/*
 * Plugin: which one it was, for reports of plugin processes only. All three keys are there then,
 * empty if the annotation is missing.
 */
bool plugin_applies(const struct job *job)
{
    return str_eq(annotation_text(job, "ProcessType"), STR("plugin"));
}

bool plugin_act(struct job *job, struct err *err)
{
    (void)err;
    static const char *const keys[][2] = {{"plugin_filename", "PluginFilename"},
                                          {"plugin_name", "PluginName"},
                                          {"plugin_version", "PluginVersion"}};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct str v = annotation_text(job, keys[i][1]);
        set_text(job, keys[i][0], v.p ? v : STR(""));
    }
    return true;
}

/*
 * Accessibility: whether it was active. The only word that means yes is "Active", in this
 * spelling.
 */
bool accessibility_act(struct job *job, struct err *err)
{
    (void)err;
    bool is_active = str_eq(annotation_text(job, "Accessibility"), STR("Active"));
    return jset_bool(job->processed, "accessibility", is_active);
}

/*
 * UtilityActorsName: the actors a utility process ran, separated by commas, as a list. An
 * annotation of blanks and commas gives an empty list, an absent one no key.
 */
bool utility_actors_name_applies(const struct job *job)
{
    return annotation_text(job, "UtilityActorsName").p != NULL;
}

bool utility_actors_name_act(struct job *job, struct err *err)
{
    (void)err;
    struct str rest = annotation_text(job, "UtilityActorsName"), part;
    json_t *list = json_array();
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (part.n > 0)
            json_array_append_new(list, jtext(part));
    }
    set_value(job, "utility_actors_name", list);
    return true;
}

/* MozCrashReason. The text itself is in the protected key. */
bool moz_crash_reason_applies(const struct job *job)
{
    return has_annotation(job, "MozCrashReason");
}

bool moz_crash_reason_act(struct job *job, struct err *err)
{
    (void)err;
    struct str reason = annotation_text(job, "MozCrashReason");
    set_text(job, "moz_crash_reason_raw", reason);
    set_text(job, "moz_crash_reason", moz_reason_public(reason));
    return true;
}

/* New reference; NULL if the annotation is no JSON object. */
static json_t *telemetry_environment(const struct job *job)
{
    json_t *parsed = jget_obj(job->processed, "telemetry_environment");
    if (parsed)
        return json_incref(parsed);
    return jparse_given(annotation_text(job, "TelemetryEnvironment"), JSON_BYTES_MAX, ERR_IGNORED);
}

/*
 * DistributionId: who distributed the build. The annotation wins. Else the telemetry environment
 * knows, which CopyFromRawCrash may have parsed already; "unknown" where it does not say, and
 * "mozilla" where it says "none in particular", which is a null or an empty text.
 */
bool distribution_id_act(struct job *job, struct err *err)
{
    (void)err;
    struct str id = annotation_text(job, "DistributionID");
    json_auto_t *environment = NULL;
    if (id.n == 0) {
        environment = telemetry_environment(job);
        const json_t *v = json_object_get(jget_obj(environment, "partner"), "distributionId");
        id = v ? jget_strn(jget_obj(environment, "partner"), "distributionId") : STR("unknown");
    }
    set_text(job, "distribution_id", id.n ? id : STR("mozilla"));
    return true;
}
