#ifndef PROCESSOR_RULES_H
#define PROCESSOR_RULES_H

#include "processor/job.h"

/*
 * rules - what the files of the rule families share.
 *
 * A rule is a row of the table in rules.c with two functions: does it apply, and what
 * does it do.  It reads and writes the keys of job->raw and job->processed that its
 * row names; a test holds every rule to that.
 */

/* Annotations */

/*
 * The annotation as text, whatever JSON type it came as: numbers and booleans as they
 * are written, objects and lists as JSON text.  p is NULL if it is absent or null.
 * Borrowed from job->raw or the arena.
 */
struct str annotation_text(const struct job *job, const char *name);
bool has_annotation(const struct job *job, const char *name); /* neither absent, null nor empty */

/* The processed crash */
void set_value(struct job *job, const char *key, json_t *v); /* takes v; NULL sets null */
void set_text(struct job *job, const char *key, struct str s);
const json_t *job_json_dump(const struct job *job);                /* NULL unless an object */
struct str processed_text(const struct job *job, const char *key); /* empty if no text */

/* Frames of the crashing thread of the dump; its index, `fallback` if it names none. */
int64_t crashing_thread_index(const struct job *job, int64_t fallback);
const json_t *crashing_frames(const struct job *job, int64_t fallback_index);

/* Predicates */
bool always(const struct job *job);
bool has_json_dump(const struct job *job);
bool has_modules(const struct job *job);

const struct job_dump *find_dump(const struct job *job, const char *name);

/* Appends the characters of s that are in `allowed` ("a-z" ranges are not known). */
void put_only(struct strbuf *out, struct str s, const char *allowed);
#define RULE_HEX_DIGITS "0123456789abcdefABCDEF"
#define RULE_WORD_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

/* A sorted list of distinct texts joined by `separator`.  Texts are copied. */
struct text_set {
    json_t *texts; /* object used as a set */
};
void set_add(struct text_set *set, struct str s);
json_t *set_to_list(const struct text_set *set);                     /* new reference */
json_t *set_join(const struct text_set *set, const char *separator); /* NULL if empty */
void set_release(struct text_set *set);

/* The rules, by family */
#define RULE(name)                                                                                 \
    bool name##_applies(const struct job *job);                                                    \
    bool name##_act(struct job *job, struct err *err)
/* Rules that apply always, or on one of the predicates above. */
#define RULE_ALWAYS(name) bool name##_act(struct job *job, struct err *err)

/* rules_annotations.c */
RULE_ALWAYS(de_null);
RULE_ALWAYS(de_none);
RULE_ALWAYS(crash_report_keys);
RULE_ALWAYS(collector_metadata);
RULE(convert_module_signature_info);
RULE_ALWAYS(submitted_from);
RULE(identifier);
RULE_ALWAYS(minidump_sha256_hash);
RULE(plugin);
RULE_ALWAYS(process_type);
RULE_ALWAYS(accessibility);
RULE_ALWAYS(distribution_id);
RULE(utility_actors_name);
RULE(moz_crash_reason);

/* rules_twin.c */
RULE(twin);

/* rules_copy.c */
RULE_ALWAYS(copy_from_raw_crash);

/* rules_addons.c */
RULE_ALWAYS(addons);
RULE(theme_pretty_name);

/* rules_version.c */
RULE(fenix_version_rewrite);
RULE(esr_version_rewrite);
RULE_ALWAYS(major_version);
RULE(beta_version);

/* rules_walk.c */
RULE(minidump_stackwalk);

/* rules_dump.c */
RULE_ALWAYS(module_url_rewrite);
RULE_ALWAYS(crashing_thread_info);
RULE_ALWAYS(truncate_stacks);
RULE(possible_bit_flips);
RULE_ALWAYS(crash_inconsistencies);
RULE(has_guard_page_access);
RULE(mac_boot_args);
RULE_ALWAYS(mac_crash_info);
RULE(soft_errors);
RULE_ALWAYS(thread_count);

/* rules_modules.c */
RULE(top_most_files);
RULE(modules_in_stack);
RULE_ALWAYS(missing_symbols);

/* rules_symbols.c */
RULE_ALWAYS(symbols_wanted);

/* rules_time.c */
RULE_ALWAYS(dates_and_times);

/* rules_memory.c */
RULE(out_of_memory_binary);
RULE(memory_report_extraction);
RULE(phc);

/* rules_java.c */
RULE(java_stack_trace);
RULE(breadcrumbs);

/* rules_platform.c */
RULE_ALWAYS(cpu_info);
RULE(android_cpu_info);
RULE_ALWAYS(os_info);
RULE(android_os_info);
RULE_ALWAYS(platform_info);
RULE_ALWAYS(os_pretty_version);

/* rules_signature.c */
RULE_ALWAYS(report_type);
RULE_ALWAYS(signature_generator);
RULE(shut_down_hang_crashing_thread);

#undef RULE
#undef RULE_ALWAYS

#endif
