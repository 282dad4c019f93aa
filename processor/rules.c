/*
 * Running the rules: which there are, in which order, and what happens around them.
 *
 * A document is made anew by each pass. One rule that fails must not cost the crash: it is noted
 * with the class of its error, never with its message, since notes are public and messages may
 * quote a report; and the next rule goes on. Only a crash that outgrows the memory it may have ends
 * the pass, and then nothing of it is stored. The tests run every rule with a document that records
 * what is asked of it, and compare with the columns `reads` and `writes`.
 */
#include "processor/rules.h"

#include <assert.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "processor/rule_table.h"

/*
 * The pipeline, in order.  A later rule may read what an earlier one wrote into
 * job->processed; `reads` and `writes` say which keys ("raw:" in front: an annotation,
 * "dumps": the files), and the tests hold each rule to both.
 */
/* clang-format off */
const struct rule rule_table[] = {
    {"DeNull", always, de_null_act, "raw:*", "raw:*"},
    {"DeNone", always, de_none_act, "raw:*", "raw:*"},
    {"CrashReportKeys", always, crash_report_keys_act, "raw:* dumps", "crash_report_keys"},
    {"CollectorMetadata", always, collector_metadata_act, "raw:metadata", "collector_metadata"},
    {"ConvertModuleSignatureInfo", convert_module_signature_info_applies, convert_module_signature_info_act,
     "raw:ModuleSignatureInfo", "raw:ModuleSignatureInfo"},
    {"CopyFromRawCrash", always, copy_from_raw_crash_act, "raw:*", "@copied"},
    {"FenixVersionRewrite", fenix_version_rewrite_applies, fenix_version_rewrite_act, "product version", "version"},
    {"ESRVersionRewrite", esr_version_rewrite_applies, esr_version_rewrite_act, "release_channel version", "version"},
    {"SubmittedFrom", always, submitted_from_act, "raw:SubmittedFrom raw:SubmittedFromInfobar",
     "submitted_from submitted_from_infobar"},
    {"Identifier", identifier_applies, identifier_act, "raw:uuid", "crash_id uuid"},
    {"MinidumpSha256Hash", always, minidump_sha256_hash_act, "raw:metadata", "minidump_sha256_hash"},
    {"MinidumpStackwalk", minidump_stackwalk_applies, minidump_stackwalk_act, "raw:* dumps",
     "additional_minidumps json_dump mdsw_return_code mdsw_status_string mdsw_stderr stackwalk_version success "
     "upload_file_minidump_*"},
    {"ModuleURLRewrite", has_modules, module_url_rewrite_act, "json_dump", "json_dump"},
    {"CrashingThreadInfo", has_json_dump, crashing_thread_info_act, "json_dump",
     "crashing_thread crashing_thread_name reason address last_error_value"},
    {"TruncateStacks", always, truncate_stacks_act,
     "json_dump additional_minidumps upload_file_minidump_*", "json_dump upload_file_minidump_*"},
    {"PossibleBitFlips", possible_bit_flips_applies, possible_bit_flips_act, "json_dump", "possible_bit_flips_max_confidence"},
    {"CrashInconsistencies", has_json_dump, crash_inconsistencies_act, "json_dump", "crash_inconsistencies"},
    {"HasGuardPageAccess", has_guard_page_access_applies, has_guard_page_access_act, "json_dump", "has_guard_page_access"},
    {"MajorVersion", always, major_version_act, "raw:Version", "major_version"},
    {"Plugin", plugin_applies, plugin_act, "raw:ProcessType raw:PluginFilename raw:PluginName raw:PluginVersion",
     "plugin_filename plugin_name plugin_version"},
    {"ProcessType", always, process_type_act, "raw:ProcessType", "process_type"},
    {"Accessibility", always, accessibility_act, "raw:Accessibility", "accessibility"},
    {"Addons", always, addons_act, "raw:Add-ons raw:EMCheckCompatibility", "addons addons_checked"},
    {"DatesAndTimes", always, dates_and_times_act,
     "raw:submitted_timestamp raw:CrashTime raw:InstallTime raw:SecondsSinceLastCrash startup_time",
     "submitted_timestamp date_processed crash_time client_crash_date install_age uptime last_crash"},
    {"OutOfMemoryBinary", out_of_memory_binary_applies, out_of_memory_binary_act, "dumps", "memory_report memory_report_error"},
    {"PHC", phc_applies, phc_act, "raw:PHC*",
     "phc_kind phc_base_address phc_usable_size phc_alloc_stack phc_free_stack"},
    {"Breadcrumbs", breadcrumbs_applies, breadcrumbs_act, "raw:Breadcrumbs", "breadcrumbs"},
    {"JavaStackTrace", java_stack_trace_applies, java_stack_trace_act, "raw:JavaStackTrace",
     "java_stack_trace java_stack_trace_raw"},
    {"MacBootArgs", mac_boot_args_applies, mac_boot_args_act, "json_dump", "mac_boot_args has_mac_boot_args"},
    {"MacCrashInfo", always, mac_crash_info_act, "json_dump", "mac_crash_info"},
    {"MozCrashReason", moz_crash_reason_applies, moz_crash_reason_act, "raw:MozCrashReason",
     "moz_crash_reason moz_crash_reason_raw"},
    {"UtilityActorsName", utility_actors_name_applies, utility_actors_name_act, "raw:UtilityActorsName", "utility_actors_name"},
    {"ReportType", always, report_type_act, "ipc_channel_error async_shutdown_timeout json_dump", "report_type"},
    {"CPUInfo", always, cpu_info_act, "json_dump", "cpu_info cpu_count cpu_arch cpu_microcode_version"},
    {"AndroidCPUInfo", android_cpu_info_applies, android_cpu_info_act, "raw:Android_CPU_ABI cpu_arch", "cpu_arch"},
    {"DistributionId", always, distribution_id_act,
     "raw:DistributionID telemetry_environment raw:TelemetryEnvironment", "distribution_id"},
    {"OSInfo", always, os_info_act, "json_dump", "os_name os_version"},
    {"AndroidOSInfo", android_os_info_applies, android_os_info_act, "raw:Android_Version os_name", "os_name os_version"},
    {"PlatformInfo", always, platform_info_act, "raw:CPUArchitecture raw:CPUInfo raw:OS raw:OSVersion "
     "cpu_arch cpu_info os_name os_version", "cpu_arch cpu_info os_name os_version"},
    {"BetaVersion", beta_version_applies, beta_version_act, "product release_channel build version", "version"},
    {"OSPrettyVersion", always, os_pretty_version_act, "os_name os_version json_dump raw:LinuxLSBDescription", "os_pretty_version"},
    {"TopMostFiles", top_most_files_applies, top_most_files_act, "json_dump", "topmost_filenames"},
    {"ModulesInStack", modules_in_stack_applies, modules_in_stack_act, "json_dump", "modules_in_stack"},
    {"MissingSymbols", has_modules, missing_symbols_act, "json_dump", "missing_symbols"},
    {"SymbolsWanted", has_modules, symbols_wanted_act, "json_dump", "symbols_wanted"},
    {"ThemePrettyName", theme_pretty_name_applies, theme_pretty_name_act, "addons", "addons"},
    {"MemoryReportExtraction", memory_report_extraction_applies, memory_report_extraction_act,
     "memory_report json_dump", "memory_measures"},
    {"SoftErrors", soft_errors_applies, soft_errors_act, "json_dump", "soft_errors"},
    {"Twin", twin_applies, twin_act,
     "raw:CrashTime raw:Version product build install_time glean_client_id minidump_sha256_hash",
     "is_duplicate duplicate_of"},
    {"ThreadCount", always, thread_count_act, "json_dump", "thread_count"},
    {"SignatureGenerator", always, signature_generator_act, "*", "signature proto_signature cluster_key signature_debug"},
    {"ShutDownHangCrashingThread", shut_down_hang_crashing_thread_applies, shut_down_hang_crashing_thread_act,
     "signature json_dump", "crashing_thread crashing_thread_name"},
};
/* clang-format on */
const size_t rule_count = ARRAY_LEN(rule_table);

