/*
 * MinidumpStackwalk: every minidump of the report goes through the sandboxed walker.
 * What the walker says is checked here only as far as this rule reads it; the other
 * rules treat json_dump as hostile as well.
 *
 * The walker is given the annotations too, of which it reads the certificates of modules and the
 * microcode version: its output has them beside what the dump itself says.
 *
 * A report may have several dumps: of the browser, of plugins, of a hung content process.  The main
 * one fills the top level of the processed crash; each other one has an object of its own with the
 * same keys, named like the dump and listed in additional_minidumps.
 */
#include <errno.h>
#include <fcntl.h>

#include "lib/base/err.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "lib/base/util.h"
#include "lib/json/json.h"
#include "lib/sandbox/walker.h"
#include "processor/job.h"
#include "processor/rules.h"

static const char main_dump[] = "upload_file_minidump";

static bool is_minidump(const struct job_dump *d)
{
    return str_starts(str_of(d->name), str_of(main_dump));
}

bool minidump_stackwalk_applies(const struct job *job)
{
    for (size_t i = 0; i < job->dump_count; i++)
        if (is_minidump(&job->dumps[i]))
            return true;
    return false;
}

/* The end of the log: the cause of a failure is in its last line, and some lines lead to it. */
static json_t *log_tail(const char *log)
{
    enum { LINES_MAX = 10 };
    struct str s = str_rtrim(str_of(log));
    size_t lines = 0, at = s.n;
    while (at > 0) {
        if (s.p[at - 1] == '\n' && ++lines == LINES_MAX)
            break;
        at--;
    }
    STRBUF_AUTO text = {0};
    sb_init(&text, s.n + 8);
    if (at > 0)
        sb_text(&text, "...\n");
    sb_str(&text, str_sub(s, at, SIZE_MAX));
    return jtext(sb_view(&text));
}

/*
 * The word behind "ERROR" if the log begins with it: the name of what went wrong. The walker writes
 * "ERROR NAME - text" first when it gives up, also when what it has written until then looks good:
 * the name says more than the status then.
 */
static struct str error_name(const char *log)
{
    struct str s = str_of(log);
    if (!str_starts(s, STR("ERROR ")))
        return STR("");
    s = str_sub(s, 6, 100);
    size_t n = 0;
    while (n < s.n && strchr(RULE_WORD_CHARS, s.p[n]) && s.p[n])
        n++;
    return str_sub(s, 0, n);
}

/* In the words of the notes that were there before this program. */
static const char *kind_of(const json_t *v)
{
    return json_is_array(v) ? "list" : json_is_string(v) ? "str" : "scalar";
}

/*
 * The exit code is the negative number of the signal when one ended the walker. SIGKILL is ours,
 * for a walk beyond its time; SIGABRT is an assertion of the walker, or memory beyond its limit.
 */
static void note_failure(struct job *job, const struct walker_result *r, const char *status)
{
    static const char rule[] = "MinidumpStackwalkRule";
    if (r->exit_code == 0 && !r->is_output_json)
        job_note(job, "minidump-stackwalk: non-json output: not valid JSON");
    else if (r->exit_code == 0 && !json_is_object(r->json_dump))
        job_note(job, "%s: minidump-stackwalk produced unexpected output: %s", rule,
                 kind_of(r->json_dump));
    else if (r->exit_code == -6)
        job_note(job, "%s: minidump-stackwalk: timeout (SIGABRT)", rule);
    else if (r->exit_code == -9)
        job_note(job, "%s: minidump-stackwalk: timeout (SIGKILL)", rule);
    else if (r->exit_code != 0)
        job_note(job, "%s: minidump-stackwalk: failed: %d: %s", rule, r->exit_code, status);
}

/* json_dump is an object in any case: the rules behind this one need not ask twice. */
static void keep_result(struct job *job, json_t *into, const struct job_dump *d,
                        const struct walker_result *r)
{
    json_t *dump = json_is_object(r->json_dump) ? json_incref(r->json_dump) : json_object();
    struct str status = jget_strn(dump, "status");
    bool is_good = str_eq(status, STR("OK"));
    if (!status.p)
        status = STR("unknown error");
    char *text = str_adup(job->arena, str_sub(status, 0, 200));
    note_failure(job, r, text);

    struct str name = error_name(r->log);
    if (name.n > 0 && (is_good || strcmp(text, "unknown error") == 0)) {
        job_note(job,
                 "MinidumpStackwalkRule: processing %s had error; stomped on "
                 "mdsw_status_string",
                 d->name);
        text = str_adup(job->arena, name);
    }
    json_object_set_new(into, "json_dump", dump);
    jset_int(into, "mdsw_return_code", r->exit_code);
    jset_cstr(into, "mdsw_status_string", text);
    jset_bool(into, "success", is_good);
    jset_cstr(into, "stackwalk_version", r->version);
    json_object_set_new(into, "mdsw_stderr", log_tail(r->log));
}

/*
 * A reporter that died while it wrote the dump sends 0 bytes. That is so frequent that it has a
 * status of its own, and no walker is started for it.
 */
static void keep_empty(struct job *job, json_t *into, const struct job_dump *d)
{
    jset_cstr(into, "mdsw_status_string", "EmptyMinidump");
    jset_cstr(into, "mdsw_stderr", "Shortcut for 0-bytes minidump.");
    job_note(job, "MinidumpStackwalkRule: %s is empty--skipping minidump processing", d->name);
}

static void count_walk(const struct job *job, const struct walker_result *r, int64_t us)
{
    const char *outcome = r->exit_code == 0 && json_is_object(r->json_dump) ? "success" : "fail";
    char code[16];
    snprintf(code, sizeof code, "%d", r->exit_code);
    metric_add(job->metrics, METRIC_STACKWALK_RUN, 1, outcome, code);
    metric_time(job->metrics, METRIC_STACKWALK_TIME, us, outcome);
}

static bool walk_one(struct job *job, json_t *into, const struct job_dump *d, struct err *err)
{
    if (d->size_bytes == 0) {
        keep_empty(job, into, d);
        return true;
    }
    FD_AUTO fd = open(d->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "cannot open dump %s", d->name);
    struct walker_result r = {0};
    int64_t begun_us = mono_us();
    if (!walker_run(job->walker, fd, job->raw, &r, err))
        return err_wrap(err, "walking %s", d->name);
    count_walk(job, &r, mono_us() - begun_us);
    keep_result(job, into, d, &r);
    walker_result_release(&r);
    return true;
}

/* The main dump fills the top level, each other one an object of its own. */
static bool walk_dump(struct job *job, json_t *additional, const struct job_dump *d,
                      struct err *err)
{
    if (strcmp(d->name, main_dump) == 0)
        return walk_one(job, job->processed, d, err);
    json_array_append_new(additional, jtext(str_of(d->name)));
    json_t *into = json_object();
    set_value(job, d->name, into);
    return walk_one(job, into, d, err);
}

bool minidump_stackwalk_act(struct job *job, struct err *err)
{
    json_t *additional = json_array();
    set_value(job, "additional_minidumps", additional);
    if (!job->walker) /* switched off for this crash; whoever did that has noted why */
        return true;
    /* One dump that cannot be walked does not cost us the others; the first reason counts. */
    bool all_good = true;
    for (size_t i = 0; i < job->dump_count; i++) {
        struct err why = {0};
        if (!is_minidump(&job->dumps[i]) || walk_dump(job, additional, &job->dumps[i], &why))
            continue;
        if (all_good && err)
            *err = why;
        all_good = false;
    }
    return all_good;
}