/*
 * What needs no dump and no annotation: after a change of the signature lists it runs over
 * thousands of crashes.  Its rules run in the order of the table, as all do.
 */
static const char *const signature_only[] = {"SignatureGenerator", "ShutDownHangCrashingThread",
                                             NULL};

struct ruleset {
    const char *name;
    const char *const *rules; /* NULL: the whole table */
};
static const struct ruleset rulesets[] = {
    {"default", NULL},
    {"regenerate_signature", signature_only},
};

static const struct ruleset *find_ruleset(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rulesets); i++)
        if (strcmp(name, rulesets[i].name) == 0)
            return &rulesets[i];
    return NULL;
}

bool rules_has_set(const char *ruleset)
{
    return find_ruleset(ruleset) != NULL;
}

static bool has_rule(const struct ruleset *set, const struct rule *rule)
{
    const char *const *name = set->rules;
    while (name && *name && strcmp(*name, rule->name) != 0)
        name++;
    return !name || *name;
}

static const struct rule *find_rule(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(rule_table); i++)
        if (str_eq(name, str_of(rule_table[i].name)))
            return &rule_table[i];
    return NULL;
}

void job_note(struct job *job, const char *fmt, ...)
{
    enum { NOTE_BYTES_MAX = 4096 }; /* the longest that a rule writes quotes a few short values */
    STRBUF_AUTO text = {0};
    va_list ap;
    sb_init(&text, NOTE_BYTES_MAX);
    va_start(ap, fmt);
    sb_vprintf(&text, fmt, ap);
    va_end(ap);
    json_array_append_new(job->notes, jtext(sb_view(&text)));
}

/* One broken rule must not cost us the crash: note it and go on. */
static void run_rule(struct job *job, const struct rule *rule)
{
    struct err why = {0};
    if (!rule->applies(job))
        return;
    int64_t begun_us = mono_us();
    bool ok = rule->act(job, &why);
    metric_time(job->metrics, METRIC_RULE_TIME, mono_us() - begun_us, rule->name);
    if (ok)
        return;
    metric_add(job->metrics, METRIC_RULE_FAILED, 1, rule->name);
    log_event(LOG_WARN, "rule_failed", "a rule failed", LOG_S("crash_id", job->crash_id),
              LOG_S("rule", rule->name), LOG_S("class", err_code_name(why.code)));
    job_note(job, "ruleset '%s' rule '%s' failed: %s", job->ruleset, rule->name,
             err_code_name(why.code));
}

static void set_time(struct job *job, const char *key, int64_t us)
{
    char text[TIME_TEXT_MAX];
    time_iso_s(us / 1000000, text);
    set_text(job, key, str_of(text));
}

/*
 * Until the end of the pass the document says that it failed: should a worker die and something of
 * it be seen, it is not taken for a result. The line of the first note, with a blank for the T, is
 * what scripts look for.
 */
static void begin_document(struct job *job)
{
    char start[TIME_TEXT_MAX];
    time_iso(job->now_us, true, start);
    start[10] = ' '; /* the T between date and time */
    jset_bool(job->processed, "success", false);
    set_time(job, "started_datetime", job->now_us);
    set_text(job, "signature", STR("EMPTY: crash failed to process"));
    job_note(job, ">>> Start processing: %s (%s)", start,
             job->hostname ? job->hostname : "unknown");
}

/* A megabyte of notes is more than any crash makes; what is beyond is left out. */
static json_t *joined_notes(const struct job *job)
{
    enum { NOTES_BYTES_MAX = 1 << 20 };
    STRBUF_AUTO all = {0};
    sb_init(&all, NOTES_BYTES_MAX);
    for (size_t i = 0; i < json_array_size(job->notes); i++) {
        const char *note = json_string_value(json_array_get(job->notes, i));
        sb_text(&all, i ? "\n" : "");
        sb_text(&all, note ? note : "");
    }
    return jtext(sb_view(&all));
}

/* Newest first: the notes of the last pass, then its own history. */
static json_t *history(const json_t *old)
{
    json_t *list = json_array();
    json_t *notes = json_object_get(old, "processor_notes");
    if (json_string_length(notes) > 0)
        json_array_append(list, notes);
    size_t i;
    json_t *entry;
    json_array_foreach (jget_arr(old, "processor_history"), i, entry)
        if (json_is_string(entry))
            json_array_append(list, entry);
    return list;
}

/*
 * A rule set other than "default" works on the old document. One that is processed anew starts
 * empty: keys of rules that no longer apply must not survive.
 */
bool rules_run(struct job *job, const json_t *old_processed, struct err *err)
{
    int64_t begin_us = mono_us();
    const struct ruleset *set = find_ruleset(job->ruleset);
    if (!set) {
        job_note(job, "error: no ruleset: %.100s", job->ruleset);
        return err_set(err, ERR_INTERNAL, "no rule set '%.100s'", job->ruleset);
    }
    json_auto_t *old_history = history(old_processed);
    if (strcmp(job->ruleset, "default") != 0 && json_object_size(job->processed) == 0 &&
        json_is_object(old_processed)) {
        json_auto_t *copy = json_deep_copy(old_processed);
        json_object_update(job->processed, copy);
    }
    begin_document(job);
    for (size_t i = 0; i < rule_count && !arena_is_over(job->arena); i++)
        if (has_rule(set, &rule_table[i]))
            run_rule(job, &rule_table[i]);
    if (!arena_within(job->arena, "the crash", err))
        return false;
    jset_bool(job->processed, "success", true);
    set_value(job, "processor_history", TAKE(old_history));
    set_value(job, "processor_notes", joined_notes(job));
    set_time(job, "completed_datetime", job->now_us + (mono_us() - begin_us));
    return true;
}

bool rules_apply_one(struct job *job, const char *name, struct err *err)
{
    struct str bare = str_of(name);
    const struct rule *rule = find_rule(bare);
    if (!rule && str_ends(bare, STR("Rule")))
        rule = find_rule(str_sub(bare, 0, bare.n - 4));
    if (!rule)
        return err_set(err, ERR_NOT_FOUND, "no rule '%.100s'", name);
    run_rule(job, rule);
    return true;
}
